//! FTP: each side names the address and port where it listens for data. What a line of the control
//! connection asks for is read here; the caller allots the endpoint that the other side is to be told
//! instead, and the line that tells it is written here. Which bytes then go on is [`stream`]'s to know.
//!
//! Between IP versions what one side says is turned over into what the other one can (RFC 6384): EPSV into
//! PASV and back, EPRT into PORT and back.

pub mod exchange;
pub mod shift;
pub mod stream;

use exchange::{Asked, Exchange, Heard};
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::ops::{Range, RangeInclusive};
use wire::ftp::{self, Command, Epsv, Line, Reply, Says};

/// Whose control connection it is.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The client's address, as the client has it.
    pub client: IpAddr,
    /// The address that it talks to.
    pub vip: IpAddr,
    /// The server's own address.
    pub server: IpAddr,
    /// Other addresses of its own.
    pub aliases: &'a [IpAddr],
    /// Ports at which its clients reach it for data that is not announced.
    pub open_ports: Option<&'a RangeInclusive<u16>>,
    /// Whether the client may have data sent to others, or taken from them (FXP).
    pub foreign_data: bool,
}

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// Nothing: it goes on as it is.
    Nothing,
    /// This one goes on in its place.
    Instead(Line),
    /// Something that the client is not to have: this line, which the server refuses, goes on in its place.
    Refused(Line),
    /// The client listens there; the server is to be told where it reaches that.
    Active {
        /// Where it listens.
        to: SocketAddr,
        /// How that is told.
        form: Form,
    },
    /// The server listens there; the client is to be told where it reaches that.
    Passive {
        /// Where it listens.
        at: SocketAddr,
        /// How that is told.
        form: Form,
    },
    /// It goes on as it is, and what follows in either direction can't be read.
    Opaque,
}

/// How an endpoint is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// By PORT.
    Port,
    /// By EPRT.
    Eprt,
    /// At this place of the reply that was read.
    Numbers(Range<usize>),
    /// The port alone, at this place of the reply that was read.
    Digits(Range<usize>),
    /// By a 227 of our own.
    Passive,
    /// By a 229 of our own.
    Extended,
}

/// Nobody listens on a lower port for data, but there are services whom a server could be made to talk to
/// (RFC 2577 §3).
const LEAST_PORT: u16 = 1024;

/// What every server refuses.
const NO_PORT: &[u8] = b"PORT 0,0,0,0,0,0";
const NO_EPRT: &[u8] = b"EPRT |1|0.0.0.0|0|";

/// What a server says when there can be no connection for data.
const NO_DATA: &[u8] = b"425 Can't open data connection.";

/// Reads a line of the client.
pub fn from_client(line: &[u8], context: &Context, exchange: &mut Exchange) -> Asks {
    let (asks, awaited) = context.asked(line);
    match (awaited, &asks) {
        (Some(command), _) => exchange.asks(command),
        (None, Asks::Instead(other) | Asks::Refused(other)) => exchange.command(other),
        (None, _) => exchange.command(line),
    }
    asks
}

/// Reads a line of the server. Where it listens is believed only as the last line of the reply to PASV or EPSV.
pub fn from_server(line: &[u8], context: &Context, exchange: &mut Exchange) -> Asks {
    let heard = exchange.hear(line);
    let says = match heard {
        Heard::Text => None,
        Heard::To(_) | Heard::Other => Reply::parse(line).map(|reply| reply.says),
    };
    match (says, heard) {
        (Some(Says::Passive(at, place)), Heard::To(Asked::Pasv | Asked::Epsv))
            if context.is_of_server(at) =>
        {
            context.passive(at.port(), context.numbers(place))
        }
        (Some(Says::Extended(port, place)), Heard::To(asked @ (Asked::Pasv | Asked::Epsv))) => {
            context.passive(port, context.digits(place, asked))
        }
        // Whoever asked for it is not let through there.
        (Some(Says::Passive(..) | Says::Extended(..)), _) => Asks::Instead(self::line(NO_DATA)),
        (Some(Says::AuthAccepted), Heard::To(Asked::Auth)) => Asks::Opaque,
        (Some(Says::AuthAccepted | Says::Other) | None, _) => Asks::Nothing,
    }
}

/// The line that tells this endpoint instead of what `line` told; `None`: it can't name an address of that IP version.
pub fn write(form: &Form, line: &[u8], endpoint: SocketAddr) -> Option<Line> {
    let port = endpoint.port();
    match (form, endpoint) {
        (Form::Port, SocketAddr::V4(endpoint)) => Some(ftp::port(endpoint)),
        (Form::Passive, SocketAddr::V4(endpoint)) => Some(ftp::passive(endpoint)),
        (Form::Numbers(place), SocketAddr::V4(at)) => Some(ftp::passive_in(line, place, at)),
        (Form::Port | Form::Passive | Form::Numbers(_), SocketAddr::V6(_)) => None,
        (Form::Eprt, _) => Some(ftp::eprt(endpoint)),
        (Form::Extended, _) => Some(ftp::extended(port)),
        (Form::Digits(place), _) => Some(ftp::extended_in(line, place, port)),
    }
}

/// The line that goes on if there is no endpoint to be told: the server refuses it, or the client is refused by it. What
/// was said would lead nowhere.
pub fn refuse(form: &Form) -> Line {
    line(match form {
        Form::Port => NO_PORT,
        Form::Eprt => NO_EPRT,
        Form::Numbers(_) | Form::Digits(_) | Form::Passive | Form::Extended => NO_DATA,
    })
}

impl Context<'_> {
    /// What a line of the client asks for, and which command of those that mean something goes on.
    fn asked(&self, line: &[u8]) -> (Asks, Option<Asked>) {
        match Command::parse(line) {
            Command::Port(to) => {
                (self.active(line, to.map(SocketAddr::V4), Form::Port, NO_PORT), None)
            }
            Command::Eprt(to) => (self.active(line, to, Form::Eprt, NO_EPRT), None),
            Command::Pasv => self.listens(self.pasv(line), Asked::Pasv),
            // Nobody is to listen because of that.
            Command::Epsv(Epsv::All) => (self.epsv(Epsv::All, line), None),
            Command::Epsv(epsv) => self.listens(self.epsv(epsv, line), Asked::Epsv),
            // Nothing follows what these name; but there may be servers that do.
            Command::Lprt if self.foreign_data => (plain(line), None),
            Command::Lprt => (Asks::Refused(self::line(NO_PORT)), None),
            Command::Lpsv => (Asks::Instead(self::line(NO_PORT)), None),
            Command::Auth => (plain(line), Some(Asked::Auth)),
            Command::Listing | Command::Digits => (Asks::Refused(self::line(NO_PORT)), None),
            Command::Other => (plain(line), None),
        }
    }

    /// The server is to listen, unless it is asked for something else instead.
    fn listens(&self, asks: Asks, command: Asked) -> (Asks, Option<Asked>) {
        let is_refused = matches!(&asks, Asks::Instead(other) if other[..] == *NO_PORT);
        (asks, Some(command).filter(|_| !is_refused))
    }

    /// Whether the server itself has this address, or any client reaches it by the port anyway.
    fn is_of_server(&self, at: SocketAddrV4) -> bool {
        let address = IpAddr::V4(*at.ip());
        address == self.server
            || address.is_unspecified()
            || self.aliases.contains(&address)
            || self.open_ports.is_some_and(|ports| ports.contains(&at.port()))
    }

    /// Whether client and server are in different versions of IP.
    fn crosses(&self) -> bool {
        self.client.is_ipv4() != self.server.is_ipv4()
    }

    /// The client listens there. What it names besides itself is not for the server to connect to.
    fn active(&self, command: &[u8], to: Option<SocketAddr>, form: Form, refusal: &[u8]) -> Asks {
        let own = to.filter(|to| to.ip() == self.client);
        match own {
            Some(to) if to.port() >= LEAST_PORT => {
                let form = match self.server {
                    IpAddr::V4(_) if self.crosses() => Form::Port,
                    IpAddr::V6(_) if self.crosses() => Form::Eprt,
                    IpAddr::V4(_) | IpAddr::V6(_) => form,
                };
                Asks::Active { to, form }
            }
            None if self.foreign_data => plain(command),
            Some(_) | None => Asks::Refused(line(refusal)),
        }
    }

    fn pasv(&self, command: &[u8]) -> Asks {
        match self.server {
            // No answer could name an address of the client's version.
            IpAddr::V4(_) if self.crosses() => Asks::Instead(line(NO_PORT)),
            IpAddr::V6(_) if self.crosses() => Asks::Instead(line(b"EPSV")),
            IpAddr::V4(_) | IpAddr::V6(_) => plain(command),
        }
    }

    fn epsv(&self, epsv: Epsv, command: &[u8]) -> Asks {
        if !self.crosses() {
            return plain(command);
        }
        match (epsv, self.client) {
            (Epsv::Here, _) | (Epsv::V4, IpAddr::V4(_)) | (Epsv::V6, IpAddr::V6(_)) => {
                let verb: &[u8] = if self.server.is_ipv4() { b"PASV" } else { b"EPSV" };
                Asks::Instead(line(verb))
            }
            // The one can't be kept, since the server hears other commands; the other is not its version.
            (Epsv::All | Epsv::V4 | Epsv::V6, _) => Asks::Instead(line(NO_PORT)),
            (Epsv::Unknown, _) => plain(command),
        }
    }

    /// The server listens on this port, of its own address whatever it says: it may name one that is reached
    /// only from elsewhere.
    fn passive(&self, port: u16, form: Option<Form>) -> Asks {
        match form {
            Some(form) if port >= LEAST_PORT => {
                Asks::Passive { at: SocketAddr::new(self.server, port), form }
            }
            Some(_) | None => Asks::Nothing,
        }
    }

    /// How a client is told what the server has told by a 227.
    fn numbers(&self, place: Range<usize>) -> Option<Form> {
        match self.vip {
            IpAddr::V4(_) => Some(Form::Numbers(place)),
            IpAddr::V6(_) => self.crosses().then_some(Form::Extended),
        }
    }

    /// How a client is told what the server has told by a 229.
    fn digits(&self, place: Range<usize>, asked: Asked) -> Option<Form> {
        let asked_otherwise = self.crosses() && asked == Asked::Pasv;
        Some(if asked_otherwise { Form::Passive } else { Form::Digits(place) })
    }
}

/// A command goes on as servers without our care for what they drop would read it.
fn plain(command: &[u8]) -> Asks {
    if ftp::without_noise(command).eq(command.iter().copied()) {
        return Asks::Nothing;
    }
    let mut line = Line::new();
    for byte in ftp::without_noise(command) {
        if line.try_push(byte).is_err() {
            return Asks::Instead(self::line(NO_PORT));
        }
    }
    Asks::Instead(line)
}

/// All that is written here is shorter than a line can be.
fn line(text: &[u8]) -> Line {
    text.iter().copied().take(ftp::LONGEST).collect()
}

#[cfg(test)]
mod tests;
