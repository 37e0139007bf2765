//! `forebay plan`: the load balancers that manifests ask for.

use manifest::{Compiled, Finding, Objects};
use plan::UrlPart;

use super::End;
use super::check::Environment;
use crate::globals::Globals;
use crate::manifests::{self, Paths};
use crate::output::{self, Output};

/// Print the load balancers that these manifests ask for
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  forebay plan ingress.yaml service.yaml
  forebay plan -f deploy/ --env account.yaml -o json

Needs no cluster, no network, no root. Exit code 1 when a finding is an error; what could be planned is printed all the same.")]
pub(crate) struct Options {
    #[command(flatten)]
    paths: Paths,

    #[command(flatten)]
    environment: Environment,

    /// How the plan is printed
    #[arg(short, long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
}

pub(crate) fn run(options: &Options, globals: &Globals) -> anyhow::Result<End> {
    let manifests = manifests::read(&options.paths.required()?)?;
    let (defaults, env_findings) = options.environment.defaults(globals)?;
    let objects: Objects = manifests.objects.into_iter().collect();
    let mut compiled = manifest::compile(&objects, &defaults);
    compiled.findings.extend(manifests.findings.into_iter().chain(env_findings));
    manifest::sort(&mut compiled.findings);
    match options.output {
        Output::Json => output::say(&manifest::plan_json(&compiled))?,
        Output::Text => {
            output::say(&text(&compiled))?;
            crate::findings::print(&compiled.findings, globals);
            crate::findings::print(&compiled.findings_here, globals);
        }
    }
    let has_errors = compiled.findings.iter().any(Finding::is_error);
    Ok(if has_errors { End::Failed } else { End::Done })
}

/// The load balancers as an outline.
fn text(compiled: &Compiled) -> String {
    let mut lines = Vec::new();
    for balancer in &compiled.plan_on_aws.load_balancers {
        let (kind, scheme) = (balancer.kind.as_str(), balancer.scheme.as_str());
        lines.push(format!("{kind} load balancer {} ({}, {scheme})", balancer.name, balancer.id));
        for listener in &balancer.listeners {
            lines.push(format!("  {} {}", listener.protocol.as_str(), listener.port));
            for (index, rule) in listener.rules.iter().enumerate() {
                let conditions: Vec<String> = rule.conditions.iter().map(ToString::to_string).collect();
                let conditions = conditions.join(" and ");
                lines.push(format!(
                    "    {:3}  {conditions}  →  {}",
                    index + 1,
                    action(&rule.action, balancer)
                ));
            }
            lines.push(format!("    else {}", action(listener.default_action_or_not_found(), balancer)));
        }
        for group in balancer.target_groups.by_key() {
            let targets: Vec<String> =
                group.targets.iter().map(|target| target.socket().to_string()).collect();
            let (key, protocol) = (&group.key, group.protocol.as_str());
            lines.push(format!("  target group {key} ({protocol}): {}", targets.join(", ")));
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

fn action(action: &plan::Action, balancer: &plan::LoadBalancer) -> String {
    match action {
        plan::Action::Forward(forward) => {
            let target = |target: &plan::ForwardTarget| {
                format!("{} (weight {})", balancer.name_of(&target.target_group), target.weight.get())
            };
            forward.targets.iter().map(target).collect::<Vec<_>>().join(", ")
        }
        plan::Action::Redirect(redirect) => {
            let parts = [UrlPart::Protocol, UrlPart::Host, UrlPart::Port, UrlPart::Path];
            let [protocol, host, port, path] = parts.map(|part| redirect.text(part));
            format!("redirect {} to {protocol}://{host}:{port}{path}", redirect.status)
        }
        plan::Action::FixedResponse(response) => format!("respond {}", response.status),
    }
}
