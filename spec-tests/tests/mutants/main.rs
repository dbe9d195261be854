//! Every check is proved able to fail: servers that break one requirement in one way are caught by the checks of that
//! requirement, and by no unrelated one. docs/explanation/mutants.md says how, and how to add a mutant.
//!
//! The gate holds each mutant against the checks that are recorded to catch it, and a sample of all others. All of them
//! against all of them: `cargo test -p spec-tests --test mutants everything -- --ignored`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod contributions;
mod cors;
mod git;
mod grasp05;
mod lie;
mod matrix;
mod mutant;
mod nip11;
mod purgatory;
mod relay;
mod sync;
mod trial;
mod unkilled;

use std::collections::BTreeSet;

use grasp_audit::catalogue::{Level, REQUIREMENTS};
use grasp_audit::specs;
use grasp_server::fault::FAULTS;

use matrix::{Matrix, Reach, Recorded};
use mutant::{Mutant, Way};

/// The recorded matrix.
const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mutants/snapshots/mutants__matrix.snap");

fn mutants() -> Vec<Mutant> {
    let sections = [
        relay::mutants(),
        purgatory::mutants(),
        nip11::mutants(),
        git::mutants(),
        cors::mutants(),
        sync::mutants(),
        grasp05::mutants(),
        contributions::mutants(),
    ];
    sections.into_iter().flatten().collect()
}

/// Whether `GRASP_MUTANTS` picks a mutant, by parts of names or requirements between commas; by default all.
fn is_wanted(mutant: &Mutant) -> bool {
    let parts = std::env::var("GRASP_MUTANTS").unwrap_or_default();
    parts.split(',').any(|part| mutant.name.contains(part) || mutant.breaks.contains(part))
}

#[test]
fn every_must_and_should_has_a_mutant() {
    let examined: BTreeSet<&str> =
        specs::all().iter().filter_map(|check| Some(check.row()?.section())).collect();
    let broken: BTreeSet<&str> = mutants().iter().map(|mutant| mutant.breaks).collect();
    let binding = REQUIREMENTS.iter().filter(|row| matches!(row.level, Level::Must | Level::Should));
    let missing: Vec<&str> = binding
        .filter(|row| examined.contains(row.section()) && !broken.contains(row.id))
        .map(|row| row.id)
        .collect();
    assert!(
        missing.is_empty(),
        "no mutant breaks {missing:?}; docs/explanation/mutants.md says how to add one"
    );
}

#[test]
fn every_mutant_has_a_name_and_a_requirement_and_every_fault_is_one() {
    let mutants = mutants();
    let names: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.name).collect();
    assert_eq!(names.len(), mutants.len(), "names are unique");
    for mutant in &mutants {
        assert!(REQUIREMENTS.iter().any(|row| row.id == mutant.breaks), "{}: {}", mutant.name, mutant.breaks);
    }
    let faults: BTreeSet<&str> =
        mutants.iter().filter(|mutant| matches!(mutant.way, Way::Fault)).map(|mutant| mutant.name).collect();
    let listed: BTreeSet<&str> = FAULTS.iter().map(|(name, _)| *name).collect();
    assert_eq!(faults, listed, "faults of the server, and mutants made of them");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_suite_passes_behind_an_honest_proxy() {
    // what needs a server that syncs or archives, `conformance` examines
    let left_out = |id: &str| id.starts_with("G02/") || id.starts_with("G05/");
    let checks = specs::all().into_iter().filter(|check| !check.needs.patient && !left_out(&check.id));
    let (optional, plain): (Vec<_>, Vec<_>) = checks.partition(|check| check.needs.grasp.is_some());
    let (off, on) = (trial::honest(), trial::honest().with(contributions::SWITCH, true));
    let (plain, optional) = tokio::join!(trial::trial(&off, plain), trial::trial(&on, optional));
    for outcome in [&plain, &optional] {
        assert!(outcome.failed.is_empty() && outcome.errors.is_empty(), "{outcome:#?}");
    }
    assert_eq!(optional.skipped, [""; 0], "contributors' repositories are switched on");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mutant_is_caught_by_its_own_requirement_and_by_no_unrelated_one() {
    judge(Reach::Gate).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "records the matrix anew: every mutant against all checks that may catch it"]
async fn whole_requirements() {
    judge(Reach::Requirement).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "every mutant against every check: some hours on two cores"]
async fn everything_against_everything() {
    judge(Reach::Everything).await;
}

async fn judge(reach: Reach) {
    let (mutants, started) = (mutants(), std::time::Instant::now());
    let recorded = std::fs::read_to_string(RECORD).map(|text| Recorded::read(&text)).unwrap_or_default();
    let tried = Matrix::of(&mutants, is_wanted, reach, &recorded).await;
    eprintln!("{}in {:.0} s", tried.summary(), started.elapsed().as_secs_f32());
    let mut complaints = tried.complaints();
    let matrix = tried.completed(&mutants, &recorded);
    if matrix.is_complete() {
        complaints.extend(unkilled::complaints(&matrix.killed_checks()));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    insta::assert_snapshot!("matrix", matrix.render());
}
