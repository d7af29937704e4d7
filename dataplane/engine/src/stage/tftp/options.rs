//! Options that a service or the way limits: changed when the message has been through all other stages, which only
//! borrow it, and its frame can become shorter.

use crate::context::{BurstContext, Env};
use crate::flow::state::Operation;
use crate::flow::transfer::Transfer;
use crate::ip_family::IpFamily;
use crate::snapshot::option_limits::{BlockLimits, Fitting};
use crate::stage::parse::ether_type;
use crate::stage::transmit::max_payload;
use crate::state::WorkerState;
use crate::state::deferred::OptionEdit;
use crate::types::direction::Direction;
use crate::types::frame::Frame;
use wire::ethernet;
use wire::ip::{Ip, Split};
use wire::ipv4::Ipv4;
use wire::ipv6::Ipv6;
use wire::tftp::{self, Message, Request};
use wire::udp::{self, Udp};

/// The limits for a message's options. `None`: the message has no options, or nothing limits them.
pub fn limits_of(message: Message, flow: &Transfer, ctx: &BurstContext) -> Option<OptionEdit> {
    let blocks = match message {
        Message::Request(Request { options, .. }) | Message::Oack(options)
            if options.is_empty() =>
        {
            return None;
        }
        Message::Request(_) => {
            BlockLimits { largest: largest_block(flow, ctx), fitting: fitting(flow, ctx) }
        }
        Message::Oack(_) => {
            BlockLimits { largest: largest_block(flow, ctx), ..BlockLimits::default() }
        }
        Message::Data { .. } | Message::Ack { .. } | Message::Error { .. } => return None,
    };
    limited_to(blocks, flow, ctx)
}

/// The limits for a request that is made again in the client's place, where a server has granted blocks of this size.
pub fn limits_again(granted: u16, flow: &Transfer, env: &Env) -> Option<OptionEdit> {
    limited_to(BlockLimits { largest: Some(granted), fitting: None }, flow, env)
}

fn limited_to(blocks: BlockLimits, flow: &Transfer, env: &Env) -> Option<OptionEdit> {
    let service = env.snapshot[flow.backend].service;
    let limits = &env.snapshot[service].options;
    let edits = blocks != BlockLimits::default() || !limits.is_empty();
    edits.then_some(OptionEdit { service, blocks })
}

/// Rewrites the message; answers its length now, which is no larger.
pub fn apply(edit: &OptionEdit, message: &mut [u8], env: &Env) -> usize {
    let limits = &env.snapshot[edit.service].options;
    limits.apply(message, edit.blocks)
}

/// Rewrites the message in its frame; answers the frame's length now, if that is another one.
fn carry_out<H: IpFamily>(edit: &OptionEdit, frame: &mut [u8], env: &Env) -> Option<usize> {
    let Split { ip, body, .. } = H::split(frame.get_mut(ethernet::HEADER..)?).ok()?;
    let (udp, data) = Udp::split(body)?;
    let before = data.len();
    let after = apply(edit, data, env);
    let summed = udp.is_summed();
    udp.set_data_len(after);
    ip.resize(before, after);
    if summed {
        udp.make_checksum(ip, &data[..after]);
    }
    Some(ethernet::HEADER + ip.total_len())
}

/// The largest block whose packets need no fragments, on the way from IPv4 to IPv6. An IPv4 fragment that fills its link
/// is too large for the link as IPv6, and a router would have to fragment it again (RFC 7915 §4.1).
fn largest_block(flow: &Transfer, ctx: &BurstContext) -> Option<u16> {
    let server = ctx.snapshot[flow.backend].address;
    let vip = ctx.snapshot[flow.vip()].address;
    let (sender, receiver, to) = match flow.operation {
        Operation::Read => (server, vip, Direction::ToSnat),
        Operation::Write => (vip, server, Direction::ToServer(flow.vip())),
    };
    if sender.is_ipv6() || receiver.is_ipv4() {
        return None;
    }
    block(to, flow, ctx)
}

/// The block sizes that fit one packet, if the server's address family holds less than the client's. A client that asks
/// for a block of one packet may be unable to reassemble fragments.
fn fitting(flow: &Transfer, ctx: &BurstContext) -> Option<Fitting> {
    let server = ctx.snapshot[flow.backend].address;
    let vip = ctx.snapshot[flow.vip()].address;
    if server.is_ipv6() == vip.is_ipv6() {
        return None;
    }
    let client = block(Direction::ToSnat, flow, ctx)?;
    let server = block(Direction::ToServer(flow.vip()), flow, ctx)?;
    (server < client).then_some(Fitting { client, server })
}

/// The largest block that goes this way in one packet.
fn block(direction: Direction, flow: &Transfer, ctx: &BurstContext) -> Option<u16> {
    let room = max_payload::<Ipv4>(false, direction, flow, ctx).ok()?;
    room.checked_sub((udp::HEADER + tftp::DATA_HEADER) as u16)
}

/// Holds the options of these messages to their limits.
#[cold]
pub fn options<F: Frame>(burst: &mut [F], env: &Env, state: &mut WorkerState) {
    for (index, edit) in state.deferred.options.take() {
        let frame = &mut burst[index];
        let len = match ether_type(frame.bytes()) {
            Ok(Ipv6::ETHER_TYPE) => carry_out::<Ipv6>(&edit, frame.bytes_mut(), env),
            _ => carry_out::<Ipv4>(&edit, frame.bytes_mut(), env),
        };
        if let Some(len) = len {
            // It is no longer than it was.
            let _ = frame.set_len(len);
        }
    }
}
