//! Every security policy as its clients see it: `openssl s_client` tries versions, cipher suites and groups one by one, and a
//! client of rustls the one group that Debian's openssl has not.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use net::{Identity, KeyRing};
use plan::{Certificate, Listener, LoadBalancer, LoadBalancerKind, Plan, Protocol, TlsPolicy};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{self, NamedGroup};

use crate::world::{Server, World, free_address, group, load_balancer, run_within};

/// Every policy: which of the versions that are spoken here it has, which algorithms, and whether it has the group
/// X25519MLKEM768 ("Security policies for your Application Load Balancer", "Security policies for your Network Load Balancer").
const POLICIES: &str = "
    2016-08                                  1.2      all      -
    2015-05                                  1.2      all      -
    TLS-1-0-2015-04                          1.2      all      -
    TLS-1-1-2017-01                          1.2      all      -
    TLS-1-2-2017-01                          1.2      all      -
    TLS-1-2-Ext-2018-06                      1.2      all      -
    FS-2018-06                               1.2      all      -
    FS-1-1-2019-08                           1.2      all      -
    FS-1-2-2019-08                           1.2      all      -
    FS-1-2-Res-2019-08                       1.2      all      -
    FS-1-2-Res-2020-10                       1.2      all      -
    TLS13-1-0-2021-06                        1.2,1.3  all      -
    TLS13-1-0-PQ-2025-09                     1.2,1.3  all      pq
    TLS13-1-0-FIPS-2023-04                   1.2,1.3  fips     -
    TLS13-1-0-FIPS-PQ-2025-09                1.2,1.3  fips     pq
    TLS13-1-1-2021-06                        1.2,1.3  all      -
    TLS13-1-1-FIPS-2023-04                   1.2,1.3  fips     -
    TLS13-1-2-2021-06                        1.2,1.3  all      -
    TLS13-1-2-PQ-2025-09                     1.2,1.3  all      pq
    TLS13-1-2-FIPS-2023-04                   1.2,1.3  fips     -
    TLS13-1-2-FIPS-PQ-2025-09                1.2,1.3  fips     pq
    TLS13-1-2-Res-2021-06                    1.2,1.3  all      -
    TLS13-1-2-Res-PQ-2025-09                 1.2,1.3  all      pq
    TLS13-1-2-Res-FIPS-2023-04               1.2,1.3  fips     -
    TLS13-1-2-Res-FIPS-PQ-2025-09            1.2,1.3  fips     pq
    TLS13-1-2-Ext0-FIPS-2023-04              1.2,1.3  fips     -
    TLS13-1-2-Ext0-FIPS-PQ-2025-09           1.2,1.3  fips     pq
    TLS13-1-2-Ext1-2021-06                   1.2,1.3  all      -
    TLS13-1-2-Ext1-PQ-2025-09                1.2,1.3  all      pq
    TLS13-1-2-Ext1-FIPS-2023-04              1.2,1.3  fips     -
    TLS13-1-2-Ext1-FIPS-PQ-2025-09           1.2,1.3  fips     pq
    TLS13-1-2-Ext2-2021-06                   1.2,1.3  all      -
    TLS13-1-2-Ext2-PQ-2025-09                1.2,1.3  all      pq
    TLS13-1-2-Ext2-FIPS-2023-04              1.2,1.3  fips     -
    TLS13-1-2-Ext2-FIPS-PQ-2025-09           1.2,1.3  fips     pq
    TLS13-1-2-RFC9151-FIPS-2023-07           1.2,1.3  rfc9151  -
    TLS13-1-2-Ext0-RFC9151-FIPS-2023-07      1.2,1.3  rfc9151  -
    TLS13-1-2-RFC9151-INTEROP1-FIPS-2023-07  1.2,1.3  fips     -
    TLS13-1-2-RFC9151-INTEROP2-FIPS-2023-07  1.2,1.3  fips     -
    TLS13-1-2-RFC9151-INTEROP3-FIPS-2023-07  1.2,1.3  fips     -
    TLS13-1-2-RFC9151-INTEROP4-FIPS-2023-07  1.2,1.3  fips     -
    TLS13-1-3-2021-06                        1.3      all      -
    TLS13-1-3-PQ-2025-09                     1.3      all      pq
    TLS13-1-3-FIPS-2023-04                   1.3      fips     -
    TLS13-1-3-FIPS-PQ-2025-09                1.3      fips     pq
    TLS13-1-3-RFC9151-FIPS-2023-07           1.3      rfc9151  -
";

/// Algorithms as openssl is asked for them.
struct Algorithms {
    name: &'static str,
    /// Cipher suites, each with the groups that are offered with it, of which the first is taken.
    tls12: &'static [(&'static str, &'static str)],
    tls13: &'static [(&'static str, &'static str)],
    /// What is not among them, beside what is spoken with nobody.
    refused12: &'static str,
    refused13: Option<&'static str>,
    refused_groups: Option<&'static str>,
}

/// In TLS 1.2 openssl takes no key on another curve than its groups, either (RFC 8422 §5.1.1), and the key of ECDSA is on P-256.
const ALGORITHMS: &[Algorithms] = &[
    Algorithms {
        name: "all",
        tls12: &[
            ("ECDHE-ECDSA-AES128-GCM-SHA256", "P-256"),
            ("ECDHE-RSA-AES128-GCM-SHA256", "X25519"),
            ("ECDHE-ECDSA-AES256-GCM-SHA384", "P-256"),
            ("ECDHE-RSA-AES256-GCM-SHA384", "P-384"),
        ],
        tls13: &[
            ("TLS_AES_128_GCM_SHA256", "X25519"),
            ("TLS_AES_256_GCM_SHA384", "P-256"),
            ("TLS_CHACHA20_POLY1305_SHA256", "P-384"),
        ],
        refused12: "ECDHE-RSA-CHACHA20-POLY1305",
        refused13: None,
        refused_groups: None,
    },
    Algorithms {
        name: "fips",
        tls12: &[
            ("ECDHE-ECDSA-AES128-GCM-SHA256", "P-256"),
            ("ECDHE-RSA-AES128-GCM-SHA256", "P-384"),
            ("ECDHE-ECDSA-AES256-GCM-SHA384", "P-256"),
            ("ECDHE-RSA-AES256-GCM-SHA384", "P-256"),
        ],
        tls13: &[("TLS_AES_128_GCM_SHA256", "P-256"), ("TLS_AES_256_GCM_SHA384", "P-384")],
        refused12: "ECDHE-RSA-CHACHA20-POLY1305",
        refused13: Some("TLS_CHACHA20_POLY1305_SHA256"),
        refused_groups: Some("X25519"),
    },
    Algorithms {
        name: "rfc9151",
        tls12: &[("ECDHE-ECDSA-AES256-GCM-SHA384", "P-384:P-256"), ("ECDHE-RSA-AES256-GCM-SHA384", "P-384")],
        tls13: &[("TLS_AES_256_GCM_SHA384", "P-384")],
        refused12: "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305",
        refused13: Some("TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"),
        refused_groups: Some("X25519:P-256"),
    },
];

/// Cipher suites that policies have and nobody is spoken to with: of CBC, and without forward secrecy.
const OLD: &str = "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA:\
                   AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA";

const HOST: &str = "a.example";

/// One handshake, and how it must go.
struct Attempt {
    policy: String,
    address: SocketAddr,
    arguments: Vec<String>,
    /// What is printed when it comes about; nothing where it must be refused.
    expected: Option<[&'static str; 3]>,
}

// === impl Attempt ===

impl Attempt {
    /// What is wrong with how it went.
    fn problem(&self) -> Option<String> {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-brief", "-servername", HOST, "-connect", &self.address.to_string()]);
        let output = command.args(&self.arguments).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let is_as_expected = match self.expected {
            Some(expected) => output.status.success() && expected.iter().all(|part| said.contains(part)),
            // It is the listener that refuses, and not openssl that does not even ask.
            None => !output.status.success() && said.contains(" alert "),
        };
        let Self { policy, arguments, .. } = self;
        (!is_as_expected).then(|| format!("{policy} {}: {said}", arguments.join(" ")))
    }
}

/// What is tried of a policy at a listener: everything, or each version once.
fn attempts(row: &Row, address: SocketAddr, is_whole: bool) -> Vec<Attempt> {
    let algorithms = ALGORITHMS.iter().find(|it| it.name == row.algorithms).unwrap();
    let attempt = |arguments: &[&str], expected| Attempt {
        policy: row.name.clone(),
        address,
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        expected,
    };
    // Without the lowest level of security openssl does not offer the old version.
    let mut attempts = vec![attempt(&["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"], None)];
    let refused12 = format!("{OLD}:{}", algorithms.refused12);
    for (version, flag, option, spoken, refused) in [
        ("TLSv1.2", "-tls1_2", "-cipher", algorithms.tls12, Some(refused12.as_str())),
        ("TLSv1.3", "-tls1_3", "-ciphersuites", algorithms.tls13, algorithms.refused13),
    ] {
        if !row.versions.contains(&version) {
            attempts.push(attempt(&[flag], None));
            continue;
        }
        let n_tries = if is_whole { spoken.len() } else { 1 };
        attempts.extend(spoken.iter().take(n_tries).map(|&(suite, groups)| {
            let group = match groups.split(':').next().unwrap_or_default() {
                "P-256" => "prime256v1",
                "P-384" => "secp384r1",
                group => group,
            };
            attempt(&[flag, option, suite, "-groups", groups], Some([version, suite, group]))
        }));
        if is_whole {
            let last = spoken[spoken.len() - 1].0;
            attempts.extend(refused.map(|suites| attempt(&[flag, option, suites], None)));
            let groups = algorithms.refused_groups;
            attempts.extend(groups.map(|groups| attempt(&[flag, option, last, "-groups", groups], None)));
        }
    }
    attempts
}

struct Row {
    name: String,
    versions: Vec<&'static str>,
    algorithms: &'static str,
    post_quantum: bool,
}

fn rows() -> Vec<Row> {
    let rows = POLICIES.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter_map(|columns| {
        let [name, versions, algorithms, post_quantum] = columns[..] else { return None };
        let name = format!("ELBSecurityPolicy-{name}");
        let versions = versions.split(',').map(|it| if it == "1.3" { "TLSv1.3" } else { "TLSv1.2" });
        Some(Row { name, versions: versions.collect(), algorithms, post_quantum: post_quantum == "pq" })
    })
    .collect()
}

/// A load balancer with a listener for each policy.
fn with_each_policy(kind: LoadBalancerKind, protocol: Protocol, target: SocketAddr) -> LoadBalancer {
    let mut balancer = load_balancer(kind, vec![group("g", &[target])]);
    balancer.id = plan::LoadBalancerId::group(&format!("{protocol:?}"));
    let first = balancer.listeners.remove(0);
    let certificate = |arn: &str| Certificate { arn: arn.to_owned(), source: "issued" };
    balancer.listeners = rows()
        .into_iter()
        .zip(1..)
        .map(|(row, port)| Listener {
            addresses: vec![free_address()],
            port,
            protocol,
            ssl_policy: Some(row.name),
            certificates: vec![certificate("ecdsa"), certificate("rsa")],
            ..first.clone()
        })
        .collect();
    balancer
}

/// Certificates for one name, of a key of ECDSA and one of RSA, and the first of them for who is to believe it.
fn identities() -> (Arc<KeyRing>, String) {
    let make = |key: rcgen::KeyPair| {
        let parameters = rcgen::CertificateParams::new([HOST.to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap().pem();
        (Identity::from_pem(&certificate, &key.serialize_pem()).unwrap(), certificate)
    };
    let (ecdsa, certificate) = make(rcgen::KeyPair::generate().unwrap());
    let rsa = rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let ring = HashMap::from([("ecdsa".to_owned(), ecdsa), ("rsa".to_owned(), make(rsa).0)]);
    (Arc::new(ring), certificate)
}

/// The group that is agreed on with a client that has X25519MLKEM768 and no other.
async fn post_quantum(address: SocketAddr, authority: &str) -> Option<NamedGroup> {
    let mut provider = aws_lc_rs::default_provider();
    provider.kx_groups.retain(|group| group.name() == NamedGroup::X25519MLKEM768);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(provider));
    let config = config.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
    let connector = TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()));
    let stream = TcpStream::connect(address).await.unwrap();
    let stream = connector.connect(ServerName::try_from(HOST).unwrap(), stream).await.ok()?;
    let group = stream.get_ref().1.negotiated_key_exchange_group()?;
    Some(group.name())
}

/// Makes all handshakes, a few at a time.
fn problems(attempts: &[Attempt]) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mine = std::iter::from_fn(|| attempts.get(next.fetch_add(1, Ordering::Relaxed)));
        mine.filter_map(Attempt::problem).collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn openssl_sees_of_each_policy_its_versions_its_ciphers_and_its_groups_and_nothing_else() {
    let rows = rows();
    let mut names: Vec<String> = TlsPolicy::names().collect();
    names.sort_unstable_by_key(|name| rows.iter().position(|row| row.name == *name));
    assert_eq!(names, rows.iter().map(|row| row.name.clone()).collect::<Vec<_>>(), "each policy is tried");
    // Some 700 handshakes of programs that are started for them.
    run_within(Duration::from_secs(300), async {
        let server = Server::start("one");
        let application = with_each_policy(LoadBalancerKind::Application, Protocol::Https, server.address);
        let network = with_each_policy(LoadBalancerKind::Network, Protocol::Tls, server.address);
        let world = World::start(Plan {
            load_balancers: vec![application.clone(), network.clone()],
            ..Plan::default()
        })
        .await;
        let (ring, authority) = identities();
        world.keys.send_replace(ring);
        for (row, listener) in rows.iter().zip(&application.listeners) {
            let address = listener.addresses[0];
            if row.post_quantum {
                // The first handshakes come before the keys do.
                while post_quantum(address, &authority).await.is_none() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
        for (row, listener) in rows.iter().zip(&application.listeners) {
            let expected = row.post_quantum.then_some(NamedGroup::X25519MLKEM768);
            assert_eq!(post_quantum(listener.addresses[0], &authority).await, expected, "{}", row.name);
        }
        let of = |balancer: &LoadBalancer, is_whole| {
            let listeners = rows.iter().zip(&balancer.listeners);
            let attempts = listeners.flat_map(|(row, it)| attempts(row, it.addresses[0], is_whole));
            attempts.collect::<Vec<_>>()
        };
        // Both kinds read their policies in one place, so that what is closer to the cipher is tried with one of them.
        let mut attempts = of(&application, true);
        attempts.extend(of(&network, false));
        let problems = tokio::task::spawn_blocking(move || problems(&attempts)).await.unwrap();
        assert!(problems.is_empty(), "{} problems\n{}", problems.len(), problems.join("\n"));
    });
}
