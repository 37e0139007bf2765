use super::*;
use proptest::prelude::*;

const GOOD: &str =
    "POST /v2/models/iris/infer?x=1 HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 3\r\nX-A:  b \r\n\r\n";

fn parse(head: &str) -> Result<RequestHead, Rejection> {
    let mut scan = HeadScan::default();
    match scan.find_end(head.as_bytes())? {
        Some(end) => parse_request(&head.as_bytes()[..end], &Limits::default()),
        None => panic!("incomplete: {head:?}"),
    }
}

#[test]
fn a_plain_head_is_read_into_its_parts() {
    let head = parse(GOOD).unwrap();
    assert_eq!(head.method, Method::POST);
    assert_eq!((head.target.path(), head.target.query()), ("/v2/models/iris/infer", Some("x=1")));
    assert_eq!(head.fields.get("x-a"), Some(b"b".as_slice()));
    assert_eq!(head.framing, Framing::Length(3));
    assert!(head.keep_alive);
}

/// The table of ambiguous heads: what each proxy makes of them differs, so none of them passes.
#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    let with = |fields: &str| format!("POST / HTTP/1.1\r\n{fields}\r\n");
    let host = |fields: &str| with(&format!("Host: a\r\n{fields}"));
    for (head, reason) in [
        (host("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), "content-length-and-transfer-encoding"),
        (host("Content-Length: 4\r\nContent-Length: 5\r\n"), "malformed-content-length"),
        (host("Content-Length: 4\r\nContent-Length: 4\r\n"), "malformed-content-length"),
        (host("Content-Length: +4\r\n"), "malformed-content-length"),
        (host("Content-Length: 4, 4\r\n"), "malformed-content-length"),
        (host("Transfer-Encoding: xchunked\r\n"), "unknown-transfer-encoding"),
        (host("Transfer-Encoding: gzip, chunked\r\n"), "unknown-transfer-encoding"),
        (host("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "malformed-transfer-encoding"),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(), "malformed-transfer-encoding"),
        (host("X-A : 1\r\n"), "malformed-head"),
        (host("X-A: 1\r\n folded\r\n"), "malformed-head"),
        (host("X-A: 1\0\r\n"), "malformed-head"),
        (host("X-A: 1\r2\r\n"), "malformed-head"),
        (host(": 1\r\n"), "malformed-head"),
        (host("X-A: 1\n"), "bare-line-feed"),
        ("GET / HTTP/1.1\nHost: a\n\n".into(), "bare-line-feed"),
        (with(""), "no-host"),
        (with("Host: a\r\nHost: b\r\n"), "several-hosts"),
        (with("Host: a\r\nHost: a\r\n"), "several-hosts"),
        (with("Host: user@a\r\n"), "malformed-host"),
        (with("Host: a/b\r\n"), "malformed-host"),
        (with("Host: a b\r\n"), "malformed-host"),
        (with("Host:\r\n"), "malformed-host"),
        (with("Host: :80\r\n"), "malformed-host"),
        (with("Host: :\r\n"), "malformed-host"),
        (with("Host: [::1\r\n"), "malformed-host"),
        (with("Host: []:80\r\n"), "malformed-host"),
        (with("Host: ]:[:9\r\n"), "malformed-host"),
        (with("Host: a:80:90\r\n"), "malformed-host"),
        (with("Host: a:b\r\n"), "malformed-host"),
        (with("Host: a%zz\r\n"), "malformed-host"),
        (with("Host: a%00\r\n"), "malformed-host"),
        ("GET http://:80/ HTTP/1.1\r\nHost: a\r\n\r\n".into(), "malformed-host"),
        ("GET http://a/ HTTP/1.1\r\n\r\n".into(), "no-host"),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".into(), "several-hosts"),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n".into(), "malformed-target"),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n".into(), "malformed-target"),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n".into(), "malformed-target"),
        ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n".into(), "malformed-target"),
        ("GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n".into(), "malformed-target"),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "malformed-head"),
        ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "malformed-head"),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n".into(), "connect-not-served"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), "unknown-version"),
        (host("Expect: something\r\n"), "unknown-expectation"),
    ] {
        let refused = parse(&head).err().map(|rejection| rejection.reason);
        assert_eq!(refused, Some(reason), "{head:?}");
    }
}

#[test]
fn an_absolute_target_names_the_host() {
    let head = parse("GET http://B.example.com:8080?q HTTP/1.1\r\nHost: a.example.com\r\n\r\n").unwrap();
    assert_eq!(head.target.as_str(), "/?q");
    assert_eq!(head.fields.all("host").collect::<Vec<_>>(), [b"B.example.com:8080"]);
    let old = parse("GET http://b/x HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(old.fields.all("host").collect::<Vec<_>>(), [b"b"]);
}

#[test]
fn http_10_closes_unless_asked_not_to() {
    assert!(!parse("GET / HTTP/1.0\r\n\r\n").unwrap().keep_alive);
    assert!(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").unwrap().keep_alive);
    assert!(!parse("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n").unwrap().keep_alive);
}

#[test]
fn too_many_fields_are_refused() {
    let fields = "X-A: 1\r\n".repeat(100);
    let rejection = parse(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).unwrap_err();
    assert_eq!(rejection.reason, "too-many-fields");
}

#[test]
fn an_ambiguous_response_is_refused() {
    let parse = |fields: &str| parse_response(format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes());
    assert_eq!(parse("Content-Length: 3\r\n").unwrap().framing, Some(Framing::Length(3)));
    assert_eq!(parse("").unwrap().framing, None);
    for bad in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 3\r\nContent-Length: 3\r\n",
        "Content-Length: x\r\n",
        "Transfer-Encoding: gzip\r\n",
        "X-A : 1\r\n",
    ] {
        assert!(parse(bad).is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn the_end_of_a_head_does_not_depend_on_how_it_arrives(cuts in prop::collection::vec(0..GOOD.len(), 0..6)) {
        let mut scan = HeadScan::default();
        let mut cuts = cuts;
        cuts.sort_unstable();
        for cut in cuts {
            prop_assert_eq!(scan.find_end(&GOOD.as_bytes()[..cut]), Ok(None));
        }
        prop_assert_eq!(scan.find_end(GOOD.as_bytes()), Ok(Some(GOOD.len())));
    }

    #[test]
    fn heads_of_any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        crate::fuzzing::heads(&bytes);
    }
}
