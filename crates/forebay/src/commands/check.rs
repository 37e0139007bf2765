//! `forebay check`: what in manifests will not do what it seems to.

use jiff::Timestamp;
use manifest::{Defaults, Finding, Objects};

use super::End;
use crate::globals::Globals;
use crate::kept_certificates::{self, KeptCertificates};
use crate::manifests::{self, Paths};
use crate::output::{self, Output};

/// Say what in these manifests is wrong or will not do what it seems to
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay check deploy/
  kustomize build overlays/prod | forebay check -
  forebay check --public deploy/        what asks for protection that it would not get is an error
  forebay check --strict-aws -o json ingress.yaml

Exit code 1 when a finding is an error.")]
pub(crate) struct Options {
    #[command(flatten)]
    paths: Paths,

    #[command(flatten)]
    environment: Environment,

    /// Check for a platform whose load balancers others than this machine can reach, as of `up --public`
    #[arg(long)]
    public: bool,

    /// Only warn of what asks for protection that it will not get
    #[arg(long, requires = "public")]
    allow_unprotected: bool,

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

    /// Who is to understand the manifests on AWS: what it ignores is a warning
    #[arg(long, value_enum, default_value_t = Dialect::Controller, value_name = "DIALECT")]
    dialect: Dialect,

    #[command(flatten)]
    certificates: KeptCertificates,
}

/// Who is to understand manifests on AWS.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Dialect {
    /// The AWS Load Balancer Controller
    Controller,
    /// EKS Auto Mode
    AutoMode,
}

impl Environment {
    /// The defaults to compile with, and what is wrong with the file they came from.
    pub(crate) fn defaults(&self, globals: &Globals) -> anyhow::Result<(Defaults, Vec<Finding>)> {
        let (mut defaults, mut findings) = match &self.env {
            None => (Defaults::default(), Vec::new()),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| anyhow::anyhow!("cannot read `{}`: {error}", path.display()))?;
                Defaults::parse(&path.display().to_string(), &text)
            }
        };
        defaults.strict_aws = self.strict_aws;
        defaults.dialect = match self.dialect {
            Dialect::Controller => manifest::Dialect::Controller,
            Dialect::AutoMode => manifest::Dialect::AutoMode,
        };
        if self.certificates.is_named() {
            let kept = self.certificates.open(globals)?.known();
            defaults.kept = Some(kept.kept(Timestamp::now()));
            defaults.kept_trust_stores.clone_from(&kept.trust_stores);
            findings.extend(kept.findings.iter().cloned());
        }
        Ok((kept_certificates::with_region(defaults), findings))
    }
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let manifests = manifests::read(&options.paths.required()?)?;
    let (mut defaults, env_findings) = options.environment.defaults(globals)?;
    defaults.exposure = crate::findings::exposure(options.public, options.allow_unprotected);
    let objects: Objects = manifests.objects.iter().cloned().collect();
    let read = manifests.findings.into_iter().chain(env_findings).collect();
    let mut findings = manifest::findings_of_files(read, &objects, &defaults, Timestamp::now());
    manifests::add_words_of_api(&manifests.objects, &mut findings);
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
    if !globals.quiet {
        eprintln!("{}", crate::findings::counts(findings));
    }
    Ok(())
}
