//! `forebay serve`: only the model server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use models::Batching;
use net::{Drain, Limits, LiveLimits, ServerTls};
use serde_json::{Value, json};
use serving::{
    LoadedModel, LogMode, LogSettings, LogTarget, ModelState, NotASink, PredictionLog, Repository,
    ServedModel, Server,
};

use super::End;
use crate::duration;
use crate::given_models::{Given, GivenModels, NamedModel, served};
use crate::globals::Globals;
use crate::limits::LimitOptions;
use crate::memory;
use crate::model_repository::ModelRepository;
use crate::output::{self, Output};
use crate::runtime;
use crate::signals::Signals;
use crate::storage::Storage;
use crate::tls_files::TlsFiles;
use crate::traces::TraceOptions;

/// Serve models over HTTP: MLflow, KServe V1, Open Inference Protocol V2 (gRPC too), and plain /predict with /docs
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay serve model.joblib
  forebay serve all.pkl#best -o json
  forebay serve iris=models/iris wine=s3://models/wine --port 8000 --grpc-port 9000
  forebay serve model.joblib --tls-cert server.crt --tls-key server.key    https on port 8443")]
pub(crate) struct Options {
    /// Models: a file, a folder or a URI, with or without a name before it
    #[arg(value_name = "[NAME=]MODEL", required_unless_present_any = ["model", "model_repository"])]
    models: Vec<NamedModel>,

    /// A further model
    #[arg(long, value_name = "NAME=MODEL")]
    model: Vec<NamedModel>,

    /// Folder of further models: each folder in it is one, and each numbered folder in that a version
    #[arg(long, value_name = "DIR")]
    model_repository: Option<PathBuf>,

    /// Where clients may load and unload these models, a port of loopback or an address with one: POST
    /// /v2/repository/models/NAME/load [default: nowhere]
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = admin_address)]
    admin_address: Option<AdminAddress>,

    /// Port to listen on; 0 for any free one [default: 8080, with a certificate 8443]
    #[arg(short, long)]
    port: Option<u16>,

    #[command(flatten)]
    tls: TlsFiles,

    /// A further port to listen on, for clients that look for gRPC on a port of its own; 0 for any free one [default: none]
    #[arg(long, value_name = "PORT")]
    grpc_port: Option<u16>,

    /// Address to listen on
    #[arg(long, env = "FOREBAY_ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,

    /// Listen on all addresses of this machine
    #[arg(long)]
    public: bool,

    /// Threads that answer requests [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Largest request body, in bytes
    #[arg(long, value_name = "BYTES")]
    body_limit: Option<usize>,

    #[command(flatten)]
    limits: LimitOptions,

    /// Refuse JSON that does not come as application/json
    #[arg(long)]
    strict_content_type: bool,

    /// Take `fixed_acidity` for a column `fixed acidity`
    #[arg(long)]
    lenient_column_names: bool,

    /// Predict requests for one model together that wait at the same time, up to so many rows [default: each alone]
    #[arg(long, value_name = "ROWS")]
    batch_size: Option<usize>,

    /// How long a request may wait for others to be predicted with, for example 2ms
    #[arg(long, value_name = "TIME", default_value = "0", requires = "batch_size", value_parser = duration::parse)]
    batch_delay: Duration,

    /// Keep answers for those who ask the same again, in so many bytes [default: none]
    #[arg(long, value_name = "BYTES", default_value_t = 0, hide_default_value = true)]
    cache_size: usize,

    /// Log what models are asked and answer, as CloudEvents: lines at the end of a file, or POSTs to an http or https URL
    #[arg(long, value_name = "FILE|URL", value_parser = log_target)]
    log_predictions: Option<LogTarget>,

    /// What to log of each prediction: all, request or response
    #[arg(long, value_name = "WHAT", default_value = "all", requires = "log_predictions")]
    log_mode: LogMode,

    /// Share of requests to log, from 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, requires = "log_predictions", value_parser = share)]
    log_sample: f64,

    #[command(flatten)]
    traces: TraceOptions,

    /// How it is told that models are served: as json, one line on standard output
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,

    /// Folder of copies of remote models [default: $XDG_CACHE_HOME/forebay/models]
    #[arg(long, value_name = "DIR", env = "FOREBAY_MODEL_CACHE")]
    model_cache: Option<PathBuf>,

    /// End when standard input is closed: how a replica notices that its platform has gone
    #[arg(long, hide = true)]
    stop_when_stdin_closes: bool,
}

/// Where models are loaded and unloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AdminAddress {
    /// A port of the loopback address that is served.
    Loopback(u16),
    Given(SocketAddr),
}

impl AdminAddress {
    /// The address, of a server at this one. Replicas have a loopback address each, and so an admin port each.
    fn beside(self, served: IpAddr) -> SocketAddr {
        match self {
            Self::Given(address) => address,
            Self::Loopback(port) if served.is_loopback() => SocketAddr::new(served, port),
            Self::Loopback(port) => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port),
        }
    }
}

fn admin_address(text: &str) -> Result<AdminAddress, String> {
    let port = text.parse().map(AdminAddress::Loopback).ok();
    let address = || text.parse().map(AdminAddress::Given).ok();
    port.or_else(address).ok_or_else(|| format!("`{text}` is neither a port nor an address with one"))
}

/// Where predictions are logged to.
fn log_target(text: &str) -> Result<LogTarget, String> {
    match text {
        "" => Err("a log is a file or an http URL".to_owned()),
        _ if text.contains("://") => {
            text.parse().map(LogTarget::Http).map_err(|error: NotASink| error.to_string())
        }
        path => Ok(LogTarget::File(path.into())),
    }
}

/// A share of a whole.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| format!("`{text}` is no number from 0 to 1"))
}

/// How long requests may take to finish at the end.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take then to write what is still to be logged.
const LOG_PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take then to send the last spans of traces.
const TRACE_PATIENCE: Duration = Duration::from_secs(3);

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(serve(options, globals))
}

async fn serve(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    // One listener from here to the end: a signal that comes between two of them would be lost.
    let signals = Signals::listen();
    let wanted: Vec<NamedModel> = options.models.iter().chain(&options.model).cloned().collect();
    let settings = settings(options);
    // Until the models are there, the server answers that it is not ready.
    let repository = options.model_repository.clone().map(ModelRepository::new).map(Arc::new);
    let mut loading: Vec<_> = wanted.iter().map(|model| served(model, None, ModelState::Loading)).collect();
    let names = repository.as_ref().map(|repository| repository.names()).transpose();
    let names = names.context("cannot read the model repository")?.unwrap_or_default();
    loading.extend(names.iter().map(|name| {
        let wanted = NamedModel { name: Some(name.clone()), uri: name.clone() };
        served(&wanted, None, ModelState::Loading)
    }));
    let given = Arc::new(GivenModels::new(repository.clone()));
    let server = match options.admin_address {
        Some(_) => Server::with_repository(loading, settings, Arc::clone(&given) as Arc<dyn Repository>)?,
        None => Server::new(loading, settings)?,
    };
    let log = options.log_predictions.clone().map(|target| {
        let (mode, sample) = (options.log_mode, options.log_sample);
        PredictionLog::start(LogSettings { target, mode, sample })
    });
    let log = log.transpose().context("cannot open the log of predictions")?;
    if let Some(log) = &log {
        server.log_predictions(log.clone());
    }
    let tracer = options.traces.open("forebay-serve", &traces::Counts::default())?;
    if let Some(tracer) = &tracer {
        server.trace(tracer.clone());
    }
    let tls = options.tls.open()?;
    let listening = listen(options, &server, tls.as_ref().map(|tls| &tls.tls))?;
    if let Some(tls) = tls {
        tokio::task::spawn_local(tls.follow(server.clone()));
    }

    memory::give_back_at_once();
    let storage = Storage {
        cache: options.model_cache.clone().unwrap_or_else(|| globals.cache_dir().join("models")),
        s3_endpoint: std::env::var("AWS_ENDPOINT_URL_S3").or_else(|_| std::env::var("AWS_ENDPOINT_URL")).ok(),
        shows_progress: !globals.quiet && std::io::IsTerminal::is_terminal(&std::io::stderr()),
    };
    let mut end = std::pin::pin!(signals.end(options.stop_when_stdin_closes));
    let load = async {
        let (mut models, found) = load_all(&wanted, &storage).await?;
        given.found(found);
        if let Some(repository) = repository {
            models.extend(load_repository(repository, names).await?);
        }
        if models.is_empty() {
            bail!("no models");
        }
        anyhow::Ok(models)
    };
    let loaded = tokio::select! {
        loaded = load => loaded?,
        end = &mut end => return Ok(end),
    };
    let mut names: Vec<String> = loaded.iter().map(|model| model.name.clone()).collect();
    names.dedup();
    server.replace_models(loaded)?;
    match options.output {
        Output::Json => output::say(&(listening.as_json(&names).to_string() + "\n"))?,
        Output::Text if globals.quiet => {}
        Output::Text => eprint!("{}", output::printable(&listening.as_text(&names))),
    }
    memory::forget_the_start();
    let end = end.await;
    listening.drain.finish(DRAIN_PATIENCE).await;
    if let Some(log) = log {
        log.flush(LOG_PATIENCE).await;
    }
    if let Some(tracer) = tracer {
        tracer.finish(TRACE_PATIENCE).await;
    }
    Ok(end)
}

fn settings(options: &Options) -> serving::Settings {
    let mut settings = serving::Settings {
        strict_content_type: options.strict_content_type,
        lenient_column_names: options.lenient_column_names,
        bodies_limit: memory::for_bodies(),
        ..serving::Settings::default()
    };
    settings.batching =
        options.batch_size.map(|max_rows| Batching { max_rows, max_delay: options.batch_delay });
    settings.cache_bytes_per_core = options.cache_size / n_threads(options);
    if let Some(body_limit) = options.body_limit {
        settings.body_limit = body_limit;
    }
    settings
}

/// How many threads answer requests.
fn n_threads(options: &Options) -> usize {
    options.threads.map_or_else(net::n_cores, usize::from)
}

/// Where requests are taken, and what ends that.
struct Listening {
    address: SocketAddr,
    grpc_address: Option<SocketAddr>,
    admin_address: Option<SocketAddr>,
    scheme: &'static str,
    drain: Drain,
}

impl Listening {
    fn as_text(&self, names: &[String]) -> String {
        let url = format!("{}://{}", self.scheme, self.address);
        let mut text = format!("serving {} on {url} (try it: {url}/docs)\n", names.join(", "));
        if let Some(grpc_address) = self.grpc_address {
            text += &format!("gRPC on {grpc_address}\n");
        }
        if let Some(admin_address) = self.admin_address {
            text += &format!("admin on http://{admin_address}\n");
        }
        text
    }

    fn as_json(&self, names: &[String]) -> Value {
        json!({
            "ready": true,
            "url": format!("{}://{}", self.scheme, reachable(self.address)),
            "models": names,
            "grpc": self.grpc_address.map(|address| reachable(address).to_string()),
            "admin": self.admin_address.map(|address| format!("http://{}", reachable(address))),
        })
    }
}

/// An address under which a server on this one is reached from this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let loopback = || if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
    let ip = if address.ip().is_unspecified() { loopback() } else { address.ip() };
    SocketAddr::new(ip, address.port())
}

/// Opens the ports and starts a thread per core.
fn listen(options: &Options, server: &Server, tls: Option<&ServerTls>) -> anyhow::Result<Listening> {
    let ip = if options.public { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { options.address };
    let n_threads = n_threads(options);
    let port = options.port.unwrap_or(if options.tls.is_wanted() { 8443 } else { 8080 });
    let sockets = net::bind(SocketAddr::new(ip, port), n_threads)?;
    let address = sockets.first().context("no threads")?.local_addr()?;
    let grpc_sockets = match options.grpc_port {
        None => Vec::new(),
        Some(port) => net::bind(SocketAddr::new(ip, port), n_threads)?,
    };
    let grpc_address = grpc_sockets.first().map(TcpListener::local_addr).transpose()?;
    let admin_socket = options.admin_address.map(|address| open_admin(address, ip)).transpose()?;
    let admin_address = admin_socket.as_ref().map(TcpListener::local_addr).transpose()?;
    let (drain, watch) = Drain::new();
    let gate = options.limits.gate();
    if let (Some(socket), Some(address)) = (admin_socket, admin_address) {
        server.set_admin_address(address);
        let server = server.clone();
        net::spawn_thread("serve-admin", move || async move {
            let served = net::serve(socket, server.admin_handler(), Limits::default(), watch).await;
            if let Err(error) = served {
                tracing::error!(%error, "cannot accept connections of administrators");
            }
        })?;
    }
    let mut grpc_sockets = grpc_sockets.into_iter();
    for (index, socket) in sockets.into_iter().enumerate() {
        let (server, watch, grpc_socket) = (server.clone(), drain.watch(), grpc_sockets.next());
        let (tls, allowed, gate) = (tls.cloned(), options.limits.limits(), gate.clone());
        net::spawn_core(&format!("serve-{index}"), move || async move {
            let handler = server.handler();
            let limits = LiveLimits::new(allowed, gate);
            let serve = async |socket| match tls.clone() {
                None => net::serve(socket, handler.clone(), limits.clone(), watch.clone()).await,
                Some(tls) => {
                    net::serve_tls(socket, tls, handler.clone(), limits.clone(), watch.clone()).await
                }
            };
            let http = serve(socket);
            let grpc = async {
                match grpc_socket {
                    None => Ok(()),
                    Some(socket) => serve(socket).await,
                }
            };
            let (http, grpc) = tokio::join!(http, grpc);
            for error in [http.err(), grpc.err()].into_iter().flatten() {
                tracing::error!(%error, "cannot accept connections");
            }
        })?;
    }
    let scheme = if tls.is_some() { "https" } else { "http" };
    Ok(Listening { address, grpc_address, admin_address, scheme, drain })
}

fn open_admin(address: AdminAddress, served: IpAddr) -> anyhow::Result<TcpListener> {
    let sockets = net::bind(address.beside(served), 1).context("cannot open the admin port")?;
    sockets.into_iter().next().context("no socket")
}

/// Fetches and loads all models, and says where each was found. The first that cannot be loaded is the error.
async fn load_all(
    wanted: &[NamedModel],
    storage: &Storage,
) -> anyhow::Result<(Vec<ServedModel>, Vec<Given>)> {
    let base = std::env::current_dir().context("cannot tell the current folder")?;
    let (mut models, mut found) = (Vec::with_capacity(wanted.len()), Vec::with_capacity(wanted.len()));
    for model in wanted {
        let path = storage.fetch(&model.uri, &base).await?;
        let shown = path.clone();
        let loaded = tokio::task::spawn_blocking(move || LoadedModel::load(&path)).await?;
        let loaded = loaded.with_context(|| format!("cannot load the model at `{}`", shown.display()))?;
        let served = served(model, Some(&shown), ModelState::Ready(Box::new(loaded)));
        found.push(Given { model: model.clone(), path: shown, name: served.name.clone() });
        models.push(served);
    }
    Ok((models, found))
}

/// Loads all models of the repository. The first that cannot be loaded is the error.
async fn load_repository(
    repository: Arc<ModelRepository>,
    names: Vec<String>,
) -> anyhow::Result<Vec<ServedModel>> {
    let load = move || {
        let mut models = Vec::new();
        for name in names {
            models.extend(repository.load(&name)?);
        }
        anyhow::Ok(models)
    };
    tokio::task::spawn_blocking(load).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_reached_on_loopback() {
        for (address, reached) in
            [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("127.78.0.1:80", "127.78.0.1:80")]
        {
            assert_eq!(reachable(address.parse().unwrap()).to_string(), reached);
        }
    }

    #[test]
    fn the_admin_port_is_on_loopback_unless_an_address_is_given() {
        let beside = |text: &str, served: &str| {
            admin_address(text).map(|address| address.beside(served.parse().unwrap()).to_string())
        };
        assert_eq!(beside("8081", "127.78.0.3"), Ok("127.78.0.3:8081".to_owned()));
        assert_eq!(beside("8081", "0.0.0.0"), Ok("127.0.0.1:8081".to_owned()));
        assert_eq!(beside("8081", "10.0.0.1"), Ok("127.0.0.1:8081".to_owned()));
        assert_eq!(beside("10.0.0.1:8081", "0.0.0.0"), Ok("10.0.0.1:8081".to_owned()));
        assert_eq!(beside("[::1]:8081", "0.0.0.0"), Ok("[::1]:8081".to_owned()));
        for wrong in ["", "80810", "localhost:8081", "10.0.0.1", ":8081"] {
            assert!(admin_address(wrong).is_err(), "{wrong}");
        }
    }
}
