//! A network in a box: a client, the gate, two servers and a switch, each in a namespace of its own.
//!
//! ```text
//!  client c0 10.78.0.10 ─────────────── dev0 [clients 10.78.0.1] gate
//!  client c1 10.77.0.10 ──┐
//!  s1        10.77.0.30 ──┼─ switch ─── dev1 [servers 10.77.0.1] gate
//!  s2        10.77.0.31 ──┘
//! ```

mod fleet;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The VIP of the two-armed gate in `nat`.
pub const NAT_VIP: &str = "10.78.0.100";
/// One-armed `snat`: servers see the gate.
pub const SNAT_VIP: &str = "10.77.0.100";
/// One-armed `dsr`: servers answer directly.
pub const DSR_VIP: &str = "10.77.0.200";
/// All three.
pub const VIPS: [&str; 3] = [NAT_VIP, SNAT_VIP, DSR_VIP];
/// The VIPs over IPv6, after [`Lab::with_ipv6`].
pub const VIPS_V6: [&str; 3] = ["fd00:78::100", "fd00:77::100", "fd00:77::200"];

const NAMES: [&str; 5] = ["client", "gate", "s1", "s2", "switch"];

/// The namespaces, and a folder for files. Dropping it removes all.
pub struct Lab {
    id: String,
    names: Vec<&'static str>,
    mtu: u32,
    /// The folder.
    pub dir: TempDir,
}

impl Default for Lab {
    fn default() -> Lab {
        Lab::with_mtu(1500)
    }
}

impl Lab {
    /// A lab with ordinary links.
    pub fn new() -> Lab {
        Lab::default()
    }

    /// A lab with links of this MTU.
    ///
    /// # Panics
    ///
    /// Not root, or a tool is missing; so do all methods that follow.
    pub fn with_mtu(mtu: u32) -> Lab {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!("tn{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = TempDir::with_prefix("tidegate-test.").expect("a folder for files");
        let mut lab = Lab { id, names: vec![], mtu, dir };
        for name in NAMES {
            lab.add(name);
        }
        lab.must("switch", "ip link add br0 type bridge");
        lab.must("switch", "ip link set br0 up");
        lab.wire(("client", "c0"), ("gate", "dev0"));
        for (name, end) in [("client", "c1"), ("s1", "eth0"), ("s2", "eth0"), ("gate", "dev1")] {
            lab.plug_in(name, end);
        }
        lab.addresses();
        lab
    }

    fn add(&mut self, name: &'static str) {
        shell(&format!("ip netns add {}", self.space(name)));
        self.names.push(name);
        self.must(name, "ip link set lo up");
    }

    /// Connects an end to the switch.
    ///
    /// # Panics
    ///
    /// As [`Lab::with_mtu`].
    pub fn plug_in(&self, name: &str, end: &str) {
        self.wire((name, end), ("switch", &format!("p-{name}")));
        self.must("switch", &format!("ip link set p-{name} master br0"));
    }

    /// Makes a veth pair that computes checksums, which veth would otherwise leave undone.
    fn wire(&self, one: (&str, &str), other: (&str, &str)) {
        let mtu = self.mtu;
        let (near, far) = (self.space(one.0), self.space(other.0));
        let (a, b) = (one.1, other.1);
        shell(&format!("ip -n {near} link add {a} type veth peer name {b} netns {far}"));
        for (name, end) in [one, other] {
            self.must(name, &format!("sysctl -q -w net.ipv6.conf.{end}.disable_ipv6=1"));
            self.must(name, &format!("ethtool -K {end} tx off"));
            self.must(name, &format!("ip link set {end} mtu {mtu} up"));
        }
    }

    fn addresses(&self) {
        self.must("client", "ip address add 10.78.0.10/16 dev c0");
        self.must("client", "ip address add 10.77.0.10/16 dev c1");
        for (name, address) in [("s1", "10.77.0.30"), ("s2", "10.77.0.31")] {
            self.server(name, address);
        }
        self.must("gate", "sysctl -q -w net.ipv4.ip_forward=1");
    }

    fn server(&self, name: &str, address: &str) {
        self.must(name, &format!("ip address add {address}/16 dev eth0"));
        self.must(name, "ip route add default via 10.77.0.1");
        self.must(name, "sysctl -q -w net.ipv4.conf.all.arp_ignore=1");
        self.must(name, "sysctl -q -w net.ipv4.conf.all.arp_announce=2");
        self.must(name, &format!("ip address add {DSR_VIP}/32 dev lo"));
    }

    /// Adds a server at this address.
    #[must_use]
    pub fn with_server(mut self, name: &'static str, address: &str) -> Lab {
        self.add(name);
        self.plug_in(name, "eth0");
        self.server(name, address);
        self
    }

    /// Adds a second gate, `gate2`, with one arm: `dev1` on the switch.
    #[must_use]
    pub fn with_second_gate(mut self) -> Lab {
        self.add("gate2");
        self.plug_in("gate2", "dev1");
        self
    }

    /// Adds client addresses: 10.78.4.0/23 on the link to the gate, 10.77.4.0/23 on the link to the switch.
    #[must_use]
    pub fn with_many_clients(self) -> Lab {
        self.must("client", "sysctl -q -w net.ipv4.ip_nonlocal_bind=1");
        for (end, net) in [("c0", 78), ("c1", 77)] {
            self.must("client", &format!("ip route add local 10.{net}.4.0/23 dev lo"));
            self.must("client", &format!("sysctl -q -w net.ipv4.conf.{end}.arp_announce=0"));
        }
        self
    }

    /// Adds IPv6 addresses: 10.78.0.10 is fd00:78::10, too.
    #[must_use]
    pub fn with_ipv6(self) -> Lab {
        let hosts = [
            ("client", "c0", "fd00:78::10"),
            ("client", "c1", "fd00:77::10"),
            ("s1", "eth0", "fd00:77::30"),
            ("s2", "eth0", "fd00:77::31"),
        ];
        for (name, end, address) in hosts {
            // During duplicate address detection of a link-local address, a host with a VIP on its loopback cannot
            // resolve neighbours.
            self.must(name, &format!("sysctl -q -w net.ipv6.conf.{end}.accept_dad=0"));
            self.must(name, &format!("sysctl -q -w net.ipv6.conf.{end}.disable_ipv6=0"));
            self.must(name, &format!("ip address add {address}/64 dev {end} nodad"));
        }
        for name in ["s1", "s2"] {
            self.must(name, "ip -6 route add default via fd00:77::1");
            self.must(name, &format!("ip address add {}/128 dev lo nodad", VIPS_V6[2]));
        }
        self.must("gate", "sysctl -q -w net.ipv6.conf.all.forwarding=1");
        self
    }

    /// Adds a network behind two routers on the clients' link: `far` 10.90.0.10, reached by `r1` until
    /// [`Lab::fail_over`], then by `r2`; 10.78.0.20 is the address of the active one.
    #[must_use]
    pub fn with_routers(mut self) -> Lab {
        self.must("client", "ip link add cables type bridge");
        self.must("client", "ip link set cables up");
        self.must("client", "ip link set c0 master cables");
        self.add("far");
        self.must("far", "ip address add 10.90.0.10/32 dev lo");
        for (n, name) in [(1, "r1"), (2, "r2")] {
            self.add(name);
            self.wire((name, "out"), ("client", &format!("p-{name}")));
            self.must("client", &format!("ip link set p-{name} master cables"));
            self.wire((name, "in"), ("far", &format!("e{n}")));
            self.must(name, &format!("ip address add 10.91.{n}.1/24 dev in"));
            self.must("far", &format!("ip address add 10.91.{n}.2/24 dev e{n}"));
            self.must(name, &format!("ip route add 10.90.0.10 via 10.91.{n}.2"));
            self.must(name, "sysctl -q -w net.ipv4.ip_forward=1");
            self.must(name, "ip link set out down");
        }
        self.take_over("r1", 1);
        self
    }

    /// Silences the first router; the second one announces its address.
    pub fn fail_over(&self) {
        self.must("r1", "ip link set out down");
        self.take_over("r2", 2);
        let asks = "ping -q -c 1 -W 1 -I 10.78.0.20 10.78.0.1";
        until("the gate hears of it", || self.run("r2", asks).status.success());
    }

    fn take_over(&self, router: &str, n: u8) {
        self.must(router, "ip address add 10.78.0.20/16 dev out");
        self.must(router, "ip link set out up");
        self.must("far", &format!("ip route replace default via 10.91.{n}.1 src 10.90.0.10"));
    }

    /// The full name of a namespace.
    pub fn space(&self, name: &str) -> String {
        format!("{}-{name}", self.id)
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The gate's log, from `gate.log`.
    ///
    /// # Panics
    ///
    /// There is none.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("gate.log")).expect("the gate's log")
    }

    /// A command in a namespace, in the lab's folder. A `+` stands for a space within a word.
    pub fn command(&self, name: &str, command: &str) -> Command {
        let mut all = Command::new("ip");
        let words = command.split_whitespace().map(|word| word.replace('+', " "));
        all.args(["netns", "exec", &self.space(name)]).args(words);
        all.current_dir(self.dir.path()).stdin(Stdio::null());
        all
    }

    /// Runs a command to its end.
    pub fn run(&self, name: &str, command: &str) -> Output {
        self.command(name, command).output().expect("ip runs")
    }

    /// Runs a command to its end; panics if it fails.
    pub fn must(&self, name: &str, command: &str) -> String {
        let output = self.run(name, command);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: `{command}`: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts a command; its output goes to the namespace's log.
    pub fn spawn(&self, name: &str, command: &str) -> Process {
        let log = self.path(&format!("{name}.log"));
        let log = File::options().create(true).append(true).open(log).expect("a log");
        let mut command = self.command(name, command);
        command.stdout(log.try_clone().expect("a log")).stderr(log);
        Process(command.spawn().expect("ip runs"))
    }

    /// Runs a function on a thread inside a namespace.
    pub fn inside<T: Send + 'static>(
        &self,
        name: &str,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
        use std::os::fd::AsFd;
        let path = Path::new("/run/netns").join(self.space(name));
        std::thread::spawn(move || {
            let space = File::open(path).expect("the namespace is there");
            move_into_link_name_space(space.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("root may enter it");
            body()
        })
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in &self.names {
                if let Ok(log) = std::fs::read_to_string(self.path(&format!("{name}.log"))) {
                    eprintln!("--- the log of {name}\n{log}");
                }
            }
        }
        for name in &self.names {
            let space = self.space(name);
            // A server's process for one transfer outlives the server by a minute.
            let all = Command::new("ip").args(["netns", "pids", &space]).output();
            let all = String::from_utf8_lossy(&all.expect("ip runs").stdout).into_owned();
            let _ = Command::new("kill").arg("-KILL").args(all.split_whitespace()).output();
            let _ = Command::new("ip").args(["netns", "delete", &space]).output();
        }
    }
}

/// A process that ends when its handle is dropped.
pub struct Process(pub Child);

impl Process {
    /// Terminates the process, and waits for its end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        let mut status = None;
        until("the process ends", || {
            status = self.0.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// Sends a signal.
    pub fn signal(&self, signal: &str) {
        shell(&format!("kill -{signal} {}", self.0.id()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits until `so` holds, for twenty seconds at most.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Repeats a call on a socket that a signal ends, as one with a timeout is when the process was stopped and continued.
///
/// # Errors
///
/// All others of the call.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn shell(command: &str) {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().expect("a command")).args(words).output();
    let output = output.unwrap_or_else(|error| panic!("`{command}`: {error}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{command}`: {said} (these tests need root)");
}
