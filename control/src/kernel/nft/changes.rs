//! Notifications of changes to our tables. The kernel sends one for each change in nftables; a message is only
//! searched for the beginning of our tables' names.

use super::OURS;
use crate::kernel::error::KernelError;
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};

/// The multicast group of nftables (linux/netfilter/nfnetlink.h).
const GROUP: u32 = 7;

/// The socket of the notifications. Opening it needs CAP_NET_ADMIN.
pub struct Changes(TokioSocket);

impl Changes {
    /// Opens the socket, inside a runtime.
    ///
    /// # Errors
    ///
    /// No more sockets, or not allowed.
    pub fn open() -> Result<Changes, KernelError> {
        let open = || {
            let mut socket = TokioSocket::new(NETLINK_NETFILTER)?;
            socket.socket_mut().bind(&SocketAddr::new(0, 0))?;
            socket.socket_mut().add_membership(GROUP)?;
            Ok(Changes(socket))
        };
        open().map_err(KernelError::Socket)
    }

    /// Waits until one of our tables may have changed. Lost messages count too.
    pub async fn next(&self) {
        loop {
            match self.0.recv_from_full().await {
                Ok((message, _)) if !names_ours(&message) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

fn names_ours(message: &[u8]) -> bool {
    message.windows(OURS.len()).any(|part| part == OURS.as_bytes())
}
