//! Frames from a file and into one, byte for byte.

use crate::alone::alone;
use crate::support::{BUFFERS, eal, frame, pool};
use dpdk::{Port, PortConfig};
use engine::types::frame::{Burst, Frame};
use std::fs;
use std::path::Path;
use worker::port::{Pool, Port as _};

#[test]
fn frames_pass_from_file_to_file_unchanged() {
    alone("pcap::frames_pass_from_file_to_file_unchanged", || {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("in.pcap"), folder.path().join("out.pcap"));
        let mut frames: Vec<_> = (0..100).map(|number| frame(number, 60 + number * 14)).collect();
        write(&input, &frames);
        let device = "--vdev=net_pcap0,rx_pcap=".to_owned() + input.to_str().unwrap();
        let eal = eal(&[device + ",tx_pcap=" + output.to_str().unwrap()]);
        let pool = pool(&eal);
        let mut port = Port::find(&eal, "net_pcap0").unwrap();
        let mut queue = port.start(PortConfig::new(1, 1500), &pool).unwrap().0.remove(0);
        port.promiscuous().unwrap();

        let mut burst = Burst::new();
        for expected in frames.chunks(32) {
            queue.receive(&mut burst);
            assert!(burst.iter().map(Frame::bytes).eq(expected.iter().map(Vec::as_slice)));
            queue.transmit(&mut burst);
            assert!(burst.is_empty());
        }
        queue.receive(&mut burst);
        assert!(burst.is_empty());
        frames.push(frame(100, 1514));
        burst.push(pool.frame(&frames[100]).unwrap());
        queue.transmit(&mut burst);

        let stats = port.stats().unwrap();
        assert_eq!((stats.ipackets, stats.opackets, stats.oversized), (100, 101, 0));
        drop((queue, port));
        assert_eq!(pool.available(), BUFFERS);
        assert_eq!(read(&output), frames);
    });
}

#[test]
fn a_frame_in_several_buffers_is_dropped_and_counted() {
    alone("pcap::a_frame_in_several_buffers_is_dropped_and_counted", || {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("in.pcap");
        write(&input, &[frame(0, 60), frame(1, 3000), frame(2, 61)]);
        let eal = eal(&["--vdev=net_pcap0,rx_pcap=".to_owned() + input.to_str().unwrap()]);
        let pool = pool(&eal);
        let mut port = Port::find(&eal, "net_pcap0").unwrap();
        let mut queue = port.start(PortConfig::new(1, 1500), &pool).unwrap().0.remove(0);

        let mut burst = Burst::new();
        queue.receive(&mut burst);
        assert!(burst.iter().map(Frame::bytes).eq([frame(0, 60), frame(2, 61)]));
        assert_eq!(port.stats().unwrap().oversized, 1);
        drop((burst, queue, port));
        assert_eq!(pool.available(), BUFFERS);
    });
}

/// Magic number, version 2.4, no zone, no accuracy, longest frame, Ethernet.
const HEADER: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1];

fn write(path: &Path, frames: &[Vec<u8>]) {
    let mut bytes: Vec<u8> = HEADER.iter().flat_map(|word| word.to_le_bytes()).collect();
    for frame in frames {
        let len = frame.len() as u32;
        bytes.extend([0, 0, len, len].iter().flat_map(|word| word.to_le_bytes()));
        bytes.extend(frame);
    }
    fs::write(path, bytes).unwrap();
}

fn read(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let mut rest = &bytes[24..];
    let mut frames = Vec::new();
    while let Some((header, after)) = rest.split_at_checked(16) {
        let len = u32::from_le_bytes(header[8..12].try_into().unwrap()) as usize;
        frames.push(after[..len].to_vec());
        rest = &after[len..];
    }
    assert!(rest.is_empty());
    frames
}
