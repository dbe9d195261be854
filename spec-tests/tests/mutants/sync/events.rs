//! Mutants of G02/events: what is not fetched, and what is fetched and should not be taken.

use crate::mutant::{Mutant, fault};

const HISTORIC: &str = "G02/events/historic";
const LIVE: &str = "G02/events/live";
const DISCOVERY: &str = "G02/events/discovery";
const ADMISSION: &str = "G02/events/admission";

pub(super) fn mutants() -> Vec<Mutant> {
    [historic(), live(), discovery(), admission()].into_iter().flatten().collect()
}

fn historic() -> Vec<Mutant> {
    vec![
        fault("issues-alone-asked-by-a", HISTORIC),
        fault("repositories-unasked-by-capital-a", HISTORIC),
        fault("repositories-unasked-by-q", HISTORIC),
        fault("roots-unasked-by-small-e", HISTORIC),
        fault("roots-unasked-by-capital-e", HISTORIC),
        fault("roots-unasked-by-q", HISTORIC),
        fault("roots-without-history", HISTORIC)
            .affects("G02/sync/negentropy/thousands", "the events of that history name an issue"),
        fault("synced-announcements-must-list", HISTORIC),
        fault("first-relay-only", HISTORIC)
            .affects("G02/events/discovery/second-relay", "it is about the second of two relays")
            .affects("G02/sync/health/silent-peer", "the peer that is held up is the second of two")
            .affects("G02/sync/retire/no-longer-named", "the peer that stays is the second of two"),
        fault("relays-named-later-ignored", HISTORIC)
            .affects("G02/sync/negentropy/only-missing", "its peer is named when the history is here")
            .affects("G02/sync/consolidation/values", "its peer is named when the issues are here"),
    ]
}

fn live() -> Vec<Mutant> {
    const NEW_ISSUE: &str = "it goes on with an issue that is new at a connected peer";
    const NEW_STATE: &str = "it goes on with a state that is new at a connected peer";
    vec![
        fault("repositories-not-live", LIVE)
            .affects("G02/events/admission/stranger-state", NEW_ISSUE)
            .affects("G02/events/admission/deleted", NEW_ISSUE)
            .affects("G02/sync/health/silent-peer", NEW_ISSUE)
            .affects("G02/sync/reconnect/short", NEW_ISSUE)
            .affects("G02/sync/retire/no-longer-named", NEW_ISSUE)
            .affects("G02/sync/consolidation/stated-limit", NEW_ISSUE),
        fault("roots-not-live", LIVE)
            .affects("G02/sync/consolidation/*", "it looks at the subscriptions for what names an issue"),
        fault("states-not-live", LIVE)
            .affects("G02/events/admission/stranger-state", NEW_STATE)
            .affects("G02/git/state/*", NEW_STATE),
        fault("heard-from-eose-on", LIVE),
    ]
}

fn discovery() -> Vec<Mutant> {
    vec![
        fault("further-relays-ignored", DISCOVERY)
            .affects("G02/sync/health/silent-peer", "the peer that is held up is named later"),
        fault("known-identifiers-only", DISCOVERY),
    ]
}

fn admission() -> Vec<Mutant> {
    vec![
        fault("peers-signatures-unchecked", ADMISSION),
        fault("peers-ids-unchecked", ADMISSION),
        fault("peers-ids-recomputed", ADMISSION),
        fault("peers-believed", ADMISSION),
        fault("unrelated-from-peers-taken", ADMISSION),
        fault("unlisted-from-peers-taken", ADMISSION),
        fault("anybodys-states-from-peers-taken", ADMISSION),
        fault("deleted-comes-back-by-sync", ADMISSION),
    ]
}
