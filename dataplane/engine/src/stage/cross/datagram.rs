//! A datagram, a part of one, or a segment.

use super::{Crossing, Head, Plan, add_ip};
use crate::family::Family;
use crate::own::Own;
use crate::reason::Reason;
use crate::verdict::Step;
use wire::checksum::Delta;
use wire::ethernet;
use wire::ip::{Fragment, PROTOCOL_TCP, Split};
use wire::tcp::Tcp;
use wire::udp::Udp;
use zerocopy::FromBytes;

/// An IPv4 packet of at most so many bytes may be fragmented: over IPv6 it went over every link, so that its
/// sender can't be told to send smaller ones (RFC 7915 §5.1).
const SMALL: usize = 1260;

impl Crossing {
    /// Adds the headers to come, and rewrites that of UDP.
    pub(super) fn datagram<A: Family, B: Family>(
        &self,
        Split { ip: old, protocol, fragment, body }: Split<A>,
        mut head: Head,
        own: &mut Own,
    ) -> Step<Plan> {
        let at = ethernet::HEADER + old.total_len() - body.len();
        let len = match fragment {
            Some(_) => body.len(),
            None if protocol == PROTOCOL_TCP => body.len(),
            None => Udp::split(body).map(|(udp, _)| udp.total_len()).ok_or(Reason::BadUdp)?,
        };
        let mut ip: B = self.header(old, protocol, len)?;
        if protocol == PROTOCOL_TCP {
            self.rewrite_tcp(old, &ip, &mut body[..len])?;
        } else if fragment.is_none_or(|part| part.offset == 0) {
            self.rewrite_udp(old, &ip, fragment, &mut body[..len])?;
        }
        if fragment.is_none() {
            let id = own.next_id();
            if ip.total_len() <= SMALL {
                ip.allow_fragments(id);
            }
        }
        let id = |part: Fragment| self.id.map_or(part.id, u32::from);
        add_ip(&mut head, ip, fragment.map(|part| Fragment { id: id(part), ..part }));
        Ok(Plan { head, rest: at..at + len })
    }

    fn rewrite_tcp<A: Family, B: Family>(&self, old: &A, ip: &B, body: &mut [u8]) -> Step<()> {
        let (tcp, _) = Tcp::mut_from_prefix(body).map_err(|_| Reason::BadTcp)?;
        let addresses = Delta::replaced(old.addresses(), ip.addresses());
        tcp.set_ports(self.source.port(), self.destination.port(), addresses);
        Ok(())
    }

    /// Ports, and a checksum over the new addresses. That of a datagram can't be made from a part of it (RFC 7915
    /// §4.5).
    fn rewrite_udp<A: Family, B: Family>(
        &self,
        old: &A,
        ip: &B,
        fragment: Option<Fragment>,
        body: &mut [u8],
    ) -> Step<()> {
        let (udp, data) = Udp::mut_from_prefix(body).map_err(|_| Reason::BadUdp)?;
        let addresses = Delta::replaced(old.addresses(), ip.addresses());
        udp.set_ports(self.source.port(), self.destination.port(), addresses);
        if udp.is_summed() || B::UNSUMMED_UDP {
            return Ok(());
        }
        if fragment.is_some() {
            return Err(Reason::BadUdp.into());
        }
        udp.make_checksum(ip, data);
        Ok(())
    }
}
