//! Retransmissions of an FTP client carry the original bytes: the server may have dropped the first segment.

use engine::snapshot::{Ftp, Protocol};
use engine::types::verdict::Verdict;
use kit::connections::{Connection, snapshot};
use kit::engine_harness::EngineHarness;
use kit::ftp::active;
use kit::segment::Segment;
use kit::topology::{FLOWS, Via};
use std::net::SocketAddr;

/// A line of the same length that is not read.
fn cloak(line: &str) -> String {
    format!("NOOP {:x<1$}\r\n", "", line.len() - 7)
}

/// Three versions of a segment that a server drops: without ACK; with an old timestamp (RFC 7323); with an unexpected
/// signature (RFC 2385).
fn unheard(said: Segment) -> [Segment; 3] {
    let stamp = [&[1, 1, 8, 10][..], &1u32.to_be_bytes(), &[0; 4]].concat();
    let signature = [&[1, 1, 19, 18][..], &[7; 16]].concat();
    [
        Segment { flags: "P".to_owned(), acknowledgement: 0, ..said.clone() },
        Segment { options: stamp, ..said.clone() },
        Segment { options: signature, ..said },
    ]
}

#[test]
fn a_line_that_comes_again_is_the_same_line() {
    let ftp = Ftp { data_port: None, foreign_data: false };
    for via in Via::SEEN {
        let foreign = active(SocketAddr::new(via.host(0, 66), 5001));
        for line in [&foreign, "STAT -1 up\r\n"] {
            for nth in 0..3 {
                let mut gate = EngineHarness::with(snapshot(Protocol::Ftp(ftp), 21), FLOWS);
                let control = Connection::open(&mut gate, via, via.client(), 21);
                let said = control.from_client("AP", &cloak(line));
                let _ = gate.take(unheard(said)[nth].clone());
                let outcome = gate.take(control.from_client("AP", line));
                if let Verdict::Transmit(_) = outcome.verdict {
                    let heard = outcome.sent_segment().text();
                    assert_eq!(heard, cloak(line), "{via:?} {nth}");
                }
            }
        }
    }
}
