//! Who is let in.

use super::*;

#[test]
fn nobody_is_let_in_without_the_token_or_under_another_name() {
    let api = api();
    let ask = |path: &str, host: &str, token: &str| {
        let request = Request::get(path).header("host", host).header("authorization", token);
        api.handle(&request.body(Bytes::new()).unwrap()).status().as_u16()
    };
    assert_eq!(ask("/api/v1/namespaces", "localhost:7443", "Bearer secret"), 200);
    assert_eq!(ask("/api/v1/namespaces", "localhost:7443", "Bearer guess"), 401);
    assert_eq!(ask("/api/v1/namespaces", "evil.example", "Bearer secret"), 403);
    assert_eq!(ask("/nowhere", "localhost", "Bearer guess"), 401, "nobody learns which paths there are");
    assert_eq!(ask("/readyz", "localhost", ""), 200);
    assert_eq!(ask("/readyz", "evil.example", ""), 403);
}

#[test]
fn the_kubeconfig_keeps_the_token_where_kubectl_shows_no_secret() {
    let (token, address) = (new_token(), "127.0.0.1:7443".parse().unwrap());
    let config = kubeconfig(address, "-----BEGIN CERTIFICATE-----", &token);
    assert!(config.contains("server: https://127.0.0.1:7443\n"), "{config}");
    assert!(
        config.contains("certificate-authority-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t\n"),
        "{config}"
    );
    assert!(config.ends_with(&format!("  user:\n    token: {token}\n")), "{config}");
    assert_eq!(config.matches(&token).count(), 1);
}

#[test]
fn a_stranger_is_told_so_by_the_head_alone() {
    let api = api();
    let head = |authorization: &str, host: &str| {
        let head = Request::post(SERVICES).header("host", host).header("authorization", authorization);
        api.refuse(&head.body(Bytes::new()).unwrap()).map(|refusal| refusal.status().as_u16())
    };
    assert_eq!(head(&format!("Bearer {TOKEN}"), "localhost"), None);
    assert_eq!(head("Bearer x", "localhost"), Some(401));
    assert_eq!(head(&format!("Bearer {TOKEN}"), "evil.example"), Some(403));
}
