//! A firmware's TFTP client, which fetches file after file from one port, with options that no client of Debian uses.

use kit::lab::Lab;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// One machine.
pub struct Firmware {
    socket: UdpSocket,
    /// The server's endpoint.
    server: SocketAddr,
    /// Retransmission timeout.
    patience: Duration,
    /// Delay before the ACK of the first block.
    pause: Duration,
    /// Window.
    window: Window,
}

/// How a client acknowledges blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// By the granted `windowsize` (RFC 7440).
    Usual,
    /// By the granted `msftwindow`, as in Microsoft's WDS: the window is a fifth byte of each ACK.
    Microsoft,
}

/// The result of a fetch.
#[derive(Debug, PartialEq, Eq)]
pub struct Got {
    /// The file.
    pub bytes: Vec<u8>,
    /// Granted options, as received.
    pub granted: Vec<(String, String)>,
}

/// Why a fetch failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server's ERROR.
    Error(u16),
    /// A packet from another endpoint than the server's.
    Stranger(SocketAddr),
    /// No answer in time.
    Silence,
}

type Heard = (Vec<u8>, SocketAddr);

impl Firmware {
    /// A machine in the client's namespace that sends its requests from this port to this VIP.
    pub fn new(lab: &Lab, vip: &str, port: u16) -> Firmware {
        let server: SocketAddr = SocketAddr::new(vip.parse().expect("an address"), 69);
        let bind = move || {
            let any = if server.is_ipv6() { "::" } else { "0.0.0.0" };
            UdpSocket::bind((any, port)).expect("a free port")
        };
        let socket = lab.inside("client", bind).join().expect("a socket");
        let patience = Duration::from_secs(3);
        Firmware { socket, server, patience, pause: Duration::ZERO, window: Window::Usual }
    }

    /// The machine with a delay before the ACK of the first block.
    pub fn with_pause(self, pause: Duration) -> Firmware {
        Firmware { pause, ..self }
    }

    /// The machine with another window.
    pub fn with_window(self, window: Window) -> Firmware {
        Firmware { window, ..self }
    }

    /// Asks for a file's size only, and answers the OACK with ERROR 8.
    pub fn size(&self, file: &str) -> Result<u64, Failure> {
        let (oack, tid) = self.begin(file, &[("tsize", "0"), ("blksize", "1400")])?;
        let size = granted(&oack).into_iter().find(|(name, _)| name == "tsize");
        self.say(b"\0\x05\0\x08User aborted the transfer\0", tid);
        Ok(size.expect("a size").1.parse().expect("a number"))
    }

    /// Fetches a file.
    pub fn fetch(&self, file: &str, options: &[(&str, &str)]) -> Result<Got, Failure> {
        let (first, tid) = self.begin(file, options)?;
        let mut got = Got { bytes: vec![], granted: vec![] };
        let mut message = if first[1] == 6 {
            got.granted = granted(&first);
            self.ask(&self.ack(0, &got), tid, |said| said[1] == 3)?.0
        } else {
            first
        };
        let number = |name: &str| {
            let option = got.granted.iter().find(|(known, _)| known == name);
            option.map(|(_, value)| value.parse::<usize>().expect("a number"))
        };
        let blksize = number("blksize").or_else(|| number("blksize2")).unwrap_or(512);
        let window =
            number("windowsize").or_else(|| number("msftwindow").map(|_| WINDOW)).unwrap_or(1);
        let mut next = 1u16;
        loop {
            let is_next = message[..4] == [&[0, 3][..], &next.to_be_bytes()].concat();
            if is_next {
                got.bytes.extend_from_slice(&message[4..]);
                let is_last = message.len() < 4 + blksize;
                let ack = self.ack(next, &got);
                if next == 1 {
                    std::thread::sleep(self.pause);
                }
                if is_last {
                    self.say(&ack, tid);
                    return Ok(got);
                }
                if usize::from(next).is_multiple_of(window) {
                    self.say(&ack, tid);
                }
                next = next.wrapping_add(1);
            }
            message = match self.hear(Instant::now() + self.patience)? {
                Some((said, _)) if said[1] == 3 => said,
                Some((said, _)) if said[1] == 5 => {
                    return Err(Failure::Error(u16::from_be_bytes([said[2], said[3]])));
                }
                Some(_) => continue,
                None => {
                    let ack = self.ack(next.wrapping_sub(1), &got);
                    self.ask(&ack, tid, |said| said[1] == 3)?.0
                }
            };
        }
    }

    /// Sends a request and returns the first answer.
    fn begin(&self, file: &str, options: &[(&str, &str)]) -> Result<Heard, Failure> {
        let options: String =
            options.iter().map(|(name, value)| format!("{name}\0{value}\0")).collect();
        let request = format!("\0\x01{file}\0octet\0{options}");
        let is_first =
            |said: &[u8]| said[1] == 6 || said[..4] == [0, 3, 0, 1] || said[..2] == [0, 5];
        self.ask(request.as_bytes(), self.server, is_first)
    }

    /// Sends a message repeatedly until it is answered.
    fn ask(
        &self,
        message: &[u8],
        to: SocketAddr,
        is_answer: impl Fn(&[u8]) -> bool,
    ) -> Result<Heard, Failure> {
        for _ in 0..5 {
            self.say(message, to);
            let until = Instant::now() + self.patience;
            while let Some((said, from)) = self.hear(until)? {
                if said[1] == 5 {
                    return Err(Failure::Error(u16::from_be_bytes([said[2], said[3]])));
                }
                if is_answer(&said) {
                    return Ok((said, from));
                }
            }
        }
        Err(Failure::Silence)
    }

    fn say(&self, message: &[u8], to: SocketAddr) {
        self.socket.send_to(message, to).expect("a datagram");
    }

    /// The next packet before this moment.
    fn hear(&self, until: Instant) -> Result<Option<Heard>, Failure> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left)).expect("a timeout");
            let mut message = vec![0; 65_535];
            match self.socket.recv_from(&mut message) {
                Ok((_, from)) if from.ip() != self.server.ip() => {
                    return Err(Failure::Stranger(from));
                }
                Ok((len, from)) => {
                    message.truncate(len);
                    return Ok(Some((message, from)));
                }
                Err(error) => assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ),
                    "{error}"
                ),
            }
        }
    }

    fn ack(&self, block: u16, got: &Got) -> Vec<u8> {
        let ack = [&[0, 4][..], &block.to_be_bytes()].concat();
        let is_granted = got.granted.iter().any(|(name, _)| name == "msftwindow");
        match self.window {
            Window::Microsoft if is_granted => [&ack[..], &[WINDOW as u8]].concat(),
            Window::Microsoft | Window::Usual => ack,
        }
    }
}

/// Blocks that an `msftwindow` client asks for in each ACK.
pub const WINDOW: usize = 8;

fn granted(oack: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(&oack[2..]).into_owned();
    let words: Vec<&str> = text.split_terminator('\0').collect();
    words.chunks(2).map(|pair| (pair[0].to_lowercase(), pair[1].to_owned())).collect()
}
