//! Any records of a peer gate: what is read can be written, and whatever is taken in leaves the tables sound.
#![no_main]

use control::pair::record::Record;
use engine::snapshot::{Ftp, Protocol, Snapshot};
use engine::state::sync::import::SyncImport;
use kit::connections::add;
use kit::pair::Pair;
use kit::topology::snapshot;
use libfuzzer_sys::fuzz_target;

fn world() -> Snapshot {
    let mut world = snapshot();
    add(&mut world, Protocol::Tcp, 22, [1, 1]);
    add(&mut world, Protocol::Ftp(Ftp { data_port: None, foreign_data: false }), 21, [1, 1]);
    world
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(records) = Record::decode_all(bytes) else { return };
    let mut written = vec![];
    records.iter().for_each(|record| record.encode(&mut written));
    let again = Record::decode_all(&written).expect("records");
    assert_eq!(format!("{again:?}"), format!("{records:?}"));
    let mut rows = SyncImport::default();
    for record in records {
        match record {
            Record::Transfer(transfer) => rows.transfers.push(transfer),
            Record::Connection(connection) => rows.connections.push(connection),
        }
    }
    // It checks the counters and the places at backends.
    let mut pair = Pair::new(world);
    pair.hear(1, rows);
    pair.fail_over();
    pair.wait(100);
});
