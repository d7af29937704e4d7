//! The one collector, which encodes a sample.

use super::format::Format;
use super::page::Page;
use super::sample::Sample;
use super::{backends, daemon, interfaces, pair, services, workers};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;

/// Encodes a sample. With the name of a service: only the series of that service.
///
/// # Panics
///
/// Never: a string can be written to.
pub fn encode(sample: &Arc<Sample>, format: Format, service: Option<&str>) -> String {
    let mut registry = Registry::with_prefix("tidegate");
    let view = View { sample: Arc::clone(sample), service: service.map(Into::into) };
    registry.register_collector(Box::new(view));
    let mut text = String::new();
    format.encode(&mut text, &registry).expect("a string can be written to");
    text
}

/// The only collector: a sample, or a service's part of it.
#[derive(Debug)]
struct View {
    sample: Arc<Sample>,
    service: Option<String>,
}

impl Collector for View {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let (sample, page) = (&*self.sample, &mut Page(encoder));
        let is_shown = |name: &str| self.service.as_ref().is_none_or(|shown| shown == name);
        if self.service.is_none() {
            daemon::encode(&sample.daemon, page)?;
            workers::encode(&sample.workers, page)?;
            interfaces::encode(&sample.interfaces, page)?;
            pair::encode(sample.pair.as_ref(), page)?;
            services::encode_nat(&sample.nat, page)?;
        }
        let services = sample.services.iter().filter(|service| is_shown(service.name()));
        services::encode(&services.collect::<Vec<_>>(), page)?;
        let snat = sample.snat.iter().filter(|ports| is_shown(&ports.service));
        services::encode_snat(&snat.collect::<Vec<_>>(), page)?;
        let backends = sample.backends.iter().filter(|backend| is_shown(&backend.service));
        backends::encode(&backends.collect::<Vec<_>>(), page)
    }
}
