//! Effects of networks on blocks: size, number, fragments.

use crate::scene::Scene;
use kit::packet::Packet;
use kit::packets::{data, oack, rrq, rrq_with, wrq};
use kit::topology::Via;

/// RFC 2348, MAAS bug 2118408: blocks larger than the path's MTU, last fragment first. From IPv4 servers to IPv6
/// clients, blocks must fit, and are fragmented only by routers with smaller links.
pub fn fragments(scene: &mut Scene) {
    let vip = scene.via.vip();
    let size: u16 = if scene.via == Via::Snat64 { 1500 - 40 - 8 - 4 } else { 8192 };
    let request =
        |size: u16| rrq_with(scene.client(2070), vip, "initrd", &[("blksize", size.into())]);
    let (asked, passed) = (request(8192), request(size));
    let transfer = scene.asks_for("a request", asked, &passed.payload);
    let options = oack(transfer.server, transfer.seen_as, &[("blksize", size.into())]);
    scene.down("its options", transfer, options);
    scene.up("their ACK", transfer, transfer.ack(0));
    for (block, len) in [(1, size), (2, size), (3, 1447)] {
        let packet = Packet { id: 700 + block, ..transfer.data(block, len.into()) };
        scene.down_in_fragments("a block", transfer, packet);
        scene.up("its ACK", transfer, transfer.ack(block));
    }

    let transfer = scene.asks("an upload", wrq(scene.client(2071), vip, "crash.log"));
    scene.down("an ACK", transfer, transfer.says(&[0, 4, 0, 0]));
    let block = Packet { id: 800, ..data(transfer.client, transfer.vip_tid(), 1, 4000) };
    scene.up_in_fragments("a block", transfer, block);
    scene.down("its ACK", transfer, transfer.says(&[0, 4, 0, 1]));
    scene.counts("completed", 1);
    scene.counts("fragment", 0);
}

/// RFC 7440; EDK2 asks for four blocks to an ACK.
pub fn window(scene: &mut Scene) {
    let options = [("blksize", 1024), ("windowsize", 4)];
    let request = rrq_with(scene.client(1859), scene.via.vip(), "bootx64.efi", &options);
    let transfer = scene.asks("a request", request);
    scene.down("its options", transfer, oack(transfer.server, transfer.seen_as, &options));
    scene.up("their ACK", transfer, transfer.ack(0));
    for first in [1, 5] {
        for block in first..first + 4 {
            scene.down(
                "a block",
                transfer,
                transfer.data(block, if block == 8 { 10 } else { 1024 }),
            );
        }
        scene.up("one ACK for all", transfer, transfer.ack(first + 3));
    }
    scene.counts("completed", 1);
}

/// GRUB and U-Boot wrap to 0, others to 1; dnsmasq follows the client.
pub fn wrap(scene: &mut Scene) {
    for (port, next) in [(25300, 0), (25301, 1)] {
        let transfer = scene.asks("a request", rrq(scene.client(port), scene.via.vip(), "large"));
        for block in [1, 65_534, 65_535, next, next + 1] {
            scene.down("a block", transfer, transfer.data(block, 512));
            scene.up("its ACK", transfer, transfer.ack(block));
        }
        scene.down("the end of the file", transfer, transfer.data(next + 2, 0));
        scene.up("the last ACK", transfer, transfer.ack(next + 2));
    }
    scene.counts("started", 2);
    scene.counts("completed", 2);
}

/// RFC 1123 §4.2.3.1: repeated packets are forwarded as they come, and no others.
pub fn apprentice(scene: &mut Scene) {
    let transfer = scene.asks("a request", rrq(scene.client(2070), scene.via.vip(), "boot.img"));
    scene.down("a block", transfer, transfer.data(1, 512));
    scene.up("its ACK", transfer, transfer.ack(1));
    scene.up("its ACK again", transfer, transfer.ack(1));
    scene.down("the next block", transfer, transfer.data(2, 512));
    scene.down("and again", transfer, transfer.data(2, 512));
    scene.up("its ACK", transfer, transfer.ack(2));
    scene.down("the end of the file", transfer, transfer.data(3, 9));
    scene.up("the last ACK", transfer, transfer.ack(3));
    scene.counts("completed", 1);
}

/// MAAS bug 2118408: Ethernet's shortest frame is longer than an ACK, and its padding does not belong to the packet.
pub fn padding(scene: &mut Scene) {
    let request = rrq(scene.client(2070), scene.via.vip(), "x").padded();
    let transfer = scene.asks("a short request", request);
    scene.down("a short block ends the file", transfer, transfer.data(1, 3).padded());
    scene.up("its ACK", transfer, transfer.ack(1).padded());
    scene.counts("completed", 1);
}

/// RFC 1350 §4: the client sends DATA, the server ACKs; with options an OACK replaces the first ACK.
pub fn uploads(scene: &mut Scene) {
    let vip = scene.via.vip();
    let transfer = scene.asks("an upload", wrq(scene.client(2070), vip, "switch.cfg"));
    scene.down("go on", transfer, transfer.says(&[0, 4, 0, 0]));
    for (block, len) in [(1, 512), (2, 100)] {
        scene.up("a block", transfer, data(transfer.client, transfer.vip_tid(), block, len));
        scene.down("its ACK", transfer, transfer.says(&[0, 4, 0, block as u8]));
    }

    let request = wrq(scene.client(2071), vip, "core");
    let payload = [&request.payload[..], b"blksize\x001024\0"].concat();
    let transfer = scene.asks("an upload with an option", Packet { payload, ..request });
    scene.down("go on", transfer, oack(transfer.server, transfer.seen_as, &[("blksize", 1024)]));
    for (block, len) in [(1, 1024), (2, 0)] {
        scene.up("a block", transfer, data(transfer.client, transfer.vip_tid(), block, len));
        scene.down("its ACK", transfer, transfer.says(&[0, 4, 0, block as u8]));
    }
    scene.counts("completed", 2);
}
