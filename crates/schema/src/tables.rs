//! The tables, which are text in this binary and are read once, when they are first asked for.

use std::sync::LazyLock;

use crate::Type;
use crate::parse;

/// Every table, with its name.
pub(crate) const TABLES: &[(&str, &str)] = &[
    ("access", include_str!("tables/access.schema")),
    ("addons", include_str!("tables/addons.schema")),
    ("admission", include_str!("tables/admission.schema")),
    ("apps", include_str!("tables/apps.schema")),
    ("autoscaling", include_str!("tables/autoscaling.schema")),
    ("batch", include_str!("tables/batch.schema")),
    ("config", include_str!("tables/config.schema")),
    ("container", include_str!("tables/container.schema")),
    ("extensions", include_str!("tables/extensions.schema")),
    ("gateway", include_str!("tables/gateway.schema")),
    ("kserve", include_str!("tables/kserve.schema")),
    ("meta", include_str!("tables/meta.schema")),
    ("metrics", include_str!("tables/metrics.schema")),
    ("networking", include_str!("tables/networking.schema")),
    ("node", include_str!("tables/node.schema")),
    ("pod", include_str!("tables/pod.schema")),
    ("policy", include_str!("tables/policy.schema")),
    ("service", include_str!("tables/service.schema")),
    ("storage", include_str!("tables/storage.schema")),
    ("volumes", include_str!("tables/volumes.schema")),
];

static ALL: LazyLock<Vec<Type>> = LazyLock::new(|| parse::tables(TABLES).expect("the tests read the tables"));

/// Every type there is.
pub(crate) fn all() -> &'static [Type] {
    &ALL
}
