//! `transforms.<service>`: how requests to a backend are rewritten before they are sent.

use plan::{Rewrite, Transform, TransformPart};
use serde::Deserialize;

use super::conditions::has_possessive_quantifier;
use super::values::json;
use super::{Annotation, Apply, Input, On, Problem};
use crate::codes;

pub(super) const ANNOTATIONS: &[Annotation] = &[Annotation {
    key: "transforms.<service>",
    on: On::Ingress,
    example: r#"[{"type":"url-rewrite","urlRewriteConfig":{"rewrites":[{"regex":"^/a","replace":"/b"}]}}]"#,
    doc: "How host and URL of requests to a backend are rewritten before they are sent there.",
    apply: Apply::Ingress(|settings, input| {
        let transforms = transforms(input)?;
        settings.transforms.insert(input.parameter.to_owned(), transforms);
        Ok(())
    }),
}];

/// The longest expression and replacement, in characters.
const MAX_TEXT: usize = 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TransformWire {
    #[serde(rename = "type")]
    transform_type: String,
    url_rewrite_config: Option<RewritesWire>,
    host_header_rewrite_config: Option<RewritesWire>,
}

#[derive(Deserialize)]
struct RewritesWire {
    #[serde(default)]
    rewrites: Vec<RewriteWire>,
}

#[derive(Deserialize)]
struct RewriteWire {
    regex: String,
    #[serde(default)]
    replace: String,
}

fn invalid(message: impl Into<String>) -> Problem {
    Problem::new(&codes::TRANSFORM_INVALID, message)
}

fn transforms(input: &mut Input<'_>) -> Result<Vec<Transform>, Problem> {
    let wires: Vec<TransformWire> = json(input)?;
    let transforms = wires.into_iter().map(transform).collect::<Result<Vec<_>, _>>()?;
    for part in TransformPart::ALL {
        if transforms.iter().filter(|transform| transform.part == part).count() > 1 {
            return Err(invalid(format!("a rule has one {} at most", part.as_str())));
        }
    }
    Ok(transforms)
}

fn transform(wire: TransformWire) -> Result<Transform, Problem> {
    let written = wire.transform_type;
    let part = TransformPart::ALL.into_iter().find(|part| part.as_str() == written);
    let part = part.ok_or_else(|| {
        let known = TransformPart::ALL.map(TransformPart::as_str).join(" or ");
        invalid(format!("type `{written}` is not {known}"))
    })?;
    let config = match part {
        TransformPart::Url => wire.url_rewrite_config,
        TransformPart::HostHeader => wire.host_header_rewrite_config,
    };
    let rewrites = config.map(|config| config.rewrites).filter(|rewrites| !rewrites.is_empty());
    let missing = || invalid(format!("{} needs a `{}` with `rewrites`", part.as_str(), part.config()));
    let rewrites = rewrites.ok_or_else(missing)?.into_iter().map(|wire| rewrite(wire, part));
    Ok(Transform { part, rewrites: rewrites.collect::<Result<_, _>>()? })
}

fn rewrite(wire: RewriteWire, part: TransformPart) -> Result<Rewrite, Problem> {
    let RewriteWire { regex, replace } = wire;
    if regex.is_empty() || regex.chars().count() > MAX_TEXT || replace.chars().count() > MAX_TEXT {
        return Err(invalid(format!("`regex` has 1 to {MAX_TEXT} characters, `replace` at most {MAX_TEXT}")));
    }
    if has_possessive_quantifier(&regex) {
        return Err(invalid(format!(
            "`{regex}` has a possessive quantifier, which a load balancer does not take"
        )));
    }
    let regex = part.search(&regex).map_err(|error| invalid(error.to_string()))?;
    Ok(Rewrite { regex, replace })
}
