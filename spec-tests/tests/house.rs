//! The house by itself, with a clock that the test moves: what waits, for how long, and what is left on disk.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::Path;
use std::sync::Arc;

use grasp_fixtures::Repository;
use grasp_fixtures::events::{Announcement, PullRequest, State};
use grasp_server::admission::curation::Curation;
use grasp_server::clock::Clock;
use grasp_server::git::gate::{Quarantine, RefCommand};
use grasp_server::git::host::Host;
use grasp_server::git::{Gate, PushGate};
use grasp_server::house::{Bounds, House, Plan};
use grasp_server::intake::{Answer, Funnel, Intake, Source};
use grasp_server::nip34::{Coordinate, Identifier, Oid};
use grasp_server::purgatory::Patience;
use grasp_server::relay::feed::Feed;
use grasp_server::store::{EventStore, tables::Tables};
use nostr::event::{Event, EventId};
use nostr::key::Keys;

const NOWHERE: &str = "1111111111111111111111111111111111111111";

struct Home {
    folder: tempfile::TempDir,
    clock: Clock,
    house: Arc<House>,
    store: EventStore,
    owner: Keys,
}

impl Home {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let store = EventStore::memory();
        let plan = Plan {
            service: "git.example.org".parse().unwrap(),
            git_data: folder.path().to_owned(),
            curation: Curation::default(),
            patience: Patience::default(),
            bounds: Bounds::default(),
            contributions: false,
            clock: clock.clone(),
        };
        let feed = Arc::new(Feed::new(clock.clone()));
        let house = House::open(plan, store.clone(), Tables::memory(), feed).await.unwrap();
        Self { folder, clock, house, store, owner: Keys::generate() }
    }

    fn host(&self) -> Host {
        Host(Arc::clone(&self.house))
    }

    fn coordinate(&self) -> Coordinate {
        Coordinate::new(self.owner.public_key(), Identifier::new("project").unwrap())
    }

    fn now(&self) -> u64 {
        self.clock.now().as_secs()
    }

    async fn minutes_pass(&self, minutes: i64) {
        self.clock.advance(minutes * 60);
        self.house.expire_due().await.unwrap();
    }

    async fn submit(&self, event: Event) -> Answer {
        let source = Source::Client { address: [127, 0, 0, 1].into(), authenticated: Arc::new([]) };
        Funnel(Arc::clone(&self.house)).submit(event, &source).await.await
    }

    fn announcement(&self) -> Event {
        Announcement::new("project")
            .clone_url(format!("https://git.example.org{}", self.coordinate().url_path()))
            .relay("wss://git.example.org")
            .draft()
            .at(self.now())
            .sign(&self.owner)
    }

    async fn announce(&self) -> EventId {
        let event = self.announcement();
        assert!(self.submit(event.clone()).await.message.starts_with("purgatory: "));
        event.id
    }

    async fn state(&self, tip: &str) -> Answer {
        let state = State::new("project").branch("main", tip).head("main");
        self.submit(state.draft().at(self.now()).sign(&self.owner)).await
    }

    /// A pack of these objects in quarantine.
    async fn quarantine(&self, repository: &Repository, objects: &[&str]) -> Quarantine {
        let quarantine = self.host().quarantine().unwrap();
        let pack = quarantine.objects().join("pack/pack").to_string_lossy().into_owned();
        let list = objects.join("\n") + "\n";
        let args = ["pack-objects", "-q", pack.as_str()];
        assert!(repository.run_with_input(&args, list.as_bytes()).await.unwrap().ok());
        quarantine
    }

    async fn push(&self, name: &str, new: &str, quarantine: Quarantine) -> Result<(), String> {
        let command = RefCommand { name: name.parse().unwrap(), old: Oid::ZERO, new: new.parse().unwrap() };
        self.host().land(&self.coordinate(), &[command], false, Some(quarantine)).await.remove(0)
    }

    async fn gate(&self) -> Option<Gate> {
        self.host().open(&self.coordinate()).await.unwrap()
    }

    async fn is_served(&self, id: &EventId) -> bool {
        self.store.contains(id).await.unwrap()
    }
}

/// The ids of the objects in a range of commits.
async fn objects(repository: &Repository, range: &str) -> Vec<String> {
    let list = repository.git(&["rev-list", "--objects", "--no-object-names", range]).await.unwrap();
    list.lines().map(str::to_owned).collect()
}

fn borrowed(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// Bytes of all files below a folder.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() { bytes_below(&entry.path()) } else { metadata.len() }
        })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_announcement_goes_after_thirty_minutes_with_its_repository() {
    let home = Home::open().await;
    let announcement = home.announce().await;
    let path = home.gate().await.expect("hosted at once").path;
    assert!(path.join("HEAD").exists());

    home.minutes_pass(29).await;
    // A state for it restarts its clock.
    let answer = home.state(NOWHERE).await;
    assert!(answer.message.starts_with("purgatory: "), "{answer:?}");
    home.minutes_pass(29).await;
    assert!(home.gate().await.is_some(), "58 minutes after it came, 29 after the state");

    home.minutes_pass(2).await;
    assert!(home.gate().await.is_none());
    assert!(!path.exists());
    assert!(!home.is_served(&announcement).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_push_holds_the_clock() {
    let home = Home::open().await;
    home.announce().await;
    let command = RefCommand {
        name: "refs/heads/main".parse().unwrap(),
        old: Oid::ZERO,
        new: NOWHERE.parse().unwrap(),
    };
    let (_, hold) = home.host().judge(&home.coordinate(), &[command]).await;
    home.minutes_pass(60).await;
    assert!(home.gate().await.is_some());
    drop(hold);
    home.minutes_pass(0).await;
    assert!(home.gate().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_event_comes_back_from_its_author_but_not_by_sync() {
    let home = Home::open().await;
    let announcement = home.announcement();
    assert!(home.submit(announcement.clone()).await.accepted);
    home.minutes_pass(31).await;
    assert!(home.gate().await.is_none());

    let synced = Funnel(Arc::clone(&home.house)).submit(announcement.clone(), &Source::Sync).await.await;
    assert!(!synced.accepted && synced.message.starts_with("blocked: "), "{synced:?}");
    assert!(home.submit(announcement).await.accepted);
    assert!(home.gate().await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_nobody_signs_leaves_not_one_byte_behind() {
    let home = Home::open().await;
    home.announce().await;
    // The announcement may wait on: its clock is not what this is about.
    let repository = Repository::init("main").await.unwrap();
    let text: String = (0..2_000).map(|_| Keys::generate().public_key().to_hex()).collect();
    let tip = repository.commit("big.txt", &text, &[]).await.unwrap();
    let all = objects(&repository, &tip).await;
    let before = bytes_below(home.folder.path());
    let name = format!("refs/nostr/{}", "ab".repeat(32));
    home.push(&name, &tip, home.quarantine(&repository, &borrowed(&all)).await).await.unwrap();

    let gate = home.gate().await.unwrap();
    assert_eq!(gate.refs.unsigned[0].name.as_str(), name);
    assert_eq!(gate.unsigned_objects.len(), 1);
    assert_eq!(bytes_below(&gate.family_objects), 0, "it is not apart from the family");
    assert!(bytes_below(home.folder.path()) > before + 60_000);

    home.minutes_pass(21).await;
    assert_eq!(bytes_below(home.folder.path()), before);
    assert!(home.gate().await.unwrap().refs.unsigned.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_signed_tip_reaches_does_not_enter_the_family() {
    let home = Home::open().await;
    let announcement = home.announce().await;
    let repository = Repository::init("main").await.unwrap();
    let tip = repository.commit("a.txt", "wanted", &[]).await.unwrap();
    let stowaway = repository.blob(b"a stranger's file").await.unwrap();
    assert!(home.state(&tip).await.accepted);
    let mut all = objects(&repository, &tip).await;
    all.push(stowaway.clone());
    home.push("refs/heads/main", &tip, home.quarantine(&repository, &borrowed(&all)).await).await.unwrap();
    assert!(home.is_served(&announcement).await);

    let here = git2::Repository::open(home.gate().await.unwrap().path).unwrap();
    assert!(here.find_commit(git2::Oid::from_str(&tip).unwrap()).is_ok());
    assert!(here.find_blob(git2::Oid::from_str(&stowaway).unwrap()).is_err(), "the stowaway is here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_takes_its_upload_into_the_family() {
    let home = Home::open().await;
    home.announce().await;
    let repository = Repository::init("main").await.unwrap();
    let tip = repository.commit("a.txt", "base", &[]).await.unwrap();
    home.state(&tip).await;
    let base = objects(&repository, &tip).await;
    home.push("refs/heads/main", &tip, home.quarantine(&repository, &borrowed(&base)).await).await.unwrap();

    let change = repository.commit("b.txt", "change", &[&tip]).await.unwrap();
    let coordinate = home.coordinate().to_string();
    let pull = PullRequest::new(coordinate, &change).draft().at(home.now()).sign(&Keys::generate());
    let new = objects(&repository, &format!("{tip}..{change}")).await;
    let name = format!("refs/nostr/{}", pull.id.to_hex());
    home.push(&name, &change, home.quarantine(&repository, &borrowed(&new)).await).await.unwrap();
    assert_eq!(home.submit(pull.clone()).await, Answer::yes(""));

    let gate = home.gate().await.unwrap();
    assert!(gate.refs.unsigned.is_empty());
    assert_eq!(gate.refs.get(&name.parse().unwrap()).unwrap().oid.to_string(), change);
    assert!(home.is_served(&pull.id).await);
    let here = git2::Repository::open(&gate.path).unwrap();
    assert!(here.find_commit(git2::Oid::from_str(&change).unwrap()).is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_small_packs_are_rolled_up_and_nothing_is_lost() {
    let home = Home::open().await;
    home.announce().await;
    let repository = Repository::init("main").await.unwrap();
    let mut commits: Vec<String> = Vec::new();
    for n in 0..18_u64 {
        let parents: Vec<&str> = commits.last().map(String::as_str).into_iter().collect();
        let commit = repository.commit("a.txt", &format!("version {n}"), &parents).await.unwrap();
        let state = State::new("project").branch("main", commit.as_str()).head("main");
        assert!(home.submit(state.draft().at(home.now() - 100 + n).sign(&home.owner)).await.accepted);
        let range = commits.last().map_or_else(|| commit.clone(), |before| format!("{before}..{commit}"));
        let new = objects(&repository, &range).await;
        let quarantine = home.quarantine(&repository, &borrowed(&new)).await;
        let command = RefCommand {
            name: "refs/heads/main".parse().unwrap(),
            old: commits.last().map_or(Oid::ZERO, |before| before.parse().unwrap()),
            new: commit.parse().unwrap(),
        };
        let landed = home.host().land(&home.coordinate(), &[command], false, Some(quarantine)).await;
        assert_eq!(landed, [Ok(())], "push {n}");
        commits.push(commit);
    }
    let gate = home.gate().await.unwrap();
    let packs = || {
        let files = std::fs::read_dir(gate.family_objects.join("pack")).unwrap();
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|e| e == "pack")).count()
    };
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while packs() >= 16 {
        assert!(tokio::time::Instant::now() < deadline, "{} packs, and nobody rolls them up", packs());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    spec_tests::disk::fsck([gate.path.clone()]).await;
    let here = git2::Repository::open(&gate.path).unwrap();
    for commit in &commits {
        assert!(here.find_commit(git2::Oid::from_str(commit).unwrap()).is_ok(), "{commit} is lost");
    }
}
