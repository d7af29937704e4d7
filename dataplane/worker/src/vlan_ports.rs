//! VLAN ports: interfaces on devices. Several interfaces may share a device, told apart by their VLANs: a frame's
//! tags are removed before the engine sees it, and pushed again when it leaves.

use engine::types::frame::Frame;
use engine::types::id::InterfaceId;
use wire::vlan::{self, Vlans};

/// An interface's port: a device, and the VLANs there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlanPort {
    /// The device, as an index into the worker's ports.
    pub port: usize,
    /// The VLANs of the interface's frames.
    pub vlans: Vlans,
}

/// The VLAN ports of all interfaces, and the interfaces of each device.
#[derive(Debug, Clone)]
pub struct VlanPorts {
    ports: Vec<VlanPort>,
    on: Vec<Vec<InterfaceId>>,
}

impl VlanPorts {
    /// Creates the ports of interfaces in this order, on so many devices.
    pub fn new(vlan_ports: Vec<VlanPort>, ports: usize) -> VlanPorts {
        let on = |port| {
            (0..).map(InterfaceId).zip(&vlan_ports).filter(move |(_, link)| link.port == port)
        };
        let on = (0..ports).map(|port| on(port).map(|(id, _)| id).collect()).collect();
        VlanPorts { ports: vlan_ports, on }
    }

    /// The interfaces on a device.
    pub fn on(&self, port: usize) -> &[InterfaceId] {
        &self.on[port]
    }

    /// The interface that has the device to itself, without tags.
    #[inline]
    pub fn sole_untagged(&self, port: usize) -> Option<InterfaceId> {
        match self.on[port][..] {
            [id] if self.is_untagged(id) => Some(id),
            _ => None,
        }
    }

    /// Whether an interface's frames have no tags.
    #[inline]
    pub fn is_untagged(&self, id: InterfaceId) -> bool {
        self.ports[usize::from(id)].vlans.is_empty()
    }

    /// The device of an interface.
    #[inline]
    pub fn port(&self, id: InterfaceId) -> usize {
        self.ports[usize::from(id)].port
    }

    /// Removes the tags of a frame that a device has received; returns its interface, `None` if the device has none
    /// in these VLANs.
    pub fn untag(&self, port: usize, frame: &mut impl Frame) -> Option<InterfaceId> {
        let (vlans, size) = Vlans::of(frame.bytes());
        let id = self.find(VlanPort { port, vlans })?;
        cut(frame, size).then_some(id)
    }

    /// The interface of a frame that a device was given, by its tags.
    pub fn interface(&self, port: usize, frame: &[u8]) -> Option<InterfaceId> {
        self.find(VlanPort { port, vlans: Vlans::of(frame).0 })
    }

    fn find(&self, link: VlanPort) -> Option<InterfaceId> {
        let is_it = |id: &&InterfaceId| self.ports[usize::from(**id)] == link;
        self.on[link.port].iter().find(is_it).copied()
    }

    /// Removes priority tags (VLAN ID 0) from a frame; returns whether it had any.
    pub fn strip_priority_tags(frame: &mut impl Frame) -> bool {
        let mut had_any = false;
        while let (Vlans::NONE, size @ 1..) = Vlans::of(frame.bytes()) {
            if !cut(frame, size) {
                break;
            }
            had_any = true;
        }
        had_any
    }

    /// Pushes an interface's tags onto a frame; returns false when its buffer has no room.
    #[must_use]
    pub fn tag(&self, id: InterfaceId, frame: &mut impl Frame) -> bool {
        let vlans = &self.ports[usize::from(id)].vlans;
        let size = vlans.size();
        if !frame.grow_front(size) {
            return false;
        }
        let bytes = frame.bytes_mut();
        // No frame is shorter; a shorter one would not leave as it came.
        if let Some(front) = bytes.get_mut(..size + vlan::AT) {
            front.copy_within(size.., 0);
            vlans.write(&mut front[vlan::AT..]);
        }
        true
    }
}

/// Removes so many bytes of tags; returns false when the frame does not have so many.
fn cut(frame: &mut impl Frame, size: usize) -> bool {
    if size == 0 {
        return true;
    }
    frame.bytes_mut().copy_within(..vlan::AT, size);
    frame.cut_front(size)
}
