//! Stories told to the model alone: which rows of the table would they exercise?

use std::collections::BTreeSet;

use super::cast::Cast;
use super::deed::{self, Deed};
use super::generate::{Scope, story_tree};
use super::model::{Coverage, Row, World};
use super::story::{Step, Story};
use crate::target::url::ServiceUrl;

/// Tells the stories of a seed to the model, which always answers by its most literal reading; gives `seen` every step
/// that does something, and returns the rows that were exercised.
#[must_use]
pub fn rehearse(seed: u64, cases: u64, steps: usize, scope: Scope, mut seen: impl FnMut(&Step)) -> Coverage {
    let mut coverage = Coverage::default();
    for case in 0..cases {
        let story = story_tree(seed, case, steps, scope).current();
        rehearse_story(&story, seed, case, &mut |_, step, rows| {
            seen(step);
            coverage.count(rows);
        });
    }
    coverage
}

/// Stories of a seed in which a step within the first `most` is decided by exactly these rows: the number of each, and how
/// many steps lead there, the shortest first.
pub(super) fn reaching(
    seed: u64,
    cases: std::ops::Range<u64>,
    most: usize,
    scope: Scope,
    rows: &BTreeSet<Row>,
) -> Vec<(u64, usize)> {
    let mut found: Vec<(u64, usize)> = Vec::new();
    for case in cases {
        let story = story_tree(seed, case, most, scope).current();
        let mut length = None;
        rehearse_story(&story, seed, case, &mut |position, _, decided| {
            if decided == rows && length.is_none() {
                length = Some(position + 1);
            }
        });
        found.extend(length.map(|length| (case, length)));
    }
    found.sort_by_key(|(_, length)| *length);
    found
}

fn rehearse_story(story: &Story, seed: u64, case: u64, seen: &mut impl FnMut(usize, &Step, &BTreeSet<Row>)) {
    let url = ServiceUrl { tls: false, host: "localhost".to_owned(), port: 80 };
    let mut cast = Cast::new(story, url, 1_700_000_000, seed, &format!("rehearsal-{case}"));
    let mut world = World::default();
    for (position, step) in story.steps.iter().enumerate() {
        let Some(deed) = deed::of(step, &mut cast, &world) else { continue };
        let judgement = match &deed {
            Deed::Publish(minted) => world.publish(&minted.event),
            Deed::Push(push) => world.push(&push.push),
        };
        seen(position, step, &judgement.rows);
        if let Some(first) = judgement.alternatives.into_iter().next() {
            world = first.world;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// How many stories are looked at: about as many as a run against a server tells in a few minutes.
    const CASES: u64 = 2_000;
    const SEED: u64 = 1;

    fn kind(step: &Step) -> &'static str {
        match step {
            Step::Announce { .. } => "announce",
            Step::State { .. } => "state",
            Step::Push { .. } => "push",
            Step::Pull(_) => "pull",
            Step::PushPull { .. } => "push-pull",
            Step::Contribute { .. } => "contribute",
            Step::ContributeRef { .. } => "contribute-ref",
            Step::Issue { .. } => "issue",
            Step::Comment { .. } => "comment",
            Step::Note => "note",
            Step::Profile(_) => "profile",
            Step::Delete { .. } => "delete",
            Step::Again(_) => "again",
            Step::Published { .. } => "published",
            Step::PeerLeaves => "peer-leaves",
            Step::PeerReturns => "peer-returns",
        }
    }

    /// Each of so many kinds of step at least `least` times, each row at least `rows` times.
    fn is_reached(scope: Scope, kinds: usize, least: u64, rows: u64) {
        let mut steps: BTreeMap<&str, u64> = BTreeMap::new();
        let coverage = rehearse(SEED, CASES, 12, scope, |step| *steps.entry(kind(step)).or_default() += 1);
        println!("{steps:#?}\n{}", coverage.table(&scope.rows()));
        assert_eq!(steps.len(), kinds, "every kind of step is done: {steps:?}");
        assert!(steps.values().all(|count| *count >= least), "none is rare: {steps:?}");
        let rare = coverage.rare(&scope.rows(), rows);
        assert!(rare.is_empty(), "rows that hardly any story reaches: {rare:?}");
    }

    #[test]
    fn every_step_and_every_row_of_the_table_is_reached() {
        is_reached(Scope::Core, 11, 100, 10);
    }

    #[test]
    fn where_there_are_contributors_their_steps_and_rows_are_reached_too() {
        is_reached(Scope::Contributors, 13, 50, 5);
    }

    #[test]
    fn two_servers_get_events_of_all_kinds_data_and_a_rest() {
        let mut steps: BTreeMap<&str, u64> = BTreeMap::new();
        for case in 0..300 {
            let story = story_tree(SEED, case, 8, Scope::TwoServers).current();
            assert!(story.two_servers && (2..=8).contains(&story.steps.len()), "{story:?}");
            for step in &story.steps {
                let inner = if let Step::Published { step, .. } = step { step } else { step };
                *steps.entry(kind(inner)).or_default() += 1;
            }
        }
        let all = [
            "announce",
            "state",
            "pull",
            "issue",
            "comment",
            "push",
            "push-pull",
            "peer-leaves",
            "peer-returns",
        ];
        assert_eq!(steps.keys().copied().collect::<BTreeSet<_>>(), BTreeSet::from(all));
        assert!(steps.values().all(|count| *count >= 30), "none is rare: {steps:?}");
    }

    #[test]
    fn a_seed_tells_the_same_stories_again() {
        let stories =
            |seed, scope| (0..50).map(|case| story_tree(seed, case, 12, scope).current()).collect::<Vec<_>>();
        for scope in [Scope::Core, Scope::Contributors, Scope::TwoServers] {
            assert_eq!(stories(7, scope), stories(7, scope));
            assert_ne!(stories(7, scope), stories(8, scope));
            assert!(stories(7, scope).iter().all(|story| (1..=12).contains(&story.steps.len())));
        }
        let contributors = |scope| stories(7, scope).iter().any(|story| !story.contributors().is_empty());
        assert!(contributors(Scope::Contributors) && !contributors(Scope::Core));
    }
}
