//! Where probes go, and the sockets that lead there.

use super::{Trouble, theirs};
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

/// Where a probe goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The backend's own address.
    pub address: IpAddr,
    /// Other addresses that it may answer from.
    pub aliases: Vec<IpAddr>,
    /// The port there.
    pub port: u16,
    /// In `dsr`, what its packets are for in truth.
    pub vip: Option<Vip>,
}

/// A VIP on a backend's loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vip {
    /// The address.
    pub address: IpAddr,
    /// The mark that the kernel knows its packets by ([`crate::kernel::Detour`]).
    pub mark: u32,
}

impl Target {
    /// Address and port.
    pub fn endpoint(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// A socket that anybody's answer reaches, and an ICMP error too.
    pub fn datagrams(&self) -> Result<UdpSocket, Trouble> {
        let any = match self.address {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let open = || {
            let socket = std::net::UdpSocket::bind((any, 0))?;
            socket.set_nonblocking(true)?;
            match self.address {
                IpAddr::V4(_) => setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?,
                IpAddr::V6(_) => setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?,
            }
            self.mark(&socket)?;
            UdpSocket::from_std(socket)
        };
        open().map_err(no_socket)
    }

    /// A connection.
    pub async fn connect(&self) -> Result<TcpStream, Trouble> {
        let open = || {
            let socket = match self.address {
                IpAddr::V4(_) => TcpSocket::new_v4(),
                IpAddr::V6(_) => TcpSocket::new_v6(),
            }?;
            self.mark(&socket)?;
            Ok(socket)
        };
        let socket = open().map_err(no_socket)?;
        socket.connect(self.endpoint()).await.or_else(|error| self.unreached(&error))
    }

    /// Marks what a socket sends.
    pub fn mark(&self, socket: &impl AsFd) -> io::Result<()> {
        match &self.vip {
            Some(vip) => Ok(setsockopt(socket, sockopt::Mark, &vip.mark)?),
            None => Ok(()),
        }
    }

    /// The meaning of an error in speaking with it.
    pub fn unreached<T>(&self, error: &io::Error) -> Result<T, Trouble> {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => theirs(format!("port {} is closed", self.port)),
            io::ErrorKind::HostUnreachable => theirs("the host does not answer"),
            io::ErrorKind::NetworkUnreachable => theirs("there is no route to it"),
            io::ErrorKind::ConnectionReset => theirs("it broke the connection off"),
            _ => theirs(error.to_string()),
        }
    }

    /// The finding that it has said nothing for so long.
    pub fn silent<T>(&self, limit: Duration) -> Result<T, Trouble> {
        let limit = humantime::format_duration(limit);
        match self.vip {
            None => theirs(format!("no answer within {limit}")),
            Some(vip) => {
                theirs(format!("no answer within {limit}: is {} on its loopback?", vip.address))
            }
        }
    }
}

/// There is no socket to try it with.
pub fn no_socket(error: io::Error) -> Trouble {
    Trouble::Ours(format!("cannot open a socket: {error}"))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A target that is no VIP in truth.
    pub fn target(at: SocketAddr) -> Target {
        Target { address: at.ip(), aliases: vec![], port: at.port(), vip: None }
    }

    #[test]
    fn a_silent_vip_may_be_missing() {
        let limit = Duration::from_millis(1500);
        let mut target = target(([10, 0, 0, 30], 69).into());
        assert_eq!(target.silent::<()>(limit), theirs("no answer within 1s 500ms"));
        target.vip = Some(Vip { address: [10, 0, 0, 200].into(), mark: 1 });
        let words = "no answer within 1s 500ms: is 10.0.0.200 on its loopback?";
        assert_eq!(target.silent::<()>(limit), theirs(words));
    }
}
