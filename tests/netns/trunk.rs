//! A switch with VLANs, played in this process: the kernel that tests run on may have none. Stations have
//! untagged ports, the gate a trunk on which every frame is tagged as its VLANs say.

use kit::lab::Lab;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tun_rs::{AsyncDevice, DeviceBuilder, Layer, SyncDevice};
use wire::vlan::{self, Vlans};

/// The gate's end of the trunk.
pub const TRUNK: &str = "trunk0";
/// A station's end of its cable.
pub const CABLE: &str = "v0";

/// The running switch. It stops with this.
pub struct Switch {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A port, and the VLANs of the station behind it; behind the trunk are all.
struct Port<D> {
    device: D,
    vlans: Option<Vlans>,
}

impl Switch {
    /// A cable into each of these namespaces, in these VLANs, and the trunk into the gate's.
    pub fn new(lab: &Lab, stations: &[(&'static str, &[u16])]) -> Switch {
        let mut ports = vec![Port { device: plug(lab, "gate", TRUNK), vlans: None }];
        for &(name, vlans) in stations {
            let vlans = Vlans::new(vlans).expect("VLANs");
            ports.push(Port { device: plug(lab, name, CABLE), vlans: Some(vlans) });
        }
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(ports, stopped));
        });
        Switch { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The other end of a cable into a namespace.
fn plug(lab: &Lab, name: &str, end: &'static str) -> SyncDevice {
    let made = lab.inside(name, move || {
        DeviceBuilder::new().name(end).layer(Layer::L2).enable(false).build_sync()
    });
    let device = made.join().expect("it ends").expect("a TAP");
    lab.must(name, &format!("sysctl -q -w net.ipv6.conf.{end}.disable_ipv6=1"));
    lab.must(name, &format!("ip link set {end} up"));
    device
}

async fn run(ports: Vec<Port<SyncDevice>>, stopped: oneshot::Receiver<()>) {
    let ports = ports.into_iter().map(|Port { device, vlans }| Port {
        device: AsyncDevice::new(device).expect("a device"),
        vlans,
    });
    let ports: Arc<Vec<_>> = Arc::new(ports.collect());
    let mut tasks = JoinSet::new();
    for from in 0..ports.len() {
        tasks.spawn(forward(Arc::clone(&ports), from));
    }
    let _ = stopped.await;
    tasks.shutdown().await;
}

/// Floods what comes in by one port to all others in the same VLANs.
async fn forward(ports: Arc<Vec<Port<AsyncDevice>>>, from: usize) {
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
