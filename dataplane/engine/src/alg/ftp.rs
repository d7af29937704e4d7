//! FTP: each side names the address and port where it listens for data. What a line of the control
//! connection asks for is read here; the caller allots the endpoint that the other side is to be told
//! instead, and the line that tells it is written here. Which bytes then go on is [`stream`]'s to know.
//!
//! Between IP versions what one side says is turned over into what the other one can (RFC 6384): EPSV into
//! PASV and back, EPRT into PORT and back.

pub mod shift;
pub mod stream;

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use wire::ftp::{self, Command, Epsv, Line, Reply, Says};

/// Whose control connection it is.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The client's address, as the client has it.
    pub client: IpAddr,
    /// The address that it talks to.
    pub vip: IpAddr,
    /// The server's own address.
    pub server: IpAddr,
    /// Whether the client may have data sent to others, or taken from them (FXP).
    pub foreign_data: bool,
}

/// What is to be remembered of a control connection, besides its streams: how the client has asked last that
/// the server listen, for so it is to be answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// By PASV, or not at all.
    #[default]
    Pasv,
    /// By EPSV.
    Epsv,
}

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asks {
    /// Nothing: it goes on as it is.
    Nothing,
    /// This one goes on in its place.
    Instead(Line),
    /// A connection that the client is not to have: this line, which the server refuses, goes on in its place.
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
pub fn from_client(line: &[u8], context: &Context, state: &mut State) -> Asks {
    match Command::parse(line) {
        Command::Port(to) => context.active(to.map(SocketAddr::V4), Form::Port, NO_PORT),
        Command::Eprt(to) => context.active(to, Form::Eprt, NO_EPRT),
        Command::Pasv => {
            *state = State::Pasv;
            context.pasv()
        }
        Command::Epsv(epsv) => {
            *state = State::Epsv;
            context.epsv(epsv)
        }
        // Nothing follows what these name; but there may be servers that do.
        Command::Lprt if context.foreign_data => Asks::Nothing,
        Command::Lprt => Asks::Refused(self::line(NO_PORT)),
        Command::Lpsv => Asks::Instead(self::line(NO_PORT)),
        Command::Auth | Command::Other => Asks::Nothing,
    }
}

/// Reads a line of the server.
pub fn from_server(line: &[u8], context: &Context, state: &State) -> Asks {
    match Reply::parse(line).map(|reply| reply.says) {
        Some(Says::Passive(at, place)) => context.passive(at.port(), context.numbers(place)),
        Some(Says::Extended(port, place)) => context.passive(port, context.digits(place, state)),
        Some(Says::AuthAccepted) => Asks::Opaque,
        Some(Says::Other) | None => Asks::Nothing,
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

impl Context {
    /// Whether client and server are in different versions of IP.
    fn crosses(&self) -> bool {
        self.client.is_ipv4() != self.server.is_ipv4()
    }

    /// The client listens there. What it names besides itself is not for the server to connect to.
    fn active(&self, to: Option<SocketAddr>, form: Form, refusal: &[u8]) -> Asks {
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
            None if self.foreign_data => Asks::Nothing,
            Some(_) | None => Asks::Refused(line(refusal)),
        }
    }

    fn pasv(&self) -> Asks {
        match self.server {
            // No answer could name an address of the client's version.
            IpAddr::V4(_) if self.crosses() => Asks::Instead(line(NO_PORT)),
            IpAddr::V6(_) if self.crosses() => Asks::Instead(line(b"EPSV")),
            IpAddr::V4(_) | IpAddr::V6(_) => Asks::Nothing,
        }
    }

    fn epsv(&self, epsv: Epsv) -> Asks {
        if !self.crosses() {
            return Asks::Nothing;
        }
        match (epsv, self.client) {
            (Epsv::Here, _) | (Epsv::V4, IpAddr::V4(_)) | (Epsv::V6, IpAddr::V6(_)) => {
                let verb: &[u8] = if self.server.is_ipv4() { b"PASV" } else { b"EPSV" };
                Asks::Instead(line(verb))
            }
            // The one can't be kept, since the server hears other commands; the other is not its version.
            (Epsv::All | Epsv::V4 | Epsv::V6, _) => Asks::Instead(line(NO_PORT)),
            (Epsv::Unknown, _) => Asks::Nothing,
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
    fn digits(&self, place: Range<usize>, state: &State) -> Option<Form> {
        let asked_otherwise = self.crosses() && *state == State::Pasv;
        Some(if asked_otherwise { Form::Passive } else { Form::Digits(place) })
    }
}

/// All that is written here is shorter than a line can be.
fn line(text: &[u8]) -> Line {
    text.iter().copied().take(ftp::LONGEST).collect()
}

#[cfg(test)]
mod tests;
