//! The verdict of a backend's checks: only several findings in a row change it.

use crate::backend_status::CheckVerdict;

/// One backend's verdict.
#[derive(Debug, Clone)]
pub struct State {
    /// Findings in a row that make a dead backend live.
    rise: u32,
    /// Findings in a row that make a living one dead.
    fall: u32,
    verdict: CheckVerdict,
    /// Findings in a row against the verdict.
    against: u32,
}

impl State {
    /// Continues from an earlier verdict.
    pub fn new(rise: u32, fall: u32, verdict: CheckVerdict) -> State {
        State { rise, fall, verdict, against: 0 }
    }

    /// Takes a finding, healthy or not, and returns the verdict.
    pub fn hear(&mut self, well: bool) -> CheckVerdict {
        let (new, needed) = match (self.verdict, well) {
            (CheckVerdict::Passed, true) | (CheckVerdict::Failed, false) => {
                self.against = 0;
                return self.verdict;
            }
            // It counts as alive already.
            (CheckVerdict::Pending, true) => (CheckVerdict::Passed, 1),
            (CheckVerdict::Pending | CheckVerdict::Passed, false) => {
                (CheckVerdict::Failed, self.fall)
            }
            (CheckVerdict::Failed, true) => (CheckVerdict::Passed, self.rise),
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

    fn verdicts(rise: u32, fall: u32, findings: &[bool]) -> Vec<CheckVerdict> {
        let mut state = State::new(rise, fall, CheckVerdict::Pending);
        findings.iter().map(|&well| state.hear(well)).collect()
    }

    #[test]
    fn three_down_and_two_up() {
        use CheckVerdict::{Failed, Passed, Pending};
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
        /// The verdict is that of the last run of findings that was long enough.
        #[test]
        fn the_last_long_run_decides(
            rise in 1u32..5,
            fall in 1u32..5,
            findings in prop::collection::vec(any::<bool>(), 1..200),
        ) {
            let verdicts = verdicts(rise, fall, &findings);
            for end in 1..=findings.len() {
                let mut model = CheckVerdict::Pending;
                for at in 1..=end {
                    let run = |well| findings[..at].iter().rev().take_while(|&&it| it == well).count();
                    if run(false) >= fall as usize {
                        model = CheckVerdict::Failed;
                    } else if run(true) >= rise as usize || (run(true) > 0 && model == CheckVerdict::Pending) {
                        model = CheckVerdict::Passed;
                    }
                }
                prop_assert_eq!(verdicts[end - 1], model);
            }
        }
    }
}
