//! What becomes of blocks on their way: how large they are, how many, in which parts.

use crate::scene::Scene;
use kit::packet::Packet;
use kit::story::{data, oack, rrq, rrq_with, wrq};
use kit::world::Via;

/// RFC 2348, MAAS bug 2118408: blocks larger than the path's MTU, with their last part first. From servers over IPv4 to
/// clients over IPv6 they are to fit, and are cut only by somebody with shorter links.
pub fn fragments(scene: &mut Scene) {
    let vip = scene.via.vip();
    let size: u16 = if scene.via == Via::Snat64 { 1500 - 40 - 8 - 4 } else { 8192 };
    let request =
        |size: u16| rrq_with(scene.client(2070), vip, "initrd", &[("blksize", size.into())]);
    let (asked, passed) = (request(8192), request(size));
    let talk = scene.asks_for("a request", asked, &passed.payload);
    let options = oack(talk.server, talk.seen_as, &[("blksize", size.into())]);
    scene.down("its options", talk, options);
    scene.up("their ACK", talk, talk.ack(0));
    for (block, len) in [(1, size), (2, size), (3, 1447)] {
        let packet = Packet { id: 700 + block, ..talk.data(block, len.into()) };
        scene.down_in_parts("a block", talk, packet);
        scene.up("its ACK", talk, talk.ack(block));
    }

    let talk = scene.asks("an upload", wrq(scene.client(2071), vip, "crash.log"));
    scene.down("an ACK", talk, talk.says(&[0, 4, 0, 0]));
    let block = Packet { id: 800, ..data(talk.client, talk.vip_tid(), 1, 4000) };
    scene.up_in_parts("a block", talk, block);
    scene.down("its ACK", talk, talk.says(&[0, 4, 0, 1]));
    scene.counts("completed", 1);
    scene.counts("fragment", 0);
}

/// RFC 7440; EDK2 asks for four blocks to an ACK.
pub fn window(scene: &mut Scene) {
    let options = [("blksize", 1024), ("windowsize", 4)];
    let request = rrq_with(scene.client(1859), scene.via.vip(), "bootx64.efi", &options);
    let talk = scene.asks("a request", request);
    scene.down("its options", talk, oack(talk.server, talk.seen_as, &options));
    scene.up("their ACK", talk, talk.ack(0));
    for first in [1, 5] {
        for block in first..first + 4 {
            scene.down("a block", talk, talk.data(block, if block == 8 { 10 } else { 1024 }));
        }
        scene.up("one ACK for all", talk, talk.ack(first + 3));
    }
    scene.counts("completed", 1);
}

/// GRUB and U-Boot go on at 0, others at 1; dnsmasq does as the client.
pub fn wrap(scene: &mut Scene) {
    for (port, next) in [(25300, 0), (25301, 1)] {
        let talk = scene.asks("a request", rrq(scene.client(port), scene.via.vip(), "large"));
        for block in [1, 65_534, 65_535, next, next + 1] {
            scene.down("a block", talk, talk.data(block, 512));
            scene.up("its ACK", talk, talk.ack(block));
        }
        scene.down("the end of the file", talk, talk.data(next + 2, 0));
        scene.up("the last ACK", talk, talk.ack(next + 2));
    }
    scene.counts("started", 2);
    scene.counts("completed", 2);
}

/// RFC 1123 §4.2.3.1: what comes twice goes twice, and nothing else does.
pub fn apprentice(scene: &mut Scene) {
    let talk = scene.asks("a request", rrq(scene.client(2070), scene.via.vip(), "boot.img"));
    scene.down("a block", talk, talk.data(1, 512));
    scene.up("its ACK", talk, talk.ack(1));
    scene.up("its ACK again", talk, talk.ack(1));
    scene.down("the next block", talk, talk.data(2, 512));
    scene.down("and again", talk, talk.data(2, 512));
    scene.up("its ACK", talk, talk.ack(2));
    scene.down("the end of the file", talk, talk.data(3, 9));
    scene.up("the last ACK", talk, talk.ack(3));
    scene.counts("completed", 1);
}

/// MAAS bug 2118408: Ethernet's least frame is longer than an ACK, and what fills it is no part of it.
pub fn padding(scene: &mut Scene) {
    let request = rrq(scene.client(2070), scene.via.vip(), "x").padded();
    let talk = scene.asks("a short request", request);
    scene.down("a short block ends the file", talk, talk.data(1, 3).padded());
    scene.up("its ACK", talk, talk.ack(1).padded());
    scene.counts("completed", 1);
}

/// RFC 1350 §4: the client sends DATA, the server ACKs; with options an OACK takes the place of the first.
pub fn uploads(scene: &mut Scene) {
    let vip = scene.via.vip();
    let talk = scene.asks("an upload", wrq(scene.client(2070), vip, "switch.cfg"));
    scene.down("go on", talk, talk.says(&[0, 4, 0, 0]));
    for (block, len) in [(1, 512), (2, 100)] {
        scene.up("a block", talk, data(talk.client, talk.vip_tid(), block, len));
        scene.down("its ACK", talk, talk.says(&[0, 4, 0, block as u8]));
    }

    let request = wrq(scene.client(2071), vip, "core");
    let payload = [&request.payload[..], b"blksize\x001024\0"].concat();
    let talk = scene.asks("an upload with an option", Packet { payload, ..request });
    scene.down("go on", talk, oack(talk.server, talk.seen_as, &[("blksize", 1024)]));
    for (block, len) in [(1, 1024), (2, 0)] {
        scene.up("a block", talk, data(talk.client, talk.vip_tid(), block, len));
        scene.down("its ACK", talk, talk.says(&[0, 4, 0, block as u8]));
    }
    scene.counts("completed", 2);
}
