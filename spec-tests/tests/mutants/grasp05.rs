//! Mutants of G05: archives that are not what they say. They archive whatever is announced.

use crate::lie::http::nip11;
use crate::mutant::{Mutant, fault, proxy};

const SYNC: &str = "G05/sync";

pub(crate) fn mutants() -> Vec<Mutant> {
    let unsynced = proxy("archive-without-sync", SYNC, "it is an archive and does not list GRASP-02", || {
        nip11(|document| {
            let listed = document["supported_grasps"].as_array_mut();
            listed.into_iter().for_each(|listed| listed.retain(|grasp| grasp != "GRASP-02"));
        })
    });
    let archives = [fault("archived-are-pushed-to", SYNC), fault("read-only-untold", SYNC), unsynced];
    let archives = archives.into_iter().map(|archive| archive.with("NGIT_ARCHIVE_ALL", true));
    archives.map(|archive| archive.with("NGIT_SYNC_ENABLE", true).with("NGIT_TEST", true)).collect()
}
