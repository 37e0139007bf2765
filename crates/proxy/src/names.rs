//! How listeners and target groups are called in what is written of requests, apart from them: who keeps a record keeps no
//! plan. Each core has names of its own, so that no request has it count in memory of all.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use plan::attributes::{self, Attributes};
use plan::{Listener, LoadBalancer, LoadBalancerKind, TargetGroup, resource};

use crate::logs::{self, LogName};

/// How a listener and its load balancer are called, and which logs they keep.
#[derive(Debug, Clone)]
pub(crate) struct ListenerNames {
    /// For example `ingress:mlops/retail-api`.
    pub(crate) load_balancer_id: String,
    /// The name that people see.
    pub(crate) load_balancer: String,
    /// For example `app/retail-api/50dc6c495c0c9188`.
    pub(crate) resource: String,
    /// The last part of the listener's ARN.
    pub(crate) listener: String,
    pub(crate) port: u16,
    pub(crate) is_tls: bool,
    /// Its tags, as an object of JSON; nothing where there are none.
    pub(crate) tags: String,
    /// Where a line is written for every request, or for every connection of TLS, if its manifest wants that.
    pub(crate) access_log: Option<Arc<LogName>>,
    /// Where a line is written for every connection, if its manifest wants that.
    pub(crate) connection_log: Option<Arc<LogName>>,
}

/// How a target group is called.
#[derive(Debug, Clone)]
pub(crate) struct GroupNames {
    pub(crate) key: String,
    /// The name that people see.
    pub(crate) name: String,
    /// For example `targetgroup/k8s-mlops-api/73e2d6bc24d8a067`.
    pub(crate) resource: String,
    /// The Service behind it, and the revisions of its targets, where they are told.
    pub(crate) service: String,
    pub(crate) revisions: BTreeMap<IpAddr, String>,
    /// Where a line is written for every check of its targets, if its manifest wants that.
    pub(crate) health_check_log: Option<Arc<LogName>>,
}

// === impl ListenerNames ===

impl ListenerNames {
    pub(crate) fn of(load_balancer: &LoadBalancer, listener: &Listener) -> Self {
        let resource = resource::of_load_balancer(load_balancer);
        let log = |is_wanted: bool, name: [&str; 3], begins: &'static str| {
            let log = is_wanted.then(|| LogName::of(&load_balancer.attributes, name, begins, &resource));
            log.flatten().map(Arc::new)
        };
        let is_application = load_balancer.kind == LoadBalancerKind::Application;
        let access =
            [attributes::ACCESS_LOGS, attributes::ACCESS_LOGS_BUCKET, attributes::ACCESS_LOGS_PREFIX];
        let connections = [
            attributes::CONNECTION_LOGS,
            attributes::CONNECTION_LOGS_BUCKET,
            attributes::CONNECTION_LOGS_PREFIX,
        ];
        Self {
            load_balancer_id: load_balancer.id.to_string(),
            load_balancer: load_balancer.name.clone(),
            listener: resource::of_listener(load_balancer, listener.port),
            port: listener.port,
            is_tls: listener.protocol.is_tls(),
            tags: logs::tags_in_json(&load_balancer.tags),
            access_log: log(is_application || listener.protocol.is_tls(), access, ""),
            connection_log: log(is_application, connections, "conn_log."),
            resource,
        }
    }
}

impl LogName {
    /// Where a log goes by the attributes of its load balancer: whether there is one, in which bucket, and under which prefix.
    fn of(
        attributes: &Attributes,
        [is_on, bucket, prefix]: [&str; 3],
        begins: &'static str,
        resource: &str,
    ) -> Option<Self> {
        if !attributes.is_on(is_on) {
            return None;
        }
        let prefix = attributes.get(prefix).unwrap_or_default().to_owned();
        Some(Self {
            bucket: attributes.get(bucket)?.to_owned(),
            prefix,
            begins,
            resource: resource.to_owned(),
        })
    }
}

// === impl GroupNames ===

impl GroupNames {
    pub(crate) fn of(load_balancer: &LoadBalancer, group: &TargetGroup) -> Self {
        const LOG: [&str; 3] = [
            attributes::HEALTH_CHECK_LOGS,
            attributes::HEALTH_CHECK_LOGS_BUCKET,
            attributes::HEALTH_CHECK_LOGS_PREFIX,
        ];
        let of_balancer = resource::of_load_balancer(load_balancer);
        let log = LogName::of(&load_balancer.attributes, LOG, "health_check_log_", &of_balancer);
        Self {
            key: group.key.clone(),
            name: group.name.clone(),
            resource: resource::of_target_group(load_balancer, group),
            service: group.service.name.clone(),
            revisions: group.revisions.clone(),
            health_check_log: log.map(Arc::new),
        }
    }
}
