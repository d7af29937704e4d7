//! The web page of the real daemon in a real browser: what it shows is what the socket says.

use crate::browser::Browser;
use crate::daemon::{Daemon, Setup, rows};
use crate::peers;
use kit::lab::{Lab, NAT_VIP, until};
use serde_json::Value;
use std::path::Path;

const ADDRESS: &str = "127.0.0.1:9781";
const URL: &str = "http://127.0.0.1:9781/";

const HEALTH: &str = "[service.health]\ncheck = \"icmp\"\ninterval = \"1s\"\ntimeout = \"500ms\"";

/// A configuration with the web page, and metrics at the same address.
fn text(lab: &Lab) -> String {
    let setup = Setup { service: HEALTH, ..Setup::default() };
    let both = format!("[control]\nmetrics = \"{ADDRESS}\"\nweb = \"{ADDRESS}\"\n");
    setup.text(lab).replacen("[control]\n", &both, 1)
}

/// The rows of the table whose caption begins so, each a list of its cells' text.
fn table(browser: &Browser, caption: &str) -> Vec<Vec<String>> {
    let script = format!(
        "const named = (table) => table.caption.textContent.startsWith({caption:?});
         const table = [...document.querySelectorAll('table')].find(named);
         const text = (cell) => cell.textContent.trim();
         return [...table?.tBodies[0].rows ?? []].map((row) => [...row.cells].map(text));"
    );
    serde_json::from_value(browser.run(&script)).expect("rows")
}

fn shows(browser: &Browser, words: &str) -> bool {
    browser.run(&format!("return document.body.innerText.includes({words:?})")) == true
}

/// Names and states of the backends of a service, as the socket says.
fn said(daemon: &Daemon, service: &str) -> Vec<(String, String)> {
    let backends = daemon.ask("backends").expect("backends");
    let text = |row: &Value, key: &str| row[key].as_str().expect("a text").to_owned();
    let of = rows(&backends).filter(|row| row["service"] == service);
    of.map(|row| (text(row, "name"), text(row, "state"))).collect()
}

/// Names and states of the backends of a service, as the browser shows them: the state is a word, not a colour.
fn shown(browser: &Browser, service: &str) -> Vec<(String, String)> {
    let rows = table(browser, &format!("Backends of {service}"));
    let state = |cell: &str| cell.split_whitespace().last().unwrap_or_default().to_owned();
    rows.into_iter().map(|row| (row[0].clone(), state(&row[1]))).collect()
}

/// Transfers to be shown: twenty whole ones, one of a file with a hostile name that is missing.
fn transfer(lab: &Lab, daemon: &Daemon) {
    for _ in 0..20 {
        lab.must("client", &format!("curl -sS --fail -o got tftp://{NAT_VIP}/boot"));
    }
    let missing = format!("curl -sS -o got tftp://{NAT_VIP}/%3Cscript%3Ealert(1)%3C%2Fscript%3E");
    lab.command("client", &missing).status().expect("curl runs");
    until("the transfers are over", || daemon.total("nat", "completed") == 20);
}

#[test]
fn a_browser_shows_what_the_socket_says() {
    let lab = Lab::new();
    peers::files(&lab, &[("boot", 20_000), ("large", 100 << 20)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::with(&lab, &text(&lab));
    let browser = Browser::open(&lab, URL);
    transfer(&lab, &daemon);
    let large = format!("curl -sS --limit-rate 100K -o large tftp://{NAT_VIP}/large");
    let _large = lab.spawn("client", &large);
    let running = || table(&browser, "Transfers and connections");
    until("the browser shows that it runs", || {
        running().iter().any(|row| row[1] == "read large" && row[4].contains("%, block "))
    });
    for service in ["nat", "snat", "dsr"] {
        assert_eq!(shown(&browser, service), said(&daemon, service));
    }
    assert!(shows(&browser, "No problem now."));
    let failed = table(&browser, "The last 1 failures");
    assert_eq!((&*failed[0][1], &*failed[0][3]), ("not-found", "<script>alert(1)</script>"));
    assert!(failed[0][5].starts_with("ERROR 1"), "{failed:?}");
    // The picture is of the last whole second.
    until("the picture's text alternative has all ends", || {
        let script = "return document.querySelectorAll('svg')[1].ariaLabel";
        let picture = browser.run(script).as_str().unwrap_or_default().to_owned();
        picture.contains("completed 20, no such file 1")
    });
    looks_right(&browser);
    daemon.finish();
}

/// Checks the page at the sizes of a desk and a phone, and keeps pictures of it where `TIDEGATE_SCREENSHOTS` says.
fn looks_right(browser: &Browser) {
    let sizes =
        [(1280, 1000, "light"), (1280, 1000, "dark"), (375, 1400, "light"), (375, 1400, "dark")];
    let mut grounds = vec![];
    for (width, height, scheme) in sizes {
        browser.show(width, height, scheme);
        let wide = browser.run("return document.documentElement.scrollWidth");
        assert_eq!(wide, width, "it scrolls sideways in {scheme}");
        let picture = browser.picture();
        if let Some(folder) = std::env::var_os("TIDEGATE_SCREENSHOTS") {
            let name = format!("web-{width}-{scheme}.png");
            std::fs::write(Path::new(&folder).join(name), &picture).expect("it is written");
        }
        grounds.push(browser.run("return getComputedStyle(document.body).backgroundColor"));
    }
    assert_eq!((&grounds[0], &grounds[1]), (&grounds[2], &grounds[3]));
    assert_ne!(grounds[0], grounds[1], "dark is as light");
}

#[test]
fn a_backend_that_dies_is_shown_with_the_reason() {
    let lab = Lab::new();
    let daemon = Daemon::with(&lab, &text(&lab));
    let browser = Browser::open(&lab, URL);
    until("both are checked", || {
        let rows = table(&browser, "Backends of nat");
        rows.iter().filter(|row| row[6].starts_with("passed")).count() == 2
    });
    // Whatever is shown from now on comes by the page's own script.
    browser.run("window.isTheSame = true");
    lab.must("s2", "ip link set eth0 down");
    until("the browser shows that it is down", || {
        shown(&browser, "nat") == said(&daemon, "nat")
            && table(&browser, "Backends of nat")[1][1].contains("down")
    });
    let row = table(&browser, "Backends of nat").swap_remove(1);
    assert!(row[6].starts_with("failed") && !row[3].is_empty(), "{row:?}");
    assert!(shows(&browser, "Backend s2 of nat is down for"), "{row:?}");
    lab.must("s2", "ip link set eth0 up");
    until("it is up again", || {
        said(&daemon, "nat")[1].1 == "up" && shows(&browser, "No problem now.")
    });
    assert_eq!(shown(&browser, "nat"), said(&daemon, "nat"));
    assert_eq!(browser.run("return window.isTheSame"), true);
    daemon.finish();
}

/// A VIP that another program has removed; and the page stands still as long as it is paused.
#[test]
fn a_vip_that_is_gone_is_a_problem() {
    let lab = Lab::new();
    let daemon = Daemon::with(&lab, &text(&lab));
    let browser = Browser::open(&lab, URL);
    let gone = format!("VIP {NAT_VIP} of nat is down: the kernel does not hold it on clients");
    browser.run("document.querySelector('#pause').click()");
    let time = || browser.run("return document.querySelector('.facts').innerText");
    let before = time();
    lab.must("gate", &format!("ip address del {NAT_VIP}/32 dev clients"));
    until("the daemon knows", || lab.must("gate", &format!("curl -s {URL}")).contains(&gone));
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!((time(), shows(&browser, &gone)), (before.clone(), false), "it is paused");
    browser.run("document.querySelector('#pause').click()");
    until("the browser shows it", || shows(&browser, &gone));
    assert_ne!(time(), before);
    daemon.finish();
}
