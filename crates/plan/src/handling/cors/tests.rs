//! Who is allowed what.

use super::*;

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn cors(origins: &[&str]) -> Result<Cors, CorsError> {
    Cors::new(CorsWish { origins: texts(origins), ..CorsWish::default() })
}

#[test]
fn origins_are_exact_or_have_one_label_of_any_name() {
    let one =
        cors(&["https://App.example.com:443", "https://*.pages.example", "http://localhost:3000"]).unwrap();
    for good in ["https://app.example.com", "https://a-1.pages.example", "http://localhost:3000"] {
        assert!(one.allows_origin(good), "{good}");
    }
    for bad in [
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "https://evil-app.example.com",
        "https://pages.example",
        "https://.pages.example",
        "https://a.b.pages.example",
        "https://evil.example/.pages.example",
        "https://evil.example#.pages.example",
        "http://localhost:3001",
        "null",
        "",
    ] {
        assert!(!one.allows_origin(bad), "{bad}");
    }
    let all = cors(&["*"]).unwrap();
    assert!(all.is_for_all() && all.allows_origin("null"));
}

#[test]
fn what_is_no_origin_or_gives_everything_away_is_refused() {
    for wrong in [
        "app.example.com",
        "https://",
        "https://a.example/",
        "https://a.*.example",
        "https://*",
        "https://*.com",
        "https://*.com:8443",
        "null",
    ] {
        assert!(matches!(cors(&[wrong]), Err(CorsError::Origin { .. })), "{wrong}");
    }
    assert_eq!(cors(&[]), Err(CorsError::NoOrigin));
    let with = |origins: &[&str], headers: &[&str]| {
        let (origins, headers) = (texts(origins), Some(texts(headers)));
        Cors::new(CorsWish { origins, headers, credentials: true, ..CorsWish::default() })
    };
    assert_eq!(with(&["*"], &[]), Err(CorsError::AllWithCredentials { field: "allowOrigins" }));
    assert_eq!(
        with(&["https://a.example"], &["*"]),
        Err(CorsError::AllWithCredentials { field: "allowHeaders" })
    );
    assert!(matches!(with(&["https://a.example"], &["x y"]), Err(CorsError::Name { .. })));
    let many = vec!["https://a.example"; MOST + 1];
    assert_eq!(cors(&many), Err(CorsError::TooMuch { field: "allowOrigins", most: MOST }));
}

#[test]
fn a_browser_is_told_what_it_may_or_what_it_may_not() {
    let wish = CorsWish {
        origins: texts(&["https://a.example"]),
        methods: Some(texts(&["PUT"])),
        headers: Some(texts(&["X-Api-Key", "content-type"])),
        ..CorsWish::default()
    };
    let some = Cors::new(wish.clone()).unwrap();
    let any = Cors::new(CorsWish { methods: Some(texts(&["*"])), headers: None, ..wish.clone() }).unwrap();
    let all = Cors::new(CorsWish { headers: Some(texts(&["*"])), ..wish }).unwrap();
    let asks = |cors: &Cors, origin: &str, method: &str, headers: &str| {
        let (origin, method, headers) = (origin.to_owned(), method.to_owned(), headers.to_owned());
        let preflight = Preflight { origin, method, headers };
        cors.grant(&preflight).map(|(methods, headers)| format!("{methods}; {headers}"))
    };
    let a = "https://a.example";
    assert_eq!(asks(&some, a, "PUT", "x-api-key"), Ok("PUT; x-api-key, content-type".to_owned()));
    assert_eq!(asks(&some, a, "POST", ""), Ok("PUT; x-api-key, content-type".to_owned()));
    assert_eq!(asks(&some, a, "DELETE", ""), Err(Refused::Method));
    assert_eq!(asks(&some, a, "PUT", "x-api-key,x-b"), Err(Refused::Header));
    assert_eq!(asks(&some, "https://b.example", "PUT", ""), Err(Refused::Origin));
    assert_eq!(asks(&any, a, "DELETE", "x-a, authorization"), Ok("*; x-a, authorization".to_owned()));
    assert_eq!(asks(&any, a, "PUT", "x-a\r\nx: y"), Err(Refused::Header));
    assert_eq!(asks(&any, a, "PUT", &"x,".repeat(4096)), Err(Refused::Header));
    assert_eq!(asks(&all, a, "PUT", "x-a"), Ok("PUT; *".to_owned()));
    assert_eq!(asks(&all, a, "PUT", "authorization"), Err(Refused::Header));
}

#[test]
fn a_preflight_is_an_options_that_says_for_whom_and_which_method() {
    let fields = |names: &[&str]| -> Vec<(String, String)> {
        names.iter().map(|name| ((*name).to_owned(), "PUT".to_owned())).collect()
    };
    let whole = fields(&["Origin", "Access-Control-Request-Method"]);
    assert!(Preflight::in_fields("OPTIONS", &whole).is_some());
    assert!(Preflight::in_fields("GET", &whole).is_none());
    for less in [&["origin"][..], &["access-control-request-method"], &[]] {
        assert!(Preflight::in_fields("OPTIONS", &fields(less)).is_none());
    }
    let twice = fields(&["origin", "origin", "access-control-request-method"]);
    assert!(Preflight::in_fields("OPTIONS", &twice).is_none());
}
