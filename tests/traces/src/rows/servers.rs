//! Habits of servers.

use crate::scene::Scene;
use kit::packet::Packet;
use kit::packets::{data, oack, rrq, rrq_with, wrq};
use kit::topology::mac;
use kit::transfer::{TID, Transfer};
use std::net::SocketAddr;

/// RFC 1350 §4: the first answer comes from a port that the server has chosen.
pub fn new_port(scene: &mut Scene) {
    let vip = scene.via.vip();
    let request = rrq_with(scene.client(2070), vip, "pxelinux.0", &[("blksize", 1428)]);
    let transfer = scene.asks("a request with an option", request);
    let granted = oack(transfer.server, transfer.seen_as, &[("blksize", 1428)]);
    scene.down("an OACK comes first", transfer, granted);
    scene.up("it is acknowledged", transfer, transfer.ack(0));

    let transfer = scene.asks("a request without one", rrq(scene.client(2071), vip, "pxelinux.0"));
    scene.down("DATA comes first", transfer, transfer.data(1, 512));
    scene.up("it is acknowledged", transfer, transfer.ack(1));

    let transfer = scene.asks("an upload", wrq(scene.client(2072), vip, "crash.log"));
    scene.down("an ACK comes first", transfer, transfer.says(&[0, 4, 0, 0]));
    scene.up("the first block", transfer, data(transfer.client, transfer.vip_tid(), 1, 512));

    let transfer = scene.asks("a request", rrq(scene.client(2073), vip, "missing"));
    scene.down("an ERROR comes first", transfer, transfer.server_error(1));
    scene.counts("started", 4);
    scene.counts("not_found", 1);
}

/// RFC 1350 §4, tftp-hpa, atftpd: a process with its own port for each request.
pub fn two_answers(scene: &mut Scene) {
    let request = rrq(scene.client(2070), scene.via.vip(), "boot.img");
    let transfer = scene.asks("a request", request.clone());
    scene.seconds(1);
    scene.asks_again("the client has heard nothing yet", transfer, request);
    let other = transfer.with_tid(TID + 1);
    scene.down("the first process answers", transfer, transfer.data(1, 512));
    scene.stray("the second one too", other, other.data(1, 512));
    scene.up("the client knows the first", transfer, transfer.ack(1));
    scene.down("which ends the file", transfer, transfer.data(2, 100));
    scene.up("the last ACK", transfer, transfer.ack(2));
    scene.counts("started", 1);
    scene.counts("retransmitted", 1);
    scene.counts("strays", 1);
    scene.counts("completed", 1);
}

/// dnsmasq --tftp-single-port, Tinkerbell's smee: everything from port 69.
pub fn single_port(scene: &mut Scene) {
    let vip = scene.via.vip();
    for (port, file) in [(2070, "undionly.kpxe"), (2071, "vmlinuz"), (2070, "initrd")] {
        let transfer = scene.asks("a request", rrq(scene.client(port), vip, file)).with_tid(69);
        scene.down("the answer is from 69", transfer, transfer.data(1, 512));
        scene.up("the ACK goes there", transfer, transfer.ack(1));
        scene.down("the end of the file", transfer, transfer.data(2, 0));
        scene.up("the last ACK", transfer, transfer.ack(2));
        scene.seconds(1);
    }
    scene.counts("completed", 3);
    scene.counts("to_service_port", 0);
}

/// tinkerbell playground, issue 68: the server has several addresses, and its routes choose one.
pub fn alias(scene: &mut Scene) {
    let asked = scene.asks("a request", rrq(scene.client(2070), scene.via.vip(), "boot.img"));
    let transfer =
        Transfer { server: SocketAddr::new(super::snapshots::alias(scene.via), TID), ..asked };
    // All addresses of the server are on one network card.
    let sent = |packet| Packet { from: mac(asked.server.ip()), ..packet };
    scene.down("the answer is from another address", transfer, sent(transfer.data(1, 512)));
    scene.up("the ACK goes there", transfer, transfer.ack(1));
    scene.down("the end of the file", transfer, sent(transfer.data(2, 7)));
    scene.up("the last ACK", transfer, transfer.ack(2));
    scene.counts("completed", 1);
}

/// U-Boot, net/tftp.c: any ERROR 5 restarts the boot.
pub fn foreign_error(scene: &mut Scene) {
    let transfer = scene.asks("a request", rrq(scene.client(1024), scene.via.vip(), "zImage"));
    scene.down("the answer", transfer, transfer.data(1, 512));
    let stranger = transfer.with_tid(TID + 1);
    scene.down_in_vain("an ERROR of another process", stranger.server_error(5));
    scene.up("the client has heard nothing of it", transfer, transfer.ack(1));
    scene.down("the end of the file", transfer, transfer.data(2, 7));
    scene.up("the last ACK", transfer, transfer.ack(2));
    scene.counts("failed", 0);
    scene.counts("completed", 1);
}

/// A server with the VIP on its loopback answers from the VIP, bypassing the gate; the client's packets follow their
/// transfer. A server that answers from its own address (FreeBSD's tftpd under inetd) takes the client along.
pub fn direct_return(scene: &mut Scene) {
    let vip = scene.via.vip();
    let transfer = scene.asks("a request", rrq(scene.client(2070), vip, "boot.img"));
    scene.up(
        "the client answers the VIP and a port that the gate has not seen",
        transfer,
        transfer.ack(1),
    );
    scene.up("and goes on", transfer, transfer.ack(2));
    scene.up_in_vain("another port is no part of it", transfer.with_tid(TID + 1).ack(3));
    scene.asks("of this one nothing more is seen", rrq(scene.client(2071), vip, "boot.img"));
}

/// dnsmasq --tftp-max, 50 by default: further requests are ignored. Another server gets them; without one, the client
/// repeats its request.
pub fn limit(scene: &mut Scene) {
    let vip = scene.via.vip();
    let request = |scene: &Scene, port| rrq(scene.client(port), vip, "boot.img");
    let asks = request(scene, 2070);
    let first = scene.asks_one("the first server takes one transfer", 0, asks);
    let asks = request(scene, 2071);
    scene.asks_one("it is full: the second one", 1, asks);
    let asks = request(scene, 2072);
    scene.asks_one("which takes two", 1, asks);
    let late = request(scene, 2073);
    scene.up_in_vain("both are full", late.clone());
    scene.down("the first client's file begins", first, first.data(1, 512));
    scene.up("and it gives up", first, first.client_error(3));
    scene.seconds(1);
    scene.asks_one("the client that heard nothing asks again", 0, late);
    scene.counts("started", 4);
    scene.counts("backends-full", 1);
    scene.counts("failed", 1);
}

/// Clients repeat a request three to ten times, one to five seconds apart: the second repetition goes to another
/// server.
pub fn silence(scene: &mut Scene) {
    let request = rrq(scene.client(2070), scene.via.vip(), "boot.img");
    let dead = scene.asks("a request", request.clone());
    scene.seconds(1);
    scene.asks_again("the client has heard nothing", dead, request.clone());
    scene.seconds(2);
    let transfer = scene.asks_one("nor has it now", 1, request);
    scene.down("the other server answers", transfer, transfer.data(1, 512));
    scene.up("the client goes on with it", transfer, transfer.ack(1));
    scene.down("the end of the file", transfer, transfer.data(2, 100));
    scene.up("the last ACK", transfer, transfer.ack(2));
    scene.counts("started", 2);
    scene.counts("unanswered", 1);
    scene.counts("asked_elsewhere", 1);
    scene.counts("completed", 1);
}
