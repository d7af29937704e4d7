//! Targets of probes, and the sockets to them.

use super::finding::{ProbeError, backend_fault};
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

/// A target of probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The backend's address.
    pub address: IpAddr,
    /// Other addresses that the backend may answer from.
    pub aliases: Vec<IpAddr>,
    /// The port that is probed.
    pub port: u16,
    /// The VIP that the packets are for, in `dsr`.
    pub vip: Option<Vip>,
}

/// A VIP on a backend's loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vip {
    /// The address.
    pub address: IpAddr,
    /// The mark by which the kernel routes packets for this VIP ([`crate::kernel::ProbeRouting`]).
    pub mark: u32,
}

impl Target {
    /// The address and port.
    pub fn endpoint(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// Opens a UDP socket that receives answers from any address, and ICMP errors.
    pub fn datagrams(&self) -> Result<UdpSocket, ProbeError> {
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

    /// Opens a TCP connection.
    pub async fn connect(&self) -> Result<TcpStream, ProbeError> {
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

    /// Marks the packets of a socket, in `dsr`.
    pub fn mark(&self, socket: &impl AsFd) -> io::Result<()> {
        match &self.vip {
            Some(vip) => Ok(setsockopt(socket, sockopt::Mark, &vip.mark)?),
            None => Ok(()),
        }
    }

    /// The finding for an error of a socket.
    pub fn unreached<T>(&self, error: &io::Error) -> Result<T, ProbeError> {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                backend_fault(format!("port {} is closed", self.port))
            }
            io::ErrorKind::HostUnreachable => backend_fault("the host does not answer"),
            io::ErrorKind::NetworkUnreachable => backend_fault("there is no route to it"),
            io::ErrorKind::ConnectionReset => backend_fault("it broke the connection off"),
            _ => backend_fault(error.to_string()),
        }
    }

    /// The finding that there was no answer for so long.
    pub fn silent<T>(&self, limit: Duration) -> Result<T, ProbeError> {
        let limit = humantime::format_duration(limit);
        match self.vip {
            None => backend_fault(format!("no answer within {limit}")),
            Some(vip) => backend_fault(format!(
                "no answer within {limit}: is {} on its loopback?",
                vip.address
            )),
        }
    }
}

/// The finding that no socket could be opened.
pub fn no_socket(error: io::Error) -> ProbeError {
    ProbeError::Local(format!("cannot open a socket: {error}"))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A target without a VIP.
    pub fn target(at: SocketAddr) -> Target {
        Target { address: at.ip(), aliases: vec![], port: at.port(), vip: None }
    }

    #[test]
    fn a_silent_vip_may_be_missing() {
        let limit = Duration::from_millis(1500);
        let mut target = target(([10, 0, 0, 30], 69).into());
        assert_eq!(target.silent::<()>(limit), backend_fault("no answer within 1s 500ms"));
        target.vip = Some(Vip { address: [10, 0, 0, 200].into(), mark: 1 });
        let words = "no answer within 1s 500ms: is 10.0.0.200 on its loopback?";
        assert_eq!(target.silent::<()>(limit), backend_fault(words));
    }
}
