//! FTP (RFC 959): reads the lines of a control connection in which client and server announce where they listen for
//! data, and writes the lines that go on in their place. The caller allocates the endpoint to announce instead;
//! [`rewriter`] maps the result onto TCP.
//!
//! Between address families, commands are translated (RFC 6384): EPSV to PASV and back, EPRT to PORT and back.

pub mod exchange;
pub mod rewriter;
pub mod seq_map;

use exchange::{Asked, Exchange, Heard};
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::ops::{Range, RangeInclusive};
use wire::ftp::{self, Command, Epsv, Line, Reply, ReplyKind};

/// A control connection's addresses and policy.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The client's address, in the client's address family.
    pub client: IpAddr,
    /// The VIP that the client connected to.
    pub vip: IpAddr,
    /// The server's address.
    pub server: IpAddr,
    /// Other addresses of the server.
    pub aliases: &'a [IpAddr],
    /// Data ports of the server that clients reach without announcement (passive ports).
    pub open_ports: Option<&'a RangeInclusive<u16>>,
    /// Whether data connections to and from third hosts are allowed (FXP).
    pub foreign_data: bool,
}

/// The consequence of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FtpAction {
    /// Forwards the line unchanged.
    Nothing,
    /// Forwards this line in its place.
    Replace(Line),
    /// Denied: forwards this line in its place, which the server refuses.
    Refused(Line),
    /// The client listens; the server must be told the endpoint that reaches the client.
    Active {
        /// The endpoint where the client listens.
        to: SocketAddr,
        /// The form of the announcement.
        form: EndpointFormat,
    },
    /// The server listens; the client must be told the endpoint that reaches the server.
    Passive {
        /// The endpoint where the server listens.
        at: SocketAddr,
        /// The form of the announcement.
        form: EndpointFormat,
    },
    /// Forwards the line unchanged; everything behind it, in both directions, is unreadable.
    Opaque,
}

/// The form in which an endpoint is announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointFormat {
    /// A PORT command.
    Port,
    /// An EPRT command.
    Eprt,
    /// Address and port, at this range of the server's reply.
    Numbers(Range<usize>),
    /// The port alone, at this range of the server's reply.
    Digits(Range<usize>),
    /// A reply 227 of the gate's wording.
    Passive,
    /// A reply 229 of the gate's wording.
    Extended,
}

/// The lowest data port. Nobody listens for data below it, but servers could be made to connect to services there (RFC
/// 2577 §3).
pub const FIRST_DATA_PORT: u16 = 1024;

/// A command that every server refuses.
const NO_PORT: &[u8] = b"PORT 0,0,0,0,0,0";
const NO_EPRT: &[u8] = b"EPRT |1|0.0.0.0|0|";

/// The reply for a failed data connection.
const NO_DATA: &[u8] = b"425 Can't open data connection.";

/// Reads a line of the client.
pub fn from_client(line: &[u8], context: &Context, exchange: &mut Exchange) -> FtpAction {
    let (asks, awaited) = context.asked(line);
    match (awaited, &asks) {
        (Some(command), _) => exchange.asks(command),
        (None, FtpAction::Replace(other) | FtpAction::Refused(other)) => exchange.command(other),
        (None, _) => exchange.command(line),
    }
    asks
}

/// Reads a line of the server. An endpoint is believed only in the last line of the reply to PASV or EPSV.
pub fn from_server(line: &[u8], context: &Context, exchange: &mut Exchange) -> FtpAction {
    let heard = exchange.hear(line);
    let says = match heard {
        Heard::Text => None,
        Heard::To(_) | Heard::Other => Reply::parse(line).map(|reply| reply.says),
    };
    match (says, heard) {
        (Some(ReplyKind::Passive(at, place)), Heard::To(Asked::Pasv | Asked::Epsv))
            if context.is_of_server(at) =>
        {
            context.passive(at.port(), context.numbers(place))
        }
        (
            Some(ReplyKind::Extended(port, place)),
            Heard::To(asked @ (Asked::Pasv | Asked::Epsv)),
        ) => context.passive(port, context.digits(place, asked)),
        // The reply answers another command: the client must not connect there.
        (Some(ReplyKind::Passive(..) | ReplyKind::Extended(..)), _) => {
            FtpAction::Replace(self::line(NO_DATA))
        }
        (Some(ReplyKind::AuthAccepted), Heard::To(Asked::Auth)) => FtpAction::Opaque,
        (Some(ReplyKind::AuthAccepted | ReplyKind::Other) | None, _) => FtpAction::Nothing,
    }
}

/// The line that announces `endpoint` in place of the one in `line`; `None`: the form cannot carry that address family.
pub fn write(form: &EndpointFormat, line: &[u8], endpoint: SocketAddr) -> Option<Line> {
    let port = endpoint.port();
    match (form, endpoint) {
        (EndpointFormat::Port, SocketAddr::V4(endpoint)) => Some(ftp::port(endpoint)),
        (EndpointFormat::Passive, SocketAddr::V4(endpoint)) => Some(ftp::passive(endpoint)),
        (EndpointFormat::Numbers(place), SocketAddr::V4(at)) => {
            Some(ftp::passive_in(line, place, at))
        }
        (
            EndpointFormat::Port | EndpointFormat::Passive | EndpointFormat::Numbers(_),
            SocketAddr::V6(_),
        ) => None,
        (EndpointFormat::Eprt, _) => Some(ftp::eprt(endpoint)),
        (EndpointFormat::Extended, _) => Some(ftp::extended(port)),
        (EndpointFormat::Digits(place), _) => Some(ftp::extended_in(line, place, port)),
    }
}

/// The line that goes on if no endpoint can be announced: the server refuses it, or it tells the client of the failure.
/// The original line would lead nowhere.
pub fn refuse(form: &EndpointFormat) -> Line {
    line(match form {
        EndpointFormat::Port => NO_PORT,
        EndpointFormat::Eprt => NO_EPRT,
        EndpointFormat::Numbers(_)
        | EndpointFormat::Digits(_)
        | EndpointFormat::Passive
        | EndpointFormat::Extended => NO_DATA,
    })
}

impl Context<'_> {
    /// The consequence of a client's line, and the command whose reply matters, if one goes on.
    fn asked(&self, line: &[u8]) -> (FtpAction, Option<Asked>) {
        match Command::parse(line) {
            Command::Port(to) => {
                (self.active(line, to.map(SocketAddr::V4), EndpointFormat::Port, NO_PORT), None)
            }
            Command::Eprt(to) => (self.active(line, to, EndpointFormat::Eprt, NO_EPRT), None),
            Command::Pasv => self.listens(self.pasv(line), Asked::Pasv),
            // No data connection follows from this.
            Command::Epsv(Epsv::All) => (self.epsv(Epsv::All, line), None),
            Command::Epsv(epsv) => self.listens(self.epsv(epsv, line), Asked::Epsv),
            // No known server connects to these; others might.
            Command::Lprt if self.foreign_data => (plain(line), None),
            Command::Lprt => (FtpAction::Refused(self::line(NO_PORT)), None),
            Command::Lpsv => (FtpAction::Replace(self::line(NO_PORT)), None),
            Command::Auth => (plain(line), Some(Asked::Auth)),
            Command::Listing | Command::Digits => (FtpAction::Refused(self::line(NO_PORT)), None),
            Command::Other => (plain(line), None),
        }
    }

    /// A passive command, unless something else goes on in its place.
    fn listens(&self, asks: FtpAction, command: Asked) -> (FtpAction, Option<Asked>) {
        let is_refused = matches!(&asks, FtpAction::Replace(other) if other[..] == *NO_PORT);
        (asks, Some(command).filter(|_| !is_refused))
    }

    /// Whether the address is the server's, or any client may reach the port anyway.
    fn is_of_server(&self, at: SocketAddrV4) -> bool {
        let address = IpAddr::V4(*at.ip());
        address == self.server
            || address.is_unspecified()
            || self.aliases.contains(&address)
            || self.open_ports.is_some_and(|ports| ports.contains(&at.port()))
    }

    /// Whether client and server have different address families.
    fn crosses(&self) -> bool {
        self.client.is_ipv4() != self.server.is_ipv4()
    }

    /// An active command. The server must not connect to a third host, unless FXP is allowed.
    fn active(
        &self,
        command: &[u8],
        to: Option<SocketAddr>,
        form: EndpointFormat,
        refusal: &[u8],
    ) -> FtpAction {
        let ours = to.filter(|to| to.ip() == self.client);
        match ours {
            Some(to) if to.port() >= FIRST_DATA_PORT => {
                let form = match self.server {
                    IpAddr::V4(_) if self.crosses() => EndpointFormat::Port,
                    IpAddr::V6(_) if self.crosses() => EndpointFormat::Eprt,
                    IpAddr::V4(_) | IpAddr::V6(_) => form,
                };
                FtpAction::Active { to, form }
            }
            None if self.foreign_data => plain(command),
            Some(_) | None => FtpAction::Refused(line(refusal)),
        }
    }

    fn pasv(&self, command: &[u8]) -> FtpAction {
        match self.server {
            // No reply could carry an address of the client's family.
            IpAddr::V4(_) if self.crosses() => FtpAction::Replace(line(NO_PORT)),
            IpAddr::V6(_) if self.crosses() => FtpAction::Replace(line(b"EPSV")),
            IpAddr::V4(_) | IpAddr::V6(_) => plain(command),
        }
    }

    fn epsv(&self, epsv: Epsv, command: &[u8]) -> FtpAction {
        if !self.crosses() {
            return plain(command);
        }
        match (epsv, self.client) {
            (Epsv::SameFamily, _) | (Epsv::V4, IpAddr::V4(_)) | (Epsv::V6, IpAddr::V6(_)) => {
                let verb: &[u8] = if self.server.is_ipv4() { b"PASV" } else { b"EPSV" };
                FtpAction::Replace(line(verb))
            }
            // EPSV ALL cannot be kept, as the server hears other commands; the other family is not the client's.
            (Epsv::All | Epsv::V4 | Epsv::V6, _) => FtpAction::Replace(line(NO_PORT)),
            (Epsv::Unknown, _) => plain(command),
        }
    }

    /// A passive reply. The address is always taken to be the server's own: the reply may name one that is reachable
    /// only elsewhere.
    fn passive(&self, port: u16, form: Option<EndpointFormat>) -> FtpAction {
        match form {
            Some(form) if port >= FIRST_DATA_PORT => {
                FtpAction::Passive { at: SocketAddr::new(self.server, port), form }
            }
            Some(_) | None => FtpAction::Nothing,
        }
    }

    /// The form in which the client is told of a 227.
    fn numbers(&self, place: Range<usize>) -> Option<EndpointFormat> {
        match self.vip {
            IpAddr::V4(_) => Some(EndpointFormat::Numbers(place)),
            IpAddr::V6(_) => self.crosses().then_some(EndpointFormat::Extended),
        }
    }

    /// The form in which the client is told of a 229.
    fn digits(&self, place: Range<usize>, asked: Asked) -> Option<EndpointFormat> {
        let asked_otherwise = self.crosses() && asked == Asked::Pasv;
        Some(if asked_otherwise { EndpointFormat::Passive } else { EndpointFormat::Digits(place) })
    }
}

/// Forwards a command as the less lenient servers read it: without the bytes that others drop.
fn plain(command: &[u8]) -> FtpAction {
    if ftp::without_noise(command).eq(command.iter().copied()) {
        return FtpAction::Nothing;
    }
    let mut line = Line::new();
    for byte in ftp::without_noise(command) {
        if line.try_push(byte).is_err() {
            return FtpAction::Replace(self::line(NO_PORT));
        }
    }
    FtpAction::Replace(line)
}

/// Copies a text. All texts in this file are shorter than a line can be.
fn line(text: &[u8]) -> Line {
    text.iter().copied().take(ftp::LONGEST).collect()
}

#[cfg(test)]
mod tests;
