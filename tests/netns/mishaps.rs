//! Mishaps and operators' mistakes while transfers run: no client notices, and afterwards the gate is unchanged.

use crate::daemon::{Daemon, Setup};
use crate::fetching::{Fetching, lab};
use crate::peers::Client;
use kit::lab::{Lab, NAT_VIP, SNAT_VIP, VIPS, until};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const SIZE: usize = 2 << 20;
/// Port of an HTTP server.
const WEB: u16 = 7008;

fn must(daemon: &Daemon, command: &str) {
    let output = daemon.tidegate(command);
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A service that one reload adds and the next one removes.
const MORE: &str = "[[service]]\nname = \"more\"\nprotocol = \"tftp\"\nvip = \"10.77.0.110\"\n\
    snat = [\"10.77.0.111\"]\n[[service.backend]]\nname = \"s1\"\naddress = \"10.77.0.30\"\n";

#[test]
fn hundreds_of_reloads_take_no_memory_and_no_files() {
    let (lab, _servers) = lab(SIZE);
    let text = Setup::default().text(&lab);
    let daemon = Daemon::with(&lab, &text);
    let running = Fetching::start(&lab, &daemon);
    let reload = |n: usize| {
        let text = if n.is_multiple_of(2) { text.clone() + MORE } else { text.clone() };
        std::fs::write(lab.path("tidegate.toml"), text).expect("the configuration is written");
        must(&daemon, "reload");
    };
    // Memory allocated by the first reloads stays.
    (0..20).for_each(reload);
    let before = daemon.holds();
    (0..200).for_each(reload);
    // A health check or command may have a file open at any moment.
    until("no file stays open", || daemon.holds().0 <= before.0);
    let after = daemon.holds();
    assert!(after.1 < before.1 + 8 * 1024, "{} KiB, and {} before", after.1, before.1);
    running.finish(&lab);
    daemon.finish();
}

/// A file system of limited size in the lab's folder, unmounted when dropped.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(lab: &Lab, size: &str) -> Tmpfs {
        let at = lab.path("run");
        std::fs::create_dir(&at).expect("a folder");
        let options = ["-t", "tmpfs", "-o", &format!("size={size}"), "none"];
        let mounted = Command::new("mount").args(options).arg(&at).status();
        assert!(mounted.expect("mount runs").success());
        Tmpfs(at)
    }

    /// Fills the file system.
    fn fill(&self) {
        let mut all = std::fs::File::create(self.0.join("filler")).expect("a file");
        let full = std::io::copy(&mut std::io::repeat(0), &mut all).expect_err("it is full");
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_run_folder_costs_only_what_would_lie_there() {
    for (size, is_full_at_start) in [("256k", true), ("4m", false)] {
        let (lab, _servers) = lab(SIZE);
        let run = Tmpfs::mount(&lab, size);
        let text = Setup::default().text(&lab);
        let text = text.replace("control.sock", "run/control.sock");
        let daemon = Daemon::with(&lab, &text);
        let running = Fetching::start(&lab, &daemon);
        if !is_full_at_start {
            run.fill();
        }
        must(&daemon, "backend drain nat s1");
        must(&daemon, "backend enable nat s1");
        running.finish(&lab);
        let complaint =
            if is_full_at_start { "will not outlive this process" } else { "cannot write" };
        assert!(lab.log().contains(complaint), "{}", lab.log());
        daemon.finish();
    }
}

#[test]
fn a_device_that_flaps_is_one_that_is_slow() {
    let (lab, _servers) = lab(SIZE);
    let daemon = Daemon::start(&lab, Setup::default());
    let running = Fetching::start(&lab, &daemon);
    for n in 0..6 {
        let end = ["dev0", "dev1"][n % 2];
        lab.must("gate", &format!("ip link set {end} down"));
        std::thread::sleep(Duration::from_millis(100));
        lab.must("gate", &format!("ip link set {end} up"));
        std::thread::sleep(Duration::from_millis(100));
    }
    running.finish(&lab);
    for vip in [NAT_VIP, SNAT_VIP] {
        Client::Tftp.get(&lab, vip, "small", None);
    }
    daemon.finish();
}

/// MTUs of devices and TAPs shrink and grow while full packets are in flight.
fn a_changing_mtu(driver: &'static str) {
    let (lab, _servers) = lab(SIZE);
    let web = format!("/usr/bin/python3 -m http.server {WEB} --directory files");
    let _web = ["s1", "s2"].map(|name| lab.spawn(name, &web));
    let text = Setup { driver, ..Setup::default() }.text(&lab);
    let tcp = text[text.find("[[service]]").expect("services")..].to_owned();
    let tcp = tcp.replace("name = \"", "name = \"tcp-");
    let tcp = tcp.replace("\"tftp\"", &format!("\"tcp\"\nport = {WEB}"));
    let daemon = Daemon::with(&lab, &(text + &tcp));
    std::thread::scope(|scope| {
        for vip in VIPS {
            let lab = &lab;
            let url = format!("http://{vip}:{WEB}/image");
            // All segments are full.
            let bulk = format!(
                "curl -sSf --retry 5 --retry-connrefused --limit-rate 500k -o {vip}.web {url}"
            );
            scope.spawn(move || lab.must("client", &bulk));
            scope.spawn(move || Client::Curl.get_as(lab, vip, "image", vip, Some(1468)));
        }
        for n in 0..8 {
            let link = ["dev0", "clients", "dev1", "servers"][n % 4];
            lab.must("gate", &format!("ip link set {link} mtu {}", [1300, 600][n / 4]));
            let at = format!("cat /sys/class/net/{link}/mtu");
            until("it is put back", || lab.must("gate", &at).trim() == "1500");
        }
    });
    let image = std::fs::read(lab.path("files/image")).expect("the file");
    for vip in VIPS {
        let got = std::fs::read(lab.path(&format!("{vip}.web"))).expect("the file");
        assert!(got == image, "{vip}: {} bytes", got.len());
    }
    // Nothing is left, in either direction.
    for vip in VIPS {
        Client::Curl.get(&lab, vip, "image", Some(1468));
        Client::Curl.put(&lab, vip, "image", Some(1468));
    }
    let log = lab.log();
    let said = |link: &str| log.lines().filter(|line| line.contains(link)).count();
    for link in ["device `dev0` has an MTU", "device `dev1` has an MTU"] {
        assert!((1..=4).contains(&said(link)), "{link}: {log}");
    }
    daemon.finish();
}

#[test]
fn a_changing_mtu_is_put_back_under_af_packet() {
    a_changing_mtu("net_af_packet");
}

#[test]
fn a_changing_mtu_is_put_back_under_af_xdp() {
    a_changing_mtu("net_af_xdp");
}

#[test]
fn a_worker_whose_core_is_taken_is_slow_and_no_more() {
    let (lab, _servers) = lab(SIZE);
    let daemon = Daemon::start(&lab, Setup::default());
    let running = Fetching::start(&lab, &daemon);
    // Four busy loops on the worker's core for five seconds.
    let busy = "timeout 5 taskset -c 1 sh -c while+:;do+:;done";
    let hogs: Vec<_> = (0..4).map(|_| lab.spawn("client", busy)).collect();
    running.finish(&lab);
    drop(hogs);
    daemon.finish();
}

/// The gate uses the monotonic clock, which nobody sets.
#[test]
fn a_clock_that_jumps_is_not_noticed() {
    let (lab, _servers) = lab(SIZE);
    let clock = lab.path("clock");
    let set = |time: &str| std::fs::write(&clock, format!("@{time} 12:00:00")).expect("it is set");
    set("2026-01-01");
    let program = format!(
        "env LD_PRELOAD={} FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_NO_CACHE=1 \
         FAKETIME_TIMESTAMP_FILE={}",
        faketime().display(),
        clock.display()
    );
    let daemon = Daemon::launch_by(&lab, &Setup::default().text(&lab), &program);
    until("it listens", || daemon.ask("status").is_some());
    let running = Fetching::start(&lab, &daemon);
    for time in ["2036-01-01", "1999-01-01", "2026-01-02"] {
        set(time);
        Client::Tftp.get(&lab, NAT_VIP, "small", None);
        must(&daemon, "backend drain nat s1");
        must(&daemon, "backend enable nat s1");
    }
    running.finish(&lab);
    assert!(lab.log().contains("[2036-01-01T12:00"), "it has seen another time: {}", lab.log());
    for service in ["nat", "snat"] {
        assert_eq!(daemon.total(service, "timed_out"), 0, "{service}");
    }
    daemon.finish();
}

/// The library that gives a program another time.
fn faketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("libraries");
    let mut libraries = folders
        .filter_map(|folder| Some(folder.ok()?.path().join("faketime/libfaketimeMT.so.1")))
        .filter(|library| library.exists());
    libraries.next().expect("scripts/test installs it")
}

/// Another host answers for a VIP for a while: it gets some clients, and afterwards all is as before.
#[test]
fn somebody_else_with_the_vip() {
    let (lab, _servers) = lab(SIZE);
    let daemon = Daemon::start(&lab, Setup::default());
    lab.must("s2", &format!("ip address add {SNAT_VIP}/32 dev eth0"));
    lab.must("client", &format!("ip neigh flush to {SNAT_VIP}"));
    // The first to answer gets this client; the others stay.
    let _ = lab.run("client", &format!("ping -c 1 -W 1 {SNAT_VIP}"));
    Client::Tftp.get(&lab, NAT_VIP, "small", None);
    lab.must("s2", &format!("ip address del {SNAT_VIP}/32 dev eth0"));
    lab.must("client", &format!("ip neigh flush to {SNAT_VIP}"));
    Client::Tftp.get(&lab, SNAT_VIP, "small", None);
    daemon.finish();
}
