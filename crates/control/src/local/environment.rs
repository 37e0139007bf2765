//! What a container is started with: program, arguments, environment, folder.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use manifest::{Container, PodField, Program};

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
/// Our own variables are not for replicas, which might take them for theirs.
const OURS: &str = "FOREBAY_";
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
    let (program, arguments) = match &container.program {
        Program::Forebay { arguments } => {
            let arguments = arguments.iter().map(fill).chain([STOP_WITH_PLATFORM.to_owned()]);
            (forebay.to_owned(), arguments.collect())
        }
        Program::Command { command } => {
            let mut words = command.iter().map(fill);
            (PathBuf::from(words.next().unwrap_or_default()), words.collect())
        }
    };
    let address = identity.address.to_string();
    let ours = [
        ("HOSTNAME", identity.name.clone()),
        ("POD_NAME", identity.name.clone()),
        ("POD_NAMESPACE", identity.namespace.clone()),
        ("POD_IP", address.clone()),
    ];
    // Later ones win.
    let environment = inherited
        .filter(|(name, _)| !name.starts_with(OURS))
        .chain(ours.map(|(name, value)| (name.to_owned(), value)))
        .chain(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())))
        .chain(container.environment.iter().map(|(name, value)| (name.clone(), fill(value))))
        .chain([(ADDRESS.to_owned(), address)])
        .filter(|(name, value)| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0'));
    Launch {
        program,
        arguments,
        environment: environment.collect(),
        // Never the folder in which the platform happens to have been started.
        working_directory: Some(folder.unwrap_or(Path::new("/")).to_owned()),
    }
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
        let inherited = [("PATH", "/bin"), ("FOREBAY_STATE_DIR", "/x"), ("POD_NAME", "mine")];
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
    fn our_own_replicas_end_with_the_platform() {
        let launch = launched(Program::Forebay { arguments: vec!["serve".to_owned(), "iris=.".to_owned()] });
        assert_eq!(launch.program, Path::new("/forebay"));
        assert_eq!(launch.arguments, ["serve", "iris=.", "--stop-when-stdin-closes"]);
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
