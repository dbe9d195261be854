//! What a container uses, by the engine's own statistics, added up over its starts.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot ask the engine cannot go on

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use serde::Serialize;
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{ContainerMemoryStats, ContainerStatsResponse};
use testcontainers::bollard::query_parameters::StatsOptions;
use tokio_util::task::AbortOnDropHandle;

use crate::engine;

/// How soon a container whose statistics have ended is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// What a container has used since it was first looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// The most memory that was in use whenever it was looked, once a second, in bytes; without the page cache that can go.
    pub memory_peak: u64,
    /// Processor time in microseconds, git's included.
    pub processor_us: u64,
    /// The most processes and threads at once.
    pub tasks_peak: u64,
    /// Bytes that came in, on all its networks.
    pub received: u64,
    /// Bytes that went out.
    pub sent: u64,
    /// Bytes read from disk; `None` where the system does not count them.
    pub disk_read: Option<u64>,
    /// Bytes written to disk, in the same way.
    pub disk_written: Option<u64>,
    /// What its volumes hold, in the engine's words: `168.4kB`. Empty when it has none.
    pub on_disk: String,
}

/// Looks at a container until it is dropped.
#[derive(Debug)]
pub struct Recorder {
    engine: Docker,
    container: String,
    counted: Arc<Mutex<Counted>>,
    _task: AbortOnDropHandle<()>,
}

impl Recorder {
    /// Begins to look.
    ///
    /// # Panics
    /// When the engine does not answer.
    pub async fn start(container: &str) -> Self {
        let engine = Docker::connect_with_host(&engine::host().unwrap()).unwrap();
        let engine = engine.negotiate_version().await.expect("the engine answers");
        let counted: Arc<Mutex<Counted>> = Arc::default();
        let (asked, of, into) = (engine.clone(), container.to_owned(), counted.clone());
        let task = tokio::spawn(async move {
            loop {
                let mut stream = Box::pin(asked.stats(&of, Some(StatsOptions::default())));
                while let Some(Ok(told)) = stream.next().await {
                    into.lock().look(&told);
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
        });
        Self { engine, container: container.to_owned(), counted, _task: AbortOnDropHandle::new(task) }
    }

    /// What was used until now.
    ///
    /// # Panics
    /// When the engine does not answer.
    pub async fn usage(&self) -> Usage {
        let now = StatsOptions { stream: false, one_shot: true };
        let told = self.engine.stats(&self.container, Some(now)).boxed().next().await;
        self.counted.lock().look(&told.expect("an answer").expect("the container is there"));
        let on_disk = on_disk(&self.container).await;
        Usage { on_disk, ..self.counted.lock().usage() }
    }
}

/// The size of the container's volumes. Engines measure all that they have, and not twice at once.
async fn on_disk(container: &str) -> String {
    static MEASURING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _alone = MEASURING.lock().await;
    let names = r#"{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}"#;
    let names = engine::run(&["inspect", "--format", names, container]).await;
    let sizes = "{{range .Volumes}}{{.Name}} {{.Size}}\n{{end}}";
    let sizes = engine::run(&["system", "df", "--verbose", "--format", sizes]).await;
    let of = |line: &str| {
        let (name, size) = line.split_once(' ')?;
        names.split_whitespace().any(|own| own == name).then(|| size.to_owned())
    };
    sizes.lines().filter_map(of).collect::<Vec<_>>().join(" + ")
}

/// A count that begins anew with each start of the container.
#[derive(Debug, Clone, Copy, Default)]
struct Counter {
    before: u64,
    last: u64,
}

impl Counter {
    fn see(&mut self, count: u64) {
        if count < self.last {
            self.before += self.last;
        }
        self.last = count;
    }

    fn total(self) -> u64 {
        self.before + self.last
    }
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Counted {
    memory_peak: u64,
    tasks_peak: u64,
    processor_ns: Counter,
    disk: Option<(Counter, Counter)>,
    /// In and out, by interface: one goes when the container leaves its network.
    interfaces: BTreeMap<String, (Counter, Counter)>,
}

impl Counted {
    fn look(&mut self, told: &ContainerStatsResponse) {
        self.memory_peak = self.memory_peak.max(told.memory_stats.as_ref().map_or(0, in_use));
        let tasks = told.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or(0);
        self.tasks_peak = self.tasks_peak.max(tasks);
        let processor = told.cpu_stats.as_ref().and_then(|cpu| cpu.cpu_usage.as_ref()?.total_usage);
        self.processor_ns.see(processor.unwrap_or(0));
        if let Some((now_read, now_written)) = disk(told) {
            let (read, written) = self.disk.get_or_insert_default();
            read.see(now_read);
            written.see(now_written);
        }
        let networks = told.networks.clone().unwrap_or_default();
        for name in networks.keys() {
            self.interfaces.entry(name.clone()).or_default();
        }
        for (name, (received, sent)) in &mut self.interfaces {
            let now = networks.get(name);
            received.see(now.and_then(|now| now.rx_bytes).unwrap_or(0));
            sent.see(now.and_then(|now| now.tx_bytes).unwrap_or(0));
        }
    }

    fn usage(&self) -> Usage {
        Usage {
            memory_peak: self.memory_peak,
            processor_us: self.processor_ns.total() / 1_000,
            tasks_peak: self.tasks_peak,
            received: self.interfaces.values().map(|(received, _)| received.total()).sum(),
            sent: self.interfaces.values().map(|(_, sent)| sent.total()).sum(),
            disk_read: self.disk.map(|(read, _)| read.total()),
            disk_written: self.disk.map(|(_, written)| written.total()),
            on_disk: String::new(),
        }
    }
}

/// As `docker stats` says it: without the pages of files that are not in use, which have a name in each of two generations
/// of control groups.
fn in_use(memory: &ContainerMemoryStats) -> u64 {
    let stats = memory.stats.as_ref();
    let idle = ["total_inactive_file", "inactive_file"].iter().find_map(|name| stats?.get(*name));
    memory.usage.unwrap_or(0).saturating_sub(idle.copied().unwrap_or(0))
}

/// Bytes read and written, of all devices; some systems count none.
fn disk(told: &ContainerStatsResponse) -> Option<(u64, u64)> {
    let entries = told.blkio_stats.as_ref()?.io_service_bytes_recursive.as_ref()?;
    let moved = |direction: &str| {
        let is_asked = |op: &Option<String>| op.as_ref().is_some_and(|op| op.eq_ignore_ascii_case(direction));
        entries.iter().filter(|entry| is_asked(&entry.op)).filter_map(|entry| entry.value).sum()
    };
    (!entries.is_empty()).then(|| (moved("read"), moved("write")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(processor: u64, memory: u64, networks: &[(&str, u64, u64)]) -> ContainerStatsResponse {
        let networks: BTreeMap<&str, _> = networks
            .iter()
            .map(|(name, received, sent)| (*name, json!({"rx_bytes": received, "tx_bytes": sent})))
            .collect();
        serde_json::from_value(json!({
            "cpu_stats": {"cpu_usage": {"total_usage": processor}},
            "memory_stats": {"usage": memory, "stats": {"inactive_file": 10}},
            "pids_stats": {"current": 7},
            "blkio_stats": {"io_service_bytes_recursive": [{"op": "Read", "value": 5}, {"op": "write", "value": 3}]},
            "networks": networks,
        }))
        .unwrap()
    }

    #[test]
    fn a_system_that_counts_no_disk_says_nothing_about_it() {
        let mut counted = Counted::default();
        counted.look(
            &serde_json::from_value(json!({"blkio_stats": {"io_service_bytes_recursive": []}})).unwrap(),
        );
        assert_eq!((counted.usage().disk_read, counted.usage().disk_written), (None, None));
    }

    #[test]
    fn what_was_used_before_a_restart_or_on_a_network_that_was_left_still_counts() {
        let mut counted = Counted::default();
        counted.look(&told(5_000, 110, &[("eth0", 1, 2), ("eth1", 10, 20)]));
        counted.look(&told(9_000, 60, &[("eth0", 3, 4)]));
        // Stopped, then started again.
        counted.look(&ContainerStatsResponse::default());
        assert_eq!(counted.usage().disk_read, Some(5));
        counted.look(&told(2_000, 50, &[("eth0", 1, 1), ("eth1", 5, 5)]));
        let usage = counted.usage();
        assert_eq!((usage.processor_us, usage.memory_peak, usage.tasks_peak), (11, 100, 7));
        assert_eq!((usage.received, usage.sent), (3 + 1 + 10 + 5, 4 + 1 + 20 + 5));
        assert_eq!((usage.disk_read, usage.disk_written), (Some(5), Some(3)), "nothing was added");
    }
}
