//! Word of changes to tables of ours. The kernel tells of each change in nftables, by whomever; a message is not read any
//! further than for the beginning of our tables' names.

use super::OURS;
use crate::kernel::error::KernelError;
use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};

/// The group that hears of nftables (linux/netfilter/nfnetlink.h).
const GROUP: u32 = 7;

/// The messages. Needs CAP_NET_ADMIN when it is opened.
pub struct Changes(TokioSocket);

impl Changes {
    /// Begins to listen. Runs inside the runtime.
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

    /// Waits until a table of ours may have changed. Losing messages is a reason, too.
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
