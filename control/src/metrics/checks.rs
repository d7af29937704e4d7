//! Metrics of health checks.

use super::buckets::Buckets;
use super::page::Page;
use crate::backend_status::CheckCounts;
use std::fmt;

/// The checks of backends, each with the backend's labels.
pub type Checked<'a> = [([(&'a str, &'a str); 2], &'a CheckCounts)];

pub fn encode(checked: &Checked, page: &mut Page) -> fmt::Result {
    let verdicts = checked.iter().flat_map(|&(labels, checks)| {
        let CheckCounts { passed, failed, none, time: _ } = checks;
        let verdicts = [("passed", passed), ("failed", failed), ("none", none)];
        verdicts.map(|(verdict, &count)| {
            let [service, backend] = labels;
            ([service, backend, ("verdict", verdict)], count)
        })
    });
    let help = "Health checks, by verdict; none: the check could not be made";
    page.counter("health_checks", help, verdicts)?;
    let times = checked.iter().map(|&(labels, checks)| (labels, Buckets::from(&checks.time)));
    page.histogram("health_check_seconds", "Time that health checks took", times)
}
