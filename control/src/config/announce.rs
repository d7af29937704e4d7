//! Checks of when a service's VIPs are announced.

use super::check::Checker;
use super::file::{self, Maybe, place};
use super::types::{Addresses, Announce};
use toml::Spanned;

impl Checker {
    /// Reads when VIPs are announced; if it is not written, that of `[control]` counts.
    pub fn announce(&mut self, written: &Maybe<String>) -> Announce {
        let Some(written) = written else { return self.announce };
        match written.as_ref().as_str() {
            "always" => Announce::Always,
            "while-served" => Announce::WhileServed,
            other => {
                let what = format!("VIPs are not announced `{other}`");
                self.fault(written.span(), what, "\"always\" or \"while-served\"");
                self.announce
            }
        }
    }

    /// Reads when a service's VIPs are announced. Tidegate can only withdraw addresses that it adds itself.
    pub fn announce_of(
        &mut self,
        spanned: &Spanned<file::Service>,
        addresses: Addresses,
    ) -> Announce {
        let written = spanned.as_ref();
        let announce = self.announce(&written.announce);
        if (announce, addresses) == (Announce::WhileServed, Addresses::Elsewhere) {
            let span = place(&written.announce).or_else(|| place(&written.addresses));
            let what = format!(
                "`{}` has `announce = \"while-served\"`, but its addresses are added elsewhere",
                written.name.as_ref()
            );
            let hint = "write \"always\": keepalived moves them by `tidegate ready SERVICE`";
            self.fault(span.unwrap_or(spanned.span()), what, hint);
        }
        announce
    }
}

#[cfg(test)]
mod tests;
