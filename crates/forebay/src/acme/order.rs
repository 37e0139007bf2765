//! One certificate: ordered, proved, taken and kept.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use control::{CHALLENGE_PATH, ChallengeAnswer, challenge_certificate};
use instant_acme::{
    AuthorizationStatus, ChallengeHandle, ChallengeType, Error, Identifier, NewOrder, Order, OrderStatus,
    Problem, RetryPolicy,
};
use net::{Body, ClientConnection, Fields, Method, Outgoing};
use plan::Protocol;
use tracing::{debug, warn};

use super::{Acme, Wanted};
use crate::kept_certificates::keep;

/// How long the authority may take to look, and then to sign.
const RETRIES: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(100));
/// How long a listener may take to give an answer that it was told.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one look at it may take.
const LOOK: Duration = Duration::from_secs(2);
/// How often in a row it is seen, for each thread that may be asked. One of two that lags stays unseen once in 65,536 times.
const LOOKS_PER_THREAD: usize = 8;

/// How it begins when the authority looked and did not like what it saw.
pub(super) const REFUSED: &str = "the authority refuses it";

/// Where an answer is looked for.
struct Place {
    kind: ChallengeType,
    address: SocketAddr,
}

impl Acme {
    /// Gets a certificate and keeps it.
    pub(super) async fn obtain(&self, wanted: &Wanted) -> anyhow::Result<()> {
        let host = wanted.host.as_str();
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make `{}`", self.folder.display()))?;
        let mut order = self.order(host).await?;
        let place = self.place(wanted).context("no listener here has this host any more")?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let challenge = authorization.challenge(place.kind.clone());
            let mut challenge =
                challenge.with_context(|| format!("the authority does not offer {:?}", place.kind))?;
            self.offer(host, &place, &challenge).await?;
            challenge.set_ready().await?;
        }
        match order.poll_ready(&RETRIES).await? {
            OrderStatus::Ready | OrderStatus::Valid => {}
            OrderStatus::Invalid => bail!("{REFUSED}: {}", why(&mut order).await),
            status => bail!("the order is {status:?}"),
        }
        let key = order.finalize().await?;
        let certificate = order.poll_certificate(&RETRIES).await?;
        let read = manifest::read_pair(&certificate, &key)
            .map_err(|fault| anyhow::anyhow!("what the authority sent {}", fault.problem))?;
        anyhow::ensure!(
            read.facts.covers(host),
            "what the authority sent is for {}",
            read.facts.names_in_words()
        );
        keep(&self.folder, host, &read.pair)
    }

    /// An order of the account that is kept. When the authority does not know that one any more, of a new one.
    async fn order(&self, host: &str) -> anyhow::Result<Order> {
        let identifiers = [Identifier::Dns(host.to_owned())];
        let wanted = NewOrder::new(&identifiers);
        let account = self.directory.account(&self.folder).await?;
        match account.new_order(&wanted).await {
            Err(Error::Api(problem)) if is_unknown_account(&problem) => {
                warn!(
                    "the authority does not know the account in `{}` any more: another one is made",
                    self.folder.display()
                );
                Ok(self.directory.new_account(&self.folder).await?.new_order(&wanted).await?)
            }
            ordered => Ok(ordered?),
        }
    }

    /// Where the answer for a host can be given: without TLS, where the load balancer has such a listener.
    fn place(&self, wanted: &Wanted) -> Option<Place> {
        let balancer = self.load_balancer(&wanted.load_balancer)?;
        let of = |protocol: Protocol, kind: ChallengeType| {
            let mut listeners = balancer.listeners.iter().filter(|listener| listener.protocol == protocol);
            let mut address = *listeners.find_map(|listener| listener.addresses.first())?;
            if address.ip().is_unspecified() {
                address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
            }
            Some(Place { kind, address })
        };
        of(Protocol::Http, ChallengeType::Http01).or_else(|| of(Protocol::Https, ChallengeType::TlsAlpn01))
    }

    /// Has the listeners give the answer, and looks at it as the authority will.
    async fn offer(&self, host: &str, place: &Place, challenge: &ChallengeHandle<'_>) -> anyhow::Result<()> {
        let authorization = challenge.key_authorization();
        let answer = match place.kind {
            ChallengeType::TlsAlpn01 => {
                ChallengeAnswer::Tls(challenge_certificate(host, authorization.digest().as_ref())?)
            }
            _ => ChallengeAnswer::Http {
                token: challenge.token.clone(),
                text: authorization.as_str().to_owned(),
            },
        };
        self.challenges.send_modify(|challenges| {
            Arc::make_mut(challenges).answers.insert(host.to_owned(), answer.clone());
        });
        let start = tokio::time::Instant::now();
        // The threads of the data plane learn of it one after the other, and the kernel chooses who is asked.
        let n_looks = LOOKS_PER_THREAD * std::thread::available_parallelism().map_or(1, NonZero::get);
        let mut n_seen = 0;
        while n_seen < n_looks {
            if is_given(host, place.address, &answer).await {
                n_seen += 1;
                continue;
            }
            n_seen = 0;
            if start.elapsed() > PATIENCE {
                // The authority may come another way.
                debug!(host, address = %place.address, "the answer to the authority is not seen from here");
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

/// Whether an authority has no such account (RFC 8555 §6.7): it was begun anew, or never was the one that was asked before.
fn is_unknown_account(problem: &Problem) -> bool {
    problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:accountDoesNotExist")
}

/// Whether a listener gives the answer.
async fn is_given(host: &str, address: SocketAddr, answer: &ChallengeAnswer) -> bool {
    match answer {
        ChallengeAnswer::Http { token, text } => {
            let path = format!("{CHALLENGE_PATH}{token}");
            get(address, host, &path).await.is_some_and(|answer| answer == text.as_bytes())
        }
        ChallengeAnswer::Tls(pair) => {
            let wanted = manifest::read_facts(&pair.certificate);
            let shown = net::shown_by(address, host, &[net::ACME_TLS], LOOK).await.ok();
            let shown = shown.and_then(|shown| manifest::facts_of_der(shown.chain.first()?));
            wanted.is_some() && shown.map(|facts| facts.fingerprint) == wanted.map(|facts| facts.fingerprint)
        }
    }
}

async fn get(address: SocketAddr, host: &str, path: &str) -> Option<net::Bytes> {
    let connection = ClientConnection::open(address, LOOK).await.ok()?;
    let mut fields = Fields::new();
    fields.push("host", host);
    let outgoing =
        Outgoing { method: &Method::GET, target: path, fields: &fields, body: Body::Empty, timeout: LOOK };
    let response = connection.send(outgoing, drop).await.ok()?;
    response.body.collect(4096).await.ok()
}

/// What the authority did not like.
async fn why(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(authorization)) = authorizations.next().await {
        let errors = authorization.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        if let Some(error) = errors.into_iter().next() {
            return error.to_string();
        }
    }
    "it does not say why".to_owned()
}
