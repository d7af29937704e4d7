//! What an operator acts on: VIPs and backends that come and go.

use crate::config::Config;
use engine::tables::Tables;

/// One line for each thing that is different in `new`.
pub fn changes(old: &Tables, new: &Tables, config: &Config) -> Vec<String> {
    let vips = (0..).zip(&new.vips);
    let vips = vips.filter(|&(id, _)| old.is_live(id) != new.is_live(id)).map(|(id, vip)| {
        let state = if new.is_live(id) { "live" } else { "down: the kernel does not hold it" };
        format!("VIP {} is {state}", vip.address)
    });
    let backends = old.backends.iter().zip(&new.backends);
    let written = config.services.iter();
    let written = written.flat_map(|service| service.backends.iter().map(move |b| (service, b)));
    let backends = backends.zip(written).filter_map(|((old, new), (service, backend))| {
        let name = format!("backend {} of {} ({})", backend.name, service.name, backend.address);
        match (old.hop, new.hop) {
            (None, Some(hop)) => Some(format!("{name} is up at {}", hop.mac)),
            (Some(_), None) => Some(format!("{name} is down: the kernel does not reach it")),
            (Some(old), Some(new)) if old != new => Some(format!("{name} is now at {}", new.mac)),
            (Some(_), Some(_)) | (None, None) => None,
        }
    });
    vips.chain(backends).collect()
}
