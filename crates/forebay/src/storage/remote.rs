//! Objects in S3, Google Cloud Storage and behind HTTP: what there is, and copying it.
//!
//! A storage is asked by the client that refuses some addresses ([`super::client`]). The keys for it are asked for by the
//! library's own, which alone reaches a cloud's credential endpoints, and only those that the environment names.

use std::fs::OpenOptions;
use std::future::poll_fn;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use manifest::{starred, starred_uri};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig};
use reqwest::Url;
use sha2::{Digest, Sha256};

use super::client::{CONNECT_PATIENCE, Connector, refused_in};
use super::{SINGLE, addresses, hex};

/// A place that objects are kept at, and the prefix of those that are wanted.
pub(crate) struct Remote {
    store: Box<dyn ObjectStore>,
    prefix: Key,
    is_http: bool,
    /// What is asked of a web server besides the path. It may prove who asks, so it is shown to nobody.
    query: Option<String>,
}

/// What there is under a prefix.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) files: Vec<File>,
    is_single: bool,
}

/// One object, and the name of its copy.
#[derive(Debug)]
pub(crate) struct File {
    key: Key,
    pub(crate) relative: PathBuf,
    n_bytes: u64,
    tag: String,
}

impl Listing {
    pub(crate) fn total_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.n_bytes).sum()
    }

    /// The name of the only file, when the URI names a file and not a folder.
    pub(crate) fn single_file(&self) -> Option<&Path> {
        self.files.first().filter(|_| self.is_single).map(|file| file.relative.as_path())
    }

    /// A text that is another one when anything has changed.
    pub(crate) fn version(&self) -> String {
        let mut digest = Sha256::new();
        for file in &self.files {
            digest.update(format!("{}\0{}\0{}\0", file.key, file.n_bytes, file.tag));
        }
        let kind = if self.is_single { SINGLE } else { "folder " };
        format!("{kind}{}", hex(&digest.finalize()))
    }
}

impl Remote {
    pub(crate) fn open(uri: &str, s3_endpoint: Option<&str>) -> anyhow::Result<Self> {
        let shown = shown(uri);
        let Some((scheme, rest)) = uri.split_once("://") else { bail!("`{shown}` has no scheme") };
        let is_http = matches!(scheme, "http" | "https");
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.is_empty() {
            bail!("`{shown}` is not the URI of a file or folder: it names no {}", holder(scheme));
        }
        if query.is_some() && !is_http {
            bail!("`{shown}` is not the URI of a file or folder: it has a `?`, which in a key is `%3F`");
        }
        // As it is asked, so that it is known again in what the client says.
        let query = query.and_then(|_| uri.parse::<Url>().ok()?.query().map(str::to_owned));
        check_bucket(scheme, authority).with_context(|| format!("cannot fetch `{shown}`"))?;
        let store = match scheme {
            "s3" => s3(authority, s3_endpoint)?,
            "gs" => gcs(authority)?,
            _ => http(scheme, authority, query.as_deref())
                .with_context(|| format!("cannot fetch `{shown}`"))?,
        };
        let prefix = Key::from_url_path(path).with_context(|| format!("`{shown}` has no usable path"))?;
        Ok(Self { store, prefix, is_http, query })
    }

    /// What there is: the object of that name, or all objects under it.
    pub(crate) async fn list(&self) -> anyhow::Result<Listing> {
        match self.store.head(&self.prefix).await {
            Ok(meta) => return Ok(self.single(meta)),
            Err(error @ object_store::Error::NotFound { .. }) if self.is_http => {
                return Err(self.told(&error));
            }
            Err(object_store::Error::NotFound { .. }) => {}
            // Not every web server answers HEAD, and a signature is for one method.
            Err(_) if self.is_http => {
                let answer = self.store.get(&self.prefix).await.map_err(|error| self.told(&error))?;
                return Ok(self.single(answer.meta));
            }
            Err(error) => return Err(self.told(&error)),
        }
        let mut listed = self.store.list(Some(&self.prefix));
        let mut files = Vec::new();
        while let Some(meta) = poll_fn(|cx| listed.as_mut().poll_next(cx)).await {
            let meta = meta.map_err(|error| self.told(&error))?;
            let below: Option<PathBuf> = meta
                .location
                .prefix_match(&self.prefix)
                .map(|parts| parts.map(|part| part.as_ref().to_owned()).collect());
            if let Some(relative) = below.filter(|relative| !relative.as_os_str().is_empty()) {
                files.push(File::new(meta, relative));
            }
            if files.len() > super::FILES_LIMIT {
                break;
            }
        }
        files.sort_by(|a, b| a.relative.cmp(&b.relative));
        Ok(Listing { files, is_single: false })
    }

    /// Keeps an object under the name that the URI has.
    pub(crate) async fn put(&self, bytes: Vec<u8>) -> anyhow::Result<()> {
        self.store.put(&self.prefix, bytes.into()).await.map(drop).map_err(|error| self.told(&error))
    }

    /// The object that the URI names.
    fn single(&self, meta: ObjectMeta) -> Listing {
        let name = self.prefix.filename().unwrap_or("model").to_owned();
        Listing { files: vec![File::new(meta, name.into())], is_single: true }
    }

    /// Copies one object into a file.
    pub(crate) async fn copy(
        &self,
        file: &File,
        path: &Path,
        mut progress: impl FnMut(u64),
    ) -> anyhow::Result<()> {
        let answer = self.store.get(&file.key).await.map_err(|error| self.told(&error))?;
        let mut body = answer.into_stream();
        let mut copy = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let mut left = super::TOTAL_LIMIT;
        while let Some(chunk) = poll_fn(|cx| body.as_mut().poll_next(cx)).await {
            let chunk = chunk.map_err(|error| self.told(&error))?;
            left = left.checked_sub(chunk.len() as u64).context("it never ends")?;
            copy.write_all(&chunk)?;
            progress(chunk.len() as u64);
        }
        Ok(copy.sync_all()?)
    }

    /// An error as it may be shown: a refusal alone says enough, and URLs are without what proves who asks.
    fn told(&self, error: &object_store::Error) -> anyhow::Error {
        if let Some(refused) = refused_in(error) {
            return refused.into();
        }
        // The library's texts hold those of their causes.
        let text = error.to_string();
        if text.contains(NO_LENGTH) {
            return anyhow!(
                "the server does not say how long the file is (its answer has no `content-length`), so nobody could tell \
                 whether all of it came\n  help: fetch it with another program, and name the file"
            );
        }
        anyhow!(starred(&match &self.query {
            Some(query) if !query.is_empty() => text.replace(query.as_str(), "***"),
            _ => text,
        }))
    }
}

/// How the library says that an answer is of unknown length.
const NO_LENGTH: &str = "Content-Length Header missing";

/// A URI as it may be shown: without its query, of which nobody but its server knows what in it is a secret.
pub(super) fn shown(uri: &str) -> String {
    let shown = starred_uri(uri);
    match shown.split_once('?') {
        Some((before, _)) => format!("{before}?***"),
        None => shown,
    }
}

/// What the part of a URI behind its scheme names.
fn holder(scheme: &str) -> &'static str {
    if matches!(scheme, "s3" | "gs") { "bucket" } else { "server" }
}

impl File {
    fn new(meta: ObjectMeta, relative: PathBuf) -> Self {
        let tag = meta.e_tag.or(meta.version).unwrap_or_else(|| meta.last_modified.to_string());
        Self { key: meta.location, relative, n_bytes: meta.size, tag }
    }
}

/// No name of a bucket has keys in it, which would be sent to the cloud as a part of the name and end up in its logs.
fn check_bucket(scheme: &str, authority: &str) -> anyhow::Result<()> {
    let where_keys_belong = match scheme {
        "s3" => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "gs" => "GOOGLE_APPLICATION_CREDENTIALS",
        _ => return Ok(()),
    };
    if authority.contains(['@', ':']) {
        bail!(
            "keys do not belong into a {scheme}:// URI; give them in the environment, as {where_keys_belong}"
        );
    }
    Ok(())
}

fn s3(bucket: &str, endpoint: Option<&str>) -> anyhow::Result<Box<dyn ObjectStore>> {
    let builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry());
    // Without keys in the environment a public bucket is meant; asking the machine for keys would take seconds.
    let has_keys = [
        AmazonS3ConfigKey::AccessKeyId,
        AmazonS3ConfigKey::WebIdentityTokenFile,
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
    ];
    let has_keys = has_keys.iter().any(|key| builder.get_config_value(key).is_some());
    let builder = match has_keys {
        true => {
            let credentials = builder.clone().with_client_options(client()).build()?.credentials().clone();
            builder.with_credentials(credentials)
        }
        false => builder.with_skip_signature(true),
    };
    let builder = builder.with_client_options(client()).with_http_connector(Connector::new(None)?);
    let builder = match endpoint {
        Some(endpoint) => {
            addresses::check_url(&endpoint.parse().context("the endpoint of S3 is no URL")?)?;
            builder.with_endpoint(endpoint).with_allow_http(true)
        }
        None => builder,
    };
    Ok(Box::new(builder.build()?))
}

fn gcs(bucket: &str) -> anyhow::Result<Box<dyn ObjectStore>> {
    const KEYS: [&str; 3] =
        ["GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY"];
    let has_keys = KEYS.iter().any(|key| std::env::var_os(key).is_some());
    let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry());
    let builder = match has_keys {
        true => {
            let credentials = builder.clone().with_client_options(client()).build()?.credentials().clone();
            builder.with_credentials(credentials)
        }
        false => builder.with_skip_signature(true),
    };
    let builder = builder.with_client_options(client()).with_http_connector(Connector::new(None)?);
    Ok(Box::new(builder.build()?))
}

fn http(scheme: &str, authority: &str, query: Option<&str>) -> anyhow::Result<Box<dyn ObjectStore>> {
    let url: Url = format!("{scheme}://{authority}/").parse().context("it names no server")?;
    addresses::check_url(&url)?;
    let connector = Connector::new(Some(&url))?;
    let mut shown = url;
    if shown.set_username("").and_then(|()| shown.set_password(None)).is_err() {
        bail!("it names no server");
    }
    // The client asks every path with the query of the URL that it was given.
    shown.set_query(query);
    let builder = HttpBuilder::new().with_url(shown).with_http_connector(connector);
    let options = client().with_allow_http(scheme == "http");
    Ok(Box::new(builder.with_retry(retry()).with_client_options(options).build()?))
}

/// A storage that does not answer is told of soon, rather than tried for minutes.
fn retry() -> RetryConfig {
    RetryConfig { max_retries: 2, retry_timeout: Duration::from_secs(15), ..RetryConfig::default() }
}

fn client() -> ClientOptions {
    ClientOptions::new().with_connect_timeout(CONNECT_PATIENCE).with_timeout_disabled()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_the_uri_of_a_bucket_are_refused_before_anything_is_asked() {
        for (uri, words) in [
            ("s3://AKIA:hunter2@bucket/x", "AWS_ACCESS_KEY_ID"),
            ("s3://AKIA:hun/ter2@bucket/x", "AWS_ACCESS_KEY_ID"),
            ("gs://me:hunter2@bucket/x", "GOOGLE_APPLICATION_CREDENTIALS"),
        ] {
            let refused = format!("{:#}", Remote::open(uri, None).err().unwrap());
            assert!(refused.contains(words) && refused.contains("://***@bucket/x`"), "{refused}");
            assert!(!refused.contains("ter2") && !refused.contains("hun"), "{refused}");
        }
    }
}
