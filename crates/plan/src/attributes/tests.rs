//! Values of attributes, and the table itself.

use super::*;

#[test]
fn every_default_is_a_value_the_attribute_takes() {
    for attribute in TABLE {
        if let Some(default) = attribute.default {
            assert!(attribute.value.takes(default), "{}={default}", attribute.key);
        }
    }
}

#[test]
fn no_key_stands_twice_in_a_scope() {
    for (index, attribute) in TABLE.iter().enumerate() {
        let first =
            TABLE.iter().position(|other| (other.scope, other.key) == (attribute.scope, attribute.key));
        assert_eq!(first, Some(index), "{}", attribute.key);
    }
}

#[test]
fn acc_s3_53_set_values_are_explicit_and_typed() {
    let mut attributes = Attributes::new(Scope::ApplicationTargetGroup);
    assert_eq!(attributes.seconds(DEREGISTRATION_DELAY), Some(Duration::from_secs(300)));
    attributes.set(DEREGISTRATION_DELAY, "30").unwrap();
    assert_eq!(attributes.seconds(DEREGISTRATION_DELAY), Some(Duration::from_secs(30)));
    assert_eq!(attributes.explicit().collect::<Vec<_>>(), [DEREGISTRATION_DELAY]);
    attributes.set_default(DEREGISTRATION_DELAY, "7");
    assert_eq!(attributes.get(DEREGISTRATION_DELAY), Some("30"));
}

#[test]
fn acc_s3_54_slow_start_is_zero_or_within_its_range() {
    let mut attributes = Attributes::new(Scope::ApplicationTargetGroup);
    for good in ["0", "30", "900"] {
        attributes.set(SLOW_START, good).unwrap();
    }
    for bad in ["29", "901", "-1", "x", ""] {
        let error = attributes.set(SLOW_START, bad).unwrap_err();
        assert!(matches!(error, AttributeError::Invalid { .. }), "{bad}");
    }
}

#[test]
fn unknown_keys_are_kept_and_reported_with_the_nearest_name() {
    let mut attributes = Attributes::new(Scope::Application);
    let error = attributes.set("idle_timeout.timeout_second", "5").unwrap_err();
    let nearest = Some(IDLE_TIMEOUT);
    assert_eq!(error, AttributeError::Unknown { key: "idle_timeout.timeout_second".into(), nearest });
    assert_eq!(attributes.get("idle_timeout.timeout_second"), Some("5"));
}

#[test]
fn acc_s3_27_acc_s3_28_buckets_and_prefixes_never_lead_out_of_a_folder() {
    let takes = |key: &str, value: &str| Attributes::new(Scope::Application).set(key, value).is_ok();
    for (bucket, is_good) in [
        ("retail-forecast-alb-logs", true),
        ("my.logs", true),
        ("", false),
        ("..", false),
        (".x", false),
        ("a/b", false),
        ("Logs", false),
    ] {
        assert_eq!(takes(ACCESS_LOGS_BUCKET, bucket), is_good, "{bucket}");
    }
    for (prefix, is_good) in [
        ("alb-access-logs", true),
        ("a/b=c/d", true),
        ("", true),
        ("a/../b", false),
        ("/a", false),
        ("a/", false),
        ("a/AWSLogs", false),
        ("a b", false),
    ] {
        assert_eq!(takes(CONNECTION_LOGS_PREFIX, prefix), is_good, "{prefix}");
    }
    // A folder of such a name can be on no disk.
    for (length, is_good) in [(255, true), (256, false)] {
        assert_eq!(takes(ACCESS_LOGS_PREFIX, &format!("a/{}", "b".repeat(length))), is_good, "{length}");
    }
}
