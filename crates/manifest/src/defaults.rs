//! What a cluster or an account would say: controller flags, certificates and lists that manifests only refer to.

mod parse;

use std::collections::BTreeMap;

use ipnet::IpNet;
use plan::{Scheme, Tags, TargetType};

use crate::certificate_folder::KeptCertificate;
use crate::trust_store::KeptTrustStore;
use crate::{Finding, Severity};

/// The domain of InferenceServices when no `config-domain` names one.
pub(crate) const DOMAIN: &str = "example.com";

/// What a cluster or an account would say. [`Defaults::default`] is what the AWS Load Balancer Controller ships with.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// Target type where nobody names one.
    pub target_type: TargetType,
    /// Whether target type `ip` may be used.
    pub enable_ip_target_type: bool,
    /// Scheme where nobody names one.
    pub scheme: Scheme,
    /// TLS policy where nobody names one.
    pub ssl_policy: String,
    /// Tags of everything.
    pub tags: Tags,
    /// Ingress class that is taken besides those whose IngressClass names an AWS controller.
    pub ingress_class: String,
    /// Which Services become load balancers.
    pub service_selection: ServiceSelection,
    /// Whether a backend without its Service answers 503 instead of taking its load balancer out.
    pub tolerate_missing_service: bool,
    /// Whether a backend without its action answers 503 instead of taking its load balancer out.
    pub tolerate_missing_action: bool,
    /// Whether TCP and UDP on one port become one listener.
    pub enable_tcp_udp_listener: bool,
    /// Feature gates by name, on or off.
    pub feature_gates: BTreeMap<String, bool>,
    /// Known certificates; `None` when nobody says which there are.
    pub certificates: Option<Vec<KnownCertificate>>,
    /// Certificates that are kept on this machine, with their keys; `None` when nobody named a folder of them.
    pub kept: Option<Vec<KeptCertificate>>,
    /// Trust stores that are kept on this machine.
    pub kept_trust_stores: Vec<KeptTrustStore>,
    /// The region of AWS that is meant, when somebody says so.
    pub region: Option<String>,
    /// Known web ACLs; `None` when nobody says which there are.
    pub web_acls: Option<Vec<Named>>,
    /// Known trust stores; `None` when nobody says which there are.
    pub trust_stores: Option<Vec<Named>>,
    /// Known target groups that no manifest makes; `None` when nobody says which there are.
    pub target_groups: Option<Vec<Named>>,
    /// Prefix lists by id.
    pub prefix_lists: BTreeMap<String, Vec<IpNet>>,
    /// Domain of InferenceServices, unless a ConfigMap `knative-serving/config-domain` says otherwise.
    pub domain: String,
    /// Whether InferenceServices are reached in TLS, too.
    pub gateway_tls: bool,
    /// Whether to do exactly what AWS does, also where that is hardly what was meant.
    pub strict_aws: bool,
    /// Whose dialect the manifests are written in.
    pub dialect: Dialect,
    /// Who can reach the load balancers.
    pub exposure: Exposure,
}

/// Who is to understand the manifests on AWS. Both are understood here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// The AWS Load Balancer Controller.
    #[default]
    Controller,
    /// EKS Auto Mode, which ignores some of it.
    AutoMode,
}

/// Who can reach the load balancers, and so what becomes of an object that asks for protection which is not there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Exposure {
    /// Only this machine: it is served, with a warning.
    #[default]
    Loopback,
    /// Others, too: it is not served.
    Public,
    /// Others, too, and somebody has said that it is to be served all the same, with a warning.
    PublicUnprotected,
}

/// Which Services become load balancers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceSelection {
    /// Every Service of type LoadBalancer without a foreign class.
    All,
    /// Those that the AWS controller selects.
    Controller,
}

/// A certificate of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCertificate {
    /// Its ARN.
    pub arn: String,
    /// The names it is for; `*` stands for any.
    pub domains: Vec<String>,
}

/// Something of the account with an ARN and a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
}

impl Exposure {
    /// A finding that something asks for protection and gets none, as bad as that is here, and with what to do about it.
    pub(crate) fn weigh(self, finding: Finding) -> Finding {
        /// What is always left to do.
        const UNPROTECTED: &str = "--allow-unprotected to serve without it";
        if self != Self::Public {
            return finding.with_severity(Severity::Warning);
        }
        let advice = match &finding.suggestion {
            Some(advice) => format!("{advice}, or {UNPROTECTED}"),
            None => UNPROTECTED.to_owned(),
        };
        finding.with_severity(Severity::Error).suggest(advice)
    }
}

impl Defaults {
    /// Whether a feature that is on by itself has not been switched off.
    pub(crate) fn has_feature(&self, gate: &str) -> bool {
        self.feature_gates.get(gate) != Some(&false)
    }

    /// The certificate of an ARN, if it is kept here.
    pub(crate) fn kept(&self, arn: &str) -> Option<&KeptCertificate> {
        self.kept.iter().flatten().find(|kept| kept.is_named(arn))
    }

    /// Whether a gate that is off by itself has been switched on.
    pub(crate) fn is_gate_on(&self, gate: &str) -> bool {
        self.feature_gates.get(gate) == Some(&true)
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            target_type: TargetType::Instance,
            enable_ip_target_type: true,
            scheme: Scheme::Internal,
            ssl_policy: "ELBSecurityPolicy-2016-08".to_owned(),
            tags: Tags::new(),
            ingress_class: "alb".to_owned(),
            service_selection: ServiceSelection::All,
            tolerate_missing_service: true,
            tolerate_missing_action: true,
            enable_tcp_udp_listener: false,
            feature_gates: BTreeMap::new(),
            certificates: None,
            kept: None,
            kept_trust_stores: Vec::new(),
            region: None,
            web_acls: None,
            trust_stores: None,
            target_groups: None,
            prefix_lists: BTreeMap::new(),
            domain: DOMAIN.to_owned(),
            gateway_tls: false,
            strict_aws: false,
            dialect: Dialect::default(),
            exposure: Exposure::Loopback,
        }
    }
}
