//! The codes of findings: one table, from which documentation is printed.

use super::Severity;

/// What a finding can be about.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    /// Stable, kebab-case.
    pub name: &'static str,
    /// How bad it is unless something else is said.
    pub severity: Severity,
    /// Its number among the lints, when it has one.
    pub lint: Option<&'static str>,
    /// What it means, in one sentence.
    pub doc: &'static str,
}

macro_rules! lint {
    () => {
        None
    };
    ($number:literal) => {
        Some($number)
    };
}

macro_rules! table {
    ($($name:ident = $severity:ident $code:literal $($lint:literal)? : $doc:literal;)*) => {
        /// Every code by name.
        pub mod codes {
            use super::{Code, Severity};
            $(
                #[doc = $doc]
                pub const $name: Code = Code {
                    name: $code,
                    severity: Severity::$severity,
                    lint: lint!($($lint)?),
                    doc: $doc,
                };
            )*
        }

        /// Every code there is, by severity and name.
        pub const CODES: &[Code] = &[$(codes::$name),*];
    };
}

table! {
    ACTION_INVALID = Error "action-invalid": "An action that a load balancer would not take.";
    ACTION_MISSING = Error "action-missing": "A backend names an action that no annotation defines.";
    ANNOTATION_INVALID = Error "annotation-invalid": "An annotation with a value that it does not take.";
    ANNOTATION_UNSUPPORTED = Error "annotation-unsupported": "An annotation that protects something, and that this build cannot follow.";
    API_VERSION_UNSUPPORTED = Error "api-version-unsupported": "A kind in a version that is not served.";
    ATTRIBUTE_CONFLICT = Error "attribute-conflict": "Members of one group set an attribute to different values.";
    ATTRIBUTE_INVALID = Error "attribute-invalid": "An attribute with a value that it does not take, or together with one that it does not go with.";
    BACKEND_PORT_MISSING = Error "backend-port-missing": "A backend names a port that its Service does not have.";
    BACKEND_RESOURCE = Error "backend-resource": "A backend is something else than a Service.";
    BACKEND_SERVICE_MISSING = Error "backend-service-missing" "FB015": "A backend names a Service that does not exist.";
    BACKEND_UNVERIFIABLE = Error "backend-unverifiable": "Targets that have to prove who they are, and nothing to check it with.";
    CERTIFICATE_MISSING = Error "certificate-missing": "A listener with TLS has no certificate.";
    CERTIFICATE_UNKNOWN = Error "certificate-unknown": "A certificate that the environment does not know.";
    CIDR_INVALID = Error "cidr-invalid": "A text that is not a range of addresses.";
    CONDITION_INVALID = Error "condition-invalid": "A condition that a load balancer would not take.";
    CONFIG_MISSING = Error "config-missing": "A container names a ConfigMap, Secret or key that does not exist.";
    DEFAULT_BACKEND_CONFLICT = Error "default-backend-conflict": "Two members of one group have a default backend.";
    DOCUMENT_INVALID = Error "document-invalid": "A document that is not YAML or JSON, or no Kubernetes object.";
    ENV_INVALID = Error "env-invalid": "A setting of the environment file with a value that it does not take.";
    FIELD_INVALID = Error "field-invalid": "A field with a value that it does not take.";
    FORMAT_UNSUPPORTED = Error "format-unsupported": "A model format that no runtime here reads.";
    FRAGMENT = Error "fragment" "FB020": "A document without metadata.name: part of an object, not an object.";
    GROUP_CONFLICT = Error "group-conflict": "Members of one group disagree about something that the group has only once.";
    GROUP_NAME_INVALID = Error "group-name-invalid": "A text that is not the name of a group.";
    GROUP_ORDER_INVALID = Error "group-order-invalid": "A group order that is no number from -1000 to 1000.";
    HEALTHCHECK_PORT_UNKNOWN = Error "healthcheck-port-unknown": "A health check port that the Service does not have.";
    HOST_CONFLICT = Error "host-conflict": "A host that could mean several things.";
    IMAGE_UNSUPPORTED = Error "image-unsupported": "A container whose image cannot be run as a process on this machine.";
    IPV6_WITHOUT_DUALSTACK = Error "ipv6-without-dualstack": "An IPv6 Service behind a load balancer without IPv6.";
    KIND_UNKNOWN = Error "kind-unknown": "A kind that nobody knows, with a name like that of one that is known.";
    LOAD_BALANCER_NAME_INVALID = Error "load-balancer-name-invalid": "A text that is not the name of a load balancer.";
    MUTUAL_AUTHENTICATION_INVALID = Error "mutual-authentication-invalid": "Client certificate settings that a load balancer would not take.";
    NAME_TAKEN = Error "name-taken": "An object has the name that is needed for one that Forebay makes.";
    PATH_INVALID = Error "path-invalid": "A path that cannot be matched as its type says.";
    PATH_RELATIVE = Error "path-relative": "A relative path of an object that came without the folder in which it starts.";
    PORT_CONFLICT = Error "port-conflict": "One port is wanted for two things.";
    PROTOCOL_UNSUPPORTED = Error "protocol-unsupported": "A protocol that this build does not carry.";
    PROXY_PROTOCOL_INVALID = Error "proxy-protocol-invalid": "A proxy protocol setting other than `*`.";
    SSL_PORTS_UNUSED = Error "ssl-ports-unused": "A TLS port that the Service does not have.";
    SSL_REDIRECT_PORT = Error "ssl-redirect-port": "A redirect to a port that is not an HTTPS listener.";
    SSL_POLICY_UNKNOWN = Error "ssl-policy-unknown": "A security policy that AWS does not have.";
    TARGET_GROUP_UNKNOWN = Error "target-group-unknown": "A target group that the environment does not know.";
    TARGET_TYPE_UNSUPPORTED = Error "target-type-unsupported": "A target type that does not go with the Service or the environment.";
    TRANSFORM_INVALID = Error "transform-invalid": "A transform that a load balancer would not take.";
    TRUST_STORE_UNKNOWN = Error "trust-store-unknown": "A trust store that the environment does not know, that is not on this machine, or that has nobody in it to trust.";
    WEB_ACL_UNKNOWN = Error "web-acl-unknown": "A web ACL that the environment does not know.";
    WORKLOAD_INVALID = Error "workload-invalid": "A workload that cannot be run as it is written.";

    ACTION_UNUSED = Warning "action-unused" "FB016": "An action that no rule leads to.";
    ANNOTATION_UNKNOWN = Warning "annotation-unknown": "An annotation that nobody knows.";
    ATTRIBUTE_UNKNOWN = Warning "attribute-unknown": "An attribute that nobody knows.";
    AUTO_MODE_IGNORES = Warning "auto-mode-ignores": "Something that EKS Auto Mode ignores.";
    AWS_LIMIT_EXCEEDED = Warning "aws-limit-exceeded": "More than the AWS service takes by default.";
    CERTIFICATE_ENDING = Warning "certificate-ending": "A certificate that has ended, has not begun, or ends within a week.";
    CERTIFICATE_HOSTS = Warning "certificate-hosts": "A certificate that is not for the hosts that it is shown to.";
    CERTIFICATE_INVALID = Warning "certificate-invalid": "A certificate or a key that nothing can be shown with.";
    CERTIFICATE_NOT_HERE = Warning "certificate-not-here": "A certificate that only AWS has: one of the local authority is shown.";
    CERTIFICATE_PLACEHOLDER = Warning "certificate-placeholder": "A certificate ARN in which something was left to fill in.";
    CERTIFICATE_REGION = Warning "certificate-region": "A certificate of another region than that of its load balancer, which AWS refuses.";
    CERTIFICATE_RENEW = Warning "certificate-renew": "A certificate that ends within a month.";
    ENV_UNKNOWN = Warning "env-unknown": "A setting of the environment file that nobody knows.";
    FIELD_UNKNOWN = Warning "field-unknown": "A field that the kind does not have.";
    HEALTHCHECK_PATH_UNUSED = Warning "healthcheck-path-unused" "FB008": "A health check path that AWS would not ask, because the check is a connection.";
    HEALTHCHECK_PORT_INSTANCE = Warning "healthcheck-port-instance": "A health check port that AWS would ask at the node, not at the pod.";
    HEALTHCHECK_TIMEOUT = Warning "healthcheck-timeout": "A health check that may take as long as the time between two.";
    INGRESS_CLASS_ANNOTATION = Info "ingress-class-annotation": "The deprecated annotation in place of spec.ingressClassName.";
    INIT_CONTAINERS = Warning "init-containers": "Init containers, which are not run on one machine.";
    LOG_WITHOUT_BUCKET = Warning "log-without-bucket": "A log that is turned on without a bucket to go to, which AWS refuses.";
    MIRROR_TO_ITSELF = Warning "mirror-to-itself": "Copies of requests go to the Service that gets the requests.";
    NLB_443_PLAINTEXT = Warning "nlb-443-plaintext" "FB011": "Port 443 without TLS.";
    NLB_ACCESS_LOG_WITHOUT_TLS = Warning "nlb-access-log-without-tls": "An access log that AWS would leave empty, because it holds TLS connections only.";
    OBJECT_REPLACED = Warning "object-replaced": "An object that a later one of the same kind, namespace and name replaces.";
    OURS_ONLY = Warning "ours-only": "Something that only Forebay does: AWS refuses it, or does nothing of it.";
    PROBE_PORT_UNDECLARED = Warning "probe-port-undeclared": "A probe that asks a port which its container does not have.";
    PROTECTION_MISSING = Warning "protection-missing": "Something asks for protection that nothing here gives: an error where others than this machine can reach it.";
    RULE_SHADOWED = Warning "rule-shadowed": "A rule that no request reaches, because an earlier one matches first.";
    SELECTOR_MATCHES_NOTHING = Warning "selector-matches-nothing": "A Service that selects no workload.";
    SSL_REDIRECT_WITHOUT_HTTP = Warning "ssl-redirect-without-http" "FB014": "A redirect to HTTPS without an HTTP listener to redirect.";
    TARGET_PORT_MISSING = Warning "target-port-missing": "A target port that no container of the selected pods has.";
    TLS_WITHOUT_HTTPS = Warning "tls-without-https": "Certificates, or other settings of TLS, for a load balancer without a listener that speaks it.";
    TOKEN_WEAK = Warning "token-weak": "A header value that guards a rule and can be guessed.";
    WAY_UNGUARDED = Warning "way-unguarded": "A rule or a load balancer that leads to pods without the guard that another way to them has.";

    ANNOTATION_NO_EFFECT = Info "annotation-no-effect": "An annotation that is understood and has no effect here yet.";
    CERTIFICATE_MENDED = Info "certificate-mended": "A file with a certificate in another order than it is sent in.";
    CERTIFICATE_ISSUED = Info "certificate-issued": "A certificate that the local authority is to issue.";
    DESYNC_MODE = Info "desync-mode": "A desync mitigation mode that lets requests through which are refused here.";
    FIELD_NO_EFFECT = Info "field-no-effect": "A field that is understood and has no effect here yet.";
    HEALTHCHECK_TIMEOUT_FIXED = Info "healthcheck-timeout-fixed" "FB010": "A health check timeout that older AWS controllers ignore.";
    HTTP2_IN_CLEAR = Info "http2-in-clear": "Targets of HTTP/2 behind a listener without TLS, which speaks HTTP/1.1 only on AWS.";
    KIND_IGNORED = Info "kind-ignored": "Objects of a kind that has no effect here.";
    METRICS_PUBLIC = Info "metrics-public": "Metrics that everybody can read.";
    NLB_BACKEND_PROTOCOL = Info "nlb-backend-protocol" "FB007": "A backend protocol that a Network Load Balancer does not know.";
    NLB_CONTROLLER = Info "nlb-controller": "A Service that the AWS controller takes only by default.";
    NOT_OURS = Info "not-ours": "An object that belongs to another controller.";
    OPEN_TO_EVERYBODY = Info "open-to-everybody": "Source ranges of a load balancer on the internet that let everybody in.";
    RATE_LIMIT_COMMENT = Info "rate-limit-comment" "FB017": "A comment promises rate limiting where nothing limits a rate.";
    RULE_DROPPED = Info "rule-dropped": "A rule that an earlier redirect makes needless.";
    SCALE_TO_ZERO = Info "scale-to-zero": "Zero replicas asked for, one kept.";
    SCHEME_DEFAULT = Info "scheme-default": "A load balancer that is internal because nobody says otherwise.";
    SEPARATE_LOAD_BALANCERS = Info "separate-load-balancers": "Ingresses without a group, each with a load balancer of its own.";
    TOKEN_EXACT = Info "token-exact": "A secret in a header that is compared to the letter here, and in any case on AWS.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_lint_numbers_are_kept_once_and_in_kebab_case() {
        for (index, code) in CODES.iter().enumerate() {
            assert!(
                code.name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            );
            assert_eq!(CODES.iter().position(|other| other.name == code.name), Some(index), "{}", code.name);
        }
    }
}
