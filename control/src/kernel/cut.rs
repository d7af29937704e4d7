//! Cuts a device off the kernel's network stack. An af_packet device leaves the kernel a copy of
//! each frame, which it would answer with the device's own idea of the world. A filter of traffic control (`tc`) that
//! drops everything at ingress lies behind the packet taps: the dataplane still sees every frame, the stack none.
//! nftables has such a place too, but its tables go with whoever flushes the ruleset, and in the milliseconds before one
//! is made anew the kernel resets every connection.

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

/// The filter's place among those of the device: the first one, so that none before it lets anything in.
const PRIORITY: u16 = 1;
/// The number of the filter there: `tg`.
const NUMBER: u32 = 0x7467;
/// Of classic BPF in a filter's options (linux/pkt_cls.h), which the library has no names for.
const OPTION_LENGTH: u16 = 4;
const OPTION_PROGRAM: u16 = 5;
/// The verdict that drops (`TC_ACT_SHOT`).
const DROP: u32 = 2;

/// A device that is cut off until [`Cut::remove`]. That of a killed process stays, so that the kernel does not answer
/// before the next one is there, which takes it over.
#[derive(Debug)]
pub struct Cut {
    device: String,
    index: u32,
}

impl Cut {
    /// Cuts `device` off.
    ///
    /// # Errors
    ///
    /// No such device, no privilege, or a kernel without such filters.
    pub async fn make(handle: &Handle, device: &str) -> Result<Cut, KernelError> {
        let index = link::index(handle, device).await?;
        let index =
            index.ok_or_else(|| KernelError::Gone { what: "device", name: device.into() })?;
        let cut = Cut { device: device.to_owned(), index };
        if !cut.is_whole(handle).await.unwrap_or(false) {
            cut.mend(handle).await?;
        }
        Ok(cut)
    }

    /// The device's name.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Whether it is still as it was made.
    ///
    /// # Errors
    ///
    /// The kernel did not answer.
    pub async fn is_whole(&self, handle: &Handle) -> Result<bool, Error> {
        let filters = self.filters(handle).await?;
        Ok(filters.iter().any(drops_everything))
    }

    /// Makes it anew.
    ///
    /// # Errors
    ///
    /// What the kernel says to that.
    pub async fn mend(&self, handle: &Handle) -> Result<(), KernelError> {
        self.fill(handle).await.map_err(|error| self.failed(error))
    }

    async fn fill(&self, handle: &Handle) -> Result<(), Error> {
        // Some of it may be there; what is missing will say so.
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

    /// Lets the kernel have its copies again. A device that is gone is fine.
    ///
    /// # Errors
    ///
    /// What the kernel says to that; the message says what to look at.
    pub async fn remove(self, handle: &Handle) -> Result<(), KernelError> {
        match ask(handle, RouteNetlinkMessage::DelTrafficFilter(self.place()), 0).await {
            Ok(()) => {}
            Err(Error::NetlinkError(answer)) if is_gone(answer.code) => return Ok(()),
            Err(error) => return Err(self.failed(error)),
        }
        // Where somebody else has filters, the place for them is theirs too.
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
        KernelError::Cut { device: self.device.clone(), error }
    }

    /// All filters at the device's ingress that have a number.
    async fn filters(&self, handle: &Handle) -> Result<Vec<TcMessage>, Error> {
        let filters = handle.traffic_filter(self.index as i32).get().ingress().execute();
        let filters: Vec<_> = filters.try_collect().await?;
        Ok(filters.into_iter().filter(|filter| filter.header.handle != TcHandle::UNSPEC).collect())
    }

    /// The place that filters of packets on their way in have. A device has one at most.
    fn queue(&self) -> TcMessage {
        let mut message = TcMessage::with_index(self.index as i32);
        message.header.parent = TcHandle::INGRESS;
        message.header.handle = TcHandle { major: 0xffff, minor: 0 };
        message.attributes.push(TcAttribute::Kind("ingress".into()));
        message
    }

    /// Where the filter is.
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

/// One instruction of classic BPF: return that verdict.
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

/// Answers of the kernel when there is no device, no place for filters or no such filter.
fn is_gone(code: Option<NonZeroI32>) -> bool {
    let gone = [libc::ENODEV, libc::EINVAL, libc::ENOENT];
    code.is_some_and(|code| gone.contains(&-code.get()))
}

/// One request and its answer. The library's own requests about filters can't say all that this one has to.
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
        let cut = Cut { device: "v0".into(), index: 7 };
        assert!(drops_everything(&cut.filter()));
        assert!(!drops_everything(&cut.place()), "nothing is said of its program");
        let accepting = [&program()[..4], &0u32.to_ne_bytes()].concat();
        let accepting = TcFilterBpfOption::Other(DefaultNla::new(OPTION_PROGRAM, accepting));
        let mut other = cut.place();
        other.attributes.push(TcAttribute::Options(vec![TcOption::Bpf(accepting)]));
        assert!(!drops_everything(&other));
        let mut late = cut.filter();
        late.header.info = TcHandle { major: PRIORITY + 1, minor: 0 }.into();
        assert!(!drops_everything(&late));
    }
}
