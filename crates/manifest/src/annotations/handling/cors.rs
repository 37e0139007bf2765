//! `cors`: in the words of Gateway API's HTTPCORSFilter, or origins alone.

use plan::{Cors, CorsWish};
use serde::Deserialize;
use serde_json::Value;

use crate::annotations::values::{list, typed, yaml_value};
use crate::annotations::{Input, Problem};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CorsWire {
    #[serde(default)]
    allow_origins: Vec<String>,
    allow_methods: Option<Vec<String>>,
    allow_headers: Option<Vec<String>>,
    #[serde(default)]
    expose_headers: Vec<String>,
    #[serde(default)]
    allow_credentials: bool,
    max_age: Option<u32>,
}

pub(super) fn read(input: &mut Input<'_>) -> Result<Cors, Problem> {
    // In YAML a `*` begins something else.
    let value = if input.text.trim() == "*" { Value::from("*") } else { yaml_value(input)? };
    let wish = match value {
        Value::String(origins) => CorsWish { origins: list(&origins), ..CorsWish::default() },
        Value::Array(_) => CorsWish { origins: typed(&value, input)?, ..CorsWish::default() },
        _ => {
            let wire: CorsWire = typed(&value, input)?;
            CorsWish {
                origins: wire.allow_origins,
                methods: wire.allow_methods,
                headers: wire.allow_headers,
                exposed_headers: wire.expose_headers,
                credentials: wire.allow_credentials,
                max_age_seconds: wire.max_age,
            }
        }
    };
    Cors::new(wish).map_err(|error| error.to_string().into())
}
