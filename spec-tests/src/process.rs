//! What the system tells about processes (Linux' /proc).

use std::fs;

/// The fields behind the name in `/proc/<pid>/stat`: state, parent, …
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = text.rsplit_once(')')?;
    Some(after.split_whitespace().map(str::to_owned).collect())
}

/// Processor time used so far, user and system, without children, in clock ticks.
#[must_use]
pub fn ticks(pid: u32) -> Option<u64> {
    let fields = stat(pid)?;
    Some(fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?)
}

/// The running processes whose parent is `pid`; those that only wait to be buried do not count.
#[must_use]
pub fn child_ids(pid: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_parent = |id: &u32| {
        stat(*id).is_some_and(|fields| fields.get(1) == Some(&pid.to_string()) && fields[0] != "Z")
    };
    ids.filter(of_parent).collect()
}

/// The command lines of [`child_ids`].
#[must_use]
pub fn children(pid: u32) -> Vec<String> {
    let command = |id: u32| fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
    child_ids(pid).into_iter().map(|id| command(id).replace('\0', " ")).collect()
}
