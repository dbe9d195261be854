//! Mutants of G05: archives that are not what they say.

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side};
use serde_json::json;
use spec_tests::gate::ARCHIVED;

use crate::lie::git::Remembered;
use crate::lie::http::nip11;
use crate::lie::relay::{is_kind, tag};
use crate::mutant::{Mutant, fault, proxy};

const ACCEPT: &str = "G05/accept";
const SYNC: &str = "G05/sync";

pub(crate) fn mutants() -> Vec<Mutant> {
    let everything = sync().into_iter().map(|archive| archive.with("NGIT_ARCHIVE_ALL", true));
    let all = everything.chain(accept());
    all.map(|archive| archive.with("NGIT_SYNC_ENABLE", true).with("NGIT_TEST", true)).collect()
}

/// They archive one identifier, and the auditor is told which.
fn accept() -> Vec<Mutant> {
    let beyond = "whatever else an owner announces of whom one repository is archived is reported as taken";
    let beyond = proxy("archives-beyond-its-rule", ACCEPT, beyond, || {
        let owners = Remembered::default();
        Lies::default().relay(move || {
            let owners = owners.clone();
            move |heard: &Heard| {
                let event = &heard.json[1];
                let owner = event["pubkey"].as_str().unwrap_or_default();
                if heard.verb_of(Side::Client) != "EVENT" || !is_kind(event, 30_617) {
                    return Fate::Pass;
                }
                if tag(event, "d") == ARCHIVED {
                    owners.note(owner);
                } else if owners.has(owner) {
                    return Fate::tell(json!(["OK", event["id"], true, ""]));
                }
                Fate::Pass
            }
        })
    });
    let faults = [
        fault("archived-repositories-missing", ACCEPT),
        fault("half-listed-not-archived", ACCEPT),
        fault("archived-never-replaced", ACCEPT),
        fault("anybody-signs-archived-states", ACCEPT),
        fault("listed-are-archived-too", ACCEPT),
    ];
    let all = faults.into_iter().chain([beyond]);
    all.map(|archive| archive.with("NGIT_ARCHIVE_WHITELIST", ARCHIVED).archiving(ARCHIVED)).collect()
}

/// They archive whatever is announced.
fn sync() -> Vec<Mutant> {
    let unsynced = proxy("archive-without-sync", SYNC, "it is an archive and does not list GRASP-02", || {
        nip11(|document| {
            let listed = document["supported_grasps"].as_array_mut();
            listed.into_iter().for_each(|listed| listed.retain(|grasp| grasp != "GRASP-02"));
        })
    });
    vec![fault("archived-are-pushed-to", SYNC), fault("read-only-untold", SYNC), unsynced]
}
