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
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::tc::{
    TcAttribute, TcBpfFlags, TcFilterBpf, TcFilterBpfOption, TcHandle, TcMessage, TcOption,
    TcU32OptionFlags,
};
use rtnetlink::{Error, Handle};
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

/// A device that is blocked until [`IngressBlock::remove`]. The block of a killed process stays, so that the kernel
/// does not answer until the next process takes it over.
#[derive(Debug)]
pub struct IngressBlock {
    device: String,
    index: u32,
}

impl IngressBlock {
    /// Blocks `device`.
    ///
    /// # Errors
    ///
    /// No such device, no privilege, or a kernel without such filters.
    pub async fn make(handle: &Handle, device: &str) -> Result<IngressBlock, KernelError> {
        let index = link::index(handle, device).await?;
        let index =
            index.ok_or_else(|| KernelError::Gone { what: "device", name: device.into() })?;
        let block = IngressBlock { device: device.to_owned(), index };
        if !block.is_whole(handle).await.unwrap_or(false) {
            block.mend(handle).await?;
        }
        Ok(block)
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
        let filters = self.filters(handle).await?;
        Ok(filters.iter().any(drops_everything))
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
        // Parts of it may exist; an error about the others is ignored.
        let _ = ask(handle, RouteNetlinkMessage::DelTrafficFilter(self.place()), 0).await;
        let create = NLM_F_CREATE | NLM_F_EXCL;
        match ask(handle, RouteNetlinkMessage::NewQueueDiscipline(self.queue()), create).await {
            Err(error) if error_kind(&error) != Some(ErrorKind::AlreadyExists) => {
                return Err(error);
            }
            Ok(()) | Err(_) => {}
        }
        ask(handle, RouteNetlinkMessage::NewTrafficFilter(self.filter()), create).await
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
        if self.filters(handle).await.is_ok_and(|others| others.is_empty()) {
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

    /// All filters at the device's ingress that have a handle.
    async fn filters(&self, handle: &Handle) -> Result<Vec<TcMessage>, Error> {
        let filters = handle.traffic_filter(self.index as i32).get().ingress().execute();
        let filters: Vec<_> = filters.try_collect().await?;
        Ok(filters.into_iter().filter(|filter| filter.header.handle != TcHandle::UNSPEC).collect())
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
        // A card must not drop by itself what the packet taps have yet to see.
        let options = vec![
            TcFilterBpfOption::Other(DefaultNla::new(OPTION_LENGTH, 1u16.to_ne_bytes().into())),
            TcFilterBpfOption::Other(DefaultNla::new(OPTION_PROGRAM, program())),
            TcFilterBpfOption::Flags(TcBpfFlags::DirectAction),
            TcFilterBpfOption::FlagsGeneric(TcU32OptionFlags::SkipHw),
        ];
        let options = options.into_iter().map(TcOption::Bpf).collect();
        message.attributes.push(TcAttribute::Options(options));
        message
    }
}

/// The program of the filter, one instruction of classic BPF: return [`DROP`].
fn program() -> Vec<u8> {
    let code = (libc::BPF_RET | libc::BPF_K) as u16;
    [&code.to_ne_bytes()[..], &[0, 0], &DROP.to_ne_bytes()].concat()
}

fn drops_everything(filter: &TcMessage) -> bool {
    let options = filter.attributes.iter().filter_map(|attribute| match attribute {
        TcAttribute::Options(options) => Some(options),
        _ => None,
    });
    let has = |wanted: TcFilterBpfOption| {
        options.clone().flatten().any(|it| *it == TcOption::Bpf(wanted.clone()))
    };
    filter.header.handle == TcHandle::from(NUMBER)
        && filter.header.info >> 16 == u32::from(PRIORITY)
        && has(TcFilterBpfOption::Other(DefaultNla::new(OPTION_PROGRAM, program())))
        && has(TcFilterBpfOption::Flags(TcBpfFlags::DirectAction))
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

    #[test]
    fn what_lets_anything_in_is_not_it() {
        let block = IngressBlock { device: "v0".into(), index: 7 };
        assert!(drops_everything(&block.filter()));
        assert!(!drops_everything(&block.place()), "nothing is said of its program");
        let accepting = [&program()[..4], &0u32.to_ne_bytes()].concat();
        let accepting = TcFilterBpfOption::Other(DefaultNla::new(OPTION_PROGRAM, accepting));
        let mut other = block.place();
        other.attributes.push(TcAttribute::Options(vec![TcOption::Bpf(accepting)]));
        assert!(!drops_everything(&other));
        let mut late = block.filter();
        late.header.info = TcHandle { major: PRIORITY + 1, minor: 0 }.into();
        assert!(!drops_everything(&late));
    }
}
