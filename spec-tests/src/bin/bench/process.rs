//! What a process uses, from `/proc`.

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Result;

/// Files that this program and the servers it starts may have open.
const FILES: u64 = 16_384;

/// Raises the bound of open files, for us and for what we start.
pub(crate) fn allow_many_files() -> Result<()> {
    let now = getrlimit(Resource::Nofile);
    if now.current.is_some_and(|current| current < FILES) {
        let most = now.maximum.map_or(FILES, |most| most.min(FILES));
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: now.maximum })?;
    }
    Ok(())
}

/// One process by its number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// A field of `status` or `smaps_rollup` that is given in kB, as MiB.
    fn mebibytes(self, file: &str, field: &str) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.0))?;
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kibibytes = line.and_then(|rest| rest.split_whitespace().next()).ok_or("no such field")?;
        Ok(kibibytes.parse::<f64>()? / 1024.0)
    }

    /// Resident memory now, in MiB.
    pub(crate) fn resident(self) -> Result<f64> {
        self.mebibytes("status", "VmRSS")
    }

    /// Resident memory of which shared pages count in part, in MiB.
    pub(crate) fn proportional(self) -> Result<f64> {
        self.mebibytes("smaps_rollup", "Pss")
    }

    /// The most resident memory since [`Process::reset_peak`], in MiB. Children are not in it.
    pub(crate) fn peak(self) -> Result<f64> {
        self.mebibytes("status", "VmHWM")
    }

    /// Counts the peak from now on; where the kernel forbids that, from the start of the process.
    pub(crate) fn reset_peak(self) -> Result<f64> {
        let _ = fs::write(format!("/proc/{}/clear_refs", self.0), "5");
        self.resident()
    }

    /// Processor time so far, in user and kernel mode, children apart; in steps of 10 ms.
    pub(crate) fn processor_time(self) -> Result<Duration> {
        /// USER_HZ is 100 on every Linux that Rust runs on.
        const TICK: Duration = Duration::from_millis(10);
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name in parentheses may contain anything; the fields begin after it, `state` being the third.
        let (_, fields) = stat.rsplit_once(')').ok_or("no stat")?;
        let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>);
        Ok(TICK * ticks.sum::<std::result::Result<u32, _>>()?)
    }
}
