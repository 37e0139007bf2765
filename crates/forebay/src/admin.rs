//! The admin port: what a running platform tells about itself, on loopback only.

mod certificates;
mod cloudwatch;
mod domain;
pub(crate) mod exposition;
mod tags;
mod why;

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use control::store::Store;
use control::{Challenges, LiveDefaults};
use jiff::Timestamp;
use manifest::Compiler;
use manifest::{CertificateFacts, Objects};
use net::{Handler, Limits, Method, Request, Response, StatusCode};
use plan::balance::zones::{self, ZoneStanding};
use plan::{ObjectRef, Observed, Plan, normalise_host};
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;

pub(crate) use certificates::described;

use crate::acme::AcmeFailures;
use crate::certificate::Shown;
use crate::certificate_names::{self, needed};
use crate::commands::config;
use crate::endpoints::Showable;
use crate::explanation::Question;
use crate::progress::{World, Written};
use crate::{applied, endpoints, rest};

/// What the admin port tells of.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) store: Rc<Store>,
    pub(crate) plan: watch::Receiver<Arc<Plan>>,
    pub(crate) observed: watch::Receiver<Arc<Observed>>,
    pub(crate) metrics: proxy::Metrics,
    /// Who knows what became of requests.
    pub(crate) recall: proxy::Recall,
    pub(crate) defaults: LiveDefaults,
    /// What is known already of what objects mean.
    pub(crate) compiler: Compiler,
    /// The certificates that can be shown.
    pub(crate) shown: watch::Receiver<Arc<Shown>>,
    pub(crate) limits: Limits,
    /// Where load balancers keep their logs.
    pub(crate) log_place: String,
    /// How the local authority is called in what it signs.
    pub(crate) authority: String,
    /// Why hosts have no certificate by ACME.
    pub(crate) challenges: watch::Receiver<Arc<Challenges>>,
    pub(crate) acme_failures: AcmeFailures,
}

impl Admin {
    /// Has somebody look at everything as it is now, with what people wrote.
    pub(crate) fn look<T>(&self, written: &Written, look: impl FnOnce(&World<'_>) -> T) -> T {
        let objects = self.store.objects();
        let (plan, observed) = (self.plan.borrow().clone(), self.observed.borrow().clone());
        let mut earlier: Objects = self.store.earlier_versions().into_iter().collect();
        // What is there in the place of what was refused goes on, too.
        for refused in &written.refused {
            if let Some(stored) = objects.get(&refused.kind, &refused.namespace, &refused.name) {
                earlier.insert(Arc::clone(stored));
            }
        }
        let kept = self.defaults.kept();
        let showable = |(name, facts): (&String, &CertificateFacts)| {
            let file = kept.pair(name).map(|pair| Path::new(&pair.kept.file));
            let file = file.map(|file| std::path::absolute(file).unwrap_or_else(|_| file.to_owned()));
            Showable {
                name: name.clone(),
                facts: facts.clone(),
                file: file.map(|file| file.display().to_string()),
                is_ours: facts.issuer == self.authority,
            }
        };
        let showable: Vec<Showable> = self.shown.borrow().iter().map(showable).collect();
        look(&World {
            objects: &objects,
            plan: &plan,
            observed: &observed,
            written,
            earlier: &earlier,
            showable: &showable,
        })
    }

    fn endpoints_json(&self) -> serde_json::Value {
        let objects = self.store.objects();
        let compiled = self.compiler.compile(&objects, &self.defaults.now());
        let findings = manifest::findings_of(&compiled, &objects, Timestamp::now());
        self.look(&Written { findings, ..Written::default() }, |world| {
            endpoints::json(&endpoints::endpoints(world))
        })
    }

    fn names_json(&self) -> serde_json::Value {
        certificate_names::json(&needed(&self.store.objects(), &self.defaults.now(), |_| true))
    }

    /// What `up` has applied from which path, and is still there.
    fn applied_json(&self) -> serde_json::Value {
        let object = |object: ObjectRef| {
            let ObjectRef { kind, namespace, name } = object;
            json!({"kind": kind, "namespace": namespace, "name": name})
        };
        let by_path = applied::by_path(&self.store).into_iter();
        let by_path = by_path.map(|(path, objects)| {
            json!({"path": path, "objects": objects.into_iter().map(object).collect::<serde_json::Value>()})
        });
        by_path.collect()
    }

    /// What becomes of the request of a query, or why that cannot be said.
    fn explanation_json(&self, query: &str) -> serde_json::Value {
        let (plan, observed) = (self.plan.borrow().clone(), self.observed.borrow().clone());
        let explanation = Question::of_query(query)
            .and_then(|question| question.explain(&plan, Some(&observed), &self.limits));
        match explanation {
            Ok(explanation) => json!(explanation),
            Err(error) => json!({"problem": format!("{error:#}")}),
        }
    }

    /// The counters of the data plane, and what the objects tell of replicas.
    fn metrics(&self) -> String {
        let mut others = restarts(&self.store.objects()) + &certificates::metrics(&self.shown.borrow());
        others.push_str(&tags::metrics(&self.plan.borrow()));
        others.push_str(&self.acme_failures.metrics());
        self.metrics.encode_with(&others)
    }

    /// The same under the names of CloudWatch, where it has one.
    fn cloudwatch_metrics(&self) -> String {
        let (plan, observed) = (self.plan.borrow().clone(), self.observed.borrow().clone());
        cloudwatch::text(&self.metrics(), &plan, &observed) + "# EOF\n"
    }

    fn targets_json(&self) -> serde_json::Value {
        let (plan, observed) = (self.plan.borrow().clone(), self.observed.borrow().clone());
        let mut targets = Vec::with_capacity(observed.targets.len());
        let mut standings = HashMap::new();
        for (key, health) in observed.targets.iter().filter(|(key, _)| !key.load_balancer.is_cluster()) {
            let balancer = plan.load_balancer(&key.load_balancer);
            let group = balancer.and_then(|it| it.target_groups.iter().find(|it| it.key == key.target_group));
            let zone = group.and_then(|group| {
                let target = group.targets.iter().find(|target| target.socket() == key.address);
                target?.availability_zone.as_deref()
            });
            let zone_state = balancer.zip(group).zip(zone).and_then(|((balancer, group), zone)| {
                let of_group = (&key.load_balancer, &key.target_group);
                let standings = standings
                    .entry(of_group)
                    .or_insert_with(|| zones::standings(balancer, group, &observed, SystemTime::now()));
                standings.get(zone).copied()
            });
            targets.push(Target {
                namespace: group.map(|group| group.service.namespace.as_str()).unwrap_or_default(),
                load_balancer: balancer
                    .map_or_else(|| key.load_balancer.to_string(), |found| found.name.clone()),
                target_group: &key.target_group,
                zone,
                zone_state: zone_state.map(ZoneStanding::as_str),
                zone_description: zone_state.and_then(ZoneStanding::words),
                target: key.address.to_string(),
                state: health.state.as_str(),
                reason: health.reason.map(plan::health::Reason::as_str),
                description: &health.description,
                in_flight: health.in_flight,
                rest: health.rest.map(|rest| {
                    let until = rest::until(rest).map(|until| until.to_string());
                    json!({"because": rest.because.as_str(), "until": until, "description": rest::words(rest)})
                }),
            });
        }
        json!(targets)
    }
}

/// How often each container of each replica was started again, in the OpenMetrics text format.
fn restarts(objects: &Objects) -> String {
    let mut text = String::from(
        "# HELP forebay_replica_restarts How often a container of a replica was started again.\n\
         # TYPE forebay_replica_restarts counter\n",
    );
    for pod in objects.of_kind("Pod") {
        for status in pod.value["status"]["containerStatuses"].as_array().into_iter().flatten() {
            let (Some(container), Some(count)) = (status["name"].as_str(), status["restartCount"].as_u64())
            else {
                continue;
            };
            let (namespace, pod) = (&pod.namespace, &pod.name);
            text.push_str(&format!(
                "forebay_replica_restarts_total{{namespace=\"{namespace}\",pod=\"{pod}\",container=\"{container}\"}} {count}\n"
            ));
        }
    }
    text
}

/// A target as `forebay targets` shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Target<'a> {
    namespace: &'a str,
    load_balancer: String,
    target_group: &'a str,
    target: String,
    zone: Option<&'a str>,
    zone_state: Option<&'static str>,
    zone_description: Option<&'static str>,
    state: &'static str,
    reason: Option<&'static str>,
    description: &'a str,
    in_flight: u32,
    /// That it rests, and why, whatever its health.
    rest: Option<serde_json::Value>,
}

impl Handler for Admin {
    async fn handle(&self, request: Request) -> Response {
        if !is_meant_for_us(&request) {
            let text = "the admin port answers to loopback names only\n";
            return Response::with_body(StatusCode::FORBIDDEN, "text/plain", text);
        }
        if request.method != Method::GET {
            return Response::with_body(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "only GET\n")
                .with_field("allow", "GET");
        }
        match request.target.path() {
            "/" => Response::with_body(StatusCode::OK, "text/plain", INDEX),
            "/healthz" => Response::with_body(StatusCode::OK, "text/plain", "ok"),
            "/metrics" => metrics_answer(&request, self.metrics()),
            "/metrics/cloudwatch" => metrics_answer(&request, self.cloudwatch_metrics()),
            "/endpoints" => json_answer(&self.endpoints_json()),
            "/targets" => json_answer(&self.targets_json()),
            "/certificates" => json_answer(&certificates::json(self)),
            "/domain" => json_answer(&domain::json(self, request.target.query().unwrap_or_default())),
            "/explain" => json_answer(&self.explanation_json(request.target.query().unwrap_or_default())),
            "/why" => json_answer(&why::json(self, request.target.query().unwrap_or_default()).await),
            "/names" => json_answer(&self.names_json()),
            "/limits" => json_answer(&config::json(&self.limits)),
            "/applied" => json_answer(&self.applied_json()),
            _ => Response::with_body(StatusCode::NOT_FOUND, "text/plain", INDEX),
        }
    }
}

const INDEX: &str = "\
/endpoints  where the platform answers, and whether it does
/targets    health and load of every target
/certificates  what load balancers show, and until when
/domain?host=NAME  who answers for a host
/explain?method=GET&url=URL&from=IP&field=NAME:VALUE  what becomes of a request
/why?trace=ID  what became of one of the last requests
/names      the names that certificates need
/limits     what clients may ask
/applied    what came from which path of `up`
/metrics    counters of load balancers and replicas, for Prometheus
/metrics/cloudwatch  the same under the names of CloudWatch
/healthz    ok
";

/// Metrics in the form that the client reads.
fn metrics_answer(request: &Request, text: String) -> Response {
    match exposition::wants_plain(request.fields.text("accept").unwrap_or_default()) {
        true => Response::with_body(StatusCode::OK, exposition::PLAIN, exposition::plain(&text)),
        false => Response::with_body(StatusCode::OK, exposition::OPEN_METRICS, text),
    }
}

fn json_answer(value: &serde_json::Value) -> Response {
    Response::with_body(StatusCode::OK, "application/json", value.to_string())
}

/// Whether the client knows us by a loopback name: a web page whose name was made to lead here does not.
pub(crate) fn is_meant_for_us(request: &Request) -> bool {
    let host = normalise_host(request.authority());
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || literal.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}
