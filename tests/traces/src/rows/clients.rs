//! Habits of clients.

use super::snapshots::EVERYBODY;
use crate::scene::Scene;
use kit::packet::Packet;
use kit::packets::{ack, datagram, oack, rrq, rrq_with};
use kit::topology::Via;
use kit::transfer::Transfer;
use std::net::SocketAddr;
use wire::ethernet::Mac;

/// iPXE, net/udp/tftp.c, accepts only the first responder's full address; GRUB, net/udp.c, only the address that it
/// asked. Both drop a wrong checksum, and both accept a missing one over IPv4.
pub fn one_address(scene: &mut Scene) {
    let transfer = scene.asks("a request", rrq(scene.client(1025), scene.via.vip(), "boot.ipxe"));
    scene.down("a block with a checksum", transfer, transfer.data(1, 512));
    scene.up("its ACK", transfer, transfer.ack(1));
    scene.down("a block without one", transfer, transfer.data(2, 512).unsummed());
    scene.up("its ACK, without one", transfer, transfer.ack(2).unsummed());
    scene.down("a block whose checksum is zero", transfer, transfer.data(3, 512).summing_to_zero());
    scene.up("its ACK", transfer, transfer.ack(3));
    scene.down("the end of the file", transfer, transfer.data(4, 1));
    scene.up("the last ACK", transfer, transfer.ack(4));
    scene.counts("completed", 1);
}

/// GRUB starts at port 25300 at every boot, U-Boot has 3072 ports, PXE ROMs begin at 2070.
pub fn same_port(scene: &mut Scene) {
    let (client, vip) = (scene.client(25300), scene.via.vip());
    let first = scene.asks("a boot", rrq(client, vip, "grub/grub.cfg"));
    scene.down("a block", first, first.data(1, 512));
    scene.up("its ACK; then the machine is switched off", first, first.ack(1));
    scene.seconds(20);
    let second = scene.asks("the next boot", rrq(client, vip, "grub/core.efi")).with_tid(40_001);
    if scene.via.is_snat() {
        // The new transfer has its own endpoint, and the old one has no transfer.
        scene.down_in_vain("the old server repeats itself", first.data(2, 512));
    } else {
        scene.stray("the old server repeats itself", first, first.data(2, 512));
    }
    scene.down("the new one answers", second, second.data(1, 100));
    scene.up("the last ACK", second, second.ack(1));
    scene.counts("replaced", 1);
    scene.counts("completed", 1);
}

/// EDK2, PxeBcMtftp.c: the first request asks only for the size and is ended with ERROR 8; then the same port asks for
/// the file. A block that fits one IPv4 packet fits one IPv6 packet, too.
pub fn size_probe(scene: &mut Scene) {
    let (client, vip) = (scene.client(1859), scene.via.vip());
    let (asked, blksize) = match scene.via {
        Via::Snat46 => (1468, 1448),
        via if via.is_v6() => (1228, 1228),
        _ => (1468, 1468),
    };
    let probe = |size| rrq_with(client, vip, "bootx64.efi", &[("tsize", 0), ("blksize", size)]);
    let passed = probe(blksize).payload;
    let transfer = scene.asks_for("a request for the size", probe(asked), &passed);
    let size = oack(transfer.server, transfer.seen_as, &[("tsize", 1000), ("blksize", blksize)]);
    scene.down("the size", transfer, size);
    scene.up("that was all, says the client", transfer, transfer.client_error(8));

    let request =
        |size| rrq_with(client, vip, "bootx64.efi", &[("blksize", size), ("windowsize", 4)]);
    let passed = request(blksize).payload;
    let transfer = scene.asks_for("the same again for the file", request(asked), &passed);
    let transfer = transfer.with_tid(40_001);
    let granted =
        oack(transfer.server, transfer.seen_as, &[("blksize", blksize), ("windowsize", 4)]);
    scene.down("its options", transfer, granted);
    scene.up("it is acknowledged", transfer, transfer.ack(0));
    scene.down("the file", transfer, transfer.data(1, 1000));
    scene.up("the last ACK", transfer, transfer.ack(1));
    scene.counts("size_probes", 1);
    scene.counts("completed", 1);
    scene.counts("failed", 0);
}

/// raspberrypi/firmware, issues 991, 1041 and 1700: many files that may not exist, some concurrently; and an OACK may
/// be repeated.
pub fn raspberry_pi(scene: &mut Scene) {
    let vip = scene.via.vip();
    let ask = |scene: &mut Scene, (port, name): (u16, &str)| {
        let request = rrq_with(scene.client(port), vip, name, &[("tsize", 0), ("blksize", 1024)]);
        scene.asks(name, request)
    };
    let names = ["9ffefdef/start.elf", "start4.elf", "recovery.elf", "config.txt"];
    let talks: Vec<Transfer> =
        (49_152..).zip(names).map(|(port, name)| ask(scene, (port, name))).collect();
    for &transfer in &talks {
        scene.down("there is no such file", transfer, transfer.server_error(1));
    }
    let transfer = ask(scene, (49_160, "bootcode.bin"));
    let granted = oack(transfer.server, transfer.seen_as, &[("tsize", 9), ("blksize", 1024)]);
    scene.down("the options", transfer, granted.clone());
    scene.seconds(1);
    scene.down("and again", transfer, granted);
    scene.up("their ACK", transfer, transfer.ack(0));
    scene.down("the file", transfer, transfer.data(1, 9));
    scene.up("the last ACK", transfer, transfer.ack(1));
    scene.counts("not_found", 4);
    scene.counts("completed", 1);
    scene.counts("failed", 0);
}

/// lwIP before 2025.
pub fn from_69(scene: &mut Scene) {
    let transfer =
        scene.asks("a request from 69", rrq(scene.client(69), scene.via.vip(), "fw.bin"));
    scene.down("the answer", transfer, transfer.data(1, 512));
    scene.up("its ACK", transfer, transfer.ack(1));
    scene.down("the end of the file", transfer, transfer.data(2, 3));
    scene.up("the last ACK", transfer, transfer.ack(2));
    scene.counts("completed", 1);
}

/// ptftpd, issue 1: the client ignores the TID.
pub fn acks_to_69(scene: &mut Scene) {
    let (client, vip) = (scene.client(2070), scene.via.vip());
    let transfer = scene.asks("a request", rrq(client, vip, "boot.img"));
    scene.down("the answer", transfer, transfer.data(1, 512));
    scene.up("the ACK goes to 69, and is led to the TID", transfer, ack(client, vip, 1));
    scene.down("the end of the file", transfer, transfer.data(2, 3));
    scene.up("the last ACK likewise", transfer, ack(client, vip, 2));
    scene.counts("to_service_port", 2);
    scene.counts("completed", 1);
}

/// RFC 2090, iPXE: a server would grant a multicast group that the client does not reach.
pub fn multicast(scene: &mut Scene) {
    let (client, vip) = (scene.client(2070), scene.via.vip());
    let asks =
        |options: &str| format!("\0\x01boot.img\0octet\0{options}blksize\x001024\0").into_bytes();
    let request = datagram(client, vip, &asks("multicast\0\0"));
    let transfer = scene.asks_for("a request with `multicast`", request, &asks(""));
    scene.down(
        "the options",
        transfer,
        oack(transfer.server, transfer.seen_as, &[("blksize", 1024)]),
    );
    scene.up("their ACK", transfer, transfer.ack(0));
    scene.down("the file", transfer, transfer.data(1, 9));
    scene.up("the last ACK", transfer, transfer.ack(1));
    scene.counts("completed", 1);
}

/// dnsmasq's changelog: clients that write flash are silent for a minute.
pub fn pause(scene: &mut Scene) {
    let transfer = scene.asks("a request", rrq(scene.client(2070), scene.via.vip(), "fw.bin"));
    scene.down("the answer", transfer, transfer.data(1, 512));
    scene.up("its ACK", transfer, transfer.ack(1));
    scene.seconds(59);
    scene.up("it is still there", transfer, transfer.ack(1));
    scene.down("and the server too", transfer, transfer.data(2, 512));
    scene.seconds(61);
    scene.up_in_vain("that was too long", transfer.ack(2));
    scene.counts("timed_out", 1);
}

/// Cisco Aironet access points (fragmentationneeded.net, 2010): the request and every ACK go to
/// 255.255.255.255.
pub fn aironet(scene: &mut Scene) {
    let client = scene.client(2070);
    let at = |port| SocketAddr::new(EVERYBODY, port);
    let to_all = |packet| Packet { to: Mac::BROADCAST, ..packet };
    let transfer = scene.asks("a request to everybody", to_all(rrq(client, at(69), "c1200-k9w7")));
    scene.down("the answer is from the VIP", transfer, transfer.data(1, 512));
    scene.up("its ACK to everybody", transfer, to_all(ack(client, at(transfer.server.port()), 1)));
    scene.down("the end of the file", transfer, transfer.data(2, 3));
    scene.up("the last ACK", transfer, to_all(ack(client, at(transfer.server.port()), 2)));
    scene.counts("completed", 1);
}

/// EDK2, Mtftp6Dxe; with an extension header before UDP (RFC 8200 §4.6).
pub fn uefi_v6(scene: &mut Scene) {
    let vip = scene.via.vip();
    let options = [("tsize", 0), ("blksize", 1428), ("windowsize", 4)];
    let request = rrq_with(scene.client(1859), vip, "ipxe.efi", &options);
    let transfer = scene.asks("a request", Packet { options: vec![0; 4], ..request });
    let granted = oack(transfer.server, transfer.seen_as, &[("tsize", 3000), ("blksize", 1428)]);
    scene.down("its options", transfer, granted);
    scene.up("their ACK", transfer, transfer.ack(0));
    for (block, len) in [(1, 1428), (2, 1428), (3, 144)] {
        scene.down("a block", transfer, transfer.data(block, len));
    }
    scene.up("the last ACK", transfer, transfer.ack(3));
    scene.counts("completed", 1);
}

/// RFC 1350 §5 and RFC 2347: mode and options are read without case, names are bytes.
pub fn odd_requests(scene: &mut Scene) {
    let vip = scene.via.vip();
    let odd: [&[u8]; 5] = [
        b"\0\x01motd\0netascii\0",
        b"\0\x02someone\0mail\0",
        b"\0\x01pxelinux.0\0OcTeT\0BLKSIZE\x001024\0",
        b"\0\x01boot\\x64\\wdsnbp.com\0octet\0",
        b"\0\x01\xff\xfe caf\xe9\0octet\0",
    ];
    for (port, payload) in (3000..).zip(odd) {
        scene.asks("an odd request", datagram(scene.client(port), vip, payload));
    }
    let broken: [&[u8]; 5] = [
        b"\0\x01\0octet\0",
        b"\0\x01boot.img",
        b"\0\x01boot.img\0octet",
        b"\0\x01boot.img\0teleport\0",
        b"\0",
    ];
    for (port, payload) in (4000..).zip(broken) {
        scene.up_in_vain("a broken one", datagram(scene.client(port), vip, payload));
    }
    scene.counts("started", 5);
    scene.counts("bad-tftp", 5);
}
