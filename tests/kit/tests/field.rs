//! What benchmarks measure is what they say: packets that pass.

use engine::frame::BURST;
use engine::verdict::Verdict;
use kit::field::{Field, Flat, Way};
use kit::lines::Lines;
use kit::world::Via;

#[test]
fn packets_of_both_versions_fit_and_pass() {
    for via in Via::ALIKE {
        let ways: &[Way] = if via.is_dsr() { &[Way::In] } else { &[Way::In, Way::Out] };
        let mut field = Field::new(via, 100);
        let mut lines = Lines::new(via, 100);
        for &way in ways {
            let mut frames = vec![Flat::EMPTY; BURST];
            field.draw(way, &mut frames);
            passed(via, way, &field.walk(way, &mut frames));
            lines.draw(way, &mut frames);
            passed(via, way, &lines.walk(way, &mut frames));
        }
    }
}

fn passed(via: Via, way: Way, verdicts: &[Verdict]) {
    for verdict in verdicts {
        assert!(matches!(verdict, Verdict::Transmit(_)), "{via:?} {way:?}: {verdict:?}");
    }
}
