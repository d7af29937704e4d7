//! What goes over TCP: any connection, and FTP's (RFC 959, RFC 2428). Real FTP clients and servers were watched for what
//! they say.

use super::{FTP, SSH};
use crate::scene::Scene;
use crate::scene::line::{By, Line};
use kit::ftp::{active, passive_at};
use kit::world::Via;
use std::net::SocketAddr;

/// The port that servers listen on for data.
const DATA: u16 = 40_001;
/// The ports that clients do.
const LISTENS: [u16; 2] = [5001, 5002];

/// OpenSSH: each side names itself, then talks; the client closes.
pub fn tcp(scene: &mut Scene) {
    let mut line = scene.opens(scene.client(2070), SSH);
    scene.speaks("its version", &mut line, By::Client, "SSH-2.0-OpenSSH_9.6\r\n");
    scene.speaks("the server's", &mut line, By::Server, "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n");
    scene.flags("an ACK", &mut line, By::Client, "A");
    scene.speaks("much", &mut line, By::Server, &"x".repeat(1400));
    scene.speaks("an odd number of bytes", &mut line, By::Client, "y");
    scene.closes(&mut line, By::Client);
    scene.counts("started", 1);
    scene.counts("completed", 1);
}

/// RFC 9293 §3.10.7.2: a reset that acknowledges the SYN.
pub fn refused(scene: &mut Scene) {
    let client = scene.client(2070);
    let mut line = scene.begins(client, SSH);
    scene.flags("a SYN", &mut line, By::Client, "S");
    scene.flags("nobody listens", &mut line, By::Server, "AR");
    scene.counts("failed", 1);
}

/// curl, lftp, Python's ftplib: EPSV, or PASV over IPv4.
pub fn passive(scene: &mut Scene) {
    let mut control = logged_in(scene);
    let at = SocketAddr::new(control.server.ip(), DATA);
    let own = passive_at(SocketAddr::new(control.vip.ip(), DATA));
    let extended = format!("229 Entering Extended Passive Mode (|||{DATA}|)\r\n");
    let [asks, asked, answers, answered] = match scene.via {
        Via::Nat | Via::Snat => ["PASV\r\n", "PASV\r\n", &passive_at(at), &own],
        Via::Snat46 => ["PASV\r\n", "EPSV\r\n", &extended, &own],
        Via::Snat64 => ["EPSV\r\n", "PASV\r\n", &passive_at(at), &extended],
        Via::Nat6 | Via::Snat6 | Via::Dsr | Via::Dsr6 => {
            ["EPSV\r\n", "EPSV\r\n", &extended, &extended]
        }
    };
    scene.rewritten("the server is to listen", &mut control, By::Client, asks, asked);
    scene.rewritten("it does", &mut control, By::Server, answers, answered);
    scene.speaks("what for", &mut control, By::Client, "RETR file\r\n");
    let mut data = scene.opens(scene.client(2071), DATA);
    scene.speaks("it begins", &mut control, By::Server, "150 Opening BINARY mode\r\n");
    sends(scene, &mut data);
    says_goodbye(scene, &mut control);
    scene.counts("started", 2);
    scene.counts("completed", 2);
}

/// ftplib with `set_pasv(False)`, curl with `--ftp-port -`; the server connects from its port 20.
pub fn server_connects(scene: &mut Scene) {
    let mut control = logged_in(scene);
    let (mut data, said, heard) = announced(scene, LISTENS[0]);
    scene.rewritten("the client listens", &mut control, By::Client, &said, &heard);
    agrees(scene, &mut control);
    scene.opened(&mut data, By::Server);
    sends(scene, &mut data);
    says_goodbye(scene, &mut control);
    scene.counts("started", 2);
    scene.counts("completed", 2);
}

/// A client that writes as it composes, or Nagle's algorithm: the first half has to be acknowledged before more comes.
pub fn split(scene: &mut Scene) {
    let mut control = logged_in(scene);
    let (mut data, said, heard) = announced(scene, LISTENS[0]);
    let (first, rest) = said.split_at(11);
    scene.in_two_parts(&mut control, By::Client, [first, rest], &heard);
    agrees(scene, &mut control);
    scene.opened(&mut data, By::Server);
    scene.counts("answered", 1);
}

/// The answer is late, or lost.
pub fn sent_again(scene: &mut Scene) {
    let mut control = logged_in(scene);
    let (mut data, said, heard) = announced(scene, LISTENS[0]);
    let (first, rest) = said.split_at(11);
    scene.in_two_parts(&mut control, By::Client, [first, rest], &heard);
    scene.seconds(1);
    scene.repeats(&control, By::Client, [first, rest], &heard);
    agrees(scene, &mut control);
    scene.opened(&mut data, By::Server);
    scene.counts("started", 2);
}

/// RFC 959 lets nobody do so, but some clients say the next command before they have an answer.
pub fn pipelined(scene: &mut Scene) {
    let mut control = logged_in(scene);
    let [first, second] = LISTENS.map(|port| announced(scene, port));
    let (said, heard) = ([first.1, second.1].concat(), [first.2, second.2].concat());
    scene.rewritten("the client listens twice", &mut control, By::Client, &said, &heard);
    agrees(scene, &mut control);
    agrees(scene, &mut control);
    for mut data in [first.0, second.0] {
        scene.opened(&mut data, By::Server);
        sends(scene, &mut data);
    }
    scene.counts("started", 3);
    scene.counts("completed", 2);
}

/// RFC 4217: from the server's consent on nothing can be read.
pub fn encrypted(scene: &mut Scene) {
    let mut control = scene.opens(scene.client(2070), FTP);
    scene.speaks("welcome", &mut control, By::Server, "220 ready\r\n");
    scene.speaks("TLS", &mut control, By::Client, "AUTH TLS\r\n");
    scene.speaks("it is wanted", &mut control, By::Server, "234 Proceed with negotiation.\r\n");
    let said = active(scene.client(LISTENS[0]));
    scene.speaks("what looks like a command", &mut control, By::Client, &said);
    scene.speaks("or like an answer", &mut control, By::Server, "229 (|||40001|)\r\n");
    scene.counts("started", 1);
}

fn logged_in(scene: &mut Scene) -> Line {
    let mut control = scene.opens(scene.client(2070), FTP);
    scene.speaks("welcome", &mut control, By::Server, "220 ready\r\n");
    scene.speaks("a name", &mut control, By::Client, "USER anonymous\r\n");
    scene.speaks("enough", &mut control, By::Server, "230 Login successful.\r\n");
    control
}

/// A connection that the server is to make to this port of the client's, what the client says of it, and what the server
/// hears.
fn announced(scene: &mut Scene, port: u16) -> (Line, String, String) {
    let client = scene.client(port);
    let data = scene.begins(client, FTP - 1);
    let (said, heard) = (active(client), active(data.seen_as));
    (data, said, heard)
}

fn agrees(scene: &mut Scene, control: &mut Line) {
    scene.speaks("it is agreed", control, By::Server, "200 PORT command successful.\r\n");
}

/// The server sends a file, and closes.
fn sends(scene: &mut Scene, data: &mut Line) {
    scene.speaks("the file", data, By::Server, "its content\n");
    scene.closes(data, By::Server);
}

fn says_goodbye(scene: &mut Scene, control: &mut Line) {
    scene.speaks("it was sent", control, By::Server, "226 Transfer complete.\r\n");
    scene.speaks("goodbye", control, By::Client, "QUIT\r\n");
    scene.speaks("goodbye", control, By::Server, "221 Goodbye.\r\n");
    scene.closes(control, By::Server);
}
