//! Clients that stay with their target, or with their target group.

use std::time::Duration;

use net::{Body, Method};
use plan::{
    Action, Forward, ForwardTarget, GroupStickiness, LoadBalancer, LoadBalancerKind, TargetGroup,
    TargetGroupRef, Weight,
};

use crate::targets::Target;
use crate::world::{Answer, Client, World, group, load_balancer, plan_of, run};

const BY_LOAD_BALANCER: &[(&str, &str)] = &[("stickiness.enabled", "true")];
const BY_APPLICATION: &[(&str, &str)] = &[
    ("stickiness.enabled", "true"),
    ("stickiness.type", "app_cookie"),
    ("stickiness.app_cookie.cookie_name", "SESSION"),
];

fn sticky_group(key: &str, targets: &[Target], settings: &[(&str, &str)]) -> TargetGroup {
    let addresses: Vec<_> = targets.iter().map(|target| target.address).collect();
    let mut group = group(key, &addresses);
    for (key, value) in settings {
        group.attributes.set(key, value).unwrap();
    }
    group
}

/// A load balancer with three targets.
fn balancer(settings: &[(&str, &str)]) -> ([Target; 3], LoadBalancer) {
    let targets = ["a", "b", "c"].map(Target::start);
    let group = sticky_group("g", &targets, settings);
    (targets, load_balancer(LoadBalancerKind::Application, vec![group]))
}

/// A client that keeps cookies, as far as a test needs it.
struct Browser {
    client: Client,
    cookies: Vec<(String, String)>,
}

impl Browser {
    fn new(balancer: &LoadBalancer) -> Self {
        Self { client: Client::new(balancer.listeners[0].addresses[0]), cookies: Vec::new() }
    }

    async fn get(&mut self) -> Answer {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = pairs.join("; ");
        let more = [("cookie", cookies.as_str())];
        let answer = self.client.send(Method::GET, "a.example.com", "/", Body::Empty, &more).await.unwrap();
        for (name, value, _) in set_cookies(&answer) {
            self.cookies.retain(|(known, _)| *known != name);
            self.cookies.push((name, value));
        }
        answer
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Name, value and attributes of the cookies that an answer sets.
fn set_cookies(answer: &Answer) -> Vec<(String, String, String)> {
    let text = |field: &[u8]| String::from_utf8(field.to_vec()).unwrap();
    let parse = |field: &[u8]| {
        let field = text(field);
        let (pair, attributes) = field.split_once("; ").unwrap_or((&field, ""));
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.to_owned(), attributes.to_owned())
    };
    answer.fields.all("set-cookie").map(parse).collect()
}

#[test]
fn acc_s3_52_without_stickiness_no_cookie_is_set() {
    run(async {
        let (_targets, balancer) = balancer(&[]);
        let _world = World::start(plan_of(&balancer)).await;
        assert_eq!(set_cookies(&Browser::new(&balancer).get().await), []);
    });
}

#[test]
fn acc_s3_52_a_client_stays_with_its_target_and_is_told_so_in_two_cookies() {
    run(async {
        let (targets, balancer) = balancer(BY_LOAD_BALANCER);
        let _world = World::start(plan_of(&balancer)).await;
        let mut names = Vec::new();
        for _ in 0..9 {
            let mut browser = Browser::new(&balancer);
            let first = browser.get().await;
            let [plain, cross_origin] = &set_cookies(&first)[..] else { panic!("{:?}", first.fields) };
            assert_eq!((plain.0.as_str(), cross_origin.0.as_str()), ("AWSALB", "AWSALBCORS"));
            assert_eq!(plain.1, cross_origin.1);
            assert!(plain.2.starts_with("Expires=") && plain.2.ends_with(" GMT; Path=/"), "{}", plain.2);
            assert!(cross_origin.2.ends_with("; Path=/; SameSite=None; Secure"), "{}", cross_origin.2);
            for _ in 0..5 {
                assert_eq!(browser.get().await.text, first.text);
            }
            // One of both is enough.
            browser.cookies.retain(|(name, _)| name == "AWSALBCORS");
            assert_eq!(browser.get().await.text, first.text);
            names.push(first.text);
        }
        names.sort_unstable();
        names.dedup();
        assert!(names.len() > 1, "new clients go round: {names:?}");
        drop(targets);
    });
}

#[test]
fn a_cookie_that_is_no_good_is_as_good_as_none() {
    run(async {
        let (_targets, balancer) = balancer(BY_LOAD_BALANCER);
        let _world = World::start(plan_of(&balancer)).await;
        let mut browser = Browser::new(&balancer);
        browser.get().await;
        let good = browser.cookie("AWSALB").unwrap().to_owned();
        let bad = [String::new(), "x".into(), good[1..].to_owned(), "A".repeat(5000), format!("%{good}")];
        for value in bad {
            browser.cookies = vec![("AWSALB".into(), value)];
            let answer = browser.get().await;
            assert_eq!((answer.status, set_cookies(&answer).len()), (200, 2));
        }
    });
}

#[test]
fn acc_s3_52_a_client_whose_target_has_gone_gets_another_and_stays_there() {
    run(async {
        let (targets, mut balancer) = balancer(BY_LOAD_BALANCER);
        let mut world = World::start(plan_of(&balancer)).await;
        let mut browser = Browser::new(&balancer);
        let before = browser.get().await.text;
        let gone = targets.iter().zip(["a", "b", "c"]).find(|(_, name)| *name == before).unwrap().0;
        balancer.target_groups[0].targets.retain(|target| target.socket() != gone.address);
        world.change(plan_of(&balancer)).await;
        while world.state_of(gone.address) == Some("healthy") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let after = browser.get().await.text;
        assert_ne!(after, before);
        for _ in 0..5 {
            assert_eq!(browser.get().await.text, after);
        }
    });
}

#[test]
fn stickiness_lasts_as_long_as_it_says() {
    run(async {
        let short = [("stickiness.enabled", "true"), ("stickiness.lb_cookie.duration_seconds", "1")];
        let (_targets, balancer) = balancer(&short);
        let _world = World::start(plan_of(&balancer)).await;
        let mut browser = Browser::new(&balancer);
        let mut names = vec![browser.get().await.text];
        let old = browser.cookies.clone();
        tokio::time::sleep(Duration::from_millis(2100)).await;
        for _ in 0..4 {
            browser.cookies.clone_from(&old);
            names.push(browser.get().await.text);
        }
        names.dedup();
        assert!(names.len() > 1, "{names:?}");
    });
}

#[test]
fn a_client_stays_with_its_target_for_as_long_as_the_application_knows_it() {
    run(async {
        let (targets, balancer) = balancer(BY_APPLICATION);
        let _world = World::start(plan_of(&balancer)).await;
        let mut browser = Browser::new(&balancer);
        assert_eq!(set_cookies(&browser.get().await), []);
        for target in &targets {
            target.behaviour.sets_cookie.replace(Some("SESSION=s1; Path=/".into()));
        }
        let first = browser.get().await;
        let names: Vec<String> = set_cookies(&first).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["SESSION", "AWSALBAPP-0"]);
        for target in &targets {
            target.behaviour.sets_cookie.replace(None);
        }
        for _ in 0..5 {
            assert_eq!(browser.get().await.text, first.text);
        }
        browser.cookies.retain(|(name, _)| name == "AWSALBAPP-0");
        let mut others = Vec::new();
        for _ in 0..4 {
            others.push(browser.get().await.text);
        }
        assert!(others.iter().any(|other| *other != first.text), "{others:?}");
    });
}

#[test]
fn a_client_stays_with_its_target_group_until_it_has_no_weight() {
    run(async {
        let [blue, green] = ["blue", "green"].map(|name| [Target::start(name)]);
        let groups = vec![sticky_group("blue", &blue, &[]), sticky_group("green", &green, &[])];
        let mut balancer = load_balancer(LoadBalancerKind::Application, groups);
        let [blue_id, green_id] = ["blue", "green"].map(|key| balancer.target_groups.find(key).unwrap());
        let minute = Some(GroupStickiness::Cookie(Duration::from_secs(60)));
        let forward = |weights: [i64; 2], stickiness| {
            let target = |(id, weight)| ForwardTarget {
                target_group: TargetGroupRef::Group(id),
                weight: Weight::new(weight).unwrap(),
            };
            let targets = [blue_id, green_id].into_iter().zip(weights).map(target).collect();
            Some(Action::Forward(Forward { targets, stickiness }))
        };
        balancer.listeners[0].default_action = forward([1, 1], minute);
        let mut world = World::start(plan_of(&balancer)).await;
        let mut n_blue = 0;
        let mut last = Browser::new(&balancer);
        for _ in 0..20 {
            let mut browser = Browser::new(&balancer);
            let first = browser.get().await;
            let names: Vec<String> = set_cookies(&first).into_iter().map(|(name, ..)| name).collect();
            assert_eq!(names, ["AWSALBTG", "AWSALBTGCORS"]);
            for _ in 0..4 {
                assert_eq!(browser.get().await.text, first.text);
            }
            n_blue += usize::from(first.text == "blue");
            last = browser;
        }
        assert!((8..=12).contains(&n_blue), "{n_blue} of 20");
        let before = last.get().await.text;
        let weights = if before == "blue" { [0, 1] } else { [1, 0] };
        balancer.listeners[0].default_action = forward(weights, minute);
        world.change(plan_of(&balancer)).await;
        while last.get().await.text == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}
