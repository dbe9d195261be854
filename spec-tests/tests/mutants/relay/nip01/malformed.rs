//! Messages that no well-behaved client sends: connections that end, answers that do not come.

use grasp_fixtures::faulty_proxy::{Fate, Side, Step};
use serde_json::Value;

use super::ROW;
use crate::lie::relay::hears;
use crate::mutant::{Mutant, proxy};

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        proxy("cut-when-not-json", ROW, "what is no JSON ends the connection", {
            hears(|heard| {
                let broken = heard.from == Side::Client && !heard.binary && heard.json == Value::Null;
                if broken { Fate::Instead(vec![Step::Cut]) } else { Fate::Pass }
            })
        }),
        proxy("events-without-id-unanswered", ROW, "an EVENT without a usable id is not answered", {
            hears(|heard| {
                let usable = heard.json[1]["id"].as_str().is_some_and(|id| id.len() == 64);
                if heard.verb_of(Side::Client) == "EVENT" && !usable { Fate::Drop } else { Fate::Pass }
            })
        }),
        proxy("requests-without-filter-unanswered", ROW, "a REQ without a filter is not answered", {
            hears(|heard| {
                let parts = heard.json.as_array().map_or(0, Vec::len);
                if heard.verb_of(Side::Client) == "REQ" && parts < 3 { Fate::Drop } else { Fate::Pass }
            })
        }),
        proxy("reconciliations-refused-in-silence", ROW, "a NEG-OPEN that makes no sense is not answered", {
            hears(|heard| if heard.verb_of(Side::Relay) == "NEG-ERR" { Fate::Drop } else { Fate::Pass })
        }),
        proxy("binary-cut", ROW, "a binary message ends the connection without a word", {
            hears(|heard| if heard.binary { Fate::Instead(vec![Step::Cut]) } else { Fate::Pass })
        }),
    ]
}
