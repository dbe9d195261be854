//! Figures that are read when somebody asks.

use prometheus::{GaugeVec, IntCounterVec, Opts, Registry, TextEncoder};

use super::registered;

/// The figures of one answer.
#[derive(Debug, Default)]
pub struct Gauges(Registry);

/// One family of them.
#[derive(Debug)]
pub struct Gauge(GaugeVec);

impl Gauge {
    /// What it is, for these values of the labels.
    pub fn set(&self, labels: &[&str], value: f64) {
        self.0.with_label_values(labels).set(value);
    }
}

impl Gauges {
    /// A figure without labels.
    pub fn one(&self, name: &str, help: &str, value: f64) {
        self.family(name, help, &[]).set(&[], value);
    }

    /// A figure with labels, whose values follow.
    #[must_use]
    pub fn family(&self, name: &str, help: &str, labels: &[&str]) -> Gauge {
        Gauge(registered(&self.0, GaugeVec::new(Opts::new(name, help), labels)))
    }

    /// A figure that only grows, kept elsewhere.
    pub fn total(&self, name: &str, help: &str, labels: &[&str], values: &[(&[&str], u64)]) {
        let family = registered(&self.0, IntCounterVec::new(Opts::new(name, help), labels));
        for (labels, value) in values {
            family.with_label_values(labels).inc_by(*value);
        }
    }

    /// All of them as text. A family without any value is left out.
    #[must_use]
    pub fn text(&self) -> String {
        text(&self.0)
    }
}

pub(super) fn text(registry: &Registry) -> String {
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap_or_else(|error| {
        tracing::error!(%error, "figures cannot be written");
        String::new()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_with_type_and_help_and_labels_escaped() {
        let gauges = Gauges::default();
        gauges.one("a", "Something", 1.5);
        gauges.family("b", "By name", &["name"]).set(&["x\"\n\\"], 2.0);
        drop(gauges.family("c", "Of nothing", &["name"]));
        gauges.total("d_total", "So far", &["name"], &[(&["y"], 7)]);
        let text = gauges.text();
        assert!(text.contains("# HELP a Something\n# TYPE a gauge\na 1.5\n"), "{text}");
        assert!(text.contains("b{name=\"x\\\"\\n\\\\\"} 2\n"), "{text}");
        assert!(!text.contains("# TYPE c"), "{text}");
        assert!(text.contains("# TYPE d_total counter\nd_total{name=\"y\"} 7\n"), "{text}");
    }
}
