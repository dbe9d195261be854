//! The rows of the decision table, as this model reads them: what a run has exercised is counted by them.

use std::collections::{BTreeMap, BTreeSet};

macro_rules! rows {
    ($($row:ident => $event:literal, $case:literal;)*) => {
        /// A row of the decision table; some rows are split where they decide several things.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)] // each row's text stands beside its name
        pub enum Row { $($row,)* }

        impl Row {
            /// Every row, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$row,)*];

            /// What the row is about and its case, in the table's words.
            #[must_use]
            pub fn text(self) -> (&'static str, &'static str) {
                match self { $(Self::$row => ($event, $case),)* }
            }
        }
    };
}

rows! {
    Replaced => "any", "older than a known one of its address: refused as replaced";
    DeletedAgain => "any", "deleted before: refused when it is published again";
    Repeated => "any", "served or waiting already: taken, nothing changes";
    AnnouncedWithState => "announcement", "lists us, nothing served, an authorised state is served: serve at once";
    AnnouncedNew => "announcement", "lists us, nothing served: create the repository, wait";
    AnnouncedOverWaiting => "announcement", "lists us, one waits: takes its place, waits";
    AnnouncedOverServed => "announcement", "lists us, one is served: serve at once";
    CoMaintainer => "announcement", "does not list us, somebody else's that does lists the author: serve, no repository";
    Retired => "announcement", "does not list us, an earlier one did: the repository is retired";
    Unlisted => "announcement", "does not list us, otherwise: refuse";
    JudgedAgain => "announcement", "any accepted: what waits, chains and siblings are judged again, and something changes";
    StateInvalid => "state", "a ref with an impossible name or value: invalid";
    StateUnauthorised => "state", "the author is in no maintainer set: refuse";
    StateHere => "state", "all it names is here: serve, refs and HEAD move";
    StateHereOlder => "state", "all it names is here, a newer one is served: serve, refs stay";
    StateMissing => "state", "something is missing: wait";
    StateEmptyServed => "state", "names no ref, data was served before: heads and tags are emptied";
    StateEmptyWaits => "state", "names no ref, otherwise: wait";
    HeadUnlisted => "state", "HEAD names a branch that it does not list: HEAD stays";
    SiblingsMove => "state", "becomes served: every other repository it is authoritative for gets the same refs";
    PullNoRepository => "PR, PR update", "no `a` tag names a repository that is served here: refuse";
    PullRepositoryWaits => "PR, PR update", "the repository itself still waits: refuse";
    PullHere => "PR, PR update", "its tip is here: serve, with its ref in every hosted repository it names";
    PullUploaded => "PR, PR update", "its data came before it: serve, with its ref";
    PullOtherTip => "PR, PR update", "`refs/nostr/<id>` is here with another tip: that ref goes";
    PullContributed => "PR, PR update", "nothing it names is served here, its `clone` is its author's below /prs/: taken";
    ContributionUnfit => "PR, PR update", "what is below /prs/ for it has another signer, identifier or tip: it goes";
    PullWaits => "PR, PR update", "otherwise: wait";
    PushAligned => "push to heads, tags", "equals a waiting authorised state newer than the served one: promote it";
    PushInPlace => "push to heads, tags", "targets already in place: success, nothing changes";
    PushStale => "push to heads, tags", "the content of an older state: refuse per ref";
    PushForeign => "push to heads, tags", "the content of a state that has no authority there: refuse per ref";
    PushRefused => "push to heads, tags", "anything else: refuse per ref";
    PushNowhere => "push", "to a repository that is not hosted: 404";
    PushPullMatching => "push to `refs/nostr/<id>`", "event known, its tip, names this identifier: promote";
    PushPullOther => "push to `refs/nostr/<id>`", "event known, otherwise: refuse";
    PushPullUnknown => "push to `refs/nostr/<id>`", "event unknown: accept";
    ContributedMatching => "push below /prs/", "event known, its tip, signer and identifier: promote";
    ContributedOther => "push below /prs/", "event known, otherwise: refuse";
    ContributedUnknown => "push below /prs/", "event unknown: accept";
    ContributedRef => "push below /prs/", "another ref than `refs/nostr/<id>`: refuse";
    Mirrored => "released below /prs/", "its ref is in every hosted repository it names";
    DeletedAnnouncement => "kind 5", "names an own announcement: the repository is retired";
    DeletedState => "kind 5", "names an own state: refs follow the newest remaining one, or stay";
    DeletedPull => "kind 5", "names an own PR: `refs/nostr/<id>` goes";
    DeletedContribution => "kind 5", "names an own PR with data below /prs/: its ref goes there";
    DeletedOther => "kind 5", "names another own event: it goes";
    DeletionOfOthers => "kind 5", "names others' events only: refuse";
    DeletionOfNothing => "kind 5", "names nothing known: refuse";
    Related => "anything else", "related: serve";
    KnownAuthor => "anything else", "a profile of somebody known here: serve";
    Unrelated => "anything else", "otherwise: refuse";
}

impl Row {
    /// Whether only a server with contributors' repositories (GRASP-06) has anything to decide by it.
    #[must_use]
    pub fn is_about_contributors(self) -> bool {
        matches!(
            self,
            Self::PullContributed
                | Self::ContributionUnfit
                | Self::ContributedMatching
                | Self::ContributedOther
                | Self::ContributedUnknown
                | Self::ContributedRef
                | Self::Mirrored
                | Self::DeletedContribution
        )
    }
}

/// How often each row was exercised.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<Row, u64>);

impl Coverage {
    /// Counts a step's rows.
    pub fn count(&mut self, rows: &BTreeSet<Row>) {
        for row in rows {
            *self.0.entry(*row).or_default() += 1;
        }
    }

    /// Adds another count to this one.
    pub fn add(&mut self, other: &Self) {
        for (row, times) in &other.0 {
            *self.0.entry(*row).or_default() += times;
        }
    }

    /// How often a row was exercised.
    #[must_use]
    pub fn of(&self, row: Row) -> u64 {
        self.0.get(&row).copied().unwrap_or(0)
    }

    /// The rows of `asked` that were exercised less often than this.
    #[must_use]
    pub fn rare(&self, asked: &[Row], times: u64) -> Vec<Row> {
        asked.iter().copied().filter(|row| self.of(*row) < times).collect()
    }

    /// These rows of the table, a line each.
    #[must_use]
    pub fn table(&self, asked: &[Row]) -> String {
        let mut text = String::new();
        for row in asked {
            let (event, case) = row.text();
            text.push_str(&format!("{:>8}  {event:<26}  {case}\n", self.of(*row)));
        }
        text
    }
}
