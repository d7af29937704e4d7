//! Log policy of a service: which ends of transfers and connections, and which refusals, control wants records of.

use crate::types::end_reason::EndReason;

/// Log policy of a service. The default wants no records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPolicy {
    /// Wanted ends, a bit for each [`EndReason`] by its number.
    pub ends: u16,
    /// Whether refused requests are wanted.
    pub refusals: bool,
    /// Every which record is wanted, from 1.
    pub one_in: u32,
}

impl Default for LogPolicy {
    fn default() -> LogPolicy {
        LogPolicy { ends: 0, refusals: false, one_in: 1 }
    }
}

impl LogPolicy {
    /// Whether records of this end are wanted.
    #[inline]
    pub fn wants(&self, end: EndReason) -> bool {
        self.ends & LogPolicy::bit(end) != 0
    }

    /// The bit of an end in [`LogPolicy::ends`].
    pub fn bit(end: EndReason) -> u16 {
        1 << end as u16
    }
}
