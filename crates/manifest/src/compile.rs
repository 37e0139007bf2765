//! Objects to a plan.

use plan::{ObjectRef, Plan};

use crate::{Defaults, Finding, Object, Objects};

/// What a set of objects means.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compiled {
    /// What traffic is to do.
    pub plan: Plan,
    /// The objects that InferenceServices stand for: Deployments and Services, with `ownerReferences`; and the Service
    /// `knative-serving/kourier` that shows the address of the load balancer in front of them.
    pub children: Vec<Object>,
    /// How each InferenceService is reached.
    pub routes: Vec<Route>,
    /// What is wrong, and what has no effect, in order.
    pub findings: Vec<Finding>,
}

/// How an InferenceService is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The InferenceService.
    pub object: ObjectRef,
    /// The hosts that lead to it, the one of `url` first.
    pub hosts: Vec<String>,
    /// Its URL, for `status.url`.
    pub url: String,
    /// Id of the load balancer in front of it.
    pub load_balancer: String,
}

/// Compiles objects to a plan. What is wrong costs the load balancer it belongs to, and nothing else.
#[must_use]
pub fn compile(objects: &Objects, _defaults: &Defaults) -> Compiled {
    let message = format!("{} objects: this build reads objects, but compiles no plan yet", objects.len());
    let finding = Finding::new(&crate::codes::DOCUMENT_INVALID, message);
    Compiled { findings: vec![finding], ..Compiled::default() }
}
