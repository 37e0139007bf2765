//! The HTTP client of storages: it connects to no address that is refused, whichever name or redirect led to it.
//!
//! Names are checked when they are resolved for a connection, so that a second answer of a name server changes nothing. (A
//! proxy that the environment names resolves names itself.) What asks a cloud for keys is another client: see
//! [`super::remote`].

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, LOCATION, RANGE, USER_AGENT};
use http::{Method, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::addresses::{self, Refused};

/// How long a connection may take to be there.
pub(super) const CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// How long a server may be silent.
const READ_PATIENCE: Duration = Duration::from_secs(60);

/// What another server than the one that was asked is told when it is redirected to: nothing that proves who asks.
const TOLD_TO_ALL: &[http::HeaderName] = &[ACCEPT, RANGE, USER_AGENT];

/// Makes clients of storages.
#[derive(Debug)]
pub(super) struct Connector {
    client: Client,
}

impl Connector {
    /// For a storage at a URL, whose user and password are told to that server alone.
    pub(super) fn new(url: Option<&Url>) -> reqwest::Result<Self> {
        Self::with_resolver(url, System)
    }

    fn with_resolver(url: Option<&Url>, resolver: impl Resolve + 'static) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .user_agent(concat!("forebay/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_PATIENCE)
            .read_timeout(READ_PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .http1_only()
            .dns_resolver(Arc::new(Guarded(Arc::new(resolver))))
            .build()?;
        // The library makes a field of what the URL says.
        let authorization = url.map(|url| client.get(url.clone()).build()).transpose()?;
        let authorization = authorization.and_then(|request| request.headers().get(AUTHORIZATION).cloned());
        Ok(Self { client: Client { client, authorization, is_named: url.is_some() } })
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.client.clone()))
    }
}

/// Asks, and follows redirects.
#[derive(Debug, Clone)]
struct Client {
    client: reqwest::Client,
    authorization: Option<HeaderValue>,
    /// Whether a manifest names the server, which may be one that this machine reaches and whoever wrote the manifest does
    /// not: then nothing is told of what it says besides its status.
    is_named: bool,
}

impl Client {
    async fn ask(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if let Some(authorization) = &self.authorization {
            request.headers_mut().entry(AUTHORIZATION).or_insert_with(|| authorization.clone());
        }
        let is_followed = matches!(*request.method(), Method::GET | Method::HEAD);
        let mut n_redirects = 0;
        loop {
            let url: Url = request.uri().to_string().parse().map_err(|error| failed(Box::new(error)))?;
            addresses::check_url(&url).map_err(|refused| failed(Box::new(refused)))?;
            let response = self.client.call(request.clone()).await.map_err(as_refused)?;
            let location = response.headers().get(LOCATION).filter(|_| is_redirect(response.status()));
            let Some(location) = location.filter(|_| is_followed) else { return Ok(self.told(response)) };
            let location = String::from_utf8_lossy(location.as_bytes());
            let next = addresses::redirect(&url, &location, n_redirects)
                .map_err(|refused| failed(Box::new(refused)))?;
            if !addresses::is_same_server(&url, &next) {
                tell_less(request.headers_mut());
            }
            *request.uri_mut() = next.as_str().parse().map_err(|error| failed(Box::new(error)))?;
            n_redirects += 1;
        }
    }
}

impl Client {
    /// An answer, of which an error would show the body when it is one.
    fn told(&self, response: HttpResponse) -> HttpResponse {
        if !self.is_named || response.status().is_success() {
            return response;
        }
        let (parts, _) = response.into_parts();
        HttpResponse::from_parts(parts, HttpResponseBody::from(Vec::new()))
    }
}

impl HttpService for Client {
    // What the `async_trait` of the trait stands for.
    fn call<'life0, 'async_trait>(
        &'life0 self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(self.ask(request))
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Leaves out what proves who asks.
fn tell_less(headers: &mut HeaderMap) {
    let told: HeaderMap = headers
        .iter()
        .filter(|(name, _)| TOLD_TO_ALL.contains(name))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect();
    *headers = told;
}

/// An error that trying again does not change.
fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> HttpError {
    HttpError::new_boxed(HttpErrorKind::Unknown, error)
}

/// A connection that was refused is not tried again.
fn as_refused(error: HttpError) -> HttpError {
    match refused_in(&error) {
        Some(refused) => failed(Box::new(refused)),
        None => error,
    }
}

/// The refusal that is the reason of an error.
pub(super) fn refused_in(error: &(dyn std::error::Error + 'static)) -> Option<Refused> {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.filter_map(|cause| cause.downcast_ref::<Refused>()).next().cloned()
}

/// The names of this system.
struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

/// Names that lead to no address that is refused.
struct Guarded(Arc<dyn Resolve>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let found = self.0.resolve(name);
        Box::pin(async move {
            let found: Vec<SocketAddr> = found.await?.collect();
            addresses::check_resolved(&host, found.iter().map(SocketAddr::ip))?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use object_store::client::HttpRequestBody;

    use super::*;

    /// A name server that knows one name of a metadata service, and else loopback.
    struct Fake;

    impl Resolve for Fake {
        fn resolve(&self, name: Name) -> Resolving {
            let address =
                if name.as_str() == "rebound.example.com" { [169, 254, 169, 254] } else { [127, 0, 0, 1] };
            Box::pin(async move { Ok(Box::new([SocketAddr::from((address, 0))].into_iter()) as Addrs) })
        }
    }

    fn ask(connector: &Connector, url: &str) -> Result<HttpResponse, HttpError> {
        let request = http::Request::get(url).body(HttpRequestBody::empty()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(connector.client.ask(request))
    }

    #[test]
    fn a_name_that_leads_to_a_metadata_service_is_refused_when_it_is_connected() {
        let connector = Connector::with_resolver(None, Fake).unwrap();
        let error = ask(&connector, "http://rebound.example.com/model.pkl").unwrap_err();
        assert_eq!(error.kind(), HttpErrorKind::Unknown);
        let refused = refused_in(&error).unwrap();
        assert!(
            refused.to_string().contains("`rebound.example.com`: it leads to 169.254.169.254"),
            "{refused}"
        );
    }

    #[test]
    fn another_server_is_not_told_who_asks() {
        let mut headers = HeaderMap::new();
        for name in ["authorization", "x-amz-security-token", "cookie", "range", "user-agent"] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        tell_less(&mut headers);
        let mut names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["range", "user-agent"]);
    }
}
