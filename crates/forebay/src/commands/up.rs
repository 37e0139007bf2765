//! `forebay up`: the whole platform on this machine.

mod report;

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use control::api;
use control::local::{Local, LocalSettings, Machine};
use control::store::Store;
use control::{Authority, Binding, Channels, Control, Given, LiveDefaults};
use jiff::Timestamp;
use manifest::{Compiler, DEFINITION, Defaults, Exposure, Finding, Object, Objects};
use net::{Drain, Limits};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{End, guard, restore};
use crate::acme::{AcmeFailures, AcmeOptions};
use crate::admin::Admin;
use crate::api::ApiHandler;
use crate::applied::{self, Removal, When};
use crate::certificate::WayOfKeys;
use crate::globals::Globals;
use crate::kept_certificates::{self, KeptCertificates};
use crate::limits::LimitOptions;
use crate::log_store::LogOptions;
use crate::manifests::{self, Manifests, Paths};
use crate::output::Output;
use crate::platform::{Platform, write_private};
use crate::progress::Written;
use crate::reread::{self, Changed, Documents};
use crate::signals::{Signals, Wish};
use crate::traces::TraceOptions;
use crate::{bundle, certificate, findings, runtime};

/// Run the whole platform on these manifests; without any, on what was applied before, or on the bundled examples
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay up                        what was applied before; at first the bundled stories: wine, iris, retail
  forebay up deploy/                every manifest of a folder
  forebay up -f app.yaml -o json    one line of JSON when it is ready

Ctrl-C lets requests finish, stops the replicas and ends. What was applied is there again at the next start.")]
pub(crate) struct Options {
    #[command(flatten)]
    paths: Paths,

    /// Remove what these paths no longer have without asking, however much it is
    #[arg(long)]
    prune: bool,

    /// Do exactly what AWS does, also where that is hardly what was meant
    #[arg(long)]
    strict_aws: bool,

    /// Open load balancers on all interfaces of this machine, not only on loopback
    #[arg(long)]
    public: bool,

    /// Serve to others too what asks for protection that it does not get here, with a warning
    #[arg(long, requires = "public")]
    allow_unprotected: bool,

    /// Domain of InferenceServices, unless the manifests set one; they are reached by https then, too
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,

    #[command(flatten)]
    certificates: KeptCertificates,

    #[command(flatten)]
    acme: AcmeOptions,

    /// Port of admin and dashboard on 127.0.0.1; 0 for any free one
    #[arg(long, default_value_t = 7070, value_name = "PORT")]
    admin_port: u16,

    /// Port of the embedded Kubernetes API on 127.0.0.1; 0 for any free one
    #[arg(long, default_value_t = 7443, value_name = "PORT")]
    api_port: u16,

    /// Threads that carry traffic [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    cores: Option<u16>,

    #[command(flatten)]
    logs: LogOptions,

    #[command(flatten)]
    traces: TraceOptions,

    #[command(flatten)]
    limits: LimitOptions,

    /// What is printed when it is ready
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

impl Options {
    /// What `check` has to be told to find the same.
    fn words_of_check(&self) -> Vec<String> {
        let switches = [("--public", self.public), ("--allow-unprotected", self.allow_unprotected)];
        let switches = switches.into_iter().filter(|(_, is_on)| *is_on).map(|(word, _)| word.to_owned());
        self.certificates.words().into_iter().chain(switches).collect()
    }
}

/// How long requests may take to finish at the end.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take then to write what is still to be logged.
const LOG_PATIENCE: Duration = Duration::from_secs(5);

/// How long it may take then to send the last spans of traces.
const TRACE_PATIENCE: Duration = Duration::from_secs(3);

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    runtime::block_on(up(options, globals))
}

async fn up(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let start = Instant::now();
    let mut signals = Signals::listen();
    let state_dir = globals.state_dir();
    let mut paths = options.paths.all();
    let mut manifests = manifests::read(&paths)?;

    let settings = LocalSettings {
        state_folder: state_dir.clone(),
        program: std::env::current_exe().context("cannot tell where this program is")?,
        node_name: node_name(),
        environment: options.traces.of_replicas(),
    };
    let local =
        Local::open(settings).await.map_err(|error| restore::explained(error, &state_dir, globals))?;
    let (store, machine) = (local.store(), local.machine());
    if paths.is_empty() {
        paths = without_paths(&store, &state_dir, globals)?;
        manifests = manifests::read(&paths)?;
    }
    // What comes through a pipe comes once.
    if manifests.has_unknown() && paths.iter().all(|path| path.is_file() || path.is_dir()) {
        manifests = manifests::read_beside(&paths, &definitions(&store.objects()))?;
    }
    // Asked before anything runs, so that nobody else waits for the answer.
    let removal = Removal::of(&store, &manifests, &paths).confirm(options.prune, When::Starting, globals);
    let guard = guard::start(&local.mark());
    if let Err(error) = &guard {
        tracing::warn!(%error, "processes of containers would outlive a platform that is killed");
    }
    let (plans, plan) = watch::channel(Arc::default());
    let (observations, observed) = watch::channel(Arc::default());
    let WayOfKeys { keys, key_ring, shown } = certificate::way_of_keys();
    let folders = options.certificates.open(globals)?;
    let (kept_sender, kept) = watch::channel(folders.known());
    let defaults = LiveDefaults::new(defaults(options), kept);
    let (offer, challenges) = watch::channel(Arc::default());
    let acme_failures = AcmeFailures::default();
    let acme = options.acme.open(
        globals.acme_dir(),
        plan.clone(),
        defaults.clone(),
        offer,
        acme_failures.clone(),
    )?;
    let authority = Rc::new(Authority::open(&state_dir, Timestamp::now())?);
    store.furnish(Given {
        machine: node_name(),
        certificate: authority.certificate().to_owned(),
        api_port: options.api_port,
        service_network: Some(local.service_network()),
    });
    let admin = Admin {
        store: Rc::clone(&store),
        plan: plan.clone(),
        observed: observed.clone(),
        metrics: proxy::Metrics::default(),
        recall: proxy::Recall::default(),
        defaults: defaults.clone(),
        compiler: Compiler::default(),
        shown,
        limits: options.limits.limits(),
        log_place: options.logs.place(&state_dir),
        authority: authority.subject(),
        challenges: challenges.clone(),
        acme_failures,
    };

    let (proxy_drain, proxy_watch) = Drain::new();
    let n_cores = options.cores.map_or_else(net::n_cores, usize::from);
    let region = defaults.now().region.clone();
    let (logs, log_writer) = options.logs.open(options.output, &state_dir, region, &admin.metrics)?;
    let tracer = options.traces.open("forebay", admin.metrics.traces())?;
    let proxy_settings = proxy::Settings {
        n_cores,
        logs: Some(logs),
        traces: tracer.clone(),
        recall: admin.recall.clone(),
        limits: admin.limits,
        gate: options.limits.gate(),
    };
    let mut data_plane = tokio::task::spawn_local(proxy::run(
        plan,
        key_ring,
        observations,
        admin.metrics.clone(),
        proxy_settings,
        proxy_watch,
    ));

    let binding = Binding {
        is_public: options.public,
        has_ipv6: may_bind_ipv6(),
        shifts_low_ports: !may_bind_low_ports(),
    };
    if binding.shifts_low_ports && !globals.quiet {
        eprintln!("note: ports below 1024 may not be bound here, so 8000 is added to them");
    }
    let (control_drain, mut control_watch) = Drain::new();
    let mut control = tokio::task::spawn_local(Control::run(
        local,
        control::Settings { defaults: defaults.clone(), binding, compiler: admin.compiler.clone() },
        Some(Rc::clone(&authority)),
        Channels { plan: plans, keys, observed, challenges },
        async move { control_watch.draining().await },
    ));

    if let Some(acme) = acme {
        tokio::task::spawn_local(acme.run());
    }
    let told = globals.clone();
    tokio::task::spawn_local(folders.watch(kept_sender, move |known| {
        findings::print(&known.findings, &told);
        if !told.quiet {
            eprintln!("certificates: read again, {} can be shown", known.pairs.len());
        }
    }));
    let ports = Ports::open(options, &admin, machine, &state_dir, authority)?;
    applied::apply(&store, manifests.objects.clone(), &removal);
    let mut documents = Documents::default();
    documents.take_all(&manifests.objects, manifests.findings.is_empty(), &store);
    let refused = manifests::refused(&manifests.objects);
    let files: Objects = manifests.objects.iter().cloned().collect();
    let found = all_findings(manifests, &store.objects(), &defaults);
    print_findings(&found, &paths, &options.words_of_check(), globals);
    let n_unprotected = findings::n_unprotected(&found);
    if n_unprotected > 0 {
        // The control loop has not had its turn: no load balancer is open.
        Platform::withdraw(&state_dir);
        bail!(
            "nothing is opened to others, because what is above asks for protection that it would not get; change it, \
             leave --public out, or serve it without with --allow-unprotected"
        );
    }
    let written = Written { findings: found, files, refused };
    let end = tokio::select! {
        end = report::report_and_wait(options.output, globals, &admin, &ports.platform, written, start, options.public) => end,
        end = obey(&mut signals, &store, &mut documents, &defaults, options, globals) => Ok(end),
        failed = failure("the control loop", &mut control) => Err(failed),
        failed = failure("the data plane", &mut data_plane) => Err(failed),
    };
    if !globals.quiet {
        // Whoever read this may have gone with the terminal; requests finish all the same.
        let _ = writeln!(std::io::stderr(), "stopping: requests finish, then replicas end");
    }
    Platform::withdraw(&state_dir);
    proxy_drain.finish(DRAIN_PATIENCE).await;
    if !tokio::task::spawn_blocking(|| log_writer.finish(LOG_PATIENCE)).await? {
        tracing::warn!("the last lines of logs could not be written");
    }
    if let Some(tracer) = tracer {
        tracer.finish(TRACE_PATIENCE).await;
    }
    control_drain.begin();
    if !control.is_finished() {
        control.await.context("the control loop failed")?;
    }
    ports.drain.finish(Duration::from_secs(1)).await;
    end
}

/// Does what signals ask for, until one of them asks to end.
async fn obey(
    signals: &mut Signals,
    store: &Store,
    documents: &mut Documents,
    defaults: &LiveDefaults,
    options: &Options,
    globals: &Globals,
) -> End {
    loop {
        match signals.next().await {
            Wish::End(end) => return end,
            Wish::ReadAgain => read_again(store, documents, defaults, options, globals),
        }
    }
}

/// Reads the manifests of the command line again and applies them. When one cannot be read, all stays as it is.
fn read_again(
    store: &Store,
    documents: &mut Documents,
    defaults: &LiveDefaults,
    options: &Options,
    globals: &Globals,
) {
    let paths = options.paths.all();
    if paths.is_empty() {
        eprintln!("SIGHUP: no manifests were named at the start, so there are none to read again");
        return;
    }
    // Where others could be let in by what is read, it is looked at as a whole first.
    let changed = (defaults.now().exposure != Exposure::Public).then(|| documents.changes(&paths, store));
    if let Some(Changed { objects, all, by_document }) = changed.flatten() {
        let wanted = all.iter().map(|(object, _)| object.clone()).collect();
        let removal = Removal::beside(store, &wanted, &[], &paths);
        let removal = removal.confirm(options.prune, When::Running, globals);
        let before = store.objects();
        applied::apply_changed(store, objects, &all, &removal);
        documents.take(by_document, store);
        eprintln!("SIGHUP: read the manifests again: {}", reread::changes(&before, &store.objects()));
        print_findings_later(paths, store, defaults, options, globals);
        return;
    }
    match manifests::read_beside(&paths, &definitions(&store.objects())) {
        Err(error) => eprintln!("error: SIGHUP: the manifests cannot be read again: {error:#}"),
        Ok(manifests) => {
            let (objects, is_clean) = (manifests.objects.clone(), manifests.findings.is_empty());
            let removal = Removal::of(store, &manifests, &paths);
            let found = all_findings(manifests, &store.objects(), defaults);
            print_findings(&found, &paths, &options.words_of_check(), globals);
            if findings::n_unprotected(&found) > 0 {
                eprintln!(
                    "error: SIGHUP: all stays as it is, because what is above asks for protection that it would not get"
                );
                return;
            }
            let before = store.objects();
            let removal = removal.confirm(options.prune, When::Running, globals);
            applied::apply(store, objects.clone(), &removal);
            documents.take_all(&objects, is_clean, store);
            eprintln!("SIGHUP: read the manifests again: {}", reread::changes(&before, &store.objects()));
        }
    }
}

/// The definitions of kinds among objects.
fn definitions(objects: &Objects) -> Vec<Arc<Object>> {
    objects.of_kind(DEFINITION).cloned().collect()
}

/// Prints what there is to say, and how much more there would be.
fn print_findings(found: &[Finding], paths: &[PathBuf], words_of_check: &[String], globals: &Globals) {
    findings::print(found, globals);
    if let Some(more) = findings::unprinted(found, paths, words_of_check, globals) {
        eprintln!("{more}");
    }
}

/// Prints what there is to say of manifests that are applied already, beside what goes on. It may take longer than to apply them:
/// all of them are read, because what is told of files names their lines.
fn print_findings_later(
    paths: Vec<PathBuf>,
    store: &Store,
    defaults: &LiveDefaults,
    options: &Options,
    globals: &Globals,
) {
    let (objects, defaults, globals) = (store.objects(), defaults.clone(), globals.clone());
    let words = options.words_of_check();
    let print = move || {
        runtime::give_way();
        let Ok(manifests) = manifests::read_beside(&paths, &definitions(&objects)) else { return };
        let found = all_findings(manifests, &objects, &defaults);
        print_findings(&found, &paths, &words, &globals);
    };
    if let Err(error) = std::thread::Builder::new().name("findings".to_owned()).spawn(print) {
        tracing::warn!(%error, "there may be something to say of the manifests: forebay check says it");
    }
}

/// Waits for a part of the platform to end that should go on for as long as the platform does, and says so. A platform
/// without it would look alive, and do nothing about anything.
async fn failure<T>(part: &'static str, task: &mut JoinHandle<T>) -> anyhow::Error {
    match task.await {
        Ok(_) => anyhow!("{part} has ended"),
        Err(error) => anyhow::Error::new(error).context(format!("{part} failed")),
    }
}

/// What to apply when no path was named: nothing where something was applied before, which goes on; else the examples.
fn without_paths(store: &Store, state_dir: &Path, globals: &Globals) -> anyhow::Result<Vec<PathBuf>> {
    let examples = state_dir.join("examples");
    let Some(earlier) = applied::earlier(store) else { return bundle::unpack(&examples) };
    if !globals.quiet {
        eprintln!("{earlier}");
    }
    if applied::has_some_of(store, &examples) {
        // The objects stay as they are; what they name may be from an earlier build.
        bundle::unpack(&examples)?;
    }
    Ok(Vec::new())
}

fn defaults(options: &Options) -> Defaults {
    let exposure = findings::exposure(options.public, options.allow_unprotected);
    let defaults = Defaults { exposure, strict_aws: options.strict_aws, ..Defaults::default() };
    let mut defaults = kept_certificates::with_region(defaults);
    if let Some(domain) = &options.domain {
        defaults.domain.clone_from(domain);
        defaults.gateway_tls = true;
    }
    defaults
}

/// Whether this process may listen below port 1024.
fn may_bind_low_ports() -> bool {
    const PROBED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 77, 255, 255)), 80);
    !matches!(net::bind(PROBED, 1), Err(net::BindError::Forbidden { .. }))
}

/// Whether this machine has IPv6.
fn may_bind_ipv6() -> bool {
    const ANY: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
    net::bind(ANY, 1).is_ok()
}

fn node_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().to_ascii_lowercase();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// The ports of admin and API.
struct Ports {
    platform: Platform,
    drain: Drain,
}

/// The note that keeps the token of the API, so that a kubeconfig works again after a restart.
const TOKEN_NOTE: &str = "api-token";

impl Ports {
    fn open(
        options: &Options,
        admin: &Admin,
        machine: Machine,
        state_dir: &Path,
        authority: Rc<Authority>,
    ) -> anyhow::Result<Self> {
        let store = &admin.store;
        let token = store.note(TOKEN_NOTE).unwrap_or_else(api::new_token);
        if let Err(status) = store.set_note(TOKEN_NOTE, Some(&token)) {
            tracing::warn!(%status, "the kubeconfig will be another after a restart");
        }
        let (admin_socket, admin_address) = open_port(options.admin_port, "admin", "admin-port")?;
        let (api_socket, api_address) = open_port(options.api_port, "Kubernetes API", "api-port")?;
        let served = certificate::serve(&authority)?;
        let (drain, watch) = Drain::new();
        let settings = api::Settings {
            token: token.clone(),
            defaults: admin.defaults.clone(),
            compiler: admin.compiler.clone(),
            ..api::Settings::default()
        };
        let handler =
            ApiHandler::new(api::Api::new(Rc::clone(store), Some(machine), settings), watch.clone());
        tokio::task::spawn_local(net::serve_tls(
            api_socket,
            served.tls.clone(),
            handler,
            Limits::default(),
            watch.clone(),
        ));
        // `explain` asks about requests that are too long themselves.
        let long = Limits { request_line_bytes: 65_536, head_bytes: 65_536, ..Limits::default() };
        tokio::task::spawn_local(net::serve(admin_socket, admin.clone(), long, watch));
        let kubeconfig = state_dir.join("kubeconfig");
        let written =
            write_private(&kubeconfig, &api::kubeconfig(api_address, authority.certificate(), &token));
        // On a full disk too, what ran before runs again.
        if let Err(error) = written {
            tracing::warn!("{error:#}; kubectl may not find this platform");
        }
        tokio::task::spawn_local(certificate::renew(authority, served));
        let platform = Platform {
            pid: std::process::id(),
            api: format!("https://{api_address}"),
            token,
            admin: format!("http://{admin_address}"),
            kubeconfig,
            refuses_unprotected: admin.defaults.now().exposure == Exposure::Public,
        };
        if let Err(error) = platform.announce(state_dir) {
            tracing::warn!("{error:#}; other commands of forebay do not find this platform");
        }
        Ok(Self { platform, drain })
    }
}

/// What there is to say of the files, among all the objects that there are. Those of the files know their lines.
fn all_findings(manifests: Manifests, stored: &Objects, defaults: &LiveDefaults) -> Vec<Finding> {
    let mut objects = stored.clone();
    for object in &manifests.objects {
        objects.insert(object.clone());
    }
    let mut read = manifests.findings;
    read.extend(defaults.kept().findings.iter().cloned());
    let mut findings = manifest::findings_of_files(read, &objects, &defaults.now(), Timestamp::now());
    manifests::add_words_of_api(&manifests.objects, &mut findings);
    findings
}

/// Opens a port on loopback. The error says how to choose another.
fn open_port(port: u16, what: &str, flag: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let sockets = net::bind(address, 1);
    let sockets =
        sockets.with_context(|| format!("cannot open the {what} port; choose another with --{flag}"))?;
    let socket = sockets.into_iter().next().context("no socket")?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_fails_or_ends_is_an_error() {
        let mut failing = tokio::spawn(async { assert!(std::hint::black_box(false), "out of luck") });
        let error = format!("{:#}", failure("the control loop", &mut failing).await);
        assert!(error.starts_with("the control loop failed: ") && error.contains("out of luck"), "{error}");
        let mut ending = tokio::spawn(async {});
        assert_eq!(failure("the data plane", &mut ending).await.to_string(), "the data plane has ended");
    }
}
