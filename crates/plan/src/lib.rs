//! What traffic should do, as plain data in the words of an Application Load Balancer, and the pure decisions on it.
//!
//! A [`Plan`] is what the control plane wants and what the data plane executes. This crate knows no socket, clock,
//! file or Kubernetes type: every function here takes values and returns values.
//!
//! ```
//! use std::sync::Arc;
//!
//! use plan::{Action, Condition, FixedResponse, Listener, Protocol, RequestHead, Rule, route};
//!
//! let mut listener = Listener::new(80, Protocol::Http);
//! listener.rules.push(Arc::new(Rule::new(
//!     vec![Condition::paths(&["/predict"])],
//!     Action::FixedResponse(FixedResponse { status: 200, content_type: None, message_body: None }),
//! )));
//! let head = RequestHead::get("http://api.example.com/predict");
//! assert_eq!(route(&listener, &head).priority(), 1);
//! ```

mod action;
pub mod attributes;
pub mod balance;
mod client_authentication;
mod compression;
mod condition;
mod handling;
pub mod header_modification;
pub mod health;
mod index;
mod keys;
mod listener;
mod load_balancer;
mod load_balancer_id;
mod mirror;
mod observed;
mod path;
mod pattern;
mod rate_limit;
mod redirect;
mod request_head;
pub mod resource;
mod response_cache;
mod route;
mod settings;
pub mod sharing;
mod spoken;
pub mod suggest;
mod target_group;
mod target_groups;
mod tls_policy;
mod transform;

pub use action::{
    Action, FixedResponse, Forward, ForwardTarget, GroupStickiness, TargetGroupRef, Weight, WeightError,
};
pub use attributes::Attributes;
pub use client_authentication::{ClientAuthentication, ClientVerification, TrustStore};
pub use compression::{Coding, Compression, CompressionError, Wanted};
pub use condition::{Condition, QueryPair, SUBJECTS, Shape, Subject, SubjectRow, Values};
pub use handling::{
    Cors, CorsError, CorsWish, FieldEditError, FieldEdits, FieldSide, Handling, Hedging, Preflight, Refused,
};
pub use index::RuleIndex;
pub use keys::{KeyPair, Keys};
pub use listener::{Certificate, Listener, Protocol, Rule, RuleSource, SourceRanges, has_everybody};
pub use load_balancer::{
    Frontend, IpAddressType, LoadBalancer, LoadBalancerKind, ObjectRef, Scheme, Tags, ZonalShift,
};
pub use load_balancer_id::LoadBalancerId;
pub use mirror::{Mirror, Percent, PercentError};
pub use observed::{ListenerKey, ListenerState, Observed, TargetKey};
pub use path::{PathError, RequestPath};
pub use pattern::{Pattern, SearchPattern, SearchPatternError};
pub use rate_limit::{LimitedBy, RateLimit, RateLimitError};
pub use redirect::{Redirect, RedirectPart, UrlPart};
pub use request_head::{HeaderFields, NoHeaders, RequestHead, end_of_host, normalise_host};
pub use response_cache::{ResponseCache, ResponseCacheError};
pub use route::{Decision, RuleTrial, Verdict, is_ambiguous, route, route_preflight, tried};
pub use settings::{
    ApplicationSettings, CrossZone, DesyncMode, ForwardedFor, NetworkSettings, Stickiness,
    TargetGroupSettings,
};
pub use sharing::HostClaims;
pub use spoken::{Asked, Spoken, TargetTls, TargetTrust};
pub use target_group::{
    CodeSet, CodeSetError, Concurrency, HealthCheck, HealthCheckPort, Matcher, Origin, ProtocolVersion,
    Replay, ServicePort, ServicePortName, Target, TargetAddressType, TargetGroup, TargetType,
};
pub use target_groups::{TargetGroupId, TargetGroups};
pub use tls_policy::{Algorithms, LeftOut, TlsPolicy};
pub use transform::{Rewrite, Transform, TransformError, TransformPart, Transformed};

/// What the fuzz targets run, and the tests with them.
#[doc(hidden)]
pub mod fuzzing {
    /// Any bytes are a path, in one spelling, or refused.
    pub fn request_path(bytes: &[u8]) {
        if let Ok(sent) = std::str::from_utf8(bytes) {
            crate::path::fuzz(sent);
        }
    }
}

/// Everything the data plane is to do, for all load balancers. Immutable; replaced whole.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Sorted by [`LoadBalancer::id`].
    pub load_balancers: Vec<LoadBalancer>,
    /// What answers at the addresses of Services within the cluster, and at their node ports. Nobody asked for a load balancer
    /// there, so it is told of nowhere but where it is looked for.
    pub services: Vec<LoadBalancer>,
}

impl Plan {
    /// The load balancer with this id.
    #[must_use]
    pub fn load_balancer(&self, id: &LoadBalancerId) -> Option<&LoadBalancer> {
        self.load_balancers.iter().find(|load_balancer| load_balancer.id == *id)
    }

    /// All that the data plane carries.
    pub fn all(&self) -> impl Iterator<Item = &LoadBalancer> {
        self.load_balancers.iter().chain(&self.services)
    }

    /// Our own in front of InferenceServices.
    #[must_use]
    pub fn gateway(&self) -> Option<&LoadBalancer> {
        let is_gateway = |id: &LoadBalancerId| matches!(id, LoadBalancerId::Gateway { .. });
        self.load_balancers.iter().find(|load_balancer| is_gateway(&load_balancer.id))
    }
}
