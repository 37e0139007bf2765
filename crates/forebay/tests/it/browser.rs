//! A browser that tests click through (WebDriver, W3C Recommendation).

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use testkit::{PATIENCE, Request};

/// A headless browser behind its driver.
pub(crate) struct Browser {
    pub(crate) client: Client,
    session: String,
    driver: Driver,
    _home: tempfile::TempDir,
}

/// The program that remotely controls browsers. It ends when this is dropped.
struct Driver {
    child: Child,
    address: SocketAddr,
    _stdout: BufReader<ChildStdout>,
}

// === impl Driver ===

impl Driver {
    /// Starts a driver on a port that it chooses and tells. Its browsers live in this home.
    fn start(home: &Path) -> Self {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", home)
            .env_remove("XDG_DATA_HOME")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed: `cargo xtask test` does it where it may");
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        let port: u16 = loop {
            let n_before = said.len();
            stdout.read_line(&mut said).unwrap();
            assert!(said.len() > n_before, "chromedriver ended: {said}");
            let port =
                said[n_before..].trim_end().trim_end_matches('.').split_once("started successfully on port ");
            if let Some((_, port)) = port {
                break port.parse().unwrap();
            }
        };
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)), _stdout: stdout }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Browser ===

impl Browser {
    /// Starts a browser that finds each host at its address.
    pub(crate) async fn start(hosts: &[(String, SocketAddr)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), hosts).await
    }

    /// The same, for a user who ran this line of shell before.
    pub(crate) async fn start_after(line: &str, hosts: &[(String, SocketAddr)]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let output = Command::new("sh").args(["-c", line]).env("HOME", home.path()).output().unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{problem}: `cargo xtask test` installs certutil where it may");
        Self::start_in(home, hosts).await
    }

    async fn start_in(home: tempfile::TempDir, hosts: &[(String, SocketAddr)]) -> Self {
        let driver = Driver::start(home.path());
        let rules: Vec<String> =
            hosts.iter().map(|(host, address)| format!("MAP {host} {}", address.ip())).collect();
        let options = json!({ "args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--window-size=1200,1600",
            // Else pages of port 80 are looked for on 443 first, and now and then a test is told of that refusal.
            "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable",
            format!("--user-data-dir={}", home.path().join("profile").display()),
            format!("--host-resolver-rules={}", rules.join(", ")),
        ]});
        let wanted = json!({ "goog:chromeOptions": options, "acceptInsecureCerts": false });
        let Value::Object(wanted) = wanted else { unreachable!() };
        let url = format!("http://{}", driver.address);
        let client =
            ClientBuilder::new(HttpConnector::new()).capabilities(wanted).connect(&url).await.unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        Self { client, session, driver, _home: home }
    }

    /// The element that a selector finds, once it is on the page.
    pub(crate) async fn element(&self, selector: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(selector)).await;
        found.expect(selector)
    }

    /// Clicks what a selector finds. The page may replace, move or cover it in between: then it is looked for again.
    async fn click(&self, selector: &str) {
        let click = async || self.element(selector).await.click().await.is_ok();
        eventually(&format!("`{selector}` is clicked"), click).await;
    }

    /// Opens `/docs` of a server, tries an operation with the example that is filled in, and returns the status shown.
    pub(crate) async fn try_it(&self, server: &str, path: &str) -> String {
        self.client.goto(&format!("{server}/docs")).await.unwrap();
        let block = format!(".opblock-post:has([data-path='{path}'])");
        self.click(&format!("{block} .opblock-summary-control")).await;
        let example = format!("{block} .body-param__text");
        let is_filled_in = async || {
            let text = self.element(&example).await.prop("value").await;
            text.is_ok_and(|text| text.is_some_and(|text| !text.is_empty()))
        };
        eventually("the example is filled in", is_filled_in).await;
        // The page offers to try at once, without a button in between.
        self.click(&format!("{block} .execute")).await;
        let status = format!("{block} .live-responses-table .response .response-col_status");
        let mut shown = String::new();
        let is_shown = async || {
            let text = self.element(&status).await.text().await.unwrap_or_default();
            text.lines().next().unwrap_or_default().trim().clone_into(&mut shown);
            shown.parse::<u16>().is_ok()
        };
        eventually("an answer is shown", is_shown).await;
        if let Some(folder) = std::env::var_os("FOREBAY_SCREENSHOTS") {
            let name = format!("{server}{path}").replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            let picture = self.client.screenshot().await.unwrap();
            std::fs::write(Path::new(&folder).join(format!("docs-{name}.png")), picture).unwrap();
        }
        shown
    }

    /// What an expression is in the page that is open.
    pub(crate) async fn evaluate(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression}"), Vec::new()).await.unwrap()
    }
}

/// The driver ends its browsers when it is asked, and not when it is killed.
impl Drop for Browser {
    fn drop(&mut self) {
        let target = format!("/session/{}", self.session);
        let _ = Request::new("DELETE", self.driver.address, &target).try_send();
    }
}

/// Waits until something is so.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect(what);
}
