//! Mutants of G02/sync/negentropy: histories that are read the wrong way, or not to their end.

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side};
use serde_json::json;

use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G02/sync/negentropy";

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        proxy("reconciliation-never-tried", ROW, "every history is read page by page", Lies::default)
            .with("NGIT_SYNC_DISABLE_NEGENTROPY", true),
        fault("reconciled-with-nothing", ROW),
        fault("nothing-without-reconciliation", ROW),
        fault("refused-reconciliations-count-as-done", ROW),
        fault("first-page-only", ROW),
        fault("crowded-seconds-end-histories", ROW),
        fault("reconciliations-cut-short", ROW),
        proxy(
            "reconciliations-by-tag-refused",
            ROW,
            "a reconciliation of what a tag names is refused",
            || {
                Lies::default().relay(|| {
                    |heard: &Heard| {
                        let by_tag = heard.json[2].get("#a").is_some();
                        if heard.verb_of(Side::Client) != "NEG-OPEN" || !by_tag {
                            return Fate::Pass;
                        }
                        Fate::tell(json!(["NEG-ERR", heard.json[1], "blocked: not by tag"]))
                    }
                })
            },
        ),
    ]
}
