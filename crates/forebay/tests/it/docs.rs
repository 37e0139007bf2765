//! `/docs` in a real browser: the operations are there, and trying one answers 200.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use testkit::{Request, wait_until};

use crate::bundled;

/// A headless browser behind its driver (WebDriver, W3C Recommendation).
struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser that finds a host at an address.
    fn start(host: &str, address: SocketAddr) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed: `cargo xtask test` does it where it may");
        let profile = tempfile::tempdir().unwrap();
        let driver_address = SocketAddr::from(([127, 0, 0, 1], port));
        wait_until("chromedriver answers", || Request::get(driver_address, "/status").try_send().is_ok());
        let options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--window-size=1200,1600",
            format!("--user-data-dir={}", profile.path().display()),
            format!("--host-resolver-rules=MAP {host} {}", address.ip()),
        ]});
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let session = Request::post(driver_address, "/session", &wanted.to_string()).send();
        let session = session.json()["value"]["sessionId"].as_str().expect(&session.text).to_owned();
        Self { driver, address: driver_address, session, _profile: profile }
    }

    fn ask(&self, command: &str, body: &Value) -> Value {
        let target = format!("/session/{}/{command}", self.session);
        let answer = Request::post(self.address, &target, &body.to_string()).send();
        assert_eq!(answer.status, 200, "{command}: {}", answer.text);
        answer.json()["value"].take()
    }

    fn open(&self, url: &str) {
        let _ = self.ask("url", &json!({ "url": url }));
    }

    /// The value of a script's `return`.
    fn script(&self, script: &str) -> Value {
        self.ask("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Clicks the first element that a selector finds, once it is there.
    fn click(&self, selector: &str) {
        let script = format!(
            "const e = document.querySelector(`{selector}`); if (!e) return false; e.click(); return true;"
        );
        wait_until(&format!("`{selector}` is on the page"), || self.script(&script) == true);
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = Request::new("DELETE", self.address, &format!("/session/{}", self.session)).try_send();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Opens `/docs`, tries an operation with the example that is filled in, and returns the status shown.
fn try_it(endpoint: (SocketAddr, String), path: &str) -> String {
    let (address, host) = endpoint;
    let host = if host.is_empty() { address.ip().to_string() } else { host };
    let browser = Browser::start(&host, address);
    browser.open(&format!("http://{host}:{}/docs", address.port()));
    let block = format!(".opblock-post:has([data-path='{path}'])");
    browser.click(&format!("{block} .opblock-summary-control"));
    let example = format!(
        "const e = document.querySelector(`{block} .body-param__text`); return !!e && e.value !== '';"
    );
    wait_until("the example is filled in", || browser.script(&example) == true);
    // The page offers to try at once, without a button in between.
    browser.click(&format!("{block} .execute"));
    let status = format!(
        "const e = document.querySelector(`{block} .live-responses-table .response .response-col_status`); return e ? e.innerText : '';"
    );
    let mut shown = String::new();
    wait_until("an answer is shown", || {
        shown = browser
            .script(&status)
            .as_str()
            .unwrap_or_default()
            .trim()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        shown.parse::<u16>().is_ok()
    });
    if let Some(folder) = std::env::var_os("FOREBAY_SCREENSHOTS") {
        let _ = browser.script(&format!("document.querySelector(`{block}`).scrollIntoView();"));
        screenshot(&browser, std::path::Path::new(&folder), path);
    }
    shown
}

/// Keeps a picture of the page for people to look at.
fn screenshot(browser: &Browser, folder: &std::path::Path, path: &str) {
    let target = format!("/session/{}/screenshot", browser.session);
    let picture = Request::get(browser.address, &target).send().json()["value"].as_str().unwrap().to_owned();
    let name: String = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    std::fs::write(folder.join(format!("docs{name}.png")), from_base64(&picture)).unwrap();
}

/// Bytes of base64 text (RFC 4648 §4), as drivers send pictures.
fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |letter: u8| ALPHABET.iter().position(|known| *known == letter).map(|value| value as u32);
    let values: Vec<u32> = text.bytes().filter_map(value).collect();
    let group = |group: &[u32]| {
        let bits = group.iter().enumerate().fold(0, |bits, (index, value)| bits | value << (18 - 6 * index));
        bits.to_be_bytes()[1..group.len()].to_vec()
    };
    values.chunks(4).flat_map(group).collect()
}

#[test]
fn acc_s1_02_docs_of_each_model_can_be_tried_in_a_browser() {
    let platform = bundled();
    for (endpoint, path) in [
        ("mlflow-wine-classifier", "/invocations"),
        ("sklearn-iris", "/v1/models/{model}:predict"),
        ("retail-forecast-alb-ingress", "/predict"),
    ] {
        assert_eq!(try_it(platform.endpoint(endpoint), path), "200", "{endpoint}");
    }
}
