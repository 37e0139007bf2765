//! Certificates with their private keys. A plan can be printed, so no key is ever in one: they go another way (decision 10).

use std::collections::BTreeMap;

/// The certificates that the listeners of a plan show, by the names that [`crate::Certificate::arn`] has for them.
///
/// It has no `Debug`, so that no log and no error shows one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Keys {
    /// What each name stands for.
    pub by_name: BTreeMap<String, KeyPair>,
}

/// A certificate and the private key that belongs to it, both in PEM form.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate, followed by those between it and its authority.
    pub certificate: String,
    /// The private key.
    pub key: String,
}
