//! The labels of series. All begin with a load balancer, by its name: so they join.

use prometheus_client::encoding::EncodeLabelSet;

use super::series::OfBalancer;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) load_balancer: String,
    pub(super) target_group: String,
    pub(super) code_class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct GroupLabels {
    pub(super) load_balancer: String,
    pub(super) target_group: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PassedOverLabels {
    pub(super) load_balancer: String,
    pub(super) target_group: String,
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ListenerLabels {
    pub(super) load_balancer: String,
    pub(super) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OwnAnswerLabels {
    pub(super) load_balancer: String,
    pub(super) port: u16,
    pub(super) code: u16,
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DatagramLabels {
    pub(super) load_balancer: String,
    pub(super) port: u16,
    pub(super) direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReasonLabels {
    pub(super) load_balancer: String,
    pub(super) port: u16,
    pub(super) reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ResultLabels {
    pub(super) load_balancer: String,
    pub(super) port: u16,
    pub(super) result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct TargetLabels {
    pub(super) load_balancer: String,
    pub(super) target_group: String,
    pub(super) state: &'static str,
}

macro_rules! of_balancers {
    ($($labels:ident: $($port:ident)? $(/ $target_group:ident)?;)*) => {$(
        impl OfBalancer for $labels {
            fn load_balancer(&self) -> &str {
                &self.load_balancer
            }
            $(fn port(&self) -> Option<u16> {
                Some(self.$port)
            })?
            $(fn target_group(&self) -> Option<&str> {
                Some(&self.$target_group)
            })?
        }
    )*};
}

of_balancers! {
    RequestLabels: / target_group;
    GroupLabels: / target_group;
    PassedOverLabels: / target_group;
    TargetLabels: / target_group;
    ListenerLabels: port;
    OwnAnswerLabels: port;
    DatagramLabels: port;
    ReasonLabels: port;
    ResultLabels: port;
}
