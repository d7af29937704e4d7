//! Clients of a pair of gates, each of which goes on until it is told to stop: downloads and uploads over TFTP, sessions of
//! SFTP and FTP.
//!
//! Flows that were young when a gate died may be lost: their clients begin again, once. No other one may fail.

use crate::ftp_clients::ftplib_for_ever;
use crate::peers;
use crate::sftp;
use kit::lab::{Lab, Process, SNAT_VIP, uninterrupted};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

pub const DOWNLOADS: u8 = 200;
const UPLOADS: u8 = 20;
const SESSIONS: usize = 20;

/// Files by their names, in blocks of 512 bytes: some are over before a flow is told, and some last for a fault or two.
pub const FILES: [(&str, usize); 4] =
    [("short", 30 * 512 + 5), ("middle", 100 * 512), ("image", 300 * 512 + 1), ("long", 4 << 20)];

/// Servers of TFTP. Each has a folder of its own: tftpd-hpa locks a file that is uploaded, and is silent to whoever uploads it,
/// too, until the first upload is given up after a minute.
const SERVERS: [&str; 2] = ["s1", "s2"];

/// Pause of a client before it acknowledges a block: all together must leave some time of two cores to the servers.
const PAUSE: Duration = Duration::from_millis(80);
/// Time after which a client says the last thing again, and how often.
const TIMEOUT: Duration = Duration::from_secs(1);
const TRIES: u32 = 20;
/// Age of a flow that is told for certain: `sync_after`, and the round.
const TOLD: Duration = Duration::from_secs(2);
/// Longest time until the other gate serves.
const GAP: Duration = Duration::from_secs(8);

/// Facts that all clients share.
#[derive(Default)]
pub struct Shared {
    stop: AtomicBool,
    /// The gates' deaths.
    pub deaths: Mutex<Vec<Instant>>,
}

impl Shared {
    /// Whether a flow that began then may have been lost.
    fn may_be_lost(&self, begun: Instant) -> bool {
        let deaths = self.deaths.lock().expect("no client has failed");
        deaths.iter().any(|&death| begun + TOLD > death && death + GAP > begun)
    }
}

/// Transfers that a client has made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub whole: u32,
    /// Transfers that were lost when they were young.
    pub young: u32,
}

/// All clients at work.
pub struct Load<'a> {
    lab: &'a Lab,
    pub shared: Arc<Shared>,
    running: Vec<(&'static str, JoinHandle<Tally>)>,
    ftp: Process,
}

impl<'a> Load<'a> {
    pub fn start(lab: &'a Lab) -> Load<'a> {
        let shared = Arc::new(Shared::default());
        let mut running = vec![];
        for n in 0..DOWNLOADS {
            running.push(("downloads", client(lab, &shared, n, ("download", download))));
        }
        for n in 0..UPLOADS {
            running.push(("uploads", client(lab, &shared, DOWNLOADS + n, ("upload", upload))));
        }
        for n in 0..SESSIONS {
            running.push(("SFTP sessions", secure(lab, &shared, n)));
        }
        calm(lab, true);
        let words = format!("abide {SNAT_VIP} passive {SESSIONS} 10.77.5.");
        let ftp = lab.spawn("client", &ftplib_for_ever(&words));
        Load { lab, shared, running, ftp }
    }

    /// Whether an FTP session has failed.
    pub fn assert_running(&mut self) {
        let over = self.ftp.0.try_wait().expect("a process");
        assert!(over.is_none(), "FTP: {}", self.lab.log());
        let failed = self.running.iter().any(|(_, client)| client.is_finished());
        assert!(!failed, "a client has failed");
    }

    /// Stops all; returns what each kind has done.
    pub fn finish(mut self) -> Vec<(&'static str, Tally)> {
        self.shared.stop.store(true, Relaxed);
        std::fs::write(self.lab.path("stop"), "").expect("a file");
        let mut sums: Vec<(&str, Tally)> = vec![];
        for (kind, client) in self.running {
            let tally = client.join().expect("a client");
            if sums.last().is_none_or(|(last, _)| *last != kind) {
                sums.push((kind, Tally::default()));
            }
            let (_, sum) = sums.last_mut().expect("one");
            sum.whole += tally.whole;
            sum.young += tally.young;
        }
        let status = self.ftp.0.wait().expect("it ends");
        assert!(status.success(), "FTP: {}", self.lab.log());
        sums
    }
}

/// Tells the FTP sessions whether to begin with another file. One whose address was announced when a gate dies may be lost.
pub fn calm(lab: &Lab, is_calm: bool) {
    let file = lab.path("calm");
    match is_calm {
        true => std::fs::write(file, "").expect("a file"),
        false => std::fs::remove_file(file).expect("there is one"),
    }
}

type Transfer = fn(&Seat, &UdpSocket, usize) -> Result<(), String>;

/// The folder of the files, those of the servers, and a client's number.
struct Seat {
    files: PathBuf,
    servers: [PathBuf; 2],
    number: u8,
}

/// A client of TFTP with an address, which makes one transfer after the other.
fn client(
    lab: &Lab,
    shared: &Arc<Shared>,
    number: u8,
    (kind, transfer): (&'static str, Transfer),
) -> JoinHandle<Tally> {
    let servers = SERVERS.map(|name| folder(lab, name));
    let (shared, known) = (Arc::clone(shared), Seat { files: lab.path("files"), servers, number });
    lab.inside("client", move || {
        // All begin at other times.
        sleep(Duration::from_millis(u64::from(number) * 20));
        let from = Ipv4Addr::new(10, 77, 4, 1 + number);
        let mut tally = Tally::default();
        for turn in usize::from(number).. {
            if shared.stop.load(Relaxed) {
                break;
            }
            tally += until_whole(kind, &shared, || {
                let socket = UdpSocket::bind((from, 0)).expect("an address");
                socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
                transfer(&known, &socket, turn)
            });
        }
        tally
    })
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, more: Tally) {
        self.whole += more.whole;
        self.young += more.young;
    }
}

/// Makes a transfer; one that a gate's death may have taken is made again.
fn until_whole(
    kind: &str,
    shared: &Shared,
    mut transfer: impl FnMut() -> Result<(), String>,
) -> Tally {
    let mut tally = Tally { whole: 1, young: 0 };
    loop {
        let begun = Instant::now();
        match transfer() {
            Ok(()) => return tally,
            Err(why) => {
                let age = begun.elapsed();
                assert!(shared.may_be_lost(begun), "{kind}: {why}, after {age:?}");
                tally.young += 1;
            }
        }
    }
}

fn request(kind: u8, file: &str) -> Vec<u8> {
    [&[0, kind], file.as_bytes(), b"\0octet\0"].concat()
}

/// Sends a message until something comes that `is_answer`.
fn exchange(
    socket: &UdpSocket,
    message: &[u8],
    to: SocketAddrV4,
    mut is_answer: impl FnMut(&[u8], SocketAddrV4) -> bool,
) -> Result<(), String> {
    for _ in 0..TRIES {
        // While no gate has the address, there is no way.
        let _ = socket.send_to(message, to);
        let mut packet = [0; 516];
        while let Ok((len, from)) = uninterrupted(|| socket.recv_from(&mut packet)) {
            let std::net::SocketAddr::V4(from) = from else { panic!("an answer from {from}") };
            if packet[1] == 5 {
                return Err(format!("{from}: ERROR {}", packet[3]));
            }
            if is_answer(&packet[..len], from) {
                return Ok(());
            }
        }
    }
    let from = socket.local_addr().expect("an address");
    Err(format!("{from} to {to}: no answer to {:?}", &message[..4]))
}

fn vip() -> SocketAddrV4 {
    SocketAddrV4::new(SNAT_VIP.parse().expect("a VIP"), 69)
}

fn download(seat: &Seat, socket: &UdpSocket, turn: usize) -> Result<(), String> {
    let (file, size) = FILES[turn % 3];
    let (mut got, mut message, mut to) = (vec![], request(1, file), vip());
    for number in 1u16.. {
        let before = got.len();
        exchange(socket, &message, to, |packet, from| {
            let is_next = packet[1] == 3 && packet[2..4] == number.to_be_bytes();
            if is_next {
                got.extend_from_slice(&packet[4..]);
                to = from;
            }
            is_next
        })?;
        sleep(PAUSE);
        message = [&[0, 4][..], &number.to_be_bytes()].concat();
        if got.len() - before < 512 {
            break;
        }
    }
    // Nobody answers the last ACK.
    let _ = socket.send_to(&message, to);
    let original = std::fs::read(seat.files.join(file)).expect("the file");
    assert_eq!(got.len(), size, "{file}");
    assert!(got == original, "{file} has come as another file");
    Ok(())
}

fn upload(seat: &Seat, socket: &UdpSocket, turn: usize) -> Result<(), String> {
    let (file, _) = FILES[turn % 3];
    // Each try has a file of its own: a server that was left keeps the one before locked.
    let port = socket.local_addr().expect("an address").port();
    let name = format!("up/by-{}-{turn}-{port}", seat.number);
    let original = std::fs::read(seat.files.join(file)).expect("the file");
    let (mut message, mut to) = (request(2, &name), vip());
    let mut blocks: Vec<_> = original.chunks(512).collect();
    blocks.extend(original.len().is_multiple_of(512).then_some(&[][..]));
    let mut blocks = blocks.into_iter();
    // A server that was asked before may have made an empty one.
    let has_come = || {
        let sent = seat.servers.clone().map(|folder| std::fs::read(folder.join(&name)));
        sent.iter().flatten().any(|sent| *sent == original)
    };
    for number in 0u16.. {
        let heard = exchange(socket, &message, to, |packet, from| {
            to = from;
            packet[1] == 4 && packet[2..4] == number.to_be_bytes()
        });
        // When the last ACK is lost in a move, the server repeats it for a second only.
        if heard.is_err() && blocks.len() == 0 && has_come() {
            break;
        }
        heard?;
        sleep(PAUSE);
        let Some(block) = blocks.next() else { break };
        message = [&[0, 3][..], &(number + 1).to_be_bytes(), block].concat();
    }
    assert!(has_come(), "no server has {file} as it is");
    for folder in &seat.servers {
        let _ = std::fs::remove_file(folder.join(&name));
    }
    Ok(())
}

fn folder(lab: &Lab, server: &str) -> PathBuf {
    lab.path(&format!("files-{server}"))
}

/// The servers of TFTP.
pub fn servers(lab: &Lab) -> [Process; 2] {
    let open = || std::fs::Permissions::from_mode(0o777);
    SERVERS.map(|name| {
        let uploads = folder(lab, name).join("up");
        std::fs::create_dir_all(&uploads).expect("a folder");
        std::fs::set_permissions(uploads, open()).expect("the server may write there");
        for (file, _) in FILES {
            let link = folder(lab, name).join(file);
            std::fs::hard_link(lab.path("files").join(file), link).expect("a link");
        }
        peers::tftpd_hpa_in(lab, name, peers::address(name), "", &format!("files-{name}"))
    })
}

/// A client of SFTP, with one connection after the other.
fn secure(lab: &Lab, shared: &Arc<Shared>, number: usize) -> JoinHandle<Tally> {
    let (shared, folder) = (Arc::clone(shared), lab.path("files"));
    let got = lab.path(&format!("sftp-got-{number}"));
    let batch = lab.path(&format!("sftp-batch-{number}"));
    let gets = format!("get {} {}\n", folder.join("long").display(), got.display());
    std::fs::write(&batch, gets).expect("a file");
    let command = sftp::slow(lab, SNAT_VIP, &batch);
    lab.inside("client", move || {
        sleep(Duration::from_millis(300 * number as u64));
        let mut tally = Tally::default();
        while !shared.stop.load(Relaxed) {
            tally += until_whole("SFTP", &shared, || {
                let mut words = command.split_whitespace();
                let mut sftp = std::process::Command::new(words.next().expect("a program"));
                let output = sftp.args(words).output().expect("it runs");
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                if output.status.success() { Ok(()) } else { Err(format!("sftp: {said}")) }
            });
            assert!(peers::same_bytes(&got, &folder.join("long")), "another file");
        }
        tally
    })
}
