//! Simulated network devices: TAPs in hosts' namespaces, and tasks that carry frames between them.

use kit::lab::Lab;
use std::thread::JoinHandle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tun_rs::{AsyncDevice, DeviceBuilder, Layer, SyncDevice};

/// Running tasks; dropping it stops them.
pub struct Wiring {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Wiring {
    /// Starts tasks for these devices.
    pub fn start(
        devices: Vec<SyncDevice>,
        tasks: impl FnOnce(Vec<AsyncDevice>) -> JoinSet<()> + Send + 'static,
    ) -> Wiring {
        let (stop, stopped) = oneshot::channel::<()>();
        let run = async move {
            let devices = devices.into_iter().map(|it| AsyncDevice::new(it).expect("a device"));
            let mut tasks = tasks(devices.collect());
            let _ = stopped.await;
            tasks.shutdown().await;
        };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run);
        });
        Wiring { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Wiring {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The other end of a link into a namespace.
pub fn plug(lab: &Lab, name: &str, end: &'static str) -> SyncDevice {
    let made = lab.inside(name, move || {
        DeviceBuilder::new().name(end).layer(Layer::L2).enable(false).build_sync()
    });
    let device = made.join().expect("it ends").expect("a TAP");
    lab.must(name, &format!("sysctl -q -w net.ipv6.conf.{end}.disable_ipv6=1"));
    lab.must(name, &format!("ip link set {end} up"));
    device
}
