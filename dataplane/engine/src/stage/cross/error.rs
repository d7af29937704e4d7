//! An error about a packet that has crossed: the packet that it quotes crosses back.

use super::{Crossing, Head, Plan, add, add_ip, header};
use crate::family::Family;
use crate::reason::Reason;
use crate::verdict::Step;
use wire::checksum::Delta;
use wire::ethernet;
use wire::icmp::{self, ERROR_HEADER, ErrorHeader, Quoted, split_error};
use wire::ip::Split;
use wire::trouble::Trouble;
use zerocopy::IntoBytes;

impl Crossing {
    /// Adds the headers to come, and rewrites the quoted one of UDP. Whoever is to hear of the error sent the
    /// packet. The error's checksum is yet to be made: [`seal`].
    pub(super) fn error<A: Family, B: Family>(
        &self,
        Split { ip: old, body, .. }: Split<A>,
        mut head: Head,
    ) -> Step<Plan> {
        let (end, quote) = (ethernet::HEADER + old.total_len(), body.len() - ERROR_HEADER);
        let mut quoted = split_error(old, body).ok_or(Reason::NoTransfer)?;
        let trouble = trouble(&quoted).ok_or(Reason::NoTransfer)?;
        let Quoted { ip: ref inner, protocol, fragment, len, .. } = quoted;
        // The end may be missing, but the header tells how long it was.
        let all = inner.total_len().saturating_sub(quote - len);
        let ends = [self.destination, self.source];
        let ip: B = header(&**inner, protocol, ends, all)?;
        let addresses = Delta::replaced(inner.addresses(), ip.addresses());
        quoted.set_ports(ends[0].port(), ends[1].port(), addresses);
        let mut inside = Head::new();
        add_ip(&mut inside, ip, fragment);
        let kept = len.min(B::QUOTE - inside.len());
        let ip: B = self.header(old, B::ICMP, ERROR_HEADER + inside.len() + kept)?;
        add(&mut head, &ip);
        add(&mut head, &ErrorHeader::new::<B>(trouble));
        add(&mut head, inside.as_bytes());
        Ok(Plan { head, rest: end - len..end - len + kept })
    }
}

/// What the packet's sender is told; `None`: nothing that it would understand.
fn trouble<A: Family>(quoted: &Quoted<A>) -> Option<Trouble> {
    let between = if quoted.fragment.is_some() { size_of::<A::PartHeader>() } else { 0 };
    quoted.trouble.map(|trouble| match trouble {
        Trouble::TooBig(room) => Trouble::TooBig(room.saturating_sub(between as u16)),
        other => other,
    })
}

/// Makes the checksum of an error, now that all of it is in its place.
pub(super) fn seal<B: Family>(frame: &mut [u8]) {
    let packet = frame.get_mut(ethernet::HEADER..).unwrap_or_default();
    if let Ok(Split { ip, body, .. }) = B::split(packet) {
        icmp::make_checksum(ip, body);
    }
}
