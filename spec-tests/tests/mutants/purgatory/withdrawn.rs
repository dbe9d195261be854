//! Mutants of G01/purgatory/withdrawn.

use grasp_fixtures::faulty_proxy::{Fate, Heard, Side};
use serde_json::json;

use crate::lie::relay::{is_kind, tags};
use crate::lie::shadow::{Kept, beside_waiting};
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G01/purgatory/withdrawn";

/// Says yes to a deletion request that names something waiting under such a tag, and does nothing.
fn ignored(heard: &Heard, waiting: &Kept, tag: &str) -> Fate {
    let event = &heard.json[1];
    let withdraws = heard.verb_of(Side::Client) == "EVENT"
        && is_kind(event, 5)
        && tags(event, tag).any(|name| waiting.has(name));
    if withdraws { Fate::tell(json!(["OK", event["id"], true, ""])) } else { Fate::Pass }
}

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        proxy("waiting-not-withdrawn-by-id", ROW, "what waits is not withdrawn by its id", {
            beside_waiting(|heard, waiting| ignored(heard, waiting, "e"))
        }),
        proxy("waiting-not-withdrawn-by-address", ROW, "what waits is not withdrawn by its coordinate", {
            beside_waiting(|heard, waiting| ignored(heard, waiting, "a"))
        }),
        fault("anybody-withdraws", ROW),
        fault("withdrawals-reach-newer-events", ROW),
        fault("replacements-served", ROW),
        fault("states-without-refs-release", ROW),
        fault("ties-to-the-higher-id", ROW)
            .affects("G01/relay/nip01/announcement-tie-*", "the same rule, for what is served"),
        fault("older-replacements-wait", ROW)
            .affects("G01/relay/accepts-repository-events/*-older", "the same rule, without a push")
            .affects("G01/relay/nip01/announcement-*", "the same rule, for what is served"),
    ]
}
