//! Translation of an ICMP error about a translated packet: the quoted packet is translated back.

use super::header::{Head, Plan, add, add_ip, header, translated};
use crate::ip_family::IpFamily;
use crate::state::deferred::XlatEnds;
use crate::types::drop_reason::DropReason;
use crate::types::verdict::Step;
use wire::checksum::Delta;
use wire::ethernet;
use wire::icmp::{self, ERROR_HEADER, ErrorHeader, Quoted, split_error};
use wire::icmp_problem::IcmpProblem;
use wire::ip::Split;
use zerocopy::IntoBytes;

/// Adds the new headers, and rewrites the quoted one of UDP. The error goes to the sender of the quoted packet. Its
/// checksum is computed later: [`seal`].
pub fn plan<A: IpFamily, B: IpFamily>(
    new: &XlatEnds,
    Split { ip: old, body, .. }: Split<A>,
    mut head: Head,
) -> Step<Plan> {
    let (end, quote) = (ethernet::HEADER + old.total_len(), body.len() - ERROR_HEADER);
    let mut quoted = split_error(old, body).ok_or(DropReason::NoTransfer)?;
    let problem = problem(&quoted).ok_or(DropReason::NoTransfer)?;
    let Quoted { ip: ref inner, protocol, fragment, len, .. } = quoted;
    // The end may be missing, but the header tells how long it was.
    let all = inner.total_len().saturating_sub(quote - len);
    let ends = [new.destination, new.source];
    let ip: B = header(&**inner, protocol, ends, all)?;
    let addresses = Delta::replaced(inner.addresses(), ip.addresses());
    quoted.set_ports(ends[0].port(), ends[1].port(), addresses);
    let mut inside = Head::new();
    add_ip(&mut inside, ip, fragment);
    let kept = len.min(B::QUOTE - inside.len());
    let ip: B = translated(new, old, B::ICMP, ERROR_HEADER + inside.len() + kept)?;
    add(&mut head, &ip);
    add(&mut head, &ErrorHeader::new::<B>(problem));
    add(&mut head, inside.as_bytes());
    Ok(Plan { head, rest: end - len..end - len + kept })
}

/// The problem that the packet's sender is told of; `None`: none that it would understand.
fn problem<A: IpFamily>(quoted: &Quoted<A>) -> Option<IcmpProblem> {
    let between = if quoted.fragment.is_some() { size_of::<A::FragmentHeader>() } else { 0 };
    quoted.problem.map(|problem| match problem {
        IcmpProblem::TooBig(room) => IcmpProblem::TooBig(room.saturating_sub(between as u16)),
        other => other,
    })
}

/// Makes the checksum of an error, now that all of it is in its place.
pub(super) fn seal<B: IpFamily>(frame: &mut [u8]) {
    let packet = frame.get_mut(ethernet::HEADER..).unwrap_or_default();
    if let Ok(Split { ip, body, .. }) = B::split(packet) {
        icmp::make_checksum(ip, body);
    }
}
