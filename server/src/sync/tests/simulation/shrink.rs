//! Makes a history that fails smaller, and tells it.

use std::sync::Arc;

use super::author;
use super::breakage::Breakage;
use super::judgement::play;
use super::scenario::{Character, Role, Scenario};

/// Lines of the log that are told: the last ones.
const TOLD: usize = 150;
/// Attempts at making it smaller.
const ATTEMPTS: usize = 400;

/// A smaller history that breaks the same rule.
fn shrink(scenario: Scenario, rule: &str, breakage: Option<Breakage>) -> Scenario {
    let mut smallest = scenario;
    let mut attempts = 0;
    let mut fails = |candidate: &Scenario| {
        attempts += 1;
        let outcome = play(&Arc::new(candidate.clone()), breakage, false);
        attempts <= ATTEMPTS && outcome.complaint.is_some_and(|complaint| complaint.rule == rule)
    };
    for node in 0..smallest.cast.len() {
        let mut candidate = smallest.clone();
        if let Role::Other(character) = &mut candidate.cast[node].role
            && *character != Character::Dead
        {
            *character = Character::Dead;
            if fails(&candidate) {
                smallest = candidate;
            }
        }
    }
    let mut size = smallest.script.len().div_ceil(2);
    while size > 0 {
        let mut from = 0;
        while from < smallest.script.len() {
            let mut candidate = smallest.clone();
            candidate.script.drain(from..(from + size).min(candidate.script.len()));
            if fails(&candidate) {
                smallest = candidate;
            } else {
                from += size;
            }
        }
        size = if size == 1 { 0 } else { size.div_ceil(2) };
    }
    smallest
}

/// What there is to say about a history that fails.
pub(super) fn tell(seed: u64, breakage: Option<Breakage>) -> String {
    let scenario = author::write(seed);
    let Some(complaint) = play(&Arc::new(scenario.clone()), breakage, false).complaint else {
        return format!(
            "seed {seed} does not fail when it is played again: something is not a matter of the seed"
        );
    };
    let smallest = Arc::new(shrink(scenario, complaint.rule, breakage));
    let outcome = play(&smallest, breakage, true);
    let script: Vec<String> = smallest
        .script
        .iter()
        .map(|scene| format!("  {:>10.3} s  {}", scene.at.as_secs_f64(), scene.deed))
        .collect();
    let roles: Vec<String> =
        smallest.cast.iter().enumerate().map(|(node, cast)| format!("  {node}: {cast:?}")).collect();
    let from = outcome.log.len().saturating_sub(TOLD);
    format!(
        "history {seed} breaks a rule: {}: {}\nagain, with all of its log: SIM_SEED={seed} cargo test -p grasp-server --lib \
         simulation::one_history -- --nocapture\n\nmade smaller ({:?}):\n{}\n{}\n  {:>10.3} s  the storm is over\n\nthe end of \
         its log:\n{}",
        complaint.rule,
        complaint.how,
        outcome.complaint,
        roles.join("\n"),
        script.join("\n"),
        smallest.storm.as_secs_f64(),
        outcome.log[from..].join("\n"),
    )
}
