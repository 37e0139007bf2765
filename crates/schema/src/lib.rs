//! What Kubernetes objects look like: every field of every kind, in one place.
//!
//! The facts stand in `src/tables/*.schema`, one line for a field, and are those of Kubernetes 1.33. Protobuf, the check of
//! fields, patches, OpenAPI and defaults all follow from them. It is *not* a registry of kinds (which of them are served, and
//! what they do), and it holds no rule that needs more than one field.
//!
//! ```
//! let deployment = schema::of("apps", "v1", "Deployment").unwrap();
//! let spec = deployment.field("spec").unwrap().holds.object().unwrap();
//! let replicas = spec.field("replicas").unwrap();
//! assert_eq!(replicas.number, 1);
//! assert_eq!(replicas.default_value(), Some(serde_json::json!(1)));
//! ```
//!
//! A line of a table reads `name number type`, and what else there is to say:
//!
//! ```text
//! package core io.k8s.api.core.v1 v1          what other tables, OpenAPI and apiVersion call the types that follow
//! kind Pod "One or more containers …"         an object of its own: it has `apiVersion` and `kind`, too
//! type Container "…"                          what stands inside of others; `atomic`: it has one owner as a whole
//!   name! 1 string "…"                        `!`: it has to be there
//!   livenessProbe 10 Probe?                   `?`: left out is something else than empty, zero or false
//!   ports 6 [ContainerPort] by(containerPort,protocol) merge(containerPort)
//!   protocol 4 string of(SCTP,TCP,UDP) ="TCP" the words that it takes, and what it is when nothing is said
//!   limits 1 {quantity}                       a map of texts to something
//!   * 2 VolumeSource                          the fields of another type, which in protobuf are a message of their own
//! ```
//!
//! `by` and `set` say how lists are merged in server-side apply, `merge` and `retain` how strategic patches do it.
//! A number of 0 stands for none: kinds that Kubernetes itself has no protobuf of.

mod parse;
pub mod structural;
mod tables;
#[cfg(test)]
mod tests;

use std::ops::Deref;

use serde_json::Value;

/// A type: a kind, or what stands inside of one.
#[derive(Debug)]
pub struct Type {
    /// For example `Container`.
    pub name: &'static str,
    /// Where it is declared.
    pub package: Package,
    /// Whether it is an object of its own.
    pub is_kind: bool,
    /// Whether it has one owner as a whole in server-side apply.
    pub is_atomic: bool,
    /// In a sentence, what it is; may be empty.
    pub doc: &'static str,
    fields: Vec<Field>,
    includes: Vec<Include>,
}

/// A group of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// What the tables call it, for example `core`.
    pub alias: &'static str,
    /// What OpenAPI calls it, for example `io.k8s.api.core.v1`.
    pub path: &'static str,
    /// The API group, empty for the core group.
    pub group: &'static str,
    /// The version of the group.
    pub version: &'static str,
}

/// A field of a type.
#[derive(Debug)]
pub struct Field {
    /// As it is written in JSON.
    pub name: &'static str,
    /// Its number in protobuf; 0 for none.
    pub number: u32,
    /// What it holds.
    pub holds: Holds,
    /// Whether it has to be there.
    pub is_required: bool,
    /// Whether being left out is something else than being empty, zero or false.
    pub tells_zero: bool,
    /// Whether it has one owner as a whole in server-side apply, although it holds a map or an object.
    pub is_atomic: bool,
    /// How a list is merged in server-side apply.
    pub list: List,
    /// How a list is merged by strategic patches: by which key of its items, `""` for items that are their own key. `None`:
    /// it is replaced.
    pub merge_key: Option<&'static str>,
    /// Whether kubectl's strategic patches name the keys that are to stay (`$retainKeys`).
    pub retains_keys: bool,
    /// The only words that it takes, in order, between commas; empty where any will do.
    words: Option<&'static str>,
    /// In JSON.
    default: Option<&'static str>,
    /// In a sentence, what it is; may be empty.
    pub doc: &'static str,
}

/// What a field holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// A text.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A number.
    Double,
    /// Bytes, in base64.
    Bytes,
    /// An amount with a unit, such as `500m`; a number will do.
    Quantity,
    /// A whole number or a text, as a port is.
    IntOrString,
    /// A time in whole seconds (RFC 3339).
    Time,
    /// A time in microseconds (RFC 3339).
    MicroTime,
    /// Anything.
    Json,
    /// An object of a type.
    Object(Reference),
    /// A list.
    List(Box<Holds>),
    /// A map of texts to something.
    Map(Box<Holds>),
}

/// How a list is merged in server-side apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// As a whole, and so is what is no list.
    Atomic,
    /// Item by item; an item is its own key.
    Set,
    /// Item by item; these fields, between commas, are the key of one.
    By(&'static str),
}

/// A type that is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference(u16);

/// A type whose fields are those of another one, too.
#[derive(Debug)]
pub struct Include {
    /// The number of its message in protobuf; 0 for none.
    pub number: u32,
    /// The other type.
    pub included: Reference,
}

/// The type of a kind.
#[must_use]
pub fn of(group: &str, version: &str, kind: &str) -> Option<&'static Type> {
    let is_it = |known: &&Type| known.package.group == group && known.package.version == version;
    kinds().filter(|known| known.name == kind).find(is_it)
}

/// A type by its name in OpenAPI, for example `io.k8s.api.core.v1.Container`.
#[must_use]
pub fn named(name: &str) -> Option<&'static Type> {
    let (path, name) = name.rsplit_once('.')?;
    tables::all().iter().find(|known| known.name == name && known.package.path == path)
}

/// Every kind.
pub fn kinds() -> impl Iterator<Item = &'static Type> {
    tables::all().iter().filter(|known| known.is_kind)
}

// === impl Package ===

impl Package {
    /// Whether Kubernetes itself declares it, rather than a CustomResourceDefinition.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.path.starts_with("io.k8s.") && !self.path.starts_with("io.k8s.networking.")
    }
}

// === impl Type ===

impl Type {
    /// All fields, those of included types too, but for those that it has one of its own in place of.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        // An included type includes no other one, which the tests hold.
        let included = self.includes.iter().flat_map(|include| &include.included.get().fields);
        let is_own = |name: &str| self.fields.iter().any(|field| field.name == name);
        self.fields.iter().chain(included.filter(move |field| !is_own(field.name)))
    }

    /// A field by its name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields().find(|field| field.name == name)
    }

    /// The fields of its own.
    #[must_use]
    pub fn own_fields(&self) -> &[Field] {
        &self.fields
    }

    /// The types whose fields are also its own.
    #[must_use]
    pub fn includes(&self) -> &[Include] {
        &self.includes
    }

    /// For example `io.k8s.api.core.v1.Container`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.package.path, self.name)
    }

    /// Whether a kind can be written in protobuf.
    #[must_use]
    pub fn has_protobuf(&self) -> bool {
        self.fields.iter().any(|field| field.number != 0)
    }
}

// === impl Field ===

impl Field {
    /// The only words that it takes; none where any will do.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.words.into_iter().flat_map(|words| words.split(','))
    }

    /// What it is when nothing is said. For an object that is `{}`, with the defaults of its fields.
    #[must_use]
    pub fn default_value(&self) -> Option<Value> {
        Some(serde_json::from_str(self.default?).expect("the tests read every default"))
    }
}

// === impl Holds ===

impl Holds {
    /// The type of an object, of the items of a list of objects or of the values of a map of objects.
    #[must_use]
    pub fn object(&self) -> Option<&'static Type> {
        match self {
            Self::Object(reference) => Some(reference.get()),
            Self::List(item) | Self::Map(item) => item.object(),
            _ => None,
        }
    }
}

// === impl List ===

impl List {
    /// The fields that are the key of an item.
    pub fn keys(self) -> impl Iterator<Item = &'static str> {
        let keys = if let Self::By(keys) = self { Some(keys) } else { None };
        keys.into_iter().flat_map(|keys| keys.split(','))
    }
}

// === impl Reference ===

impl Reference {
    /// The type itself.
    #[must_use]
    pub fn get(self) -> &'static Type {
        &tables::all()[usize::from(self.0)]
    }
}

impl Deref for Reference {
    type Target = Type;

    fn deref(&self) -> &Type {
        self.get()
    }
}
