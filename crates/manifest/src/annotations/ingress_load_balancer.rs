//! What an Ingress says about the load balancer as a whole.

use super::settings::WebAcl;
use super::values::{boolean, cidrs, integer, list, string_map};
use super::{Annotation, Apply, On, Problem, words};
use crate::codes;

pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "load-balancer-name",
        on: On::Ingress,
        example: "retail-api",
        doc: "Name of the load balancer, at most 32 letters, digits and hyphens.",
        apply: Apply::Ingress(|settings, input| {
            settings.name = Some(load_balancer_name(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "group.name",
        on: On::Ingress,
        example: "ml",
        doc: "Ingresses of one group share a load balancer.",
        apply: Apply::Ingress(|settings, input| {
            settings.group = Some(group_name(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "group.order",
        on: On::Ingress,
        example: "10",
        doc: "Place of the Ingress within its group, lower ones first.",
        apply: Apply::Ingress(|settings, input| {
            settings.group_order = integer(input.text, -1000..=1000)
                .map_err(|problem| Problem { code: &codes::GROUP_ORDER_INVALID, ..problem })?;
            Ok(())
        }),
    },
    Annotation {
        key: "scheme",
        on: On::Ingress,
        example: "internet-facing",
        doc: "Who the load balancer is meant for.",
        apply: Apply::Ingress(|settings, input| {
            settings.scheme = Some(words::scheme(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "ip-address-type",
        on: On::Ingress,
        example: "dualstack",
        doc: "Address families of the load balancer.",
        apply: Apply::Ingress(|settings, input| {
            settings.ip_address_type = Some(words::ip_address_type(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "subnets",
        on: On::Ingress,
        example: "subnet-a,subnet-b",
        doc: "Subnets on AWS; recorded only.",
        apply: Apply::IngressRecord(|settings, input| {
            settings.subnets = Some(list(input.text));
            Ok(())
        }),
    },
    Annotation {
        key: "customer-owned-ipv4-pool",
        on: On::Ingress,
        example: "ipv4pool-coip-a",
        doc: "Address pool on AWS Outposts; recorded only.",
        apply: Apply::IngressRecord(|settings, input| {
            settings.customer_owned_ipv4_pool = Some(input.text.trim().to_owned());
            Ok(())
        }),
    },
    Annotation {
        key: "ipam-ipv4-pool-id",
        on: On::Ingress,
        example: "ipam-pool-a",
        doc: "addresses on one machine come from no pool.",
        apply: Apply::Nothing,
    },
    Annotation {
        key: "security-groups",
        on: On::Ingress,
        example: "sg-a,sg-b",
        doc: "Security groups of the user's own, which then decide who may connect; recorded only.",
        apply: Apply::IngressRecord(|settings, input| {
            settings.security_groups = Some(list(input.text));
            Ok(())
        }),
    },
    Annotation {
        key: "manage-backend-security-group-rules",
        on: On::Ingress,
        example: "true",
        doc: "there are no security groups on one machine.",
        apply: Apply::Nothing,
    },
    Annotation {
        key: "inbound-cidrs",
        on: On::Ingress,
        example: "10.0.0.0/8",
        doc: "Addresses that may connect.",
        apply: Apply::Ingress(|settings, input| {
            settings.inbound_cidrs = Some(cidrs(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "security-group-prefix-lists",
        on: On::Ingress,
        example: "pl-0123",
        doc: "Prefix lists whose addresses may connect.",
        apply: Apply::Ingress(|settings, input| {
            settings.prefix_lists = Some(list(input.text));
            Ok(())
        }),
    },
    Annotation {
        key: "load-balancer-attributes",
        on: On::Ingress,
        example: "idle_timeout.timeout_seconds=120",
        doc: "Attributes of the load balancer.",
        apply: Apply::Ingress(|settings, input| {
            settings.attributes = string_map(input.text)?;
            Ok(())
        }),
    },
    Annotation {
        key: "minimum-load-balancer-capacity",
        on: On::Ingress,
        example: "CapacityUnits=100",
        doc: "Reserved capacity on AWS; recorded only.",
        apply: Apply::IngressRecord(|settings, input| {
            settings.capacity_units = Some(capacity_units(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "shield-advanced-protection",
        on: On::Ingress,
        example: "true",
        doc: "AWS Shield; recorded only.",
        apply: Apply::IngressRecord(|settings, input| {
            settings.shield = Some(boolean(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "wafv2-acl-arn",
        on: On::Ingress,
        example: "arn:aws:wafv2:eu-west-1:111122223333:regional/webacl/api/1234",
        doc: "Web ACL of the load balancer, `none` for no one.",
        apply: Apply::Ingress(|settings, input| {
            settings.web_acl = Some(web_acl(input.text, WebAcl::Arn));
            Ok(())
        }),
    },
    Annotation {
        key: "wafv2-acl-name",
        on: On::Ingress,
        example: "api",
        doc: "Web ACL of the load balancer by its name, `none` for no one.",
        apply: Apply::Ingress(|settings, input| {
            settings.web_acl = Some(web_acl(input.text, WebAcl::Name));
            Ok(())
        }),
    },
    Annotation {
        key: "waf-acl-id",
        on: On::Ingress,
        example: "none",
        doc: "AWS has ended WAF Classic; name a web ACL with wafv2-acl-arn.",
        apply: Apply::Nothing,
    },
    Annotation {
        key: "web-acl-id",
        on: On::Ingress,
        example: "none",
        doc: "AWS has ended WAF Classic; name a web ACL with wafv2-acl-arn.",
        apply: Apply::Nothing,
    },
    Annotation {
        key: "dry-run-plan",
        on: On::Ingress,
        example: "{}",
        doc: "the AWS controller writes it; `forebay plan` prints the same.",
        apply: Apply::Nothing,
    },
];

/// A name of a load balancer: at most 32 letters, digits and hyphens, no hyphen at the ends.
pub(crate) fn load_balancer_name(text: &str) -> Result<String, Problem> {
    let name = text.trim();
    let is_good = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if name.is_empty() || name.len() > 32 || !is_good || name.starts_with('-') || name.ends_with('-') {
        let message = format!("`{name}` is not a name of at most 32 letters, digits and hyphens");
        return Err(Problem::new(&codes::LOAD_BALANCER_NAME_INVALID, message));
    }
    Ok(name.to_owned())
}

/// A name of a group: at most 63 lower-case letters, digits, hyphens and dots.
pub(crate) fn group_name(text: &str) -> Result<String, Problem> {
    let name = text.trim();
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        part.bytes().all(|byte| is_letter(byte) || byte == b'-')
            && part.bytes().next().is_some_and(is_letter)
            && part.bytes().last().is_some_and(is_letter)
    };
    if name.len() > 63 || !name.split('.').all(is_part) {
        let message = format!("`{name}` is not a name of at most 63 lower-case letters, digits, `-` and `.`");
        return Err(Problem::new(&codes::GROUP_NAME_INVALID, message));
    }
    Ok(name.to_owned())
}

/// `CapacityUnits=<n>`.
pub(super) fn capacity_units(text: &str) -> Result<u32, Problem> {
    let map = string_map(text)?;
    let units = map.get("CapacityUnits").filter(|_| map.len() == 1);
    let units =
        units.ok_or_else(|| Problem::from(format!("`{text}` is not `CapacityUnits=` and a number")))?;
    super::values::count(units, 0..=u32::MAX)
}

fn web_acl(text: &str, named: fn(String) -> WebAcl) -> WebAcl {
    match text.trim() {
        "none" | "" => WebAcl::Nobody,
        name => named(name.to_owned()),
    }
}
