//! TCP: any connection, and FTP (RFC 959, RFC 2428). Texts are those of real FTP clients and servers.

use super::snapshots::{FTP, SSH};
use crate::scene::Scene;
use crate::scene::line::{Connection, Side};
use kit::ftp::{active, passive_at};
use kit::topology::Via;
use std::net::SocketAddr;

/// The data port that servers listen on.
const DATA: u16 = 40_001;
/// The data ports that clients listen on.
const LISTENS: [u16; 2] = [5001, 5002];

/// OpenSSH: each side sends its version, then data; the client closes.
pub fn tcp(scene: &mut Scene) {
    let mut line = scene.opens(scene.client(2070), SSH);
    scene.speaks("its version", &mut line, Side::Client, "SSH-2.0-OpenSSH_9.6\r\n");
    scene.speaks("the server's", &mut line, Side::Server, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    scene.flags("an ACK", &mut line, Side::Client, "A");
    scene.speaks("much", &mut line, Side::Server, &"x".repeat(1400));
    scene.speaks("an odd number of bytes", &mut line, Side::Client, "y");
    scene.closes(&mut line, Side::Client);
    scene.counts("started", 1);
    scene.counts("completed", 1);
}

/// RFC 9293 §3.10.7.2: a reset that acknowledges the SYN.
pub fn refused(scene: &mut Scene) {
    let client = scene.client(2070);
    let mut line = scene.begins(client, SSH);
    scene.flags("a SYN", &mut line, Side::Client, "S");
    scene.flags("nobody listens", &mut line, Side::Server, "AR");
    scene.counts("failed", 1);
}

/// curl, lftp, Python's ftplib: EPSV, or PASV over IPv4.
pub fn passive(scene: &mut Scene) {
    let mut control = logged_in(scene);
    let at = SocketAddr::new(control.server.ip(), DATA);
    let at_vip = passive_at(SocketAddr::new(control.vip.ip(), DATA));
    let extended = format!("229 Entering Extended Passive Mode (|||{DATA}|)\r\n");
    let [asks, asked, answers, answered] = match scene.via {
        Via::Nat | Via::Snat => ["PASV\r\n", "PASV\r\n", &passive_at(at), &at_vip],
        Via::Snat46 => ["PASV\r\n", "EPSV\r\n", &extended, &at_vip],
        Via::Snat64 => ["EPSV\r\n", "PASV\r\n", &passive_at(at), &extended],
        Via::Nat6 | Via::Snat6 | Via::Dsr | Via::Dsr6 => {
            ["EPSV\r\n", "EPSV\r\n", &extended, &extended]
        }
    };
    scene.rewritten("the server is to listen", &mut control, Side::Client, asks, asked);
    scene.rewritten("it does", &mut control, Side::Server, answers, answered);
    scene.speaks("what for", &mut control, Side::Client, "RETR file\r\n");
    let mut data = scene.opens(scene.client(2071), DATA);
    scene.speaks("it begins", &mut control, Side::Server, "150 Opening BINARY mode\r\n");
    sends(scene, &mut data);
    says_goodbye(scene, &mut control);
    scene.counts("started", 2);
    scene.counts("completed", 2);
}

/// ftplib with `set_pasv(False)`, curl with `--ftp-port -`; the server connects from its port 20.
pub fn server_connects(scene: &mut Scene) {
    let mut control = logged_in(scene);
    let (mut data, said, heard) = announced(scene, LISTENS[0]);
    scene.rewritten("the client listens", &mut control, Side::Client, &said, &heard);
    agrees(scene, &mut control);
    scene.opened(&mut data, Side::Server);
    sends(scene, &mut data);
    says_goodbye(scene, &mut control);
    scene.counts("started", 2);
    scene.counts("completed", 2);
}

/// A client that writes piecewise, with Nagle's algorithm: the first half must be acknowledged before more comes.
pub fn split(scene: &mut Scene) {
    let mut control = logged_in(scene);
    let (mut data, said, heard) = announced(scene, LISTENS[0]);
    let (first, rest) = said.split_at(11);
    scene.in_two_parts(&mut control, Side::Client, [first, rest], &heard);
    agrees(scene, &mut control);
    scene.opened(&mut data, Side::Server);
    scene.counts("answered", 1);
}

/// The ACK is late or lost.
pub fn sent_again(scene: &mut Scene) {
    let mut control = logged_in(scene);
    let (mut data, said, heard) = announced(scene, LISTENS[0]);
    let (first, rest) = said.split_at(11);
    scene.in_two_parts(&mut control, Side::Client, [first, rest], &heard);
    scene.seconds(1);
    scene.repeats(&control, Side::Client, [first, rest], &heard);
    agrees(scene, &mut control);
    scene.opened(&mut data, Side::Server);
    scene.counts("started", 2);
}

/// RFC 959 forbids it, but some clients send the next command before the reply.
pub fn pipelined(scene: &mut Scene) {
    let mut control = logged_in(scene);
    let [first, second] = LISTENS.map(|port| announced(scene, port));
    let (said, heard) = ([first.1, second.1].concat(), [first.2, second.2].concat());
    scene.rewritten("the client listens twice", &mut control, Side::Client, &said, &heard);
    agrees(scene, &mut control);
    agrees(scene, &mut control);
    for mut data in [first.0, second.0] {
        scene.opened(&mut data, Side::Server);
        sends(scene, &mut data);
    }
    scene.counts("started", 3);
    scene.counts("completed", 2);
}

/// RFC 4217: after the server's consent nothing can be read.
pub fn encrypted(scene: &mut Scene) {
    let mut control = scene.opens(scene.client(2070), FTP);
    scene.speaks("welcome", &mut control, Side::Server, "220 ready\r\n");
    scene.speaks("TLS", &mut control, Side::Client, "AUTH TLS\r\n");
    scene.speaks("it is wanted", &mut control, Side::Server, "234 Proceed with negotiation.\r\n");
    let said = active(scene.client(LISTENS[0]));
    scene.speaks("what looks like a command", &mut control, Side::Client, &said);
    scene.speaks("or like an answer", &mut control, Side::Server, "229 (|||40001|)\r\n");
    scene.counts("started", 1);
}

fn logged_in(scene: &mut Scene) -> Connection {
    let mut control = scene.opens(scene.client(2070), FTP);
    scene.speaks("welcome", &mut control, Side::Server, "220 ready\r\n");
    scene.speaks("a name", &mut control, Side::Client, "USER anonymous\r\n");
    scene.speaks("enough", &mut control, Side::Server, "230 Login successful.\r\n");
    control
}

/// A connection that the server must open to this port of the client, the client's announcement, and the server's
/// version of it.
fn announced(scene: &mut Scene, port: u16) -> (Connection, String, String) {
    let client = scene.client(port);
    let data = scene.begins(client, FTP - 1);
    let (said, heard) = (active(client), active(data.seen_as));
    (data, said, heard)
}

fn agrees(scene: &mut Scene, control: &mut Connection) {
    scene.speaks("it is agreed", control, Side::Server, "200 PORT command successful.\r\n");
}

/// The server sends a file and closes.
fn sends(scene: &mut Scene, data: &mut Connection) {
    scene.speaks("the file", data, Side::Server, "its content\n");
    scene.closes(data, Side::Server);
}

fn says_goodbye(scene: &mut Scene, control: &mut Connection) {
    scene.speaks("it was sent", control, Side::Server, "226 Transfer complete.\r\n");
    scene.speaks("goodbye", control, Side::Client, "QUIT\r\n");
    scene.speaks("goodbye", control, Side::Server, "221 Goodbye.\r\n");
    scene.closes(control, Side::Server);
}
