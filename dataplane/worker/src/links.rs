//! The places of interfaces on devices. Several may share one, told apart by their VLANs: a frame's tags are
//! taken off before the engine sees it, and put on again when it leaves.

use engine::frame::Frame;
use engine::tables::InterfaceId;
use wire::vlan::{self, Vlans};

/// The place of an interface on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The device, by its place among the worker's ports.
    pub port: usize,
    /// The VLANs that its frames are in there.
    pub vlans: Vlans,
}

/// All interfaces' links, and each device's interfaces.
#[derive(Debug, Clone)]
pub struct Links {
    links: Vec<Link>,
    on: Vec<Vec<InterfaceId>>,
}

impl Links {
    /// The links of interfaces in this order, on so many ports.
    pub fn new(links: Vec<Link>, ports: usize) -> Links {
        let on = |port| (0..).zip(&links).filter(move |(_, link)| link.port == port);
        let on = (0..ports).map(|port| on(port).map(|(id, _)| id).collect()).collect();
        Links { links, on }
    }

    /// The interfaces on a port.
    pub fn on(&self, port: usize) -> &[InterfaceId] {
        &self.on[port]
    }

    /// The interface that has the port to itself, and no tags.
    #[inline]
    pub fn plain(&self, port: usize) -> Option<InterfaceId> {
        match self.on[port][..] {
            [id] if self.is_plain(id) => Some(id),
            _ => None,
        }
    }

    /// Whether an interface's frames have no tags.
    #[inline]
    pub fn is_plain(&self, id: InterfaceId) -> bool {
        self.links[usize::from(id)].vlans.is_empty()
    }

    /// The port of an interface.
    #[inline]
    pub fn port(&self, id: InterfaceId) -> usize {
        self.links[usize::from(id)].port
    }

    /// Takes the tags off a frame that came in by a port; answers its interface, `None` if there is none
    /// for its VLANs.
    pub fn untag(&self, port: usize, frame: &mut impl Frame) -> Option<InterfaceId> {
        let (vlans, size) = Vlans::of(frame.bytes());
        let link = Link { port, vlans };
        let of = |id: &&InterfaceId| self.links[usize::from(**id)] == link;
        let id = *self.on[port].iter().find(of)?;
        cut(frame, size).then_some(id)
    }

    /// Takes tags off a frame that only give it a priority; answers whether it had any.
    pub fn unmark(frame: &mut impl Frame) -> bool {
        let mut had_any = false;
        while let (Vlans::NONE, size @ 1..) = Vlans::of(frame.bytes()) {
            if !cut(frame, size) {
                break;
            }
            had_any = true;
        }
        had_any
    }

    /// Puts an interface's tags on a frame; answers false when its buffer has no room.
    #[must_use]
    pub fn tag(&self, id: InterfaceId, frame: &mut impl Frame) -> bool {
        let vlans = &self.links[usize::from(id)].vlans;
        let size = vlans.size();
        if !frame.grow_front(size) {
            return false;
        }
        let bytes = frame.bytes_mut();
        // No frame is shorter; what is, is not sent as it was.
        if let Some(front) = bytes.get_mut(..size + vlan::AT) {
            front.copy_within(size.., 0);
            vlans.write(&mut front[vlan::AT..]);
        }
        true
    }
}

/// Takes so many bytes of tags off; answers false when there are not so many.
fn cut(frame: &mut impl Frame, size: usize) -> bool {
    if size == 0 {
        return true;
    }
    frame.bytes_mut().copy_within(..vlan::AT, size);
    frame.cut_front(size)
}
