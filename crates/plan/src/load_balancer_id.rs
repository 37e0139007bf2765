//! What a load balancer is made of, which is what it is known by.

use std::cmp::Ordering;
use std::fmt;

use crate::ObjectRef;

/// Names a load balancer by what it was compiled from.
///
/// ```
/// use plan::LoadBalancerId;
///
/// assert_eq!(LoadBalancerId::ingress("mlops", "retail-api").to_string(), "ingress:mlops/retail-api");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LoadBalancerId {
    /// That of our own in front of InferenceServices, by the Service that shows its address.
    Gateway {
        /// Namespace of the Service.
        namespace: String,
        /// Name of the Service.
        name: String,
    },
    /// That of all Ingresses of a group, by the name of the group.
    Group(String),
    /// That of an Ingress that names no group.
    Ingress {
        /// Namespace of the Ingress.
        namespace: String,
        /// Name of the Ingress.
        name: String,
    },
    /// What answers at the addresses of a Service within the cluster.
    Cluster {
        /// Namespace of the Service.
        namespace: String,
        /// Name of the Service.
        name: String,
        /// Whether it carries datagrams, and not connections.
        is_udp: bool,
    },
    /// That of a Service of type `LoadBalancer`.
    Service {
        /// Namespace of the Service.
        namespace: String,
        /// Name of the Service.
        name: String,
    },
}

// === impl LoadBalancerId ===

impl LoadBalancerId {
    /// That of the gateway that this Service shows.
    #[must_use]
    pub fn gateway(namespace: &str, name: &str) -> Self {
        Self::Gateway { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// That of a group of Ingresses.
    #[must_use]
    pub fn group(name: &str) -> Self {
        Self::Group(name.to_owned())
    }

    /// That of an Ingress without a group.
    #[must_use]
    pub fn ingress(namespace: &str, name: &str) -> Self {
        Self::Ingress { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// That of a Service.
    #[must_use]
    pub fn service(namespace: &str, name: &str) -> Self {
        Self::Service { namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// Whether nobody asked for it: it is how a Service is reached within the cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        matches!(self, Self::Cluster { .. })
    }

    /// The one object that shows the address, where it is one.
    #[must_use]
    pub fn object(&self) -> Option<ObjectRef> {
        match self {
            Self::Group(_) => None,
            Self::Ingress { namespace, name } => Some(ObjectRef::new("Ingress", namespace, name)),
            Self::Gateway { namespace, name }
            | Self::Cluster { namespace, name, .. }
            | Self::Service { namespace, name } => Some(ObjectRef::new("Service", namespace, name)),
        }
    }

    /// Its text in pieces.
    fn pieces(&self) -> [&str; 4] {
        match self {
            Self::Gateway { namespace, name } => ["gateway:", namespace, "/", name],
            Self::Group(name) => ["group:", name, "", ""],
            Self::Ingress { namespace, name } => ["ingress:", namespace, "/", name],
            Self::Cluster { namespace, name, is_udp: false } => ["cluster:", namespace, "/", name],
            Self::Cluster { namespace, name, is_udp: true } => ["cluster-udp:", namespace, "/", name],
            Self::Service { namespace, name } => ["service:", namespace, "/", name],
        }
    }
}

/// `ingress:mlops/retail-api`, `group:retail`, `service:mlops/retail-api` or `gateway:knative-serving/kourier`.
impl fmt::Display for LoadBalancerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces().into_iter().try_for_each(|piece| f.write_str(piece))
    }
}

/// As the texts, so that what is listed by id is in the order that its reader expects.
impl Ord for LoadBalancerId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.pieces().into_iter().flat_map(str::bytes).cmp(other.pieces().into_iter().flat_map(str::bytes))
    }
}

impl PartialOrd for LoadBalancerId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_their_texts() {
        let all = [
            LoadBalancerId::gateway("knative-serving", "kourier"),
            LoadBalancerId::group("a"),
            LoadBalancerId::ingress("a-b", "x"),
            LoadBalancerId::ingress("a", "x"),
            LoadBalancerId::ingress("ab", "x"),
            LoadBalancerId::service("a", "x"),
        ];
        assert!(all.is_sorted());
        assert!(all.map(|id| id.to_string()).is_sorted());
    }
}
