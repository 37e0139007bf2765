use std::time::Duration;

use net::Method;
use proptest::prelude::*;

use super::super::policy::{Question, Times};
use super::*;

fn fields(all: &[(&str, &str)]) -> Fields {
    let mut fields = Fields::new();
    all.iter().for_each(|(name, value)| fields.push(name, value));
    fields
}

fn stored(n_bytes: usize, answer: &[(&str, &str)], asked: &[(&str, &str)]) -> Stored {
    let mut answer = fields(answer);
    answer.push("cache-control", "max-age=60");
    let asked = fields(asked);
    let times = Times { asked: Duration::ZERO, answered: Duration::ZERO };
    let question = Question::of(&Method::GET, &asked, false);
    let freshness = Freshness::of(&question, StatusCode::OK, &answer, None, times).unwrap();
    let variant = Variant::of(&answer, &asked).unwrap();
    Stored {
        way: 0,
        status: StatusCode::OK,
        fields: answer,
        body: vec![b'x'; n_bytes].into(),
        freshness,
        variant,
    }
}

fn cache(bytes: usize, object: usize) -> Arc<Cache> {
    Arc::new(Cache::new(&ResponseCache { bytes, object, ttl: None }, CacheMetrics::default()))
}

fn keep(cache: &Arc<Cache>, name: &str, stored: Stored) -> bool {
    cache.ask(&key(name), 0, None).keep(stored)
}

fn key(name: &str) -> Key {
    name.as_bytes().into()
}

fn length(cache: &Arc<Cache>, name: &str, asked: &[(&str, &str)]) -> Option<usize> {
    match cache.find(&key(name), 0, &fields(asked)) {
        Found::Answer(stored) => Some(stored.body.len()),
        Found::Nothing | Found::OtherVariants => None,
    }
}

#[test]
fn what_is_used_stays_and_the_rest_goes() {
    let cache = cache(40_000, 10_000);
    for name in ["a", "b", "c"] {
        assert!(keep(&cache, name, stored(10_000 - 200, &[], &[])));
    }
    assert!(length(&cache, "a", &[]).is_some());
    assert!(keep(&cache, "d", stored(9_000, &[], &[])));
    let there = ["a", "b", "c", "d"].map(|name| length(&cache, name, &[]).is_some());
    assert_eq!(there, [true, false, true, true]);
    assert_eq!(cache.metrics.evicted.get(), 1);
    assert!(!keep(&cache, "e", stored(11_000, &[], &[])), "it is too large");
    cache.invalidate(&key("a"));
    assert_eq!(length(&cache, "a", &[]), None);
    let metrics = cache.metrics.clone();
    assert!(metrics.bytes.get() > 18_000);
    drop(cache);
    assert_eq!(metrics.bytes.get(), 0);
}

#[test]
fn answers_differ_by_the_fields_that_they_name() {
    let cache = cache(1 << 20, 1 << 16);
    let vary = &[("vary", "Accept, accept-language"), ("vary", "accept")];
    let (json, xml) = (&[("accept", "application/json, */*")], &[("accept", "text/xml")]);
    assert!(keep(&cache, "a", stored(1, vary, json)));
    assert!(matches!(cache.find(&key("a"), 0, &fields(xml)), Found::OtherVariants));
    assert!(keep(&cache, "a", stored(2, vary, xml)));
    assert_eq!(length(&cache, "a", json), Some(1));
    assert_eq!(length(&cache, "a", &[("ACCEPT", "application/json"), ("accept", " */*")]), Some(1));
    assert_eq!(length(&cache, "a", xml), Some(2));
    assert_eq!(length(&cache, "a", &[("accept", "text/xml"), ("accept-language", "de")]), None);
    assert_eq!(length(&cache, "a", &[]), None);
    assert!(keep(&cache, "a", stored(3, vary, xml)), "in the place of the other");
    assert_eq!(length(&cache, "a", xml), Some(3));
    for number in 0..20 {
        keep(&cache, "a", stored(number, vary, &[("accept", &number.to_string())]));
    }
    assert_eq!(length(&cache, "a", xml), None, "there are only so many");
    assert_eq!(length(&cache, "a", &[("accept", "19")]), Some(19));
    let many = (0..20).map(|number| format!("x-{number}")).collect::<Vec<_>>().join(",");
    assert!(Variant::of(&fields(&[("vary", &many)]), &fields(&[])).is_none());
}

#[test]
fn what_changed_meanwhile_and_what_came_before_is_not_kept() {
    let cache = cache(1 << 20, 1 << 16);
    let slow = cache.ask(&key("a"), 0, None);
    cache.invalidate(&key("a"));
    let later = cache.ask(&key("a"), 0, None);
    assert!(!slow.keep(stored(1, &[], &[])), "it may be what there was before");
    assert!(later.keep(stored(2, &[], &[])));
    drop((slow, later));
    let times = Times { asked: Duration::from_secs(9), answered: Duration::from_secs(9) };
    let question = Question::of(&Method::GET, &fields(&[]), false);
    let lasts = fields(&[("cache-control", "max-age=60")]);
    let freshness = Freshness::of(&question, StatusCode::OK, &lasts, None, times).unwrap();
    assert!(keep(&cache, "a", Stored { freshness, ..stored(3, &[], &[]) }));
    assert!(!keep(&cache, "a", stored(4, &[], &[])), "another one came later");
    assert_eq!(length(&cache, "a", &[]), Some(3));
    assert!(cache.parts.iter().all(|part| part.lock().unwrap().asked.is_empty()));
}

proptest! {
    #[test]
    fn it_keeps_its_bound_and_counts_what_it_has(
        steps in prop::collection::vec((0..4u8, 0..12u8, 0..3u8, 0..9000usize), 0..300),
    ) {
        let cache = cache(64 << 10, 8 << 10);
        for (step, name, accept, n_bytes) in steps {
            let (name, accept) = (name.to_string(), accept.to_string());
            let asked = &[("accept", accept.as_str())];
            match step {
                0 | 1 => _ = keep(&cache, &name, stored(n_bytes, &[("vary", "accept")], asked)),
                2 => _ = length(&cache, &name, asked),
                _ => cache.invalidate(&key(&name)),
            }
            let mut n_bytes = 0;
            for part in &cache.parts {
                let part = part.lock().unwrap();
                let of = |(key, entry): (&Key, &Entry)| {
                    entry.variants.iter().map(|stored| stored.n_bytes(key)).sum::<usize>()
                };
                prop_assert_eq!(part.entries.iter().map(of).sum::<usize>(), part.n_bytes);
                prop_assert_eq!(part.entries.len(), part.order.len());
                prop_assert!(part.order.iter().all(|(used, key)| part.entries[key].used == *used));
                prop_assert!(part.n_bytes <= cache.settings.bytes / cache.parts.len());
                n_bytes += part.n_bytes;
            }
            prop_assert_eq!(cache.metrics.bytes.get(), i64::try_from(n_bytes).unwrap());
        }
    }
}
