//! Notifications of tidegated to the service manager that has started it, as systemd reads them.

use crate::daemon::{Daemon, Setup, rows};
use kit::lab::{Lab, uninterrupted};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

const FED: &str = "WATCHDOG=1\n";

fn next(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 512];
    let len = uninterrupted(|| manager.recv(&mut bytes)).expect("a notification");
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}

/// The next notification that is not the watchdog's.
fn heard(manager: &UnixDatagram) -> String {
    loop {
        let said = next(manager);
        if said != FED {
            return said;
        }
    }
}

#[test]
fn it_is_told_of_the_start_reloads_the_drain_and_the_end() {
    let lab = Lab::new();
    let socket = lab.path("manager");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let program = format!("env NOTIFY_SOCKET={}", socket.display());
    let daemon = Daemon::launch_by(&lab, &Setup::default().text(&lab), &program);
    let ready = heard(&manager);
    let services = daemon.ask("services").expect("services");
    let count = rows(&services).count();
    assert_eq!(ready, format!("READY=1\nSTATUS=1 workers, {count} services\n"));
    for _ in 0..2 {
        assert_eq!(next(&manager), FED);
    }

    assert!(daemon.tidegate("reload").status.success());
    let reloading = heard(&manager);
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(heard(&manager), ready);
    assert!(daemon.tidegate("reload --check").status.success());
    assert_eq!(heard(&manager), ready, "nothing is reloaded");
    assert!(daemon.tidegate("gate drain").status.success());
    assert!(heard(&manager).ends_with(" services, drained\n"));
    daemon.stop();
    assert_eq!(heard(&manager), "STOPPING=1\n");
}
