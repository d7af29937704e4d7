//! Blocks a device's ingress into the kernel's network stack. An af_packet device leaves the kernel a copy of each
//! frame, and the kernel would answer it by its own state of the device. A filter of traffic control (`tc`) that
//! drops everything at ingress comes after the packet taps: the dataplane still sees every frame, the stack none.
//! nftables has an ingress hook too, but anybody who flushes the ruleset removes its tables, and in the milliseconds
//! before one is made again the kernel resets every connection.

use super::error::{KernelError, error_kind};
use super::link;
use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::packet_core::{
    DefaultNla, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
    Nla,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption,
    TcU32OptionFlags,
};
use rtnetlink::{Error, Handle};
use std::collections::HashSet;
use std::io::ErrorKind;
use std::num::NonZeroI32;

/// The filter's priority: the first, so that no filter before it accepts anything.
const PRIORITY: u16 = 1;
/// The filter's handle: `tg`.
const NUMBER: u32 = 0x7467;
/// Attributes of classic BPF in a filter's options (linux/pkt_cls.h), which the library has no names for.
const OPTION_LENGTH: u16 = 4;
const OPTION_PROGRAM: u16 = 5;
/// The verdict that drops (`TC_ACT_SHOT`).
const DROP: u32 = 2;
/// The length of an instruction of classic BPF.
const INSTRUCTION: usize = 8;

/// A device that is blocked until [`IngressBlock::remove`]. The block of a killed process stays, so that the kernel
/// does not answer until the next process takes it over.
#[derive(Debug)]
pub struct IngressBlock {
    device: String,
    index: u32,
    /// The alias of the daemon, as of its TAPs.
    alias: String,
}

impl IngressBlock {
    /// Blocks `device`, for the daemon of this alias.
    ///
    /// # Errors
    ///
    /// No such device, no privilege, or a kernel without such filters.
    pub async fn make(
        handle: &Handle,
        device: &str,
        alias: &str,
    ) -> Result<IngressBlock, KernelError> {
        let index = link::index(handle, device).await?;
        let index =
            index.ok_or_else(|| KernelError::Gone { what: "device", name: device.into() })?;
        let (device, alias) = (device.to_owned(), alias.to_owned());
        let block = IngressBlock { device, index, alias };
        let filters = filters(handle, block.index).await.unwrap_or_default();
        if !filters.iter().any(|filter| alias_of(filter).as_ref() == Some(&block.alias)) {
            block.mend(handle).await?;
        }
        Ok(block)
    }

    /// Reads the blocks of all devices, whoever made them.
    ///
    /// # Errors
    ///
    /// The kernel did not answer.
    async fn all(handle: &Handle) -> Result<Vec<IngressBlock>, Error> {
        let queues: Vec<_> = handle.qdisc().get().execute().try_collect().await?;
        let mut all = vec![];
        for queue in queues.iter().filter(|queue| queue.header.parent == TcHandle::INGRESS) {
            let index = queue.header.index as u32;
            let Some(alias) = filters(handle, index).await?.iter().find_map(alias_of) else {
                continue;
            };
            // The device may have gone meanwhile, and its block with it.
            let device = link::name(handle, index).await?;
            all.extend(device.map(|device| IngressBlock { device, index, alias }));
        }
        Ok(all)
    }

    /// The device's name.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Whether the filter is still as it was made.
    ///
    /// # Errors
    ///
    /// The kernel did not answer.
    pub async fn is_whole(&self, handle: &Handle) -> Result<bool, Error> {
        let filters = filters(handle, self.index).await?;
        Ok(filters.iter().any(|filter| alias_of(filter).is_some()))
    }

    /// Makes the filter again.
    ///
    /// # Errors
    ///
    /// The kernel refuses it.
    pub async fn mend(&self, handle: &Handle) -> Result<(), KernelError> {
        self.fill(handle).await.map_err(|error| self.failed(error))
    }

    async fn fill(&self, handle: &Handle) -> Result<(), Error> {
        let queue = RouteNetlinkMessage::NewQueueDiscipline(self.queue());
        match ask(handle, queue, NLM_F_CREATE | NLM_F_EXCL).await {
            Err(error) if error_kind(&error) != Some(ErrorKind::AlreadyExists) => {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
        // A filter that is there is replaced: without one, the kernel would answer for a moment.
        let filter = RouteNetlinkMessage::NewTrafficFilter(self.filter());
        ask(handle, filter, NLM_F_CREATE).await
    }

    /// Removes the filter. A device that is gone is no error.
    ///
    /// # Errors
    ///
    /// The kernel refuses it; the message tells what to look at.
    pub async fn remove(self, handle: &Handle) -> Result<(), KernelError> {
        match ask(handle, RouteNetlinkMessage::DelTrafficFilter(self.place()), 0).await {
            Ok(()) => {}
            Err(Error::NetlinkError(answer)) if is_gone(answer.code) => return Ok(()),
            Err(error) => return Err(self.failed(error)),
        }
        // Other filters still need the queueing discipline.
        if filters(handle, self.index).await.is_ok_and(|others| others.is_empty()) {
            let _ = ask(handle, RouteNetlinkMessage::DelQueueDiscipline(self.queue()), 0).await;
        }
        Ok(())
    }

    fn failed(&self, error: Error) -> KernelError {
        if error_kind(&error) == Some(ErrorKind::PermissionDenied) {
            return KernelError::Privilege {
                doing: format!("filter packets of `{}`", self.device),
            };
        }
        KernelError::IngressBlock { device: self.device.clone(), error }
    }

    /// The queueing discipline for filters at ingress. A device has one at most.
    fn queue(&self) -> TcMessage {
        let mut message = TcMessage::with_index(self.index as i32);
        message.header.parent = TcHandle::INGRESS;
        message.header.handle = TcHandle { major: 0xffff, minor: 0 };
        message.attributes.push(TcAttribute::Kind("ingress".into()));
        message
    }

    /// The request that identifies the filter.
    fn place(&self) -> TcMessage {
        let mut message = TcMessage::with_index(self.index as i32);
        let every_protocol = (libc::ETH_P_ALL as u16).to_be();
        message.header.parent = TcHandle { major: 0xffff, minor: TcHandle::MIN_INGRESS };
        message.header.handle = TcHandle::from(NUMBER);
        message.header.info = TcHandle { major: PRIORITY, minor: every_protocol }.into();
        message.attributes.push(TcAttribute::Kind(TcFilterBpf::KIND.into()));
        message
    }

    fn filter(&self) -> TcMessage {
        let mut message = self.place();
        let program = program(&self.alias);
        let length = (program.len() / INSTRUCTION) as u16;
        // A card must not drop by itself what the packet taps have yet to see.
        let options = vec![
            TcFilterBpfOption::Other(DefaultNla::new(OPTION_LENGTH, length.to_ne_bytes().into())),
            TcFilterBpfOption::Other(DefaultNla::new(OPTION_PROGRAM, program)),
            TcFilterBpfOption::Flags(TcBpfFlags::DirectAction),
            TcFilterBpfOption::FlagsGeneric(TcU32OptionFlags::SkipHw),
        ];
        let options = options.into_iter().map(TcOption::Bpf).collect();
        message.attributes.push(TcAttribute::Options(options));
        message
    }
}

/// All filters at the ingress of a link that have a handle.
async fn filters(handle: &Handle, index: u32) -> Result<Vec<TcMessage>, Error> {
    let filters = handle.traffic_filter(index as i32).get().ingress().execute();
    let filters: Vec<_> = filters.try_collect().await?;
    Ok(filters.into_iter().filter(|filter| filter.header.handle != TcHandle::UNSPEC).collect())
}

/// Removes the blocks that daemons of these `aliases` have left on devices other than those of `blocks`.
///
/// # Errors
///
/// The kernel did not answer, or keeps a filter.
pub async fn clear(
    handle: &Handle,
    aliases: &HashSet<String>,
    blocks: &[IngressBlock],
) -> Result<(), KernelError> {
    let failed = |error| KernelError::netlink("read filters".into(), error);
    for left in IngressBlock::all(handle).await.map_err(failed)? {
        let is_ours = blocks.iter().any(|block| block.index == left.index);
        if !is_ours && aliases.contains(&left.alias) {
            left.remove(handle).await?;
        }
    }
    Ok(())
}

/// The program of the filter, in classic BPF: return [`DROP`]. The kernel keeps no name of such a filter, so that
/// instructions which are never reached carry the daemon's alias, four bytes each.
fn program(alias: &str) -> Vec<u8> {
    let words = alias.as_bytes().chunks(4).map(|chunk| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        word
    });
    std::iter::once(DROP.to_ne_bytes()).chain(words).flat_map(instruction).collect()
}

/// The instruction that returns `value`.
fn instruction(value: [u8; 4]) -> [u8; INSTRUCTION] {
    let [low, high] = ((libc::BPF_RET | libc::BPF_K) as u16).to_ne_bytes();
    let [a, b, c, d] = value;
    [low, high, 0, 0, a, b, c, d]
}

/// The alias of the daemon that made a filter; `None` for a filter that does not drop everything.
fn alias_of(filter: &TcMessage) -> Option<String> {
    let mut options = filter.attributes.iter().filter_map(|attribute| match attribute {
        TcAttribute::Options(options) => Some(options),
        _ => None,
    });
    let options = options.next()?;
    let is_it = filter.header.handle == TcHandle::from(NUMBER)
        && filter.header.info >> 16 == u32::from(PRIORITY)
        && options.contains(&TcOption::Bpf(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction)));
    let program = options.iter().find_map(|option| match option {
        TcOption::Bpf(TcFilterBpfOption::Other(other)) if other.kind() == OPTION_PROGRAM => {
            let mut program = vec![0; other.value_len()];
            other.emit_value(&mut program);
            Some(program)
        }
        _ => None,
    });
    let program = program.filter(|_| is_it)?;
    let alias = program.strip_prefix(&instruction(DROP.to_ne_bytes()))?;
    let alias = alias.chunks(INSTRUCTION).flat_map(|one| one.iter().skip(4));
    let alias = alias.copied().take_while(|&byte| byte != 0).collect();
    String::from_utf8(alias).ok()
}

/// Whether the kernel's answer means that the device, its ingress or the filter is gone.
fn is_gone(code: Option<NonZeroI32>) -> bool {
    let gone = [libc::ENODEV, libc::EINVAL, libc::ENOENT];
    code.is_some_and(|code| gone.contains(&-code.get()))
}

/// Sends a request and reads the answer. The library's requests about filters lack options that are needed here.
async fn ask(handle: &Handle, what: RouteNetlinkMessage, flags: u16) -> Result<(), Error> {
    let mut message = NetlinkMessage::from(what);
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    let mut answers = handle.clone().request(message)?;
    while let Some(answer) = answers.next().await {
        if let NetlinkPayload::Error(error) = answer.payload
            && error.code.is_some()
        {
            return Err(Error::NetlinkError(error));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(alias: &str) -> IngressBlock {
        IngressBlock { device: "v0".into(), index: 7, alias: alias.into() }
    }

    #[test]
    fn what_lets_anything_in_is_not_it() {
        let block = block("tidegate /run/tidegate/control.sock");
        assert!(alias_of(&block.filter()).is_some());
        assert_eq!(alias_of(&block.place()), None, "nothing is said of its program");
        let accepting = instruction(0u32.to_ne_bytes()).to_vec();
        let accepting = TcFilterBpfOption::Other(DefaultNla::new(OPTION_PROGRAM, accepting));
        let direct = TcFilterBpfOption::Flags(TcBpfFlags::DirectAction);
        let options = vec![TcOption::Bpf(accepting), TcOption::Bpf(direct)];
        let mut other = block.place();
        other.attributes.push(TcAttribute::Options(options));
        assert_eq!(alias_of(&other), None);
        let mut late = block.filter();
        late.header.info = TcHandle { major: PRIORITY + 1, minor: 0 }.into();
        assert_eq!(alias_of(&late), None);
    }

    #[test]
    fn a_filter_carries_its_daemon_s_alias() {
        for alias in ["", "t", "tide", "tidegate /run/x", "tidegate /run/tidegate/\u{e9}.sock"] {
            assert_eq!(alias_of(&block(alias).filter()).as_deref(), Some(alias));
        }
    }
}
