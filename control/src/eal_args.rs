//! Arguments of DPDK's environment abstraction layer (EAL).

use crate::config::{Config, Device, Interface};

/// The arguments for `rte_eal_init`, without the program's name. Control gets the lcore 0, on any of the `cores`; worker `i`
/// gets the lcore `i + 1`, pinned on its core.
pub fn arguments(config: &Config, cores: &[u16]) -> Vec<String> {
    let dataplane = &config.dataplane;
    let mut arguments = Vec::new();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));

    add(&["--lcores", &lcores(&dataplane.workers, cores)]);
    add(&["-m", &dataplane.memory_mib.to_string(), "--no-telemetry"]);
    // Either way nothing is left behind in the file system.
    add(if dataplane.hugepages { &["--in-memory"] } else { &["--no-huge", "--no-shconf"] });
    let is_pci = |device: &Device| matches!(device, Device::Pci(_));
    if !config.interfaces.iter().any(|interface| is_pci(&interface.device)) {
        add(&["--no-pci"]);
    }
    for interface in config.devices() {
        match &interface.device {
            Device::Pci(address) => add(&["-a", address]),
            device @ Device::Virtual { .. } => {
                add(&[&format!("--vdev={device}{}", ring(interface))]);
            }
        }
    }
    arguments.extend(dataplane.eal_args.iter().cloned());
    arguments
}

/// The argument for the ring size of an af_packet device, which has two frames in a block.
fn ring(interface: &Interface) -> String {
    let Device::Virtual { name, arguments } = &interface.device else { return String::new() };
    if !name.starts_with("net_af_packet") || arguments.contains("framecnt=") {
        return String::new();
    }
    format!(",framecnt={}", interface.rx_ring.max(interface.tx_ring).next_multiple_of(2))
}

fn lcores(workers: &[u16], cores: &[u16]) -> String {
    let list = |cores: &[u16]| cores.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
    let mut lcores = format!("0@({})", list(cores));
    for (lcore, core) in (1..).zip(workers) {
        lcores.push_str(&format!(",{lcore}@{core}"));
    }
    lcores
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sample::{SOUND, parsed};

    fn arguments_for(dataplane: &str, device: &str) -> String {
        let sound = SOUND.replace("net_af_packet0,iface=eth1", device);
        let config = parsed(&format!("[dataplane]\n{dataplane}\n{sound}"));
        arguments(&config, &[0, 1, 3]).join(" ")
    }

    #[test]
    fn a_laptop() {
        assert_eq!(
            arguments_for("workers = [3, 1]\nhugepages = false", "net_af_packet0,iface=eth1"),
            "--lcores 0@(0,1,3),1@3,2@1 -m 512 --no-telemetry --no-huge --no-shconf \
             --no-pci --vdev=net_af_packet0,iface=eth1,framecnt=1024"
        );
    }

    #[test]
    fn a_server_with_a_nic() {
        assert_eq!(
            arguments_for(
                "workers = [1]\nmemory = \"1 GiB\"\neal_args = [\"--iova-mode=va\"]",
                "0000:03:00.0"
            ),
            "--lcores 0@(0,1,3),1@1 -m 1024 --no-telemetry --in-memory \
             -a 0000:03:00.0 --iova-mode=va"
        );
    }
}
