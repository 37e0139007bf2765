//! Zones as a user has them: where replicas are, what each zone gets, and how traffic is shifted away from one.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener};

use testkit::{Platform, Request, wait_until};

use crate::web::{self, address_of};
use crate::{FOREBAY, folder, replicas_of_iris};

/// A server that answers with its name.
fn server(address: impl Into<SocketAddr>, name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(address.into()).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(1..) = stream.read(&mut bytes) {
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
                    let _ = stream.write_all(answer.as_bytes());
                }
            });
        }
    });
    address
}

/// Three servers, one in zone a and two in zone b, behind an Ingress and a Service of type LoadBalancer. `attributes` are
/// those of both, and `more` further annotations of both.
fn manifest(port: u16, cross_zone: bool, attributes: &str, more: &str) -> String {
    let of_service = format!(
        "service.beta.kubernetes.io/aws-load-balancer-attributes: {attributes},load_balancing.cross_zone.enabled={cross_zone}
{more}"
    );
    let of_ingress = format!(
        "alb.ingress.kubernetes.io/load-balancer-attributes: {attributes}
alb.ingress.kubernetes.io/target-group-attributes: load_balancing.cross_zone.enabled={cross_zone}
{more}"
    );
    let spec = format!("type: LoadBalancer\nports: [{{name: http, port: 8090, targetPort: {port}}}]");
    let slice = format!(
        "apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: web-1, labels: {{kubernetes.io/service-name: web}}}}
addressType: IPv4
ports: [{{name: http, port: {port}}}]
endpoints:
- {{addresses: [127.0.0.1], zone: eu-west-1a}}
- {{addresses: [127.0.0.2], zone: eu-west-1b}}
- {{addresses: [127.0.0.3], zone: eu-west-1b}}
---
"
    );
    let backend = "defaultBackend: {service: {name: web, port: {number: 8090}}}";
    web::service(&of_service, &spec) + &slice + &web::ingress(&of_ingress, backend)
}

/// How many of so many requests each server answers.
fn shares(address: SocketAddr, n_requests: usize) -> [usize; 3] {
    let mut counts = [0; 3];
    for _ in 0..n_requests {
        let text = Request::get(address, "/").send().text;
        let place = ["one", "two", "three"].iter().position(|name| *name == text);
        assert!(place.is_some(), "{text}");
        counts[place.unwrap()] += 1;
    }
    counts
}

#[test]
fn zones_get_the_same_without_crossing_them_and_traffic_is_shifted_away_from_one_on_demand() {
    let first = server(([127, 0, 0, 1], 0), "one");
    for (last, name) in [(2, "two"), (3, "three")] {
        server((IpAddr::from([127, 0, 0, last]), first.port()), name);
    }
    const OFF: &str = "zonal_shift.config.enabled=false";
    const ON: &str = "zonal_shift.config.enabled=true";
    let apply = |platform: &Platform, cross_zone, attributes, more| {
        let folder = folder(&[("a.yaml", &manifest(first.port(), cross_zone, attributes, more))]);
        let applied = platform.run(&["apply", "-f", &folder.path().display().to_string()]);
        assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
        String::from_utf8_lossy(&applied.stderr).into_owned()
    };
    let folder = folder(&[("a.yaml", &manifest(first.port(), false, OFF, ""))]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    platform.wait_for("all are healthy", &["targets"], |told| told.matches("healthy").count() == 6);
    let addresses = ["Ingress", "Service"].map(|kind| address_of(&platform, kind, 0));
    for address in addresses {
        let [one, two, three] = shares(address, 120);
        assert!(
            one.abs_diff(60) <= 2 && two.abs_diff(30) <= 2 && three.abs_diff(30) <= 2,
            "{one} {two} {three}"
        );
    }
    let told = platform.ok(&["targets"]);
    assert!(told.contains("eu-west-1a") && !told.contains("ZonalShift"), "{told}");

    apply(&platform, true, OFF, "");
    for address in addresses {
        wait_until("zones are crossed", || shares(address, 30).iter().all(|count| count.abs_diff(10) <= 1));
    }
    // Nothing is shifted where the attribute does not allow it, and whoever asks is told.
    let shift = "forebay.dev/zonal-shift: eu-west-1b";
    let said = apply(&platform, true, OFF, shift);
    assert_eq!(said.matches("refused, for `zonal_shift.config.enabled` is not on").count(), 2, "{said}");
    assert!(shares(addresses[0], 30)[1..].iter().all(|count| *count > 5));
    apply(&platform, true, ON, shift);
    for address in addresses {
        wait_until("nothing goes to the zone", || shares(address, 30) == [30, 0, 0]);
    }
    let told = platform.ok(&["targets"]);
    assert_eq!(told.matches("AdministrativeOverride.ZonalShiftActive").count(), 4, "{told}");
    let explained = platform.ok(&["explain", &format!("http://{}/", addresses[0])]);
    assert_eq!(explained.matches("AdministrativeOverride.ZonalShiftActive").count(), 2, "{explained}");
    let said = apply(&platform, true, ON, "forebay.dev/zonal-shift: eu-west-1x");
    assert!(said.contains("no target is in `eu-west-1x`; they are in `eu-west-1a`, `eu-west-1b`"), "{said}");
    for address in addresses {
        wait_until("all get something again", || shares(address, 30).iter().all(|count| *count > 5));
    }
}

#[test]
fn replicas_are_spread_over_the_zones_that_their_template_names() {
    let replicas = replicas_of_iris("", "8080").replace(
        "metadata: {labels: {app: iris}}",
        "metadata: {labels: {app: iris}, annotations: {forebay.dev/zones: 'eu-west-1a, eu-west-1b'}}",
    );
    let service = web::service("", "selector: {app: iris}\nports: [{port: 80, targetPort: 8080}]");
    let ingress = web::ingress("", "defaultBackend: {service: {name: web, port: {number: 80}}}");
    let folder = folder(&[("iris.yaml", &format!("{replicas}---\n{service}{ingress}"))]);
    let platform = Platform::start(FOREBAY, &[&folder.path().display().to_string()]);
    platform.wait_for("both are healthy", &["targets"], |told| told.matches(" healthy").count() == 2);
    let told = platform.ok(&["targets"]);
    assert!(told.contains("eu-west-1a") && told.contains("eu-west-1b"), "{told}");
    let zones = platform.ok(&[
        "get",
        "pods",
        "-o",
        r"jsonpath={.items[*].metadata.labels.topology\.kubernetes\.io/zone}",
    ]);
    let mut zones: Vec<&str> = zones.split_whitespace().collect();
    zones.sort_unstable();
    assert_eq!(zones, ["eu-west-1a", "eu-west-1b"]);
}
