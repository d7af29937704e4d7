//! A VLAN switch, simulated in this process, as the kernel may lack VLANs. Hosts have untagged ports; the gate has a
//! trunk with tagged frames.

use crate::wiring::{Wiring, plug};
use kit::lab::Lab;
use std::sync::Arc;
use tokio::task::JoinSet;
use tun_rs::AsyncDevice;
use wire::vlan::{self, Vlans};

/// The gate's end of the trunk.
pub const TRUNK: &str = "trunk0";
/// A host's end of its link.
pub const CABLE: &str = "v0";

/// A port and its VLANs; the trunk has all.
struct Port {
    device: AsyncDevice,
    vlans: Option<Vlans>,
}

/// A link into each of these namespaces, in these VLANs, and the trunk into the gate's.
pub fn switch(lab: &Lab, hosts: &[(&'static str, &[u16])]) -> Wiring {
    let mut devices = vec![plug(lab, "gate", TRUNK)];
    let mut vlans = vec![None];
    for &(name, tags) in hosts {
        devices.push(plug(lab, name, CABLE));
        vlans.push(Some(Vlans::new(tags).expect("VLANs")));
    }
    Wiring::start(devices, |devices| {
        let ports = devices.into_iter().zip(vlans).map(|(device, vlans)| Port { device, vlans });
        let ports: Arc<Vec<_>> = Arc::new(ports.collect());
        let tasks = (0..ports.len()).map(|from| forward(Arc::clone(&ports), from));
        tasks.collect::<JoinSet<()>>()
    })
}

/// Floods a port's frames to all other ports in the same VLANs.
async fn forward(ports: Arc<Vec<Port>>, from: usize) {
    let mut buffer = vec![0; 4096];
    while let Ok(len) = ports[from].device.recv(&mut buffer).await {
        let frame = &buffer[..len];
        let (vlans, tags) = match ports[from].vlans {
            Some(vlans) => (vlans, 0),
            None => Vlans::of(frame),
        };
        let bare = [&frame[..vlan::AT], &frame[vlan::AT + tags..]].concat();
        for (_, port) in ports.iter().enumerate().filter(|(to, _)| *to != from) {
            let sent = match port.vlans {
                None => port.device.send(&tagged(&bare, vlans)).await,
                Some(other) if other == vlans => port.device.send(&bare).await,
                Some(_) => continue,
            };
            // A device that is down accepts nothing.
            drop(sent);
        }
    }
}

fn tagged(bare: &[u8], vlans: Vlans) -> Vec<u8> {
    let mut tags = vec![0; vlans.size()];
    vlans.write(&mut tags);
    [&bare[..vlan::AT], &tags, &bare[vlan::AT..]].concat()
}
