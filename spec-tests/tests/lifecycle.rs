//! What becomes of a repository that is retired: held, brought back, removed (docs/explanation/repository-lifecycle.md).
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;

use grasp_fixtures::events::{Announcement, DELETION, PullRequest, State, delete_address, delete_ids, issue};
use grasp_fixtures::{Draft, Repository};
use grasp_server::admission::archive::Archive;
use grasp_server::admission::curation::Curation;
use grasp_server::admission::rule::RepositoryRule;
use grasp_server::git::PushGate as _;
use grasp_server::git::contributions::Contributions;
use grasp_server::git::gate::RefCommand;
use grasp_server::intake::{Answer, Funnel, Intake, Source};
use grasp_server::nip34::{Coordinate, Oid};
use nostr::event::Event;
use nostr::key::Keys;
use spec_tests::disk;
use spec_tests::home::{Home, Site, coordinate};

const DAY: i64 = 24 * 60;
/// Bytes that do not compress.
const BIG: usize = 200_000;

/// A commit with a large file that nobody else has.
async fn big_commit(repository: &Repository, parents: &[&str]) -> String {
    let text: String = (0..BIG / 64).map(|_| Keys::generate().public_key().to_hex()).collect();
    repository.commit("big.txt", &text, parents).await.unwrap()
}

fn bytes_below(folder: &Path) -> u64 {
    disk::files(folder).iter().map(|file| folder.join(file).metadata().unwrap().len()).sum()
}

fn delete(repository: &Coordinate) -> Draft {
    delete_address(&repository.to_string())
}

fn nostr_ref(event: &Event) -> String {
    format!("refs/nostr/{}", event.id.to_hex())
}

fn has(family: &Path, oid: &str) -> bool {
    git2::Repository::open(family).unwrap().odb().unwrap().exists(git2::Oid::from_str(oid).unwrap())
}

/// A house with one repository in it.
struct Scene {
    folder: tempfile::TempDir,
    site: Site,
    home: Home,
    owner: Keys,
    repository: Repository,
    tip: String,
    announcement: Event,
    state: Event,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = Site::on_disk(folder.path());
        let (home, owner) = (Home::open(&site).await, Keys::generate());
        let repository = Repository::init("main").await.unwrap();
        let tip = repository.commit("a.txt", "one", &[]).await.unwrap();
        let announcement = home.announce(&owner, "project").await;
        let state = home.state(&owner, "project", &tip, home.now());
        home.submit(&state).await;
        let objects = home.quarantine(&repository, &tip).await;
        home.push(&coordinate(&owner, "project"), "refs/heads/main", &tip, Some(objects)).await.unwrap();
        assert!(home.is_served(&announcement).await && home.is_served(&state).await);
        home.clock.advance(1);
        Self { folder, site, home, owner, repository, tip, announcement, state }
    }

    fn coordinate(&self) -> Coordinate {
        coordinate(&self.owner, "project")
    }

    fn git_data(&self) -> &Path {
        &self.site.git_data
    }

    async fn accepted(&self, by: &Keys, draft: impl Into<Draft>) -> Event {
        let draft: Draft = draft.into();
        let event = draft.at(self.home.now()).sign(by);
        let answer = self.home.submit(&event).await;
        assert!(answer.accepted, "{answer:?}");
        self.home.clock.advance(1);
        event
    }

    /// A pull request by somebody, with its data, served.
    async fn pull(&self) -> (Event, String) {
        let tip = self.repository.commit("b.txt", "change", &[&self.tip]).await.unwrap();
        let draft = PullRequest::new(self.coordinate().to_string(), &tip).draft();
        let pull = self.accepted(&Keys::generate(), draft).await;
        let objects = self.home.quarantine(&self.repository, &format!("{}..{tip}", self.tip)).await;
        self.home.push(&self.coordinate(), &nostr_ref(&pull), &tip, Some(objects)).await.unwrap();
        assert!(self.home.is_served(&pull).await);
        (pull, tip)
    }

    async fn days_pass(&self, days: i64) {
        self.home.minutes_pass(days * DAY).await;
    }

    fn retired(&self) -> bool {
        let kept = self.git_data().join(".grasp/retired").join(self.coordinate().npub()).join("project.git");
        kept.exists()
    }

    /// Closes the house and opens it again, with these lists.
    async fn reopened(self, curation: Curation) -> Self {
        let Self { folder, mut site, home, owner, repository, tip, announcement, state } = self;
        drop(home);
        site.curation = curation;
        let home = Home::open(&site).await;
        Self { folder, site, home, owner, repository, tip, announcement, state }
    }

    async fn announce_again(&self) -> (Event, Answer) {
        let again = self.home.announcement(&self.owner, "project").name("again");
        let event = again.draft().at(self.home.now()).sign(&self.owner);
        let answer = self.home.submit(&event).await;
        (event, answer)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_repository_that_is_announced_again_in_time_is_as_it_was() {
    let scene = Scene::new().await;
    let (pull, _) = scene.pull().await;
    let (home, project) = (&scene.home, scene.coordinate());
    let before = home.gate(&project).await.unwrap().refs;
    scene.accepted(&scene.owner, delete(&project)).await;
    assert!(home.gate(&project).await.is_none() && scene.retired());
    assert!(!home.is_served(&scene.state).await && home.is_served(&pull).await);

    scene.days_pass(29).await;
    let refused = home.submit(&scene.announcement).await;
    assert!(!refused.accepted && refused.message.starts_with("blocked:"), "{refused:?}");
    let (again, answer) = scene.announce_again().await;
    assert_eq!(answer, Answer::yes(""));
    assert!(home.is_served(&again).await && home.is_served(&scene.state).await);
    let after = home.gate(&project).await.unwrap().refs;
    assert_eq!((&after.head, &after.refs), (&before.head, &before.refs));
    assert!(!scene.retired());

    scene.days_pass(60).await;
    assert_eq!(home.gate(&project).await.unwrap().refs.refs, before.refs, "it is retired no longer");
    disk::fsck(disk::repositories(scene.git_data()).into_iter().chain(disk::families(scene.git_data())))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_moved_away_and_back_is_as_it_was() {
    let scene = Scene::new().await;
    let away = Announcement::new("project").clone_url("https://a.example/x.git").relay("wss://a.example");
    let refused = scene.home.submit(&away.draft().at(scene.home.now()).sign(&scene.owner)).await;
    assert!(!refused.accepted && scene.retired());
    scene.home.clock.advance(1);
    let (again, answer) = scene.announce_again().await;
    assert_eq!(answer, Answer::yes(""));
    assert!(scene.home.is_served(&again).await && scene.home.is_served(&scene.state).await);
    assert_eq!(scene.home.refs(&scene.coordinate()).await.get("refs/heads/main"), Some(&scene.tip));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_deleted_too_does_not_come_back_with_the_repository() {
    let scene = Scene::new().await;
    scene.accepted(&scene.owner, delete_ids([&scene.announcement.id, &scene.state.id])).await;
    let (again, answer) = scene.announce_again().await;
    assert!(answer.accepted && answer.message.starts_with("purgatory: "), "{answer:?}");
    assert!(scene.home.refs(&scene.coordinate()).await.is_empty());

    // Its data is here all the same: a new state needs no push.
    scene.home.clock.advance(1);
    let state = scene.home.state(&scene.owner, "project", &scene.tip, scene.home.now());
    assert_eq!(scene.home.submit(&state).await, Answer::yes(""));
    assert!(scene.home.is_served(&again).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_was_deleted_after_the_repository_does_not_come_back_with_it() {
    let scene = Scene::new().await;
    scene.accepted(&scene.owner, delete(&scene.coordinate())).await;
    let stranger = delete_ids([&scene.state.id]).at(scene.home.now()).sign(&Keys::generate());
    assert!(!scene.home.submit(&stranger).await.accepted);
    scene.accepted(&scene.owner, delete_ids([&scene.state.id])).await;
    let (_, answer) = scene.announce_again().await;
    assert!(answer.accepted && answer.message.starts_with("purgatory: "), "{answer:?}");
    assert!(!scene.home.is_served(&scene.state).await);
    assert!(scene.home.refs(&scene.coordinate()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_time_a_deleted_repository_leaves_not_one_byte_behind() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::on_disk(folder.path());
    let (home, owner) = (Home::open(&site).await, Keys::generate());
    let before = bytes_below(&site.git_data);
    let repository = Repository::init("main").await.unwrap();
    let tip = big_commit(&repository, &[]).await;
    home.publish(&owner, "project", &repository, &tip).await;
    home.clock.advance(1);
    let deletion = delete(&coordinate(&owner, "project")).at(home.now()).sign(&owner);
    assert!(home.submit(&deletion).await.accepted);

    home.minutes_pass(29 * DAY).await;
    assert!(bytes_below(&site.git_data) > before + BIG as u64 / 2, "held for thirty days");
    home.minutes_pass(2 * DAY).await;
    assert_eq!(bytes_below(&site.git_data), before);
    assert!(home.is_served(&deletion).await);

    // Announced again, it is a new repository.
    assert!(home.announce(&owner, "project").await.pubkey == owner.public_key());
    let state = home.state(&owner, "project", &tip, home.now());
    let answer = home.submit(&state).await;
    assert!(answer.accepted && answer.message.starts_with("purgatory: "), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_shrinks_by_what_no_other_repository_of_the_identifier_keeps() {
    let scene = Scene::new().await;
    let home = &scene.home;
    let other = Keys::generate();
    // Both have the first commit; each has a large one of its own.
    let theirs = big_commit(&scene.repository, &[&scene.tip]).await;
    let fork = coordinate(&other, "project");
    home.publish(&other, "project", &scene.repository, &theirs).await;
    let ours = big_commit(&scene.repository, &[&scene.tip]).await;
    let state = home.state(&scene.owner, "project", &ours, home.now());
    assert!(home.submit(&state).await.accepted);
    let objects = home.quarantine(&scene.repository, &format!("{}..{ours}", scene.tip)).await;
    let command = RefCommand {
        name: "refs/heads/main".parse().unwrap(),
        old: scene.tip.parse().unwrap(),
        new: ours.parse().unwrap(),
    };
    let landed = home.host().land(&scene.coordinate(), &[command], false, Some(objects)).await;
    assert_eq!(landed, [Ok(())]);
    home.clock.advance(1);
    scene.accepted(&scene.owner, delete(&scene.coordinate())).await;
    let family = disk::families(scene.git_data()).remove(0);
    let full = bytes_below(&family);

    scene.days_pass(31).await;
    assert!(!has(&family, &ours), "what only the deleted one had is gone");
    for kept in [&theirs, &scene.tip] {
        assert!(has(&family, kept), "what the other one has stays");
    }
    assert!(bytes_below(&family) + (BIG as u64) / 3 < full, "{} of {full} are left", bytes_below(&family));
    assert_eq!(home.refs(&fork).await.get("refs/heads/main"), Some(&theirs));
    disk::fsck(disk::repositories(scene.git_data()).into_iter().chain([family])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_of_which_nobody_keeps_anything_is_emptied_and_can_be_used_again() {
    let scene = Scene::new().await;
    let home = &scene.home;
    scene.accepted(&scene.owner, delete(&scene.coordinate())).await;
    home.clock.advance(31 * DAY * 60);
    let other = Keys::generate();
    home.announce(&other, "project").await;
    scene.days_pass(0).await;
    let family = disk::families(scene.git_data()).remove(0);
    assert!(!has(&family, &scene.tip));
    home.publish(&other, "project", &scene.repository, &scene.tip).await;
    assert!(has(&family, &scene.tip));
    disk::fsck(disk::repositories(scene.git_data()).into_iter().chain([family])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_issues_stay_and_pull_requests_go_with_the_last_copy_of_their_data() {
    let scene = Scene::new().await;
    let home = &scene.home;
    let forker = Keys::generate();
    let fork = coordinate(&forker, "project");
    home.publish(&forker, "project", &scene.repository, &scene.tip).await;
    let (alone, lost) = scene.pull().await;
    let second = scene.repository.commit("c.txt", "other", &[&scene.tip]).await.unwrap();
    let draft =
        PullRequest::new(scene.coordinate().to_string(), &second).draft().tag(["a", &fork.to_string()]);
    let shared = scene.accepted(&Keys::generate(), draft).await;
    let objects = home.quarantine(&scene.repository, &format!("{}..{second}", scene.tip)).await;
    home.push(&fork, &nostr_ref(&shared), &second, Some(objects)).await.unwrap();
    let filed = issue(&scene.coordinate().to_string(), "broken", "it is");
    let filed = scene.accepted(&Keys::generate(), filed).await;

    scene.accepted(&scene.owner, delete(&scene.coordinate())).await;
    for event in [&alone, &shared, &filed] {
        assert!(home.is_served(event).await, "as long as the data is held, everything of others is served");
    }
    scene.days_pass(31).await;
    assert!(!home.is_served(&alone).await);
    assert!(home.is_served(&shared).await && home.is_served(&filed).await);
    assert_eq!(home.refs(&fork).await.get(&nostr_ref(&shared)), Some(&second));
    assert!(!has(&disk::families(scene.git_data())[0], &lost));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_is_blacklisted_is_put_aside_and_comes_back_when_it_is_not() {
    let scene = Scene::new().await;
    let (pull, change) = scene.pull().await;
    let rule = RepositoryRule::Repository(scene.coordinate());
    let curation = Curation { repository_blacklist: vec![rule], ..Curation::default() };
    let scene = scene.reopened(curation.clone()).await;
    assert!(scene.home.gate(&scene.coordinate()).await.is_none() && scene.retired());
    assert!(!scene.home.is_served(&scene.announcement).await && !scene.home.is_served(&scene.state).await);
    let (_, refused) = scene.announce_again().await;
    assert!(!refused.accepted && refused.message.starts_with("blocked:"), "{refused:?}");

    let scene = scene.reopened(Curation::default()).await;
    assert!(scene.home.is_served(&scene.announcement).await && scene.home.is_served(&scene.state).await);
    let refs = scene.home.refs(&scene.coordinate()).await;
    assert_eq!(refs.get("refs/heads/main"), Some(&scene.tip));
    assert_eq!(refs.get(&nostr_ref(&pull)), Some(&change));
    assert!(!scene.retired());

    let scene = scene.reopened(curation).await;
    scene.days_pass(31).await;
    assert!(
        !scene.retired() && disk::families(scene.git_data()).is_empty(),
        "held for thirty days, then removed"
    );
    let scene = scene.reopened(Curation::default()).await;
    assert!(!scene.home.is_served(&scene.announcement).await);
    assert!(scene.home.gate(&scene.coordinate()).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_in_the_name_of_the_service_sends_nothing_away() {
    let mut scene = Scene::new().await;
    scene.site.service = "git.example.com".to_owned();
    let scene = scene.reopened(Curation::default()).await;
    assert!(scene.home.gate(&scene.coordinate()).await.is_none() && !scene.retired());
    let mut scene = scene.reopened(Curation::default()).await;
    assert!(!scene.retired(), "nor does it at the second start");
    scene.site.service = "git.example.org".to_owned();
    let scene = scene.reopened(Curation::default()).await;
    assert_eq!(scene.home.refs(&scene.coordinate()).await.get("refs/heads/main"), Some(&scene.tip));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_while_the_service_has_another_name_is_gone_when_it_has_its_own_again() {
    let mut scene = Scene::new().await;
    scene.site.service = "git.example.com".to_owned();
    let mut scene = scene.reopened(Curation::default()).await;
    scene.accepted(&scene.owner, delete(&scene.coordinate())).await;
    assert!(scene.retired());
    scene.accepted(&scene.owner, delete_ids([&scene.state.id])).await;
    scene.site.service = "git.example.org".to_owned();
    let scene = scene.reopened(Curation::default()).await;
    let (_, answer) = scene.announce_again().await;
    assert!(answer.message.starts_with("purgatory: "), "{answer:?}");
    assert!(scene.home.refs(&scene.coordinate()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_on_the_list_of_repositories_may_move_away() {
    let scene = Scene::new().await;
    let others = "other".parse::<RepositoryRule>().unwrap();
    let lists = Curation { repository_whitelist: vec![others], ..Curation::default() };
    let scene = scene.reopened(lists).await;
    let (_, answer) = scene.announce_again().await;
    assert!(!answer.accepted && answer.message.contains("fixed list"), "{answer:?}");
    assert!(!scene.retired());
    scene.home.clock.advance(1);
    let away = Announcement::new("project").clone_url("https://a.example/x.git").relay("wss://a.example");
    scene.home.submit(&away.draft().at(scene.home.now()).sign(&scene.owner)).await;
    assert!(scene.retired());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archived_repository_goes_with_its_rule_and_comes_back_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let archive = |all| Archive { all, read_only: false, ..Archive::default() };
    let site = |all| {
        let curation = Curation { archive: archive(all), ..Curation::default() };
        Site { curation, ..Site::on_disk(folder.path()) }
    };
    let home = Home::open(&site(true)).await;
    let owner = Keys::generate();
    let repository = Repository::init("main").await.unwrap();
    let tip = repository.commit("a.txt", "one", &[]).await.unwrap();
    let elsewhere =
        Announcement::new("project").clone_url("https://a.example/x.git").relay("wss://a.example");
    let elsewhere = elsewhere.draft().at(home.now()).sign(&owner);
    assert!(home.submit(&elsewhere).await.message.starts_with("purgatory: "));
    let state = home.state(&owner, "project", &tip, home.now());
    home.submit(&state).await;
    let objects = home.quarantine(&repository, &tip).await;
    let project = coordinate(&owner, "project");
    home.push(&project, "refs/heads/main", &tip, Some(objects)).await.unwrap();
    assert!(home.is_served(&elsewhere).await);
    drop(home);

    let home = Home::open(&site(false)).await;
    assert!(home.gate(&project).await.is_none());
    assert!(!home.is_served(&elsewhere).await && !home.is_served(&state).await);
    drop(home);
    let home = Home::open(&site(true)).await;
    assert!(home.is_served(&elsewhere).await && home.is_served(&state).await);
    assert_eq!(home.refs(&project).await.get("refs/heads/main"), Some(&tip));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_co_maintainer_has_a_repository_as_long_as_a_rule_archives_it() {
    let folder = tempfile::tempdir().unwrap();
    let site = |all| {
        let archive = Archive { all, read_only: true, ..Archive::default() };
        Site { curation: Curation { archive, ..Curation::default() }, ..Site::on_disk(folder.path()) }
    };
    let home = Home::open(&site(false)).await;
    let (owner, other) = (Keys::generate(), Keys::generate());
    let repository = Repository::init("main").await.unwrap();
    let tip = repository.commit("a.txt", "one", &[]).await.unwrap();
    home.publish(&owner, "project", &repository, &tip).await;
    home.clock.advance(1);
    let vouching = home.announcement(&owner, "project").maintainer(other.public_key());
    assert!(home.submit(&vouching.draft().at(home.now()).sign(&owner)).await.accepted);
    let elsewhere =
        Announcement::new("project").clone_url("https://a.example/x.git").relay("wss://a.example");
    let elsewhere = elsewhere.maintainer(owner.public_key()).draft().at(home.now()).sign(&other);
    assert_eq!(home.submit(&elsewhere).await, Answer::yes(""));
    let theirs = coordinate(&other, "project");
    assert!(home.gate(&theirs).await.is_none());
    drop(home);

    for _ in 0..2 {
        let home = Home::open(&site(true)).await;
        assert!(home.is_served(&elsewhere).await);
        assert_eq!(home.refs(&theirs).await.get("refs/heads/main"), Some(&tip));
        drop(home);
        let home = Home::open(&site(false)).await;
        assert!(home.gate(&theirs).await.is_none());
        assert!(home.is_served(&elsewhere).await, "it is vouched for, and served without a repository");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_where_it_was_also_when_the_state_does_not_say() {
    let scene = Scene::new().await;
    let (home, project) = (&scene.home, scene.coordinate());
    let two = || State::new("project").branch("main", &scene.tip).branch("dev", &scene.tip);
    for draft in [two().head("dev").draft(), two().draft()] {
        scene.accepted(&scene.owner, draft).await;
    }
    let head = |gate: grasp_server::git::Gate| gate.refs.head.to_string();
    assert_eq!(head(home.gate(&project).await.unwrap()), "refs/heads/dev");
    scene.accepted(&scene.owner, delete(&project)).await;
    let (_, answer) = scene.announce_again().await;
    assert_eq!(answer, Answer::yes(""));
    assert_eq!(head(home.gate(&project).await.unwrap()), "refs/heads/dev");
    assert_eq!(home.refs(&project).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_to_vanish_is_gone_with_all_repositories_and_stays_away() {
    let scene = Scene::new().await;
    let (home, owner) = (&scene.home, &scene.owner);
    let (pull, _) = scene.pull().await;
    let own = scene.accepted(owner, issue(&scene.coordinate().to_string(), "mine", "")).await;
    let others =
        scene.accepted(&Keys::generate(), issue(&scene.coordinate().to_string(), "theirs", "")).await;
    let waits = home.announce(owner, "waits").await;
    let later = home.announcement(owner, "project").name("later").draft();
    let vanish = |relay: &str| Draft::new(62, "").tag(["relay", relay]);

    let elsewhere = home.submit(&vanish("wss://other.example").at(home.now()).sign(owner)).await;
    assert!(!elsewhere.accepted && elsewhere.message.contains("ALL_RELAYS"), "{elsewhere:?}");
    let stranger = home.submit(&vanish("ALL_RELAYS").at(home.now()).sign(&Keys::generate())).await;
    assert!(!stranger.accepted && stranger.message.starts_with("restricted:"), "{stranger:?}");
    assert!(home.is_served(&scene.announcement).await);

    let request = scene.accepted(owner, vanish("wss://git.example.org/")).await;
    assert!(home.is_served(&request).await, "kept for the record");
    for gone in [&scene.announcement, &scene.state, &own, &waits] {
        assert!(!home.is_served(gone).await);
        let again = home.submit(gone).await;
        assert!(!again.accepted && again.message.starts_with("blocked:"), "{again:?}");
    }
    assert!(home.gate(&scene.coordinate()).await.is_none());
    assert!(home.gate(&coordinate(owner, "waits")).await.is_none());
    assert!(home.is_served(&others).await && home.is_served(&pull).await);

    // Nothing is held for somebody who wants to be forgotten.
    scene.days_pass(0).await;
    assert!(!scene.retired() && disk::families(scene.git_data()).is_empty());
    let undo = scene.home.submit(&delete_ids([&request.id]).at(home.now()).sign(owner)).await;
    assert!(!undo.accepted, "a request to vanish cannot be taken back: {undo:?}");

    // What is signed after the request is somebody who has come again.
    let answer = home.submit(&later.at(home.now()).sign(owner)).await;
    assert!(answer.accepted && answer.message.starts_with("purgatory: "), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_was_retired_before_its_owner_vanished_goes_at_once() {
    let scene = Scene::new().await;
    scene.accepted(&scene.owner, delete(&scene.coordinate())).await;
    assert!(scene.retired());
    scene.accepted(&scene.owner, Draft::new(62, "").tag(["relay", "ALL_RELAYS"])).await;
    scene.days_pass(0).await;
    assert!(!scene.retired() && disk::families(scene.git_data()).is_empty());
    let (_, answer) = scene.announce_again().await;
    assert!(answer.message.starts_with("purgatory: "), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_vanish_that_is_older_than_what_was_retired_leaves_it() {
    let scene = Scene::new().await;
    let old = Draft::new(62, "").tag(["relay", "ALL_RELAYS"]).at(scene.home.now() - 600).sign(&scene.owner);
    scene.accepted(&scene.owner, delete(&scene.coordinate())).await;
    let answer = scene.home.submit(&old).await;
    assert!(!answer.accepted && answer.message.contains("nothing by this key"), "{answer:?}");
    scene.days_pass(0).await;
    assert!(scene.retired());
    let (_, answer) = scene.announce_again().await;
    assert_eq!(answer, Answer::yes(""), "it is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_data_of_a_contributor_who_vanishes_goes_from_others_families() {
    let scene = Scene::new().await;
    let tip = big_commit(&scene.repository, &[&scene.tip]).await;
    let contributor = Keys::generate();
    let draft = PullRequest::new(scene.coordinate().to_string(), &tip).draft();
    let pull = scene.accepted(&contributor, draft).await;
    let objects = scene.home.quarantine(&scene.repository, &format!("{}..{tip}", scene.tip)).await;
    scene.home.push(&scene.coordinate(), &nostr_ref(&pull), &tip, Some(objects)).await.unwrap();
    let family = disk::families(scene.git_data()).remove(0);
    assert!(has(&family, &tip));
    scene.accepted(&contributor, Draft::new(62, "").tag(["relay", "ALL_RELAYS"])).await;
    scene.days_pass(0).await;
    assert!(!has(&family, &tip) && has(&family, &scene.tip));
    assert_eq!(scene.home.refs(&scene.coordinate()).await.get("refs/heads/main"), Some(&scene.tip));
    disk::fsck(disk::repositories(scene.git_data()).into_iter().chain([family])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_is_shown_by_a_repository_of_another_identifier_that_is_announced_later() {
    let scene = Scene::new().await;
    let (home, other) = (&scene.home, Keys::generate());
    let later = coordinate(&other, "later");
    let tip = scene.repository.commit("b.txt", "change", &[&scene.tip]).await.unwrap();
    let draft = PullRequest::new(scene.coordinate().to_string(), &tip).draft().tag(["a", &later.to_string()]);
    let pull = scene.accepted(&Keys::generate(), draft).await;
    let objects = home.quarantine(&scene.repository, &format!("{}..{tip}", scene.tip)).await;
    home.push(&scene.coordinate(), &nostr_ref(&pull), &tip, Some(objects)).await.unwrap();
    home.publish(&other, "later", &scene.repository, &scene.tip).await;
    assert_eq!(home.refs(&later).await.get(&nostr_ref(&pull)), Some(&tip));
    disk::fsck(disk::repositories(scene.git_data()).into_iter().chain(disk::families(scene.git_data())))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contribution_that_only_a_retired_repository_showed_is_shown_by_its_authors_own() {
    let mut scene = Scene::new().await;
    scene.site.contributions = true;
    let scene = scene.reopened(Curation::default()).await;
    let (home, contributor) = (&scene.home, Keys::generate());
    let own = coordinate(&contributor, "project");
    let tip = scene.repository.commit("b.txt", "change", &[&scene.tip]).await.unwrap();
    let url = format!("https://git.example.org/prs{}", own.url_path());
    let draft = PullRequest::new(scene.coordinate().to_string(), &tip).clone_url(url).draft();
    let pull = scene.accepted(&contributor, draft).await;
    let objects = home.quarantine(&scene.repository, &format!("{}..{tip}", scene.tip)).await;
    home.push(&scene.coordinate(), &nostr_ref(&pull), &tip, Some(objects)).await.unwrap();
    let shown = async || {
        let gate = Contributions(Arc::clone(&home.house)).open(&own).await.unwrap().unwrap();
        gate.refs.get(&nostr_ref(&pull).parse().unwrap()).map(|entry| entry.oid.to_string())
    };
    assert_eq!(shown().await, None, "what is pushed to the project's repository appears there");
    scene.accepted(&scene.owner, delete(&scene.coordinate())).await;
    assert_eq!(shown().await.as_ref(), Some(&tip));
    scene.days_pass(31).await;
    assert!(home.is_served(&pull).await);
    assert_eq!(shown().await.as_ref(), Some(&tip));
    disk::fsck(disk::families(scene.git_data())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_of_contributors_goes_with_the_last_pull_request() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site { contributions: true, ..Site::on_disk(folder.path()) };
    let (home, contributor) = (Home::open(&site).await, Keys::generate());
    let own = coordinate(&contributor, "project");
    let repository = Repository::init("main").await.unwrap();
    let tip = repository.commit("a.txt", "one", &[]).await.unwrap();
    let url = format!("https://git.example.org/prs{}", own.url_path());
    let elsewhere = coordinate(&Keys::generate(), "project").to_string();
    let pull = PullRequest::new(elsewhere, &tip).clone_url(url).draft().at(home.now()).sign(&contributor);
    assert!(home.submit(&pull).await.accepted);
    let name = nostr_ref(&pull).parse().unwrap();
    let command = RefCommand { name, old: Oid::ZERO, new: tip.parse().unwrap() };
    let objects = home.quarantine(&repository, &tip).await;
    let contributions = Contributions(Arc::clone(&home.house));
    assert_eq!(contributions.land(&own, &[command], false, Some(objects)).await, [Ok(())]);
    assert!(home.is_served(&pull).await && has(&disk::families(&site.git_data)[0], &tip));

    assert!(home.submit(&delete_ids([&pull.id]).at(home.now()).sign(&contributor)).await.accepted);
    home.minutes_pass(0).await;
    assert!(disk::families(&site.git_data).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_is_not_taken_from_a_peer_that_has_it_still() {
    let scene = Scene::new().await;
    let deletion = scene.accepted(&scene.owner, delete(&scene.coordinate())).await;
    assert_eq!(deletion.kind.as_u16(), DELETION);
    for days in [0, 31] {
        scene.days_pass(days).await;
        for event in [&scene.announcement, &scene.state] {
            let funnel = Funnel(std::sync::Arc::clone(&scene.home.house));
            let synced = funnel.submit(event.clone(), &Source::Sync).await.await;
            assert!(!synced.accepted, "{synced:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_push_holds_the_end_of_a_retirement() {
    let scene = Scene::new().await;
    let home = &scene.home;
    let other = Keys::generate();
    home.publish(&other, "project", &scene.repository, &scene.tip).await;
    scene.accepted(&scene.owner, delete(&scene.coordinate())).await;
    let fork = coordinate(&other, "project");
    let (_, hold) = home.host().judge(&fork, &[]).await;
    scene.days_pass(31).await;
    assert!(scene.retired());
    drop(hold);
    scene.days_pass(0).await;
    assert!(!scene.retired());
}
