//! What a review of the house found: each test is a sequence of messages that once went wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use grasp_fixtures::Repository;
use grasp_fixtures::events::{Announcement, PullRequest, delete_address, delete_ids, issue};
use grasp_server::git::PushGate as _;
use grasp_server::git::contributions::Contributions;
use grasp_server::git::gate::RefCommand;
use grasp_server::house::Bounds;
use grasp_server::intake::Answer;
use grasp_server::nip34::Oid;

use nostr::event::Event;
use nostr::key::Keys;
use spec_tests::home::{Home, Site, coordinate};

fn nostr_ref(event: &Event) -> String {
    format!("refs/nostr/{}", event.id.to_hex())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_for_two_repositories_of_one_owner_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path()).await;
    let owner = Keys::generate();
    let (one, other) = (Repository::init("main").await.unwrap(), Repository::init("main").await.unwrap());
    let tip = one.commit("a.txt", "one", &[]).await.unwrap();
    let elsewhere = other.commit("b.txt", "other", &[]).await.unwrap();
    home.publish(&owner, "one", &one, &tip).await;
    home.publish(&owner, "other", &other, &elsewhere).await;

    // The tip of `one` is no secret, and nothing keeps a stranger from naming both.
    let pull = PullRequest::new(coordinate(&owner, "one").to_string(), &tip)
        .draft()
        .tag(["a", &coordinate(&owner, "other").to_string()])
        .at(home.now())
        .sign(&Keys::generate());
    assert_eq!(home.submit(&pull).await, Answer::yes(""));
    assert!(home.refs(&coordinate(&owner, "one")).await.contains_key(&nostr_ref(&pull)));
    assert_eq!(home.refs(&coordinate(&owner, "other")).await.get(&nostr_ref(&pull)), Some(&tip));

    // Everybody else goes on, and so does the next start.
    home.publish(&Keys::generate(), "third", &one, &tip).await;
    drop(home);
    Home::at(folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_gets_its_ref_in_every_family_that_has_its_tip() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::fleeting(folder.path()).await;
    let (owner, forker) = (Keys::generate(), Keys::generate());
    let repository = Repository::init("main").await.unwrap();
    let tip = repository.commit("a.txt", "one", &[]).await.unwrap();
    home.publish(&owner, "project", &repository, &tip).await;
    home.publish(&forker, "a-fork", &repository, &tip).await;
    let pull = PullRequest::new(coordinate(&owner, "project").to_string(), &tip)
        .draft()
        .tag(["a", &coordinate(&forker, "a-fork").to_string()])
        .at(home.now())
        .sign(&Keys::generate());
    assert_eq!(home.submit(&pull).await, Answer::yes(""));
    assert!(home.refs(&coordinate(&owner, "project")).await.contains_key(&nostr_ref(&pull)));
    assert!(home.refs(&coordinate(&forker, "a-fork")).await.contains_key(&nostr_ref(&pull)));
}

/// One branch that goes back and forth in many repositories at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn operations_on_different_identifiers_do_not_redo_each_other() {
    const SIDE_BY_SIDE: usize = 12;
    const ROUNDS: usize = 25;
    let folder = tempfile::tempdir().unwrap();
    let home = Arc::new(Home::fleeting(folder.path()).await);
    let repository = Repository::init("main").await.unwrap();
    let mut commits: Vec<String> = Vec::new();
    for n in 0..ROUNDS {
        let parents: Vec<&str> = commits.last().map(String::as_str).into_iter().collect();
        let commit = repository.commit("a.txt", &n.to_string(), &parents).await.unwrap();
        commits.push(commit);
    }
    let mut running = tokio::task::JoinSet::new();
    let past = home.now() - 10_000;
    for n in 0..SIDE_BY_SIDE {
        let (owner, identifier) = (Keys::generate(), format!("project-{n}"));
        home.announce(&owner, &identifier).await;
        let newest = commits.last().unwrap();
        home.submit(&home.state(&owner, &identifier, newest, past)).await;
        let objects = home.quarantine(&repository, newest).await;
        home.push(&coordinate(&owner, &identifier), "refs/heads/main", newest, Some(objects)).await.unwrap();
        let (home, commits) = (Arc::clone(&home), commits.clone());
        running.spawn(async move {
            for (round, commit) in commits.iter().enumerate() {
                let state = home.state(&owner, &identifier, commit, past + 1 + round as u64);
                assert_eq!(home.submit(&state).await, Answer::yes(""));
                let refs = home.refs(&coordinate(&owner, &identifier)).await;
                assert_eq!(refs.get("refs/heads/main"), Some(commit), "after the answer");
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

/// A crash between the moment an upload's objects enter the family and the commit record takes them out again; the
/// upload, which was answered `ok` before, must still have its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_survives_a_crash_while_its_pull_request_is_taken_in() {
    const NAME: &str = "an_upload_survives_a_crash_while_its_pull_request_is_taken_in";
    const FOLDER: &str = "HOUSE_REVIEW_FOLDER";
    if let Ok(folder) = std::env::var(FOLDER) {
        return upload_and_crash(Path::new(&folder)).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let crashed = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME])
        .env(FOLDER, folder.path())
        // The first time is the push of the repository itself.
        .env("GRASP_CRASH_AT", "objects-moved:2")
        .output()
        .unwrap();
    assert!(!crashed.status.success());
    let home = Home::at(folder.path()).await;
    let pull: Event =
        serde_json::from_slice(&std::fs::read(folder.path().join("pull.json")).expect("it came so far"))
            .unwrap();
    assert!(!home.is_served(&pull).await);
    assert_eq!(home.submit(&pull).await, Answer::yes(""), "its data was pushed and answered ok");
}

async fn upload_and_crash(folder: &Path) {
    let home = Home::at(folder).await;
    let owner = Keys::generate();
    let repository = Repository::init("main").await.unwrap();
    let base = repository.commit("a.txt", "base", &[]).await.unwrap();
    home.publish(&owner, "project", &repository, &base).await;
    let change = repository.commit("b.txt", "change", &[&base]).await.unwrap();
    let pull = PullRequest::new(coordinate(&owner, "project").to_string(), &change)
        .draft()
        .at(home.now())
        .sign(&Keys::generate());
    let objects = home.quarantine(&repository, &format!("{base}..{change}")).await;
    home.push(&coordinate(&owner, "project"), &nostr_ref(&pull), &change, Some(objects)).await.unwrap();
    std::fs::write(folder.join("pull.json"), serde_json::to_vec(&pull).unwrap()).unwrap();
    home.submit(&pull).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_deletion_request_does_not_weaken_a_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::fleeting(folder.path()).await;
    let owner = Keys::generate();
    let at = |seconds_ago: u64| home.now() - seconds_ago;
    let project = coordinate(&owner, "project").to_string();
    let announcement =
        |identifier: &str, at| home.announcement(&owner, identifier).draft().at(at).sign(&owner);
    let other = announcement("other", at(100));
    assert!(home.submit(&announcement("project", at(100))).await.accepted);
    assert!(home.submit(&other).await.accepted);
    assert!(home.submit(&delete_address(&project).at(at(50)).sign(&owner)).await.accepted);
    // Signed before the first one, offered after it; it is taken for the other thing that it names.
    let earlier = delete_ids([&other.id]).tag(["a", &project]).at(at(80)).sign(&owner);
    assert!(home.submit(&earlier).await.accepted);
    let answer = home.submit(&announcement("project", at(60))).await;
    assert!(answer.message.starts_with("blocked: "), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_retired_by_its_successor_stays_away_although_both_are_of_one_second() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::fleeting(folder.path()).await;
    let (owner, at) = (Keys::generate(), home.now());
    let listing = |n: usize| {
        home.announcement(&owner, "project").draft().tag(["t", &n.to_string()]).at(at).sign(&owner)
    };
    let leaving = Announcement::new("project").draft().at(at).sign(&owner);
    // The lower id is the newer one.
    let listing = (0..).map(listing).find(|listing| listing.id > leaving.id).unwrap();
    assert!(home.submit(&listing).await.accepted);
    assert!(!home.submit(&leaving).await.accepted);
    assert!(home.gate(&coordinate(&owner, "project")).await.is_none());
    let answer = home.submit(&listing).await;
    assert!(!answer.accepted, "{answer:?}");
    assert!(home.gate(&coordinate(&owner, "project")).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_for_a_served_pull_request_sets_its_ref_where_it_was_missing() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::fleeting(folder.path()).await;
    let (owner, forker) = (Keys::generate(), Keys::generate());
    let repository = Repository::init("main").await.unwrap();
    let base = repository.commit("a.txt", "base", &[]).await.unwrap();
    let tip = repository.commit("a.txt", "change", &[&base]).await.unwrap();
    home.publish(&owner, "project", &repository, &tip).await;
    home.publish(&forker, "a-fork", &repository, &base).await;
    let fork = coordinate(&forker, "a-fork");
    let pull = PullRequest::new(coordinate(&owner, "project").to_string(), &tip)
        .draft()
        .tag(["a", &fork.to_string()])
        .at(home.now())
        .sign(&Keys::generate());
    assert_eq!(home.submit(&pull).await, Answer::yes(""), "its tip is in one of the families");
    let objects = home.quarantine(&repository, &format!("{base}..{tip}")).await;
    home.push(&fork, &nostr_ref(&pull), &tip, Some(objects)).await.unwrap();
    assert_eq!(home.refs(&fork).await.get(&nostr_ref(&pull)), Some(&tip));
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawing_a_new_announcement_keeps_the_data_that_was_retired_before() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::fleeting(folder.path()).await;
    let owner = Keys::generate();
    let repository = Repository::init("main").await.unwrap();
    let tip = repository.commit("a.txt", "one", &[]).await.unwrap();
    home.publish(&owner, "project", &repository, &tip).await;
    let project = coordinate(&owner, "project");
    // With its state, too: otherwise the repository would be back with the next announcement.
    let state = project.to_string().replacen("30617", "30618", 1);
    let deletion = delete_address(&state).tag(["a", &project.to_string()]);
    assert!(home.submit(&deletion.at(home.now()).sign(&owner)).await.accepted);
    home.clock.advance(1);
    let retired = folder.path().join(".grasp/retired").join(project.npub()).join("project.git/packed-refs");
    assert!(std::fs::read_to_string(&retired).unwrap().contains(&tip));

    let again = home.announcement(&owner, "project").draft().tag(["t", "again"]).at(home.now()).sign(&owner);
    assert!(home.submit(&again).await.message.starts_with("purgatory: "));
    assert!(home.submit(&delete_ids([&again.id]).at(home.now()).sign(&owner)).await.accepted);
    assert!(home.gate(&project).await.is_none());
    assert!(std::fs::read_to_string(&retired).unwrap().contains(&tip));
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_that_get_no_data_leave_nothing_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::fleeting(folder.path()).await;
    let before = entries_below(folder.path());
    let (owner, other) = (Keys::generate(), Keys::generate());
    home.announce(&owner, "expires").await;
    let withdrawn = home.announce(&owner, "withdrawn").await;
    home.announce(&other, "withdrawn").await;
    assert!(home.submit(&delete_ids([&withdrawn.id]).at(home.now()).sign(&owner)).await.accepted);
    assert!(home.gate(&coordinate(&other, "withdrawn")).await.unwrap().family_objects.exists());
    home.minutes_pass(31).await;
    assert_eq!(entries_below(folder.path()), before);
}

/// Every file and folder below a folder.
fn entries_below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(entries_below(&path));
        }
        found.insert(path);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_bounded_in_bytes_and_what_need_not_wait_is_let_through() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds { waiting_bytes: 150_000, ..Bounds::default() };
    let home = Home::open(&Site { bounds, ..Site::in_memory(folder.path()) }).await;
    let owner = Keys::generate();
    let repository = Repository::init("main").await.unwrap();
    let (old, new) = {
        let old = repository.commit("a.txt", "old", &[]).await.unwrap();
        (old.clone(), repository.commit("a.txt", "new", &[&old]).await.unwrap())
    };
    home.publish(&owner, "project", &repository, &new).await;

    let large = |identifier: &str, at| {
        let draft = home.announcement(&owner, identifier).draft();
        draft.tag(["description".to_owned(), "x".repeat(100_000)]).at(at).sign(&owner)
    };
    assert!(home.submit(&large("one", home.now())).await.accepted);
    let answer = home.submit(&large("two", home.now())).await;
    assert!(answer.message.starts_with("rate-limited: "), "{answer:?}");
    assert!(!home.house.is_hosted(&coordinate(&owner, "two")));
    // It takes the other's place, so there is room for it.
    assert!(home.submit(&large("one", home.now() + 1)).await.accepted);
    // Many small tags take more memory than their text.
    let tags = home.announcement(&owner, "three").draft();
    let tags = (0..1_000).fold(tags, |draft, _| draft.tag(["t"]));
    assert!(!home.submit(&tags.at(home.now()).sign(&owner)).await.accepted);
    // The data of this one is here.
    let back = home.state(&owner, "project", &old, home.now() + 1);
    assert_eq!(home.submit(&back).await, Answer::yes(""));
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_without_objects_of_their_own_are_counted_too() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = Bounds { unsigned_uploads: 3, ..Bounds::default() };
    let home = Home::open(&Site { bounds, ..Site::in_memory(folder.path()) }).await;
    let repository = Repository::init("main").await.unwrap();
    let tip = repository.commit("a.txt", "one", &[]).await.unwrap();
    let (one, other) = (Keys::generate(), Keys::generate());
    home.publish(&one, "project", &repository, &tip).await;
    home.publish(&other, "project", &repository, &tip).await;
    let name = |n: u8| format!("refs/nostr/{}", hex::encode([n; 32]));
    for n in 0..3 {
        let owner = if n == 0 { &one } else { &other };
        home.push(&coordinate(owner, "project"), &name(n), &tip, None).await.unwrap();
    }
    let refused = home.push(&coordinate(&one, "project"), &name(9), &tip, None).await.unwrap_err();
    assert!(refused.contains("too many uploads"), "{refused}");
    home.minutes_pass(21).await;
    home.push(&coordinate(&one, "project"), &name(9), &tip, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_objects_of_one_push_are_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::init("main").await.unwrap();
    let text: String = (0..2_000).map(|_| Keys::generate().public_key().to_hex()).collect();
    let tip = repository.commit("a.txt", &text, &[]).await.unwrap();
    // Room for two packs.
    let bounds = Bounds { unsigned_bytes: 140_000, ..Bounds::default() };
    let home = Home::open(&Site { bounds, ..Site::in_memory(folder.path()) }).await;
    let to = coordinate(&Keys::generate(), "project");
    let contributions = Contributions(Arc::clone(&home.house));
    let command = |n: u8| RefCommand {
        name: format!("refs/nostr/{}", hex::encode([n; 32])).parse().unwrap(),
        old: Oid::ZERO,
        new: tip.parse().unwrap(),
    };
    let many: Vec<RefCommand> = (0..20).map(command).collect();
    let objects = home.quarantine(&repository, &tip).await;
    let landed = contributions.land(&to, &many, false, Some(objects)).await;
    assert!(landed.iter().all(Result::is_ok), "{landed:?}");
    for (n, fits) in [(20, true), (21, false)] {
        let objects = home.quarantine(&repository, &tip).await;
        let landed = contributions.land(&to, &[command(n)], false, Some(objects)).await;
        assert_eq!(landed[0].is_ok(), fits, "{n}: {landed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_a_duplicate_also_when_its_relation_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::fleeting(folder.path()).await;
    let (owner, author) = (Keys::generate(), Keys::generate());
    let repository = Repository::init("main").await.unwrap();
    let tip = repository.commit("a.txt", "one", &[]).await.unwrap();
    let announcement = home.publish(&owner, "project", &repository, &tip).await;
    let issue = issue(&coordinate(&owner, "project").to_string(), "it breaks", "always").at(home.now());
    let (known, new) = (issue.clone().sign(&author), issue.tag(["t", "new"]).sign(&author));
    assert!(home.submit(&known).await.accepted);
    assert!(home.submit(&delete_ids([&announcement.id]).at(home.now()).sign(&owner)).await.accepted);
    assert!(home.submit(&new).await.message.starts_with("restricted: "));
    let answer = home.submit(&known).await;
    assert!(answer.accepted && answer.message.starts_with("duplicate: "), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_retired_can_be_read_where_it_was_put() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::fleeting(folder.path()).await;
    let owner = Keys::generate();
    let repository = Repository::init("main").await.unwrap();
    let tip = repository.commit("a.txt", "one", &[]).await.unwrap();
    let announcement = home.publish(&owner, "project", &repository, &tip).await;
    assert!(home.submit(&delete_ids([&announcement.id]).at(home.now()).sign(&owner)).await.accepted);
    let npub = coordinate(&owner, "project").npub();
    let kept = folder.path().join(".grasp/retired").join(npub).join("project.git");
    let kept = git2::Repository::open(kept).unwrap();
    assert_eq!(kept.head().unwrap().peel_to_commit().unwrap().id().to_string(), tip);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_dropped_keeps_nothing_else_from_expiring() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::at(folder.path()).await;
    let owner = Keys::generate();
    let repository = Repository::init("main").await.unwrap();
    let tip = repository.commit("a.txt", "one", &[]).await.unwrap();
    home.publish(&owner, "damaged", &repository, &tip).await;
    let path = home.gate(&coordinate(&owner, "damaged")).await.unwrap().path;
    assert!(home.submit(&home.state(&owner, "damaged", &"1".repeat(40), home.now() + 1)).await.accepted);
    let waiting: Vec<String> = (0..10).map(|n| format!("waiting-{n}")).collect();
    for identifier in &waiting {
        home.announce(&owner, identifier).await;
    }
    drop(home);
    std::fs::write(path.join("HEAD"), "nonsense").unwrap();
    let home = Home::at(folder.path()).await;
    home.clock.advance(31 * 60);
    assert!(home.house.expire_due().await.is_err());
    assert!(waiting.iter().all(|identifier| !home.house.is_hosted(&coordinate(&owner, identifier))));
}
