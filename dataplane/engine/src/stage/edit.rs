//! Options that a service or the way limits: changed when the message has been through all other stages, which only
//! borrow it, and its frame can become shorter.

use super::admit::ether_type;
use super::classify::Side;
use super::transmit::room;
use crate::family::Family;
use crate::flow::record::Flow;
use crate::flow::view::Kind;
use crate::frame::Frame;
use crate::here::Here;
use crate::own::Own;
use crate::policy::{BlockLimits, Fitting};
use crate::tables::ServiceId;
use wire::ethernet;
use wire::ip::{Ip, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tftp::{self, Message, Request};
use wire::udp::{self, Udp};

/// What a message's options are to be held to.
#[derive(Debug, Clone, Copy)]
pub struct Edit {
    service: ServiceId,
    blocks: BlockLimits,
}

impl Edit {
    /// `None`: the message has no options, or nothing limits them.
    pub fn of(message: Message, flow: &Flow, here: &Here) -> Option<Edit> {
        let blocks = match message {
            Message::Request(Request { options, .. }) | Message::Oack(options)
                if options.is_empty() =>
            {
                return None;
            }
            Message::Request(_) => {
                BlockLimits { largest: largest_block(flow, here), fitting: fitting(flow, here) }
            }
            Message::Oack(_) => {
                BlockLimits { largest: largest_block(flow, here), ..BlockLimits::default() }
            }
            Message::Data { .. } | Message::Ack { .. } | Message::Error { .. } => return None,
        };
        Edit::to(blocks, flow, here)
    }

    /// The same of a request that is made again in the client's place, where a server has granted blocks of this size.
    pub fn again(granted: u16, flow: &Flow, here: &Here) -> Option<Edit> {
        Edit::to(BlockLimits { largest: Some(granted), fitting: None }, flow, here)
    }

    fn to(blocks: BlockLimits, flow: &Flow, here: &Here) -> Option<Edit> {
        let service = here.tables.backends[usize::from(flow.backend)].service;
        let limits = &here.tables.services[usize::from(service)].options;
        let edits = blocks != BlockLimits::default() || !limits.is_empty();
        edits.then_some(Edit { service, blocks })
    }

    /// Rewrites the message; answers its length now, which is no larger.
    pub fn apply(&self, message: &mut [u8], here: &Here) -> usize {
        let limits = &here.tables.services[usize::from(self.service)].options;
        limits.apply(message, self.blocks)
    }

    /// Rewrites the message in its frame; answers the frame's length now, if that is another one.
    fn carry_out<H: Family>(&self, frame: &mut [u8], here: &Here) -> Option<usize> {
        let Split { ip, body, .. } = H::split(frame.get_mut(ethernet::HEADER..)?).ok()?;
        let (udp, data) = Udp::split(body)?;
        let before = data.len();
        let after = self.apply(data, here);
        let summed = udp.is_summed();
        udp.set_data_len(after);
        ip.resize(before, after);
        if summed {
            udp.make_checksum(ip, &data[..after]);
        }
        Some(ethernet::HEADER + ip.total_len())
    }
}

/// The parts of an IPv4 packet that fill their link are too large for it as IPv6's. A router would have to cut
/// them again (RFC 7915 §4.1), so blocks that go this way are to need none.
fn largest_block(flow: &Flow, here: &Here) -> Option<u16> {
    let server = here.tables.backends[usize::from(flow.backend)].address;
    let vip = here.tables.vips[usize::from(flow.vip())].address;
    let (sender, receiver, to) = match flow.kind {
        Kind::Read => (server, vip, Side::Server),
        Kind::Write => (vip, server, Side::Client(flow.vip())),
    };
    if sender.is_ipv6() || receiver.is_ipv4() {
        return None;
    }
    block(to, flow, here)
}

/// A client that asks for a block of one packet may be none that can join parts, and one of the server's version may hold
/// less.
fn fitting(flow: &Flow, here: &Here) -> Option<Fitting> {
    let server = here.tables.backends[usize::from(flow.backend)].address;
    let vip = here.tables.vips[usize::from(flow.vip())].address;
    if server.is_ipv6() == vip.is_ipv6() {
        return None;
    }
    let client = block(Side::Server, flow, here)?;
    let server = block(Side::Client(flow.vip()), flow, here)?;
    (server < client).then_some(Fitting { client, server })
}

/// The largest block that goes this way in one packet.
fn block(side: Side, flow: &Flow, here: &Here) -> Option<u16> {
    let room = room::<Ipv4>(false, side, flow, here).ok()?;
    room.checked_sub((udp::HEADER + tftp::DATA_HEADER) as u16)
}

/// Holds the options of these messages to their limits.
#[cold]
pub fn options<F: Frame>(burst: &mut [F], here: &Here, own: &mut Own) {
    for (place, edit) in own.edits.take() {
        let frame = &mut burst[place];
        let len = match ether_type(frame.bytes()) {
            Ok(Ipv6::ETHER_TYPE) => edit.carry_out::<Ipv6>(frame.bytes_mut(), here),
            _ => edit.carry_out::<Ipv4>(frame.bytes_mut(), here),
        };
        if let Some(len) = len {
            // It is no longer than it was.
            let _ = frame.set_len(len);
        }
    }
}
