//! `forebay cert names`: which names a certificate needs.

use anyhow::bail;
use manifest::{Defaults, Objects};
use plan::ObjectRef;
use serde_json::Value;

use super::End;
use crate::certificate_names::{self, Name, needed};
use crate::globals::Globals;
use crate::manifests;
use crate::output::{self, Output};
use crate::platform::Platform;
use crate::runtime;

/// Say which names a certificate needs for Ingresses and InferenceServices
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay cert names                          of everything that runs here
  forebay cert names -n prod -n staging       of these namespaces
  forebay cert names retail-forecast          of an Ingress
  forebay cert names -f deploy/               of manifests, without a platform

A wildcard stands for one label: the InferenceServices of each namespace need one of their own.")]
pub(super) struct Options {
    /// An Ingress or an InferenceService: its name, with or without KIND/ before it
    #[arg(value_name = "[KIND/]NAME")]
    name: Option<String>,

    /// Only of these namespaces
    #[arg(short, long, value_name = "NAME")]
    namespace: Vec<String>,

    /// Of these manifests, in place of what runs here
    #[arg(short, long, value_name = "PATH")]
    filename: Vec<std::path::PathBuf>,

    /// Domain of InferenceServices, unless the manifests set one; with -f
    #[arg(long, value_name = "DOMAIN", requires = "filename")]
    domain: Option<String>,

    /// How they are printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

pub(super) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let names = if options.filename.is_empty() {
        of_platform(options, globals)?
    } else {
        let objects: Objects = manifests::read(&options.filename)?.objects.into_iter().collect();
        let mut defaults = Defaults::default();
        if let Some(domain) = &options.domain {
            defaults.domain.clone_from(domain);
        }
        needed(&objects, &defaults, |object| options.asks_for(object))
    };
    match options.output {
        Output::Json => {
            output::say(&(serde_json::to_string_pretty(&certificate_names::json(&names))? + "\n"))?;
        }
        Output::Text => {
            if names.is_empty() {
                bail!("nothing of that has a host\n  help: name a namespace with -n, or manifests with -f");
            }
            output::say(&names.iter().map(|name| format!("{}\n", name.name)).collect::<String>())?;
            if !globals.quiet {
                eprint!("{}", how_to_get_one(&names));
            }
        }
    }
    Ok(End::Done)
}

impl Options {
    fn asks_for(&self, object: &ObjectRef) -> bool {
        let in_namespace = self.namespace.is_empty() || self.namespace.contains(&object.namespace);
        let is_named = match self.name.as_deref().map(|name| name.split_once('/').unwrap_or(("", name))) {
            None => true,
            Some((kind, name)) => {
                let same_kind = kind.is_empty()
                    || manifest::kind_named(kind).is_some_and(|kind| kind.kind == object.kind);
                same_kind && name == object.name
            }
        };
        in_namespace && is_named
    }
}

/// The names of everything that runs here and is asked for.
fn of_platform(options: &Options, globals: &Globals) -> anyhow::Result<Vec<Name>> {
    let told = runtime::block_on(async { Platform::find(&globals.state_dir())?.admin("/names").await })?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let host = |value: &Value| {
        let object = ObjectRef::new(&text(&value["kind"]), &text(&value["namespace"]), &text(&value["name"]));
        (object, text(&value["host"]))
    };
    let name = |value: &Value| {
        let hosts = value["hosts"].as_array().into_iter().flatten().map(host);
        Name {
            name: text(&value["name"]),
            hosts: hosts.filter(|(object, _)| options.asks_for(object)).collect(),
        }
    };
    let all = told.as_array().into_iter().flatten().map(name);
    Ok(all.filter(|name| !name.hosts.is_empty()).collect())
}

/// The commands that get a certificate with these names: here, and of AWS, which takes one domain name and the others as
/// alternatives.
fn how_to_get_one(names: &[Name]) -> String {
    let quoted = |name: &Name| {
        if name.name.contains('*') { format!("'{}'", name.name) } else { name.name.clone() }
    };
    let quoted: Vec<String> = names.iter().map(quoted).collect();
    let Some((first, others)) = quoted.split_first() else { return String::new() };
    let alternatives = match others {
        [] => String::new(),
        others => format!(" --subject-alternative-names {}", others.join(" ")),
    };
    format!(
        "here:   forebay cert issue {}\nof AWS: aws acm request-certificate --validation-method DNS --domain-name {first}{alternatives}\n",
        quoted.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acc_s3_73_one_domain_name_and_the_others_as_alternatives() {
        let name = |name: &str| Name { name: name.to_owned(), hosts: Vec::new() };
        let told = how_to_get_one(&[name("api.example.com"), name("*.example.com")]);
        let aws = told.lines().nth(1).unwrap();
        assert!(
            aws.ends_with("--domain-name api.example.com --subject-alternative-names '*.example.com'"),
            "{aws}"
        );
        assert_eq!(aws.matches("--domain-name").count(), 1);
        assert!(how_to_get_one(&[name("a.example")]).ends_with("--domain-name a.example\n"));
    }
}
