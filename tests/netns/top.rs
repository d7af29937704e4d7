//! `tidegate top` in a real terminal, which tmux is: what it shows and what its keys do, to a real daemon.

use crate::daemon::{Daemon, Setup, rows};
use crate::peers;
use crate::terminal::{Terminal, top};
use kit::lab::{Lab, NAT_VIP, until};
use std::os::unix::fs::PermissionsExt;

fn state(daemon: &Daemon, service: &str, name: &str) -> String {
    let backends = daemon.ask("backends").expect("backends");
    let mut rows = rows(&backends);
    let row = rows.find(|row| row["service"] == service && row["name"] == name);
    row.expect("the backend")["state"].as_str().expect("a state").to_owned()
}

#[test]
fn a_transfer_is_watched_and_a_backend_drained() {
    let lab = Lab::new();
    peers::files(&lab, &[("large", 200 << 20)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let mut daemon = Daemon::start(&lab, Setup::default());
    let terminal = Terminal::open(&lab);
    let top = top(&lab, &daemon);
    terminal.press(&[&top, "Enter"]);
    let overview = terminal.shows("net_af_packet0,iface=dev0");
    for words in ["1 Overview", "nat      live", "snat     live", "dsr      live", "10.78.0.100:69"]
    {
        assert!(overview.contains(words), "{overview}");
    }
    let mut client = lab.spawn("client", &format!("curl -s -o got tftp://{NAT_VIP}/large"));
    terminal.press(&["3"]);
    let transfers = terminal.shows("read large");
    assert!(transfers.contains("10.78.0.10:") && transfers.contains("1 now"), "{transfers}");
    terminal.shows("B/s");
    // The transfer stays, however fast this machine is.
    client.signal("STOP");
    terminal.press(&["/", "nothing"]);
    terminal.shows("0 contain `nothing`");
    terminal.press(&["Escape"]);
    terminal.shows("read large");
    terminal.press(&["Enter"]);
    terminal.shows("server's TID");
    terminal.press(&["q"]);

    terminal.press(&["2", "Down"]);
    terminal.shows("REQUESTS/s");
    terminal.press(&["d"]);
    terminal.shows("Drain backend s2 of nat? y/n");
    assert_eq!(state(&daemon, "nat", "s2"), "up");
    terminal.press(&["y"]);
    terminal.shows("backend s2 of nat is draining");
    assert_eq!(state(&daemon, "nat", "s2"), "draining");
    assert_eq!(state(&daemon, "nat", "s1"), "up");
    terminal.press(&["e", "y"]);
    terminal.shows("backend s2 of nat is up");
    assert_eq!(state(&daemon, "nat", "s2"), "up");
    client.0.kill().expect("it runs");

    // The daemon dies and comes back.
    daemon.process.signal("KILL");
    daemon.process.0.wait().expect("it was killed");
    drop(daemon);
    terminal.shows("the daemon does not answer since");
    let daemon = Daemon::start(&lab, Setup::default());
    until("it is there again", || !terminal.screen().contains("does not answer"));
    assert!(terminal.screen().contains("nat      s2"), "{}", terminal.screen());

    terminal.press(&["q"]);
    terminal.is_restored("quit");
    terminal.press(&[&top, "Enter"]);
    terminal.shows("1 Overview");
    terminal.terminate();
    terminal.is_restored("terminated");
    daemon.finish();
}

#[test]
fn every_screen_is_seen_and_a_client_captured() {
    let lab = Lab::new();
    peers::files(&lab, &[("large", 200 << 20)]);
    let _servers = [peers::tftpd_hpa(&lab, "s1"), peers::tftpd_hpa(&lab, "s2")];
    let daemon = Daemon::start(&lab, Setup::default());
    let terminal = Terminal::open(&lab);
    terminal.press(&[&top(&lab, &daemon), "Enter"]);
    terminal.shows("up 10 Gb/s");
    // A share needs two samples.
    let overview = terminal.shows(" %");
    assert!(overview.contains("BUSY"), "{overview}");
    for (key, words) in [
        ("2", "REQUESTS/s"),
        ("3", "0 now"),
        ("4", "a all reasons"),
        ("5", "requests that ended or were refused since"),
        ("6", "lines, all ends and refusals since"),
    ] {
        terminal.press(&[key]);
        terminal.shows(words);
    }

    // No log is configured: records are made as the screen is looked at.
    let missing = lab.run("client", &format!("curl -s -o none tftp://{NAT_VIP}/missing"));
    assert!(!missing.status.success(), "{missing:?}");
    terminal.shows("read missing not-found");
    terminal.press(&["/", "nothing"]);
    terminal.shows("0 contain `nothing`");
    terminal.press(&["Escape"]);
    terminal.shows("read missing not-found");
    terminal.press(&["5"]);
    terminal.shows("not-found missing");

    let mut client = lab.spawn("client", &format!("curl -s -o got tftp://{NAT_VIP}/large"));
    terminal.press(&["3"]);
    terminal.shows("read large");
    terminal.press(&["Enter"]);
    let details = terminal.shows("chosen by     round-robin");
    assert!(details.contains("options       blksize="), "{details}");
    // The screen may be as old as the request.
    until("the server has answered", || !terminal.screen().contains("none seen"));
    terminal.press(&["c"]);
    let begun = terminal.shows("capturing 10.78.0.10 into tidegate-10.78.0.10-");
    let name =
        begun.split_whitespace().find(|word| word.starts_with("tidegate-10")).expect("a name");
    let file = lab.path(name.trim_end_matches(':'));
    until("frames are captured", || {
        let screen = terminal.screen();
        screen.contains(" frames, ") && !screen.contains(": 0 frames, ")
    });
    terminal.press(&["c"]);
    terminal.shows("frames captured");
    client.0.kill().expect("it runs");
    let bytes = std::fs::read(&file).expect("the capture");
    assert_eq!(bytes[..4], [0x0a, 0x0d, 0x0d, 0x0a], "pcapng");
    assert!(bytes.len() > 2000, "{} bytes", bytes.len());
    let mode = file.metadata().expect("its facts").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    terminal.press(&["q", "q"]);
    terminal.is_restored("quit");
    daemon.finish();
}
