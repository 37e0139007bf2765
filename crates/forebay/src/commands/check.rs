//! `forebay check`: what in manifests will not do what it seems to.

use manifest::{Defaults, Finding, Objects, Severity};

use super::End;
use crate::globals::Globals;
use crate::manifests::{self, Paths};
use crate::output::{self, Output};

/// Say what in these manifests is wrong or will not do what it seems to
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay check deploy/
  kustomize build overlays/prod | forebay check -
  forebay check --strict-aws -o json ingress.yaml

Exit code 1 when a finding is an error.")]
pub(crate) struct Options {
    #[command(flatten)]
    paths: Paths,

    #[command(flatten)]
    environment: Environment,

    /// How findings are printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

/// What a cluster or an account would say, for commands that have neither.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Environment {
    /// What the cluster and the account would say: flags, certificates, lists (YAML or JSON)
    #[arg(long, value_name = "FILE")]
    env: Option<std::path::PathBuf>,

    /// Do exactly what AWS does, also where that is hardly what was meant
    #[arg(long)]
    strict_aws: bool,
}

impl Environment {
    /// The defaults to compile with, and what is wrong with the file they came from.
    pub(crate) fn defaults(&self) -> anyhow::Result<(Defaults, Vec<Finding>)> {
        let (mut defaults, findings) = match &self.env {
            None => (Defaults::default(), Vec::new()),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| anyhow::anyhow!("cannot read `{}`: {error}", path.display()))?;
                Defaults::parse(&path.display().to_string(), &text)
            }
        };
        defaults.strict_aws = self.strict_aws;
        Ok((defaults, findings))
    }
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let manifests = manifests::read(&options.paths.required()?)?;
    let (defaults, env_findings) = options.environment.defaults()?;
    let mut objects: Objects = manifests.objects.into_iter().collect();
    let compiled = manifest::compile(&objects, &defaults);
    for child in compiled.children {
        objects.insert(child);
    }
    let (_, workload_findings) = manifest::workloads(&objects);
    let mut findings = manifests.findings;
    findings.extend(
        env_findings
            .into_iter()
            .chain(compiled.findings)
            .chain(compiled.findings_here)
            .chain(workload_findings),
    );
    manifest::sort(&mut findings);
    match options.output {
        Output::Json => output::say(&(manifest::findings_json(&findings) + "\n"))?,
        Output::Text => print_text(&findings, globals)?,
    }
    let has_errors = findings.iter().any(Finding::is_error);
    Ok(if has_errors { End::Failed } else { End::Done })
}

fn print_text(findings: &[Finding], globals: &Globals) -> std::io::Result<()> {
    let has_color = globals.has_color(&std::io::stdout());
    output::say(
        &findings.iter().map(|finding| manifest::render(finding, has_color) + "\n").collect::<String>(),
    )?;
    let count = |severity: Severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings, infos) = (count(Severity::Error), count(Severity::Warning), count(Severity::Info));
    if !globals.quiet {
        let counted = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let counted = [counted(errors, "error"), counted(warnings, "warning"), counted(infos, "note")];
        eprintln!("{}", counted.join(", "));
    }
    Ok(())
}
