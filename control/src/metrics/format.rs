//! The text formats, and the choice of one by a request's `Accept`.

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;
use std::fmt;

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

const OPENMETRICS: &str = "application/openmetrics-text";

impl Format {
    /// The format for a request with this `Accept` header: OpenMetrics for clients that name it and like nothing else
    /// better.
    pub fn accepted(header: &str) -> Format {
        let mut wanted = 0.0;
        let mut other = 0.0_f64;
        for range in header.split(',') {
            let mut words = range.split(';').map(str::trim);
            let media_type = words.next().unwrap_or_default();
            let quality = words.find_map(|word| word.strip_prefix("q=")?.parse().ok());
            let quality: f64 = quality.unwrap_or(1.0);
            if media_type.eq_ignore_ascii_case(OPENMETRICS) {
                wanted = quality.max(wanted);
            } else {
                other = other.max(quality);
            }
        }
        if wanted > 0.0 && wanted >= other { Format::OpenMetrics } else { Format::Text }
    }

    /// The value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => prometheus_text::CONTENT_TYPE,
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Encodes everything that is registered.
    pub(super) fn encode(self, text: &mut String, registry: &Registry) -> fmt::Result {
        match self {
            Format::Text => prometheus_text::encode(text, registry),
            Format::OpenMetrics => text::encode(text, registry),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_is_for_clients_that_prefer_it() {
        for (header, format) in [
            // Prometheus 2.42.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                 text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("text/plain;q=0.5, Application/OpenMetrics-Text; q=0.7", Format::OpenMetrics),
            ("application/openmetrics-text;q=0.5,text/plain", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml", Format::Text),
            ("", Format::Text),
            (";q=,,;", Format::Text),
        ] {
            assert_eq!(Format::accepted(header), format, "{header}");
        }
    }
}
