//! Clients whose transfers or datagrams' rows were forgotten, and whose servers may still be talking to them. Where servers
//! see the clients' own addresses, the kernel would route that with the server's. A fixed table by hash: when another one
//! has pushed a client out, the kernel does.

use crate::flow::hash::{Seed, mixed};
use crate::types::id::ServerId;
use crate::types::tick::{PER_SECOND, Tick};
use std::net::SocketAddr;

/// Waits of a server in a row until it gives up: tftp-hpa, the most patient common one, waits 1, 2, 4, 8, 16 and 32 times.
const WAITS: u32 = 64;

/// In place of a server's port: any, as transfers have ports of their own.
pub const ANY_PORT: u16 = 0;

/// The table.
pub struct Departed {
    entries: Box<[Entry]>,
    seed: Seed,
}

#[derive(Clone, Copy)]
struct Entry {
    /// A client's endpoint, its server and that one's port; 0 for none.
    mark: u64,
    until: Tick,
}

impl Departed {
    /// Nobody yet, and room for so many.
    pub fn new(room: usize, seed: Seed) -> Departed {
        let none = Entry { mark: 0, until: Tick(0) };
        Departed { entries: vec![none; room.max(1)].into(), seed }
    }

    /// The server may still talk to this client, and say everything again after so many seconds; 0: as it likes.
    pub fn note(&mut self, client: SocketAddr, server: (ServerId, u16), timeout: u8, now: Tick) {
        let mark = self.mark(client, server);
        let until = now.after(WAITS * u32::from(timeout.max(1)) * PER_SECOND);
        self.entries[place(mark, self.entries.len())] = Entry { mark, until };
    }

    /// Whether what this server says to this client is of what was forgotten.
    pub fn has(&self, client: SocketAddr, server: (ServerId, u16), now: Tick) -> bool {
        let mark = self.mark(client, server);
        let entry = self.entries[place(mark, self.entries.len())];
        entry.mark == mark && !entry.until.is_due(now)
    }

    fn mark(&self, client: SocketAddr, (server, port): (ServerId, u16)) -> u64 {
        let ports = u64::from(port) << 48 | u64::from(client.port()) << 32;
        mixed(self.seed.of_client(client.ip(), server.0) ^ ports) | 1
    }
}

fn place(mark: u64, room: usize) -> usize {
    (mark >> 32) as usize % room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_s_server_is_known_until_it_has_given_up() {
        let mut departed = Departed::new(64, Seed([1, 2]));
        let now = Tick(u32::MAX - 5);
        for client in ["10.0.0.9:2070", "[fd00::9]:2070"] {
            let client: SocketAddr = client.parse().unwrap();
            let server = (ServerId(7), ANY_PORT);
            departed.note(client, server, 0, now);
            assert!(departed.has(client, server, now.after(639)), "{client}");
            let other = SocketAddr::new(client.ip(), 2071);
            assert!(!departed.has(other, server, now));
            assert!(!departed.has(client, (ServerId(8), ANY_PORT), now));
            assert!(!departed.has(client, (ServerId(7), 53), now));
            assert!(!departed.has(client, server, now.after(640)));
            departed.note(client, server, 70, now);
            assert!(departed.has(client, server, now.after(70 * 639)));
        }
    }
}
