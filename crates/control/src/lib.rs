//! Keeps the world as the objects say.
//!
//! [`store`] holds Kubernetes objects so that no acknowledged write is lost. [`local`] is one machine as a [`Cluster`]:
//! replicas are processes, load balancers have loopback addresses. [`Control`] is the loop that compiles objects to a
//! plan for the data plane, has replicas run, and writes statuses and Events. [`api`] answers kubectl from the store.
//!
//! The data plane is met only through two channels of plain values: the plan goes down, what was observed comes up.
//! Nothing here knows a model, a listener or a socket of the API.

mod admission;
pub mod api;
mod authority;
mod certificate_folders;
mod cluster;
mod conditions;
mod control;
mod events;
pub mod fuzzing;
mod given;
mod live_defaults;
pub mod local;
mod ownership;
pub mod store;

pub use authority::{Authority, AuthorityError, CERTIFICATE_FILE, Issued};
pub use certificate_folders::{CertificateFolders, Place};
pub use cluster::{Cluster, Earlier};
pub use control::{
    Binding, CHALLENGE_NAME, CHALLENGE_PATH, ChallengeAnswer, Challenges, Channels, Control, Settings,
    challenge_certificate,
};
pub use events::{Event, EventSeverity};
pub use given::{Given, is_given};
pub use live_defaults::LiveDefaults;
