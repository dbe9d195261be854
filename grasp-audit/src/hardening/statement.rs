//! What is said before the first hostile byte is sent.

use std::time::Duration;

use super::case::{Area, Case};
use super::meter::Load;
use super::runner::RECOVERS_WITHIN;
use crate::counted::counted;
use crate::target::patience::Patience;

/// What a run of these cases against `url` will send, in plain words, with its bounds; `patience` stretches the time.
#[must_use]
pub fn statement(url: &str, cases: &[Case], patience: Patience) -> String {
    let load = cases.iter().fold(Load::default(), |load, case| load.and_then(case.load));
    let bound: Duration = cases.iter().map(|case| patience.of(case.bound).max(case.bound)).sum();
    let areas = Area::ALL.map(|area| {
        let count = cases.iter().filter(|case| case.area == area).count();
        format!("  {count:>3} {:<5}  {}\n", if count == 1 { "case" } else { "cases" }, area.heading())
    });
    let recovers = patience.of(RECOVERS_WITHIN);
    format!(
        "Hardening sends hostile input to {url}: {}, one after the other.\n{}\
         They hold malformed and oversized requests, broken packs, archives and packs that unpack to several hundred \
         megabytes, floods of messages and connections, and clients that are slow on purpose.\n\
         At most {} connections at a time, {} requests and messages, {} MB sent, {} minutes (usually far less).\n\
         Some events and a few small repositories are published and deleted again at the end (NIP-09), all marked \
         `grasp-audit`.\n\
         After every case the server is looked at. When it does not serve as before within {} s, the run stops and says \
         which case did it. A weak server may become slow, run out of memory, or crash.\n\
         Do this to a server that is yours, or whose operator has agreed.",
        counted(cases.len(), "case"),
        areas.concat(),
        load.at_once,
        load.messages,
        load.bytes.div_ceil(1_000_000),
        bound.as_secs().div_ceil(60),
        recovers.as_secs_f64().ceil(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_be_sent_is_said_with_its_bounds() {
        let cases = crate::hardening::all();
        let text = statement("https://git.example.org", &cases, Patience::default());
        assert!(text.contains("https://git.example.org") && text.contains(&format!("{} cases", cases.len())));
        assert!(
            text.contains("connections at a time") && text.contains("MB sent") && text.contains("minutes")
        );
        assert!(text.contains("a server that is yours"));
    }
}
