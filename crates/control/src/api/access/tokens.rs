//! Tokens of ServiceAccounts: signed, for a time, and good as long as the account is there (RFC 7519, HS256).

use std::cell::OnceCell;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use manifest::Object;
use serde_json::{Value, json};

use super::User;
use crate::api::Call;
use crate::store::{Mode, Part, Status, Store, metadata};

/// The note in the store that keeps the key.
const KEY: &str = "service-account-key";
/// Who gives tokens out, and for whom, where nobody says.
pub(in crate::api) const ISSUER: &str = "https://kubernetes.default.svc";
/// The longest token that is read, in bytes.
const LONGEST: usize = 8 * 1024;
/// How far clocks may be apart, in seconds.
const LEEWAY: i64 = 10;

/// Gives out tokens, and knows them again, after a restart too.
#[derive(Default)]
pub(in crate::api) struct Keeper {
    key: OnceCell<hmac::Key>,
}

/// What a token is for.
#[derive(Debug, Clone)]
pub(in crate::api) struct Bound<'a> {
    pub(in crate::api) audiences: Vec<String>,
    pub(in crate::api) seconds: i64,
    /// Kind, name and uid of the object with which it ends.
    pub(in crate::api) object: Option<(&'a str, String, String)>,
}

/// The type of Secrets that hold a token, the annotation that says whose it is, and how long it is good, in seconds.
const SECRET: &str = "kubernetes.io/service-account-token";
const ACCOUNT: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";
const LONG: i64 = 100 * 365 * 24 * 60 * 60;

impl Call<'_> {
    /// Fills in the token of a Secret that was made to hold one. It is good for as long as the Secret and the account are there.
    pub(in crate::api) fn fill_token(&self, secret: &Object) -> Result<(), Status> {
        if secret.kind.key != "Secret" || secret.value["type"] != SECRET {
            return Ok(());
        }
        let (store, namespace) = (&self.api.store, secret.namespace.as_str());
        let objects = store.objects();
        let name = secret.annotation(ACCOUNT).unwrap_or_default();
        let Some(account) = objects.get("ServiceAccount", namespace, name) else { return Ok(()) };
        let uid = metadata::text(account, "uid").unwrap_or_default();
        if secret.annotation(ACCOUNT_UID).is_some_and(|said| said != uid) {
            return Ok(());
        }
        let of_secret = metadata::text(secret, "uid").unwrap_or_default().to_owned();
        let bound = Bound {
            audiences: vec![ISSUER.to_owned()],
            seconds: LONG,
            object: Some(("Secret", secret.name.clone(), of_secret)),
        };
        let (token, _) = self.api.tokens.issue(account, &bound, store, self.now)?;
        let authority = objects.get("ConfigMap", namespace, "kube-root-ca.crt");
        let authority = authority.and_then(|map| map.value["data"]["ca.crt"].as_str()).unwrap_or_default();
        let key = (secret.kind, namespace, secret.name.as_str());
        let filled = store.modify(key, Part::Object, Mode::Commit, |live| {
            let mut value = live.clone();
            for (key, text) in [("token", token.as_str()), ("namespace", namespace), ("ca.crt", authority)] {
                value["data"][key] = json!(BASE64_STANDARD.encode(text));
            }
            value["metadata"]["annotations"][ACCOUNT_UID] = json!(uid);
            Ok(value)
        });
        filled.map(drop)
    }
}

// === impl Keeper ===

impl Keeper {
    /// The key, which is made when it is needed first.
    fn key(&self, store: &Store) -> Result<&hmac::Key, Status> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let kept = store.note(KEY);
        let text = match kept {
            Some(text) => text,
            None => {
                let text = BASE64_URL_SAFE_NO_PAD.encode(metadata::random::<32>());
                store.set_note(KEY, Some(&text))?;
                text
            }
        };
        Ok(self.key.get_or_init(|| hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes())))
    }

    /// A token for a ServiceAccount, and when it ends.
    ///
    /// # Errors
    /// That the key cannot be kept.
    pub(in crate::api) fn issue(
        &self,
        account: &Object,
        bound: &Bound<'_>,
        store: &Store,
        now: Timestamp,
    ) -> Result<(String, Timestamp), Status> {
        let from = now.as_second();
        let until = from.saturating_add(bound.seconds);
        let uid = metadata::text(account, "uid").unwrap_or_default();
        let mut kubernetes = json!({
            "namespace": account.namespace,
            "serviceaccount": {"name": account.name, "uid": uid},
        });
        if let Some((kind, name, uid)) = &bound.object {
            kubernetes[kind.to_ascii_lowercase()] = json!({"name": name, "uid": uid});
        }
        let claims = json!({
            "aud": bound.audiences,
            "exp": until,
            "iat": from,
            "iss": ISSUER,
            "jti": metadata::new_uid(),
            "kubernetes.io": kubernetes,
            "nbf": from,
            "sub": format!("system:serviceaccount:{}:{}", account.namespace, account.name),
        });
        let head = json!({"alg": "HS256", "typ": "JWT"});
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&head), encode(&claims));
        let signature = hmac::sign(self.key(store)?, signed.as_bytes());
        let token = format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()));
        Ok((token, Timestamp::from_second(until).unwrap_or(now)))
    }

    /// The claims of a token that is ours and good now, for the API or, if some are named, for one of these.
    fn claims(&self, token: &str, store: &Store, now: Timestamp, audiences: &[String]) -> Option<Value> {
        if token.len() > LONGEST || (self.key.get().is_none() && store.note(KEY).is_none()) {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
        hmac::verify(self.key(store).ok()?, signed.as_bytes(), &signature).ok()?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        let (from, until) = (claims["nbf"].as_i64()?, claims["exp"].as_i64()?);
        let is_now = (from - LEEWAY..until).contains(&now.as_second());
        let is_for = |audience: &Value| match audiences {
            [] => audience == ISSUER,
            wanted => wanted.iter().any(|wanted| audience == wanted.as_str()),
        };
        (is_now && claims["aud"].as_array()?.iter().any(is_for)).then_some(claims)
    }

    /// Whose token it is, if it is good.
    pub(in crate::api) fn user_of(&self, token: &str, store: &Store, now: Timestamp) -> Option<User> {
        self.user_for(token, store, now, &[])
    }

    /// The same for somebody else than the API.
    pub(in crate::api) fn user_for(
        &self,
        token: &str,
        store: &Store,
        now: Timestamp,
        audiences: &[String],
    ) -> Option<User> {
        let claims = self.claims(token, store, now, audiences)?;
        let bound = &claims["kubernetes.io"];
        let objects = store.objects();
        let namespace = bound["namespace"].as_str()?;
        let is_there = |kind: &str, reference: &Value, namespace: &str| {
            let object = objects.get(kind, namespace, reference["name"].as_str()?)?;
            (metadata::text(object, "uid") == reference["uid"].as_str()).then(|| object.name.clone())
        };
        let account = &bound["serviceaccount"];
        let name = is_there("ServiceAccount", account, namespace)?;
        for (claim, kind, namespace) in
            [("pod", "Pod", namespace), ("secret", "Secret", namespace), ("node", "Node", "")]
        {
            if bound.get(claim).is_some() {
                is_there(kind, &bound[claim], namespace)?;
            }
        }
        let mut user = User::service_account(namespace, &name, account["uid"].as_str().unwrap_or_default());
        let credential = format!("JTI={}", claims["jti"].as_str().unwrap_or_default());
        user.extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![credential]);
        if let Some(pod) = bound["pod"]["name"].as_str() {
            user.extra.insert("authentication.kubernetes.io/pod-name".to_owned(), vec![pod.to_owned()]);
        }
        Some(user)
    }
}

/// The key is shown to nobody.
impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keeper")
    }
}
