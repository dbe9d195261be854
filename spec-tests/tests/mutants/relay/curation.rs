//! Mutants of G01/relay/curation: a server that curates and does not say so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side};
use serde_json::json;

use crate::lie::relay::{is_kind, tag};
use crate::mutant::{Mutant, proxy};

/// Why others fail.
const SECOND: &str = "its owner has a second repository";

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        proxy(
            "quota-not-told",
            "G01/relay/curation",
            "a second repository of an owner is refused, which nothing says",
            || {
                let first: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
                Lies::default().relay(move || {
                    let first = first.clone();
                    move |heard: &Heard| {
                        let event = &heard.json[1];
                        if heard.verb_of(Side::Client) == "EVENT" && is_kind(event, 30_617) {
                            let mut first = first.lock().unwrap();
                            let owner = event["pubkey"].to_string();
                            let known = first.entry(owner).or_insert_with(|| tag(event, "d").to_owned());
                            if *known != tag(event, "d") {
                                return Fate::tell(json!([
                                    "OK",
                                    event["id"],
                                    false,
                                    "blocked: one repository for each"
                                ]));
                            }
                        }
                        Fate::Pass
                    }
                })
            },
        )
        .affects("G01/*", SECOND),
    ]
}
