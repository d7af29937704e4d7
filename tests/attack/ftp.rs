//! FTP control connections: an echo of client text is no reply, and bytes that a server drops hide no command.

use crate::daemon::{Daemon, Setup};
use crate::ftp_servers::{Ftpd, Manner};
use crate::peers::{self, peer};
use kit::lab::{Lab, NAT_VIP, Process, SNAT_VIP, VIPS_V6, uninterrupted, until};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// A database beside the FTP server, which clients must not reach.
const DATABASE: u16 = 3306;
const VIPS: [&str; 4] = [NAT_VIP, SNAT_VIP, VIPS_V6[0], VIPS_V6[1]];
/// Texts that look like a reply to PASV, to EPSV, or like the first line of either.
const FORGED: [&str; 4] =
    ["227 (10,77,0,30,12,234)", "227 (10,77,0,31,12,234)", "229 (|||3306|)", "229-(|||3306|)"];

#[test]
fn proftpd_repeats_a_reply() {
    let lab = Lab::new().with_ipv6();
    let farm = Farm::new(&lab, |lab, name| Ftpd::Proftpd.start(lab, name, Manner::default()));
    for vip in VIPS {
        for forged in FORGED {
            let line = format!("\n{forged}\r\n");
            farm.stays_shut(vip, true, &[&format!("CWD a{line}")]);
            // CR and LF come in different reads.
            farm.stays_shut(vip, true, &["CWD a\r", &line]);
            farm.stays_shut(vip, true, &["CWD a\r", &format!("{line}PASV\r\nEPSV\r\n")]);
        }
    }
    farm.serves();
}

/// Folder names made by a client.
#[test]
fn pure_ftpd_lists_a_reply() {
    let lab = Lab::new().with_ipv6();
    let farm = Farm::new(&lab, |lab, name| Ftpd::Pure.start(lab, name, Manner::default()));
    let names = FORGED.map(|forged| [forged.to_owned(), format!("a\n{forged}")]);
    for name in names.as_flattened().iter().chain(["213 End".to_owned()].iter()) {
        std::fs::create_dir(farm.lab.path("files/up").join(name)).expect("a folder");
    }
    for vip in VIPS {
        for list in
            ["STAT -1 up\r\n", "STAT -C up\r\n", "STAT up\r\n", "MKD up/a\n229 (|||3306|)\r\n"]
        {
            farm.stays_shut(vip, true, &[list]);
            farm.stays_shut(vip, true, &[&format!("{list}PASV\r\nEPSV\r\n")]);
        }
    }
    farm.serves();
}

/// When listing several folders, pure-ftpd 1.0.50 prints each name at the start of a line, whatever the options. A
/// folder `213 End` would end the reply.
#[test]
fn pure_ftpd_lists_folders_whose_names_are_a_reply() {
    let lab = Lab::new().with_ipv6();
    let farm = Farm::new(&lab, |lab, name| Ftpd::Pure.start(lab, name, Manner::default()));
    let names = ["213 End", "227 (0,0,0,0,12,234)", "229 (|||3306|)"];
    for name in names.iter().chain(&FORGED) {
        std::fs::create_dir_all(farm.lab.path("files/up").join(name).join("a")).expect("a folder");
    }
    for vip in VIPS {
        for list in ["STAT *", "STAT -l *", "STAT -lR 2*", "STAT ??? *"] {
            for asks in ["PASV\r\n", "EPSV\r\n"] {
                farm.stays_shut(vip, true, &["CWD up\r\n", &format!("{list}\r\n{asks}")]);
            }
        }
    }
    farm.serves();
}

#[test]
fn pyftpdlib_repeats_a_reply_before_any_login() {
    let lab = Lab::new().with_ipv6();
    let farm = Farm::new(&lab, pyftpdlib);
    for vip in VIPS {
        for forged in FORGED {
            farm.stays_shut(vip, false, &[&format!("XYZ\n{forged}\r\n")]);
            farm.stays_shut(vip, true, &[&format!("XYZ\n{forged}\r\nPASV\r\nEPSV\r\n")]);
        }
    }
    farm.serves();
}

/// Each server reads one of these as PORT, and would connect to the client.
#[test]
fn a_byte_that_a_server_drops_hides_no_port() {
    for ftpd in [Ftpd::Vsftpd, Ftpd::Proftpd, Ftpd::Pure] {
        let lab = Lab::new().with_ipv6();
        let farm = Farm::new(&lab, |lab, name| ftpd.start(lab, name, Manner::default()));
        let client: IpAddr = "10.78.0.10".parse().expect("an address");
        for odd in ["PORT # \0", "PORT #\r", "PORT\r#", "PORT\x0b#", "PORT #\0x"] {
            let waits = farm.lab.inside("client", move || TcpListener::bind((client, 0)));
            let waits = waits.join().expect("it ends").expect("a port");
            waits.set_nonblocking(true).expect("it can be");
            let port = waits.local_addr().expect("an end").port();
            let numbers = format!("10,78,0,10,{},{}", port >> 8, port & 255);
            let mut talk = farm.talk(NAT_VIP, true);
            talk.says(&format!("{}\r\nLIST\r\n", odd.replace('#', &numbers)));
            talk.says_to_the_end("NOOP\r\n");
            if let Ok((_, from)) = waits.accept() {
                let vip: IpAddr = NAT_VIP.parse().expect("an address");
                assert_eq!(from.ip(), vip, "{ftpd:?} comes by itself after {odd:?}");
            }
        }
        farm.serves();
    }
}

/// Before the server's greeting, data that begins like TLS is forwarded unchanged, but must hold no PORT.
#[test]
fn a_client_that_begins_like_tls_names_no_port() {
    for ftpd in [Ftpd::Vsftpd, Ftpd::Proftpd, Ftpd::Pure] {
        let lab = Lab::new().with_ipv6();
        let farm = Farm::new(&lab, |lab, name| ftpd.start(lab, name, Manner::default()));
        let client: IpAddr = "10.78.0.10".parse().expect("an address");
        for early in [true, false] {
            let waits = farm.lab.inside("client", move || TcpListener::bind((client, 0)));
            let waits = waits.join().expect("it ends").expect("a port");
            waits.set_nonblocking(true).expect("it can be");
            let port = waits.local_addr().expect("an end").port();
            let to = SocketAddr::new(NAT_VIP.parse().expect("an address"), 21);
            let control = farm.lab.inside("client", move || TcpStream::connect(to));
            let mut control = control.join().expect("it ends").expect("a server");
            let login = "\x16\x03\x01\r\nUSER anonymous\r\nPASS a@b\r\n";
            let bounce = format!("PORT 10,78,0,10,{},{}\r\nLIST\r\n", port >> 8, port & 255);
            control.write_all(login.as_bytes()).expect("it is open");
            if !early {
                std::thread::sleep(Duration::from_secs(1));
            }
            control.write_all(bounce.as_bytes()).expect("it is open");
            std::thread::sleep(Duration::from_secs(2));
            assert!(waits.accept().is_err(), "{ftpd:?} has heard a PORT, early: {early}");
        }
        farm.serves();
    }
}

/// Python's `int` reads digits of any script, and so does pyftpdlib: it would connect to any host.
#[test]
fn digits_of_another_script_hide_no_port() {
    let lab = Lab::new().with_ipv6();
    let farm = Farm::new(&lab, pyftpdlib);
    let client: IpAddr = "10.78.0.10".parse().expect("an address");
    let waits = farm.lab.inside("client", move || TcpListener::bind((client, 0)));
    let waits = waits.join().expect("it ends").expect("a port");
    waits.set_nonblocking(true).expect("it can be");
    let port = waits.local_addr().expect("an end").port();
    let numbers = format!("10,78,0,10,{},{}", port >> 8, port & 255);
    let other = |c: char| c.to_digit(10).map_or(c, |n| char::from_u32(0x660 + n).expect("a digit"));
    let numbers: String = numbers.chars().map(other).collect();
    let mut talk = farm.talk(NAT_VIP, true);
    talk.says_to_the_end(&format!("PORT {numbers}\r\nLIST\r\n"));
    std::thread::sleep(Duration::from_secs(2));
    assert!(waits.accept().is_err(), "it comes by itself: {}", talk.heard);
}

/// The gate, and two servers with a database each.
struct Farm<'a> {
    daemon: Daemon<'a>,
    _servers: [Process; 2],
    _databases: [TcpListener; 2],
    lab: &'a Lab,
}

impl<'a> Farm<'a> {
    fn new(lab: &'a Lab, start: impl Fn(&Lab, &str) -> Process) -> Farm<'a> {
        peers::files(lab, &[("image", 1 << 20)]);
        let servers = ["s1", "s2"].map(|name| start(lab, name));
        let databases = ["s1", "s2"].map(|name| {
            let listens = lab.inside(name, || TcpListener::bind(("::", DATABASE)));
            listens.join().expect("it ends").expect("a port")
        });
        let setup = Setup { protocol: "ftp", ipv6: true, ..Setup::default() };
        let daemon = Daemon::start(lab, setup);
        Farm { daemon, _servers: servers, _databases: databases, lab }
    }

    fn talk(&self, vip: &'static str, is_in: bool) -> Talk {
        let to = SocketAddr::new(vip.parse().expect("an address"), 21);
        let control = self.lab.inside("client", move || TcpStream::connect(to));
        let control = control.join().expect("it ends").expect("a server");
        control.set_nodelay(true).expect("it can be");
        control.set_read_timeout(Some(Duration::from_secs(60))).expect("it can be");
        let mut talk = Talk { control, heard: String::new() };
        talk.hears("220 ");
        if is_in {
            talk.says("USER anonymous\r\n");
            // pure-ftpd asks for no password.
            if talk.hears_one_of(&["230 ", "331 "]) == "331 " {
                talk.says("PASS a@b\r\n");
                talk.hears("230 ");
            }
        }
        talk
    }

    /// After the client has sent these segments, it still cannot reach the database.
    #[track_caller]
    fn stays_shut(&self, vip: &'static str, is_in: bool, segments: &[&str]) {
        let mut talk = self.talk(vip, is_in);
        for segment in segments {
            talk.says(segment);
            std::thread::sleep(Duration::from_millis(20));
        }
        talk.says_to_the_end("");
        let to = SocketAddr::new(vip.parse().expect("an address"), DATABASE);
        let reach = move || TcpStream::connect_timeout(&to, Duration::from_millis(500));
        let reached = self.lab.inside("client", reach).join().expect("it ends");
        assert!(reached.is_err(), "{vip}: {segments:?} opens the database: {}", talk.heard);
    }

    /// Honest clients are served.
    fn serves(self) {
        for vip in VIPS {
            let url = format!("ftp://{}/image", peers::in_url(vip));
            for way in ["--disable-epsv", "", "--ftp-port -"] {
                if vip.contains(':') && way == "--disable-epsv" {
                    continue;
                }
                self.lab.must("client", &format!("curl --max-time 60 -sS {way} -o got {url}"));
                let (got, image) = (self.lab.path("got"), self.lab.path("files/image"));
                assert!(peers::same_bytes(&got, &image), "{vip} {way}");
            }
        }
        self.daemon.finish();
    }
}

/// A control connection, and the text received from the server.
struct Talk {
    control: TcpStream,
    heard: String,
}

impl Talk {
    fn says(&mut self, text: &str) {
        self.control.write_all(text.as_bytes()).expect("it is open");
    }

    /// Sends text after all earlier commands are answered.
    #[track_caller]
    fn says_to_the_end(&mut self, text: &str) {
        self.says(text);
        self.says("FEAT\r\n");
        self.hears_one_of(&["\r\n211 End", "\r\n211 END"]);
    }

    #[track_caller]
    fn hears(&mut self, what: &str) {
        self.hears_one_of(&[what]);
    }

    #[track_caller]
    fn hears_one_of<'a>(&mut self, what: &[&'a str]) -> &'a str {
        let start = self.heard.len();
        loop {
            let fresh = &self.heard[start.saturating_sub(4)..];
            if let Some(found) = what.iter().find(|&&what| fresh.contains(what)) {
                return found;
            }
            let mut bytes = [0; 4096];
            let len = uninterrupted(|| self.control.read(&mut bytes));
            let len = len.unwrap_or_else(|error| panic!("{error}: {}", self.heard));
            assert!(len > 0, "closed after {}", self.heard);
            self.heard += &bytes[..len].iter().map(|&byte| char::from(byte)).collect::<String>();
        }
    }
}

/// pyftpdlib over IPv4 and IPv6.
fn pyftpdlib(lab: &Lab, name: &str) -> Process {
    let library = peer("python3-pyftpdlib/usr/lib/python3/dist-packages");
    let server = lab.spawn(
        name,
        &format!(
            "env PYTHONPATH={library} /usr/bin/python3 -W ignore -m pyftpdlib -i :: -p 21 -d {}",
            lab.path("files").display()
        ),
    );
    until("pyftpdlib listens", || lab.must(name, "ss -Hltn").contains(":21 "));
    server
}
