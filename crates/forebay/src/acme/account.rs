//! The directory of an authority, and the account with it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use anyhow::Context as _;
use instant_acme::{Account, AccountCredentials, BodyWrapper, BytesResponse, Error, HttpClient, NewAccount};
use net::Bytes;
use sha2::{Digest as _, Sha256};

use crate::platform::write_private;

/// Where an authority is asked, and how.
#[derive(Debug, Clone)]
pub(super) struct Directory {
    url: String,
    email: Option<String>,
    client: reqwest::Client,
}

/// How long the authority may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 1 << 20;

impl Directory {
    /// A directory whose certificate is believed by what the system trusts, or what these texts say besides.
    pub(super) fn new(url: &str, email: Option<&str>, roots: Option<&[u8]>) -> anyhow::Result<Self> {
        let mut client = reqwest::Client::builder().timeout(PATIENCE).https_only(true);
        let roots = roots.map(reqwest::Certificate::from_pem_bundle).transpose()?;
        if let Some(roots) = roots {
            anyhow::ensure!(!roots.is_empty(), "there is no certificate in PEM form");
            client = client.tls_certs_merge(roots);
        }
        Ok(Self { url: url.to_owned(), email: email.map(str::to_owned), client: client.build()? })
    }

    /// The account that is kept in a folder; made if there is none for this directory.
    pub(super) async fn account(&self, folder: &Path) -> anyhow::Result<Account> {
        let path = self.file(folder);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let credentials: AccountCredentials = serde_json::from_str(&text).with_context(|| {
                    format!("`{}` is damaged; remove it, and another account is made", path.display())
                })?;
                Ok(Account::builder_with_http(Box::new(self.clone())).from_credentials(credentials).await?)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => self.new_account(folder).await,
            Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        }
    }

    /// A new account, which takes the place of the one that is kept in a folder.
    pub(super) async fn new_account(&self, folder: &Path) -> anyhow::Result<Account> {
        let contact = self.email.as_ref().map(|email| format!("mailto:{email}"));
        let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
        let wanted =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let builder = Account::builder_with_http(Box::new(self.clone()));
        let (account, credentials) = builder.create(&wanted, self.url.clone(), None).await?;
        write_private(&self.file(folder), &serde_json::to_string(&credentials)?)?;
        Ok(account)
    }

    /// Where the account with this directory is kept.
    fn file(&self, folder: &Path) -> PathBuf {
        let digest = Sha256::digest(&self.url);
        let name: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        folder.join(format!("account-{name}.json"))
    }
}

impl HttpClient for Directory {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.client.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let asked = client.request(parts.method, parts.uri.to_string()).headers(parts.headers);
            let mut body = BytesResponse::from(http::Response::new(body)).body;
            let body = body.into_bytes().await.map_err(Error::Other)?;
            let mut response = asked.body(body).send().await.map_err(other)?;
            let mut answer = http::Response::new(());
            *answer.status_mut() = response.status();
            *answer.headers_mut() = response.headers().clone();
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(other)? {
                if bytes.len() + chunk.len() > ANSWER_LIMIT {
                    return Err(Error::Str("an answer that is not too long"));
                }
                bytes.extend_from_slice(&chunk);
            }
            Ok(BytesResponse { parts: answer.into_parts().0, body: Box::new(Bytes::from(bytes)) })
        })
    }
}

/// The whole chain of causes: what is at the end of it is what people can do something about.
fn other(error: reqwest::Error) -> Error {
    let message = format!("{:#}", anyhow::Error::new(error));
    Error::Other(message.into())
}
