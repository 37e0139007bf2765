//! What is done to requests of a route and to their answers: annotations of ours on whatever routes are made from, an
//! Ingress (all its rules and its default backend) or an InferenceService (its hosts, and its path under
//! `/serving/`).

mod cors;
mod field_edits;
mod mirror;
mod policy;

use plan::{Compression, FieldSide, RateLimit, ResponseCache};

use super::values::boolean;
use super::{Annotation, Apply, On, Problem};

pub(super) const ANNOTATIONS: &[Annotation] = &[
    Annotation {
        key: "request-headers",
        on: On::Route,
        example: r#"{"set": {"x-tenant": "ml"}, "remove": ["x-debug"]}"#,
        doc: "Header fields that targets get with another value, or not, as YAML or JSON: `set` maps names to \
              values, `remove` lists names. Fields of connections and framing, `host`, `cookie` and \
              `x-forwarded-*` stay what they are.",
        apply: Apply::Handling(|handling, input| {
            handling.request_fields = Some(field_edits::read(FieldSide::Request, input)?);
            Ok(())
        }),
    },
    Annotation {
        key: "response-headers",
        on: On::Route,
        example: r#"{"set": {"cache-control": "no-store"}, "remove": ["x-powered-by"]}"#,
        doc: "The same for header fields of answers, those that the load balancer gives itself among them.",
        apply: Apply::Handling(|handling, input| {
            handling.answer_fields = Some(field_edits::read(FieldSide::Answer, input)?);
            Ok(())
        }),
    },
    Annotation {
        key: "cors",
        on: On::Route,
        example: r#"{"allowOrigins": ["https://*.example.com"], "allowHeaders": ["x-api-key"], "maxAge": 600}"#,
        doc: "Pages of which origins may send requests and read the answers: origins between commas (`*` for \
              all, `*.` for one label), or YAML or JSON with `allowOrigins`, `allowMethods`, `allowHeaders` (all \
              where nothing is said), `exposeHeaders`, `allowCredentials`, `maxAge` in seconds. A browser that \
              asks first is answered by the load balancer, by the rule that its request would come to, whatever \
              header fields that rule asks for.",
        apply: Apply::Handling(|handling, input| {
            handling.cors = Some(cors::read(input)?);
            Ok(())
        }),
    },
    Annotation {
        key: "redirect-status",
        on: On::Route,
        example: "308",
        doc: "The status of the Ingress's redirects, those of `ssl-redirect` too: 307 (for now) or 308 (for \
              good), with which a POST stays a POST with its body. An ALB has 301 and 302 only, with which \
              clients make a GET of it.",
        apply: Apply::Handling(|handling, input| {
            handling.redirect_status = Some(redirect_status(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "served-by",
        on: On::Route,
        example: "true",
        doc: "`true` has answers of targets tell who gave them: `x-served-by: <service>/<revision>/<target>`, \
              where the revision is the `pod-template-hash` of the target's pod, or `-`.",
        apply: Apply::Handling(|handling, input| {
            handling.tells_target = boolean(input.text)?;
            Ok(())
        }),
    },
    Annotation {
        key: "retries",
        on: On::Route,
        example: "1",
        doc: "How often a request that a target may have seen is sent again after that failed, 0 to 3, by itself \
              as often as the budget for retries and hedges allows (a tenth of all requests, or three a second), \
              which holds in any case. With 0 none goes out twice, not even when a target closes a kept \
              connection under it, unless `hedge` says so; what no target took goes to another.",
        apply: Apply::Handling(|handling, input| {
            handling.retries = Some(policy::retries(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "per-try-timeout",
        on: On::Route,
        example: "2s",
        doc: "How long a target may take to begin its answer, 1ms to 1h. Then a request that may be repeated \
              goes to another target as `retries` and the budget allow, and else is answered with 504.",
        apply: Apply::Handling(|handling, input| {
            handling.try_timeout = Some(policy::time(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "hedge",
        on: On::Route,
        example: "after=200ms",
        doc: "When another target is asked beside one that says nothing, within the budget: `after=` a time (1ms \
              to 1h) for every request that may be repeated, or `off`. By itself that is where targets only \
              predict, and when one is silent for a quarter of a second, and three times as long as nearly all \
              of its answers take.",
        apply: Apply::Handling(|handling, input| {
            handling.hedging = Some(policy::hedging(input.text)?);
            Ok(())
        }),
    },
    Annotation {
        key: "rate-limit",
        on: On::Route,
        example: "10/s, burst=20, by=address",
        doc: "How often one client may ask: so many requests a second, minute or hour (`s`, `m`, `h`), and `burst` at once (the same \
              number where nothing is said). One client is one address, or one /64 of IPv6, or with `by=header:NAME` one value of a \
              header field (of several each counts); of requests that come over a `--trusted-proxy` the address counts that it names in \
              `X-Forwarded-For`. What comes beyond it is answered with 429 and `retry-after`. All cores and all routes of an object count together.",
        apply: Apply::Handling(|handling, input| {
            handling.rate_limit = Some(RateLimit::parse(input.text).map_err(|error| error.to_string())?);
            Ok(())
        }),
    },
    Annotation {
        key: "compression",
        on: On::Route,
        example: "gzip, zstd",
        doc: "How answers of targets are compressed for clients that take that, the best liked first: texts of 1 KiB or more that are \
              not compressed already. What says `cache-control: no-transform` stays as it is, and so do event streams and gRPC. Leave it \
              off where a page repeats what came with a request beside a secret: lengths would tell of it (BREACH).",
        apply: Apply::Handling(|handling, input| {
            handling.compression = Some(Compression::parse(input.text).map_err(|error| error.to_string())?);
            Ok(())
        }),
    },
    Annotation {
        key: "mirror",
        on: On::Route,
        example: r#"{"serviceName": "shadow", "servicePort": 80, "percent": 10}"#,
        doc: "So many of a hundred requests (all, where nothing is said) go to another Service of the namespace too, or of an \
              InferenceService to another one. Its answers are thrown away, and neither its failures nor its slowness touch the \
              request. A copy has the field `x-forebay-mirrored: 1`. What has a body that is not kept for retries is not copied.",
        apply: Apply::Handling(|handling, input| {
            handling.mirror = Some(mirror::read(input)?);
            Ok(())
        }),
    },
    Annotation {
        key: "cache",
        on: On::Route,
        example: "64MB, ttl=60s",
        doc: "So many bytes of answers to GET are kept for those who ask the same again, as RFC 9111 lets a shared cache do that: as \
              long as `cache-control` or `expires` says that they are fresh, and `ttl` where they say nothing; `object` is the most \
              for one answer. What has `set-cookie`, and what is for one client only, is not kept, and requests with cookies are \
              answered with nothing that does not say how long it is fresh, or `public`. Who sends `x-forwarded-host` or the like \
              has answers of its own. Of those who ask the same at the same time one of each core asks a target, and the others wait \
              for what it brings; `stale-while-revalidate` and `stale-if-error` do what RFC 5861 says. `cache-status` says what became of \
              a request. Predictions are POST, and are not kept.",
        apply: Apply::Handling(|handling, input| {
            handling.cache = Some(ResponseCache::parse(input.text).map_err(|error| error.to_string())?);
            Ok(())
        }),
    },
];

fn redirect_status(text: &str) -> Result<u16, Problem> {
    match text.trim() {
        "301" => Ok(301),
        "302" => Ok(302),
        "307" => Ok(307),
        "308" => Ok(308),
        _ => Err(format!("`{text}` is not 301, 302, 307 or 308").into()),
    }
}
