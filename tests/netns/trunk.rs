//! A switch with VLANs, played in this process: the kernel that tests run on may have none. Stations have
//! untagged ports, the gate a trunk on which every frame is tagged as its VLANs say.

use crate::wiring::{Wiring, plug};
use kit::lab::Lab;
use std::sync::Arc;
use tokio::task::JoinSet;
use tun_rs::AsyncDevice;
use wire::vlan::{self, Vlans};

/// The gate's end of the trunk.
pub const TRUNK: &str = "trunk0";
/// A station's end of its cable.
pub const CABLE: &str = "v0";

/// A port, and the VLANs of the station behind it; behind the trunk are all.
struct Port {
    device: AsyncDevice,
    vlans: Option<Vlans>,
}

/// A cable into each of these namespaces, in these VLANs, and the trunk into the gate's.
pub fn switch(lab: &Lab, stations: &[(&'static str, &[u16])]) -> Wiring {
    let mut devices = vec![plug(lab, "gate", TRUNK)];
    let mut vlans = vec![None];
    for &(name, tags) in stations {
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

/// Floods what comes in by one port to all others in the same VLANs.
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
            // A device that is down takes nothing.
            drop(sent);
        }
    }
}

fn tagged(bare: &[u8], vlans: Vlans) -> Vec<u8> {
    let mut tags = vec![0; vlans.size()];
    vlans.write(&mut tags);
    [&bare[..vlan::AT], &tags, &bare[vlan::AT..]].concat()
}
