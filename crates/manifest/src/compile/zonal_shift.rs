//! `forebay.dev/zonal-shift: eu-west-1a` on an Ingress, or on a Service that is a load balancer: new requests and flows go to
//! targets of other zones, until the annotation goes or a moment that `forebay.dev/zonal-shift-until` names. As on AWS the
//! attribute `zonal_shift.config.enabled` has to allow it; there a command shifts, and nothing that stands in a manifest.

use std::collections::BTreeSet;
use std::time::SystemTime;

use jiff::Timestamp;
use plan::balance::zones::Zones;
use plan::{LoadBalancer, LoadBalancerKind, ZonalShift, attributes};

use super::here::Here;
use crate::annotations::{ZONAL_SHIFT, ZONAL_SHIFT_UNTIL};
use crate::{Finding, Object, Severity, codes};

const COMMAND: &str = "aws arc-zonal-shift start-zonal-shift";

/// Has traffic go where the annotations say.
pub(super) fn shift(load_balancer: &mut LoadBalancer, here: &Here<'_>, findings: &mut Vec<Finding>) {
    let mut shifts: Vec<(&Object, ZonalShift)> = Vec::new();
    for source in &load_balancer.sources {
        let object = here.world.objects.get(&source.kind, &source.namespace, &source.name);
        let Some(object) = object else { continue };
        match written(object) {
            Ok(shift) => shifts.extend(shift.map(|shift| (&**object, shift))),
            Err(finding) => findings.push(finding),
        }
    }
    let Some((object, shift)) = shifts.first().cloned() else { return };
    let mut push = |code, severity, message: String, help: Option<String>| {
        let finding = Finding::new(code, format!("zonal-shift: {message}")).maybe_suggest(help);
        findings.push(finding.at_annotation(object, ZONAL_SHIFT).with_severity(severity));
    };
    if let Some((other, _)) = shifts.iter().find(|(_, other)| *other != shift) {
        let message = format!("{} of the same load balancer shifts otherwise", other.reference());
        return push(&codes::GROUP_CONFLICT, Severity::Error, message, None);
    }
    if here.world.defaults.strict_aws {
        let message = "AWS is followed exactly, where a command shifts".to_owned();
        return push(&codes::ANNOTATION_NO_EFFECT, Severity::Warning, message, Some(COMMAND.to_owned()));
    }
    if !load_balancer.attributes.is_on(attributes::ZONAL_SHIFT) {
        let key = match load_balancer.kind {
            LoadBalancerKind::Application => "alb.ingress.kubernetes.io/load-balancer-attributes",
            LoadBalancerKind::Network => "service.beta.kubernetes.io/aws-load-balancer-attributes",
        };
        let message = format!("refused, for `{}` is not on at this load balancer", attributes::ZONAL_SHIFT);
        let help = format!("{key}: {}=true", attributes::ZONAL_SHIFT);
        return push(&codes::ANNOTATION_NO_EFFECT, Severity::Warning, message, Some(help));
    }
    match nobody_to_shift(load_balancer, &shift.away_from) {
        Some(message) => push(&codes::ANNOTATION_NO_EFFECT, Severity::Warning, message, None),
        None => {
            let message = "a load balancer of AWS does nothing of it: there a command shifts".to_owned();
            push(&codes::OURS_ONLY, Severity::Info, message, Some(COMMAND.to_owned()));
        }
    }
    load_balancer.zonal_shift = Some(shift);
}

/// What an object says.
#[expect(clippy::result_large_err, reason = "it is called once for each load balancer")]
fn written(object: &Object) -> Result<Option<ZonalShift>, Finding> {
    let text = |key| object.annotation(key).map(str::trim).filter(|text| !text.is_empty());
    let until = text(ZONAL_SHIFT_UNTIL);
    let Some(zone) = text(ZONAL_SHIFT) else {
        return match until {
            None => Ok(None),
            Some(_) => {
                let message = format!("zonal-shift-until: nothing is shifted without {ZONAL_SHIFT}");
                let finding = Finding::new(&codes::ANNOTATION_NO_EFFECT, message);
                Err(finding.at_annotation(object, ZONAL_SHIFT_UNTIL).with_severity(Severity::Warning))
            }
        };
    };
    let until = until.map(|until| {
        until.parse::<Timestamp>().map(SystemTime::from).map_err(|_| {
            let message = format!("zonal-shift-until: `{until}` is not a moment in UTC");
            let finding = Finding::new(&codes::ANNOTATION_INVALID, message).suggest("2026-12-01T18:00:00Z");
            finding.at_annotation(object, ZONAL_SHIFT_UNTIL)
        })
    });
    Ok(Some(ZonalShift { away_from: zone.to_owned(), until: until.transpose()? }))
}

/// Why a shift moves nothing, as far as targets are known.
fn nobody_to_shift(load_balancer: &LoadBalancer, zone: &str) -> Option<String> {
    let groups: Vec<Zones> =
        load_balancer.target_groups.iter().map(|group| Zones::of(&group.targets)).collect();
    let is_known = load_balancer.target_groups.iter().any(|group| !group.targets.is_empty());
    let has_zone = |zones: &&Zones| zones.names().iter().any(|name| name == zone);
    if !is_known || groups.iter().filter(has_zone).any(|zones| zones.without(zone).is_some()) {
        return None;
    }
    let names: BTreeSet<&str> = groups.iter().flat_map(Zones::names).map(String::as_str).collect();
    Some(match (names.contains(zone), names.is_empty()) {
        (true, _) => format!("all targets are in `{zone}`, so they go on: nobody else would answer"),
        (false, true) => format!("no target says in which zone it is, so none is in `{zone}`"),
        (false, false) => {
            let names = names.into_iter().collect::<Vec<_>>().join("`, `");
            format!("no target is in `{zone}`; they are in `{names}`")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Defaults, Objects, compile, read};

    /// What becomes of annotations of a Service with targets in these zones: where it shifts from, and what is said.
    fn shifted(annotations: &str, zones: &[&str]) -> (Option<ZonalShift>, Vec<String>) {
        let endpoint =
            |(n, zone): (usize, &&str)| format!("- {{addresses: [10.0.0.{}], zone: {zone}}}\n", n + 1);
        let endpoints: String = zones.iter().enumerate().map(endpoint).collect();
        let text = format!(
            "
apiVersion: v1
kind: Service
metadata: {{name: web, annotations: {{{annotations}}}}}
spec: {{type: LoadBalancer, loadBalancerClass: service.k8s.aws/nlb, ports: [{{name: http, port: 80}}]}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: http, port: 8080}}]
endpoints:
{endpoints}"
        );
        let objects: Objects = read("f.yaml", &text).objects.into_iter().collect();
        let compiled = compile(&objects, &Defaults::default());
        let about = compiled.findings_here.iter().filter(|it| it.message.starts_with("zonal-shift"));
        let about = about.map(|it| format!("{} {}", it.code, it.message)).collect();
        let balancer = compiled.plan.load_balancers.first();
        (balancer.and_then(|balancer| balancer.zonal_shift.clone()), about)
    }

    const ALLOWED: &str =
        "service.beta.kubernetes.io/aws-load-balancer-attributes: zonal_shift.config.enabled=true";

    #[test]
    fn traffic_is_shifted_where_the_attribute_allows_it() {
        let two = ["eu-west-1a", "eu-west-1b"];
        let (shift, said) = shifted(&format!("{ALLOWED}, {ZONAL_SHIFT}: eu-west-1a"), &two);
        assert_eq!(shift, Some(ZonalShift { away_from: "eu-west-1a".to_owned(), until: None }));
        assert_eq!(
            said,
            ["ours-only zonal-shift: a load balancer of AWS does nothing of it: there a command shifts"]
        );
        let (shift, said) = shifted(&format!("{ZONAL_SHIFT}: eu-west-1a"), &two);
        assert_eq!(shift, None);
        let refused = "annotation-no-effect zonal-shift: refused, for `zonal_shift.config.enabled` is not on at this load balancer";
        assert_eq!(said, [refused]);
    }

    #[test]
    fn a_shift_may_end_by_itself() {
        let until = |text: &str| {
            let annotations = format!("{ALLOWED}, {ZONAL_SHIFT}: eu-west-1a, {ZONAL_SHIFT_UNTIL}: '{text}'");
            shifted(&annotations, &["eu-west-1a", "eu-west-1b"])
        };
        let (shift, _) = until("2026-12-01T18:00:00Z");
        let moment = SystemTime::from("2026-12-01T18:00:00Z".parse::<Timestamp>().unwrap());
        let shift = shift.unwrap();
        assert_eq!(shift.until, Some(moment));
        assert_eq!((shift.at(moment), shift.at(SystemTime::UNIX_EPOCH)), (None, Some("eu-west-1a")));
        let (shift, said) = until("tomorrow");
        let wrong = "annotation-invalid zonal-shift-until: `tomorrow` is not a moment in UTC";
        assert_eq!((shift, said), (None, vec![wrong.to_owned()]));
        let (shift, said) = shifted(&format!("{ZONAL_SHIFT_UNTIL}: '2026-12-01T18:00:00Z'"), &[]);
        assert_eq!(shift, None);
        assert!(said[0].contains("nothing is shifted without forebay.dev/zonal-shift"), "{said:?}");
    }

    #[test]
    fn a_shift_that_moves_nobody_says_so() {
        let said = |zones: &[&str]| {
            let (_, said) = shifted(&format!("{ALLOWED}, {ZONAL_SHIFT}: eu-west-1a"), zones);
            said.concat()
        };
        assert!(said(&["eu-west-1b", "eu-west-1c"]).contains("they are in `eu-west-1b`, `eu-west-1c`"));
        assert!(said(&["eu-west-1a"]).contains("all targets are in `eu-west-1a`"));
        assert!(
            said(&["''"]).contains("no target says in which zone it is")
                || said(&["''"]).contains("they are in")
        );
    }
}
