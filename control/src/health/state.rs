//! From findings to a verdict: one that goes against it changes nothing, so many in a row do.

use crate::standing::Verdict;

/// One backend's verdict.
#[derive(Debug, Clone)]
pub struct State {
    /// Findings in a row that make a dead backend live.
    rise: u32,
    /// Findings in a row that make a living one dead.
    fall: u32,
    verdict: Verdict,
    /// Findings in a row against the verdict.
    against: u32,
}

impl State {
    /// Goes on from a verdict.
    pub fn new(rise: u32, fall: u32, verdict: Verdict) -> State {
        State { rise, fall, verdict, against: 0 }
    }

    /// Takes a finding, well or not, and answers the verdict.
    pub fn hear(&mut self, well: bool) -> Verdict {
        let (new, needed) = match (self.verdict, well) {
            (Verdict::Passed, true) | (Verdict::Failed, false) => {
                self.against = 0;
                return self.verdict;
            }
            // It counts as alive already.
            (Verdict::Pending, true) => (Verdict::Passed, 1),
            (Verdict::Pending | Verdict::Passed, false) => (Verdict::Failed, self.fall),
            (Verdict::Failed, true) => (Verdict::Passed, self.rise),
        };
        self.against += 1;
        if self.against >= needed {
            self.verdict = new;
            self.against = 0;
        }
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn verdicts(rise: u32, fall: u32, findings: &[bool]) -> Vec<Verdict> {
        let mut state = State::new(rise, fall, Verdict::Pending);
        findings.iter().map(|&well| state.hear(well)).collect()
    }

    #[test]
    fn three_down_and_two_up() {
        use Verdict::{Failed, Passed, Pending};
        let findings =
            [false, false, true, false, false, true, false, false, false, true, false, true, true];
        let expected = [
            Pending, Pending, Passed, Passed, Passed, Passed, Passed, Passed, Failed, Failed,
            Failed, Failed, Passed,
        ];
        assert_eq!(verdicts(2, 3, &findings), expected);
        assert_eq!(verdicts(2, 2, &[false, false]), [Pending, Failed]);
        assert_eq!(State::new(2, 3, Failed).hear(true), Failed, "a reload revives nobody");
    }

    proptest! {
        /// Looked at from behind: the verdict is that of the last run which was long enough.
        #[test]
        fn the_last_long_run_decides(
            rise in 1u32..5,
            fall in 1u32..5,
            findings in prop::collection::vec(any::<bool>(), 1..200),
        ) {
            let verdicts = verdicts(rise, fall, &findings);
            for end in 1..=findings.len() {
                let mut model = Verdict::Pending;
                for at in 1..=end {
                    let run = |well| findings[..at].iter().rev().take_while(|&&it| it == well).count();
                    if run(false) >= fall as usize {
                        model = Verdict::Failed;
                    } else if run(true) >= rise as usize || (run(true) > 0 && model == Verdict::Pending) {
                        model = Verdict::Passed;
                    }
                }
                prop_assert_eq!(verdicts[end - 1], model);
            }
        }
    }
}
