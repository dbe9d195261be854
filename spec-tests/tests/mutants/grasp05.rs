//! Mutants of G05: archives that are not what they say. They archive whatever is announced.

use crate::mutant::{Mutant, fault};

const SYNC: &str = "G05/sync";

pub(crate) fn mutants() -> Vec<Mutant> {
    let archive = |name| {
        let archive = fault(name, SYNC).with("NGIT_ARCHIVE_ALL", 1);
        archive.with("NGIT_SYNC_ENABLE", 1).with("NGIT_TEST", 1)
    };
    vec![archive("archived-are-pushed-to"), archive("read-only-untold")]
}
