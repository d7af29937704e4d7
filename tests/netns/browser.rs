//! A browser in the gate's namespace: headless Chromium, controlled by WebDriver and Chromium's own protocol (CDP).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kit::lab::{Lab, Process, until};
use serde_json::{Value, json};

const DRIVER: &str = "http://127.0.0.1:9515";

/// Arguments that keep Chromium from asking anybody else for anything.
const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--hide-scrollbars",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser with one page.
pub struct Browser<'a> {
    lab: &'a Lab,
    _driver: Process,
    session: String,
}

impl<'a> Browser<'a> {
    /// Opens a page.
    pub fn open(lab: &'a Lab, url: &str) -> Browser<'a> {
        let driver = lab.spawn("gate", "chromedriver --port=9515");
        let mut browser = Browser { lab, _driver: driver, session: String::new() };
        until("the driver listens", || browser.ask("", None)["ready"] == true);
        let profile = format!("--user-data-dir={}", lab.path("chromium").display());
        let arguments = [&ARGUMENTS[..], &[&profile]].concat();
        let options = json!({ "goog:chromeOptions": { "args": arguments } });
        let session = json!({ "capabilities": { "alwaysMatch": options } });
        let session = browser.request(&format!("{DRIVER}/session"), Some(session));
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        browser.ask("url", Some(json!({ "url": url })));
        browser
    }

    /// Runs a script in the page.
    pub fn run(&self, script: &str) -> Value {
        self.ask("execute/sync", Some(json!({ "script": script, "args": [] })))
    }

    /// Shows the page in another size and scheme of colours, `light` or `dark`.
    pub fn show(&self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.chromium("Emulation.setDeviceMetricsOverride", metrics);
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.chromium("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// A picture of what is shown, as a PNG file.
    pub fn picture(&self) -> Vec<u8> {
        let picture = self.ask("screenshot", None);
        BASE64_STANDARD.decode(picture.as_str().expect("a picture")).expect("base64")
    }

    fn chromium(&self, command: &str, parameters: Value) {
        self.ask("goog/cdp/execute", Some(json!({ "cmd": command, "params": parameters })));
    }

    fn ask(&self, what: &str, body: Option<Value>) -> Value {
        let path = match &*self.session {
            "" => format!("{DRIVER}/status"),
            session => format!("{DRIVER}/session/{session}/{what}"),
        };
        self.request(&path, body)
    }

    /// The driver's answer; `Null`, if it does not answer.
    fn request(&self, url: &str, body: Option<Value>) -> Value {
        let mut curl = self.lab.command("gate", "curl -sS");
        if let Some(body) = body {
            curl.arg("--data").arg(body.to_string());
        }
        let output = curl.arg(url).output().expect("curl runs");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        assert!(answer["value"]["error"].is_null(), "{url}: {answer}");
        answer["value"].clone()
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        // Chromium ends with its session.
        let url = format!("{DRIVER}/session/{}", self.session);
        let _ = self.lab.command("gate", "curl -sS -X DELETE").arg(url).output();
    }
}
