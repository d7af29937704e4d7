//! Segments of a control connection, rewritten in their frames, and acknowledged in the receiver's place.

use crate::context::BurstContext;
use crate::flow::ftp_session_table::FtpSession;
use crate::ip_family::IpFamily;
use crate::stage::connection::packet::ConnectionPacket;
use crate::stage::connection::reset::answer;
use crate::types::drop_reason::DropReason;
use crate::types::frame::Frame;
use crate::types::verdict::{Step, Verdict};
use wire::ethernet;
use wire::ftp::is_signal;
use wire::ip::Split;
use wire::tcp::{Flags, SeqNumber, Tcp, answer_timestamps};

/// The segment that goes on in the place of one that was read.
pub struct Rewritten<'a> {
    /// The sequence number that the receiver sees.
    pub sequence: SeqNumber,
    /// The data.
    pub data: &'a [u8],
    /// Whether the stream ends here.
    pub is_last: bool,
}

/// Rewrites the segment in its frame. From then on it is seen as the client sees it.
pub fn rewrite<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &mut ConnectionPacket<H::Address>,
    rewritten: &Rewritten,
    session: &FtpSession,
) -> Step<()> {
    let from = usize::from(!packet.is_by_client());
    let other = &session.streams[1 - from];
    let before = packet.len as usize;
    let end = ethernet::HEADER + packet.offsets.total_len - before + rewritten.data.len();
    if !frame.set_len(end) {
        return Err(DropReason::TooBig.into());
    }
    // Its header may be behind extensions: it is where the data was.
    let bytes = frame.bytes_mut();
    let old = &mut bytes[end - rewritten.data.len()..];
    let is_same = before == rewritten.data.len() && *old == *rewritten.data;
    old.copy_from_slice(rewritten.data);
    packet.offsets.total_len = end - ethernet::HEADER;
    let Split { ip, body, .. } = packet.offsets.packet::<H>(bytes)?.split;
    ip.resize(before, rewritten.data.len());
    let (tcp, options, data) = Tcp::split(body).ok_or(DropReason::BadTcp)?;
    tcp.set_sequence(rewritten.sequence);
    if tcp.flags().has(Flags::ACK) {
        tcp.set_acknowledgement(other.unshift(tcp.acknowledgement()));
        tcp.map_blocks(options, |block| other.unshift_block(block));
    }
    let fin = if rewritten.is_last { Flags::FIN } else { Flags::default() };
    // Which of its bytes is urgent is no longer so, or it is one that a line could be read without.
    let is_line_with_it =
        session.streams[from].is_foreign() || !tcp.is_urgent_within(data.len()) || !is_signal(data);
    let may_be_urgent = is_same && !(packet.is_by_client() && is_line_with_it);
    let urgent = if may_be_urgent { Flags::default() } else { Flags::URG };
    tcp.set_flags(tcp.flags().without(Flags::FIN | urgent) | fin);
    tcp.make_checksum(ip, options, data);
    if packet.is_by_client() {
        // The client does not know what goes on in its place.
        packet.tcp.iter_mut().for_each(|known| known.set_flags(tcp.flags()));
    } else {
        packet.tcp = Some(*tcp);
        packet.len = rewritten.data.len() as u32;
    }
    Ok(())
}

/// Tells the segment's sender, in the receiver's place, that all up to there has come.
pub fn acknowledge<H: IpFamily>(
    frame: &mut impl Frame,
    packet: &ConnectionPacket<H::Address>,
    upto: SeqNumber,
    session: &FtpSession,
    ctx: &BurstContext,
) -> Option<Verdict> {
    let tcp = packet.tcp?;
    let from = usize::from(!packet.is_by_client());
    let Split { body, .. } = packet.offsets.packet::<H>(frame.bytes_mut()).ok()?.split;
    let options = answer_timestamps(Tcp::split(body)?.1);
    let options = options.as_ref().map_or(&[][..], |options| options);
    let window = session.windows[1 - from];
    let numbers = (tcp.acknowledgement(), upto);
    answer::<H>(frame, packet, numbers, (Flags::ACK, window, options), ctx)
}
