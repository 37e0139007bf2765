//! What a container is started with: program, arguments, environment, folder.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use manifest::{ARGUMENTS_FROM, Container, MEMORY_LIMIT, PodField, Program, Stdin, starred_uri};
use serde_json::Value;

use super::process::Launch;

/// What is known of a replica when it starts.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) address: IpAddr,
    pub(super) node: String,
}

/// The variable that tells a replica where to listen.
const ADDRESS: &str = "FOREBAY_ADDRESS";
/// What replicas get of the environment of this process: what a program needs to run and to speak, and where Python is. Keys
/// and passwords that lie in a shell are not for them; what they need besides, their manifest names.
const INHERITED: &[&str] = &[
    "CONDA_PREFIX",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LOGNAME",
    "PATH",
    "SHELL",
    "TMPDIR",
    "TZ",
    "USER",
    "VIRTUAL_ENV",
];
/// The beginnings of further names that are inherited.
const INHERITED_PREFIXES: &[&str] = &["LC_"];
/// What only our own model server gets besides: how it reaches a network, where it keeps copies, what it logs, and which
/// onnxruntime it loads.
const OF_SERVE: &[&str] = &[
    "ALL_PROXY",
    "FOREBAY_MODEL_CACHE",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "ORT_DYLIB_PATH",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "XDG_CACHE_HOME",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];
/// The beginnings of further names of these: where it sends the traces of requests, and which. What it is called there is its
/// own.
const OF_SERVE_PREFIXES: &[&str] = &["OTEL_EXPORTER_OTLP_", "OTEL_SDK_", "OTEL_TRACES_"];
/// Schemes of storages, and how the names of the variables begin that say how they are reached and with which keys. Only a
/// model server that is given a model there gets them.
const OF_STORAGE: &[(&str, &str)] = &[("s3://", "AWS_"), ("gs://", "GOOGLE_"), ("az://", "AZURE_")];
/// Tells our own replicas to end when their standard input closes.
const STOP_WITH_PLATFORM: &str = "--stop-when-stdin-closes";

/// How to start a container. `inherited` is the environment of this process, `forebay` the path of its program.
pub(super) fn launch(
    container: &Container,
    identity: &Identity,
    folder: Option<&Path>,
    inherited: impl Iterator<Item = (String, String)>,
    forebay: &Path,
) -> Launch {
    let fields: Vec<(&str, String)> =
        container.pod_fields.iter().map(|(name, field)| (name.as_str(), identity.field(*field))).collect();
    let fill = |text: &String| fill(text, &fields);
    let (program, arguments, input) = match &container.program {
        Program::Forebay { arguments } => {
            let arguments = arguments.iter().map(fill).chain([STOP_WITH_PLATFORM.to_owned()]);
            let (arguments, input) = without_secrets(arguments.collect());
            (forebay.to_owned(), arguments, input)
        }
        Program::Command { command } => {
            let mut words = command.iter().map(fill);
            (PathBuf::from(words.next().unwrap_or_default()), words.collect(), None)
        }
    };
    let address = identity.address.to_string();
    let is_ours = matches!(container.program, Program::Forebay { .. });
    let memory = container.memory_limit.filter(|_| is_ours);
    let ours = [
        ("HOSTNAME", identity.name.clone()),
        ("POD_NAME", identity.name.clone()),
        ("POD_NAMESPACE", identity.namespace.clone()),
        ("POD_IP", address.clone()),
    ];
    // Later ones win.
    let environment = inherited
        .filter(|(name, _)| is_inherited(name, &container.program))
        .chain(ours.map(|(name, value)| (name.to_owned(), value)))
        .chain(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())))
        .chain(container.environment.iter().map(|(name, value)| (name.clone(), fill(value))))
        .chain([(ADDRESS.to_owned(), address)])
        .chain(memory.map(|limit| (MEMORY_LIMIT.to_owned(), limit.to_string())))
        .filter(|(name, value)| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'));
    Launch {
        program,
        arguments,
        environment: environment.collect(),
        // Never the folder in which the platform happens to have been started.
        working_directory: Some(folder.unwrap_or(Path::new("/")).to_owned()),
        input,
        // Ours ends when it closes; for others it is as if there were none, unless they ask for it.
        has_input: is_ours || container.stdin != Stdin::Nobody,
    }
}

/// Arguments of our own program as every user of the machine may read them, and what is handed over to it instead when
/// passwords among them are not for everybody.
fn without_secrets(arguments: Vec<String>) -> (Vec<String>, Option<String>) {
    let mut shown: Vec<String> = arguments.iter().map(|argument| starred_uri(argument)).collect();
    if shown == arguments {
        return (arguments, None);
    }
    shown.push(format!("{ARGUMENTS_FROM}/dev/stdin"));
    (shown, Some(format!("{}\n", Value::from(arguments))))
}

/// Whether a program gets a variable of the environment of this process.
fn is_inherited(name: &str, program: &Program) -> bool {
    let is_for_all =
        INHERITED.contains(&name) || INHERITED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let Program::Forebay { arguments } = program else { return is_for_all };
    // `serve iris=s3://models/iris`, and as KServe's servers take it, `--model_dir=s3://models/iris`.
    let is_kept_at = |scheme: &str| {
        arguments.iter().any(|argument| argument.rsplit('=').any(|part| part.starts_with(scheme)))
    };
    let is_of_its_storage =
        || OF_STORAGE.iter().any(|(scheme, prefix)| name.starts_with(prefix) && is_kept_at(scheme));
    let is_of_serve =
        OF_SERVE.contains(&name) || OF_SERVE_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    is_for_all || is_of_serve || is_of_its_storage()
}

impl Identity {
    fn field(&self, field: PodField) -> String {
        match field {
            PodField::Name => self.name.clone(),
            PodField::Uid => self.uid.clone(),
            PodField::PodIp => self.address.to_string(),
            PodField::HostIp => "127.0.0.1".to_owned(),
            PodField::NodeName => self.node.clone(),
        }
    }
}

/// Replaces `$(NAME)` of the names that are known.
fn fill(text: &str, values: &[(&str, String)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("$(") {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let inside = rest.find(')').map(|end| &rest[2..end]);
        let known = inside.and_then(|name| values.iter().find(|(known, _)| *known == name));
        match known {
            Some((name, value)) => {
                filled.push_str(value);
                rest = &rest[name.len() + 3..];
            }
            None => {
                filled.push_str("$(");
                rest = &rest[2..];
            }
        }
    }
    filled + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(program: Program) -> Container {
        Container {
            name: "main".to_owned(),
            program,
            stdin: Stdin::Nobody,
            environment: vec![("GREETING".to_owned(), "I am $(ME) of $(OTHER)".to_owned())],
            pod_fields: vec![("ME".to_owned(), PodField::Name), ("WHERE".to_owned(), PodField::PodIp)],
            ports: Vec::new(),
            startup: None,
            readiness: None,
            liveness: None,
            cpu_limit: None,
            memory_limit: None,
        }
    }

    fn launched(program: Program) -> Launch {
        let identity = Identity {
            namespace: "mlops".to_owned(),
            name: "api-1".to_owned(),
            uid: "u".to_owned(),
            address: "127.78.0.1".parse().unwrap(),
            node: "here".to_owned(),
        };
        let inherited = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("FOREBAY_STATE_DIR", "/x"),
            ("FOREBAY_MODEL_CACHE", "/c"),
            ("POD_NAME", "mine"),
            ("AWS_SECRET_ACCESS_KEY", "k"),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/k"),
            ("AZURE_CLIENT_SECRET", "k"),
            ("DATABASE_URL", "postgres://u:p@h"),
            ("HTTPS_PROXY", "http://u:p@h"),
            ("OTEL_SERVICE_NAME", "edge"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=k"),
        ];
        let inherited = inherited.map(|(name, value)| (name.to_owned(), value.to_owned()));
        launch(
            &container(program),
            &identity,
            Some(Path::new("/models")),
            inherited.into_iter(),
            Path::new("/forebay"),
        )
    }

    #[test]
    fn a_replica_knows_who_and_where_it_is() {
        let launch =
            launched(Program::Command { command: vec!["./serve".to_owned(), "--at=$(WHERE)".to_owned()] });
        assert_eq!(launch.program, Path::new("./serve"));
        assert_eq!(launch.arguments, ["--at=127.78.0.1"]);
        let value = |name: &str| {
            let named = launch.environment.iter().rev().find(|(key, _)| key == name);
            named.map(|(_, value)| value.as_str())
        };
        assert_eq!(value("PATH"), Some("/bin"));
        assert_eq!(value("POD_NAME"), Some("api-1"));
        assert_eq!(value("POD_NAMESPACE"), Some("mlops"));
        assert_eq!(value("FOREBAY_ADDRESS"), Some("127.78.0.1"));
        assert_eq!(value("FOREBAY_STATE_DIR"), None);
        assert_eq!(value("GREETING"), Some("I am api-1 of $(OTHER)"));
    }

    #[test]
    fn keys_of_the_shell_are_only_for_a_model_server_whose_storage_needs_them() {
        let names = |program: Program| -> Vec<String> {
            let ours =
                ["HOSTNAME", "POD_NAME", "POD_NAMESPACE", "POD_IP", "ME", "WHERE", "GREETING", ADDRESS];
            let names = launched(program).environment.into_iter().map(|(name, _)| name);
            names.filter(|name| !ours.contains(&name.as_str())).collect()
        };
        const CACHE: &str = "FOREBAY_MODEL_CACHE";
        const TRACES: &str = "OTEL_EXPORTER_OTLP_HEADERS";
        let serve =
            |model: &str| names(Program::Forebay { arguments: vec!["serve".to_owned(), model.to_owned()] });
        let command = vec!["sh".to_owned(), "-c".to_owned(), "aws s3 cp s3://a/b .".to_owned()];
        assert_eq!(names(Program::Command { command }), ["PATH", "LC_ALL"]);
        assert_eq!(serve("iris=models/s3://x"), ["PATH", "LC_ALL", CACHE, "HTTPS_PROXY", TRACES]);
        assert_eq!(serve("iris=https://a/b"), ["PATH", "LC_ALL", CACHE, "HTTPS_PROXY", TRACES]);
        assert_eq!(
            serve("iris=s3://a/b"),
            ["PATH", "LC_ALL", CACHE, "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", TRACES]
        );
        assert_eq!(
            serve("gs://a/b"),
            ["PATH", "LC_ALL", CACHE, "GOOGLE_APPLICATION_CREDENTIALS", "HTTPS_PROXY", TRACES]
        );
        assert_eq!(
            serve("iris=az://a/b"),
            ["PATH", "LC_ALL", CACHE, "AZURE_CLIENT_SECRET", "HTTPS_PROXY", TRACES]
        );
    }

    #[test]
    fn our_own_replicas_end_with_the_platform() {
        let launch = launched(Program::Forebay { arguments: vec!["serve".to_owned(), "iris=.".to_owned()] });
        assert_eq!(launch.program, Path::new("/forebay"));
        assert_eq!(launch.arguments, ["serve", "iris=.", "--stop-when-stdin-closes"]);
    }

    #[test]
    fn a_password_is_handed_over_to_our_own_program_and_not_for_the_list_of_processes() {
        let uri = "iris=https://me:word@host/iris";
        let launch = launched(Program::Forebay { arguments: vec!["serve".to_owned(), uri.to_owned()] });
        let shown = [
            "serve",
            "iris=https://***@host/iris",
            "--stop-when-stdin-closes",
            "--arguments-from=/dev/stdin",
        ];
        assert_eq!(launch.arguments, shown);
        let input = "[\"serve\",\"iris=https://me:word@host/iris\",\"--stop-when-stdin-closes\"]\n";
        assert_eq!(launch.input.as_deref(), Some(input));
        assert!(launch.environment.iter().all(|(_, value)| !value.contains("word")));
    }

    #[test]
    fn what_is_not_known_is_left() {
        let values = [("A", "1".to_owned())];
        for (text, filled) in
            [("$(A)$(A)", "11"), ("$(B) $(A", "$(B) $(A"), ("$($(A))", "$(1)"), ("$A", "$A")]
        {
            assert_eq!(fill(text, &values), filled);
        }
    }
}
