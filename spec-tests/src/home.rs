//! The house of the server by itself, without a door: with a clock that the test moves, closed and opened at will.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test without a house cannot go on

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use grasp_fixtures::Repository;
use grasp_fixtures::events::{Announcement, State};
use grasp_server::admission::curation::Curation;
use grasp_server::clock::Clock;
use grasp_server::git::gate::{Quarantine, RefCommand};
use grasp_server::git::host::Host;
use grasp_server::git::{Gate, PushGate};
use grasp_server::house::{Bounds, House, OpenError, Plan};
use grasp_server::intake::{Answer, Funnel, Intake, Source};
use grasp_server::nip34::{Coordinate, Identifier, Oid};
use grasp_server::purgatory::Patience;
use grasp_server::relay::feed::Feed;
use grasp_server::store::{EventStore, tables::Tables};
use nostr::event::Event;
use nostr::key::Keys;

use crate::instance::{LOOK_AGAIN, WITHIN};

/// Where a house is, and by what rules it lives.
#[derive(Debug, Clone)]
pub struct Site {
    /// The folder of the git data.
    pub git_data: PathBuf,
    /// The folder of the databases; in memory without one.
    pub databases: Option<PathBuf>,
    /// The name under which announcements list it.
    pub service: String,
    /// The operator's lists.
    pub curation: Curation,
    /// How much may wait.
    pub bounds: Bounds,
    /// Whether contributors have repositories of their own (GRASP-06).
    pub contributions: bool,
    /// The time; it goes on when the house is opened again.
    pub clock: Clock,
}

impl Site {
    /// On disk, both databases included.
    #[must_use]
    pub fn on_disk(folder: &Path) -> Self {
        Self { databases: Some(folder.to_owned()), ..Self::in_memory(&folder.join("git")) }
    }

    /// Events in memory.
    #[must_use]
    pub fn in_memory(git_data: &Path) -> Self {
        Self {
            git_data: git_data.to_owned(),
            databases: None,
            service: "git.example.org".to_owned(),
            curation: Curation::default(),
            bounds: Bounds::default(),
            contributions: false,
            clock: Clock::system(),
        }
    }
}

/// An open house.
#[derive(Debug)]
pub struct Home {
    /// Its time.
    pub clock: Clock,
    /// The house.
    pub house: Arc<House>,
    /// What is served.
    pub store: EventStore,
}

impl Home {
    /// Opens it.
    ///
    /// # Panics
    /// When it does not open.
    pub async fn open(site: &Site) -> Self {
        let (store, tables) = match &site.databases {
            Some(folder) => {
                let store = EventStore::lmdb(&folder.join("events")).await.unwrap();
                (store, Tables::lmdb(&folder.join("tables")).unwrap())
            }
            None => (EventStore::memory(), Tables::memory()),
        };
        let plan = Plan {
            service: site.service.parse().unwrap(),
            git_data: site.git_data.clone(),
            curation: site.curation.clone(),
            patience: Patience::default(),
            bounds: site.bounds,
            contributions: site.contributions,
            clock: site.clock.clone(),
        };
        let deadline = Instant::now() + WITHIN;
        let house = loop {
            let feed = Arc::new(Feed::new(plan.clock.clone()));
            match House::open(plan.clone(), store.clone(), tables.clone(), feed).await {
                // A child that another test starts has the lock's file open until it has become another program.
                Err(OpenError::InUse(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                house => break house.unwrap(),
            }
        };
        Self { clock: site.clock.clone(), house, store }
    }

    /// On disk, by the default rules.
    pub async fn at(folder: &Path) -> Self {
        Self::open(&Site::on_disk(folder)).await
    }

    /// Events in memory, by the default rules.
    pub async fn fleeting(folder: &Path) -> Self {
        Self::open(&Site::in_memory(folder)).await
    }

    /// As git sees it.
    #[must_use]
    pub fn host(&self) -> Host {
        Host(Arc::clone(&self.house))
    }

    /// Now, in Unix seconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.now().as_secs()
    }

    /// Time passes, and what is due is done.
    ///
    /// # Panics
    /// When that fails.
    pub async fn minutes_pass(&self, minutes: i64) {
        self.clock.advance(minutes * 60);
        self.house.expire_due().await.unwrap();
    }

    /// Publishes an event.
    pub async fn submit(&self, event: &Event) -> Answer {
        let source = Source::Client { address: [127, 0, 0, 1].into(), authenticated: Arc::new([]) };
        Funnel(Arc::clone(&self.house)).submit(event.clone(), &source).await.await
    }

    /// An announcement that lists the house.
    #[must_use]
    pub fn announcement(&self, owner: &Keys, identifier: &str) -> Announcement {
        Announcement::new(identifier)
            .clone_url(format!("https://git.example.org{}", coordinate(owner, identifier).url_path()))
            .relay("wss://git.example.org")
    }

    /// Publishes such an announcement.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn announce(&self, owner: &Keys, identifier: &str) -> Event {
        let event = self.announcement(owner, identifier).draft().at(self.now()).sign(owner);
        let answer = self.submit(&event).await;
        assert!(answer.accepted, "{answer:?}");
        event
    }

    /// The state of a repository with one branch.
    #[must_use]
    pub fn state(&self, owner: &Keys, identifier: &str, tip: &str, at: u64) -> Event {
        State::new(identifier).branch("main", tip).head("main").draft().at(at).sign(owner)
    }

    /// A pack of what a range reaches, in quarantine.
    ///
    /// # Panics
    /// When git cannot make it.
    pub async fn quarantine(&self, repository: &Repository, range: &str) -> Quarantine {
        let list =
            repository.git(&["rev-list", "--objects", "--no-object-names", range]).await.unwrap() + "\n";
        let quarantine = self.host().quarantine().unwrap();
        let pack = quarantine.objects().join("pack/pack").to_string_lossy().into_owned();
        let args = ["pack-objects", "-q", pack.as_str()];
        assert!(repository.run_with_input(&args, list.as_bytes()).await.unwrap().ok());
        quarantine
    }

    /// Pushes one ref.
    ///
    /// # Errors
    /// The reason of a refusal.
    pub async fn push(
        &self,
        to: &Coordinate,
        name: &str,
        new: &str,
        objects: Option<Quarantine>,
    ) -> Result<(), String> {
        let command = RefCommand { name: name.parse().unwrap(), old: Oid::ZERO, new: new.parse().unwrap() };
        self.host().land(to, &[command], false, objects).await.remove(0)
    }

    /// A repository that is served, with `tip` as its main branch; its announcement.
    ///
    /// # Panics
    /// When it is not served in the end.
    pub async fn publish(&self, owner: &Keys, identifier: &str, repository: &Repository, tip: &str) -> Event {
        let announcement = self.announce(owner, identifier).await;
        let state = self.state(owner, identifier, tip, self.now());
        assert!(self.submit(&state).await.accepted);
        if !self.is_served(&announcement).await {
            let objects = self.quarantine(repository, tip).await;
            self.push(&coordinate(owner, identifier), "refs/heads/main", tip, Some(objects)).await.unwrap();
        }
        assert!(self.is_served(&announcement).await);
        announcement
    }

    /// The repository as somebody who fetches sees it.
    ///
    /// # Panics
    /// When it cannot be read.
    pub async fn gate(&self, repository: &Coordinate) -> Option<Gate> {
        self.host().open(repository).await.unwrap()
    }

    /// Its refs.
    ///
    /// # Panics
    /// When it is not hosted.
    pub async fn refs(&self, repository: &Coordinate) -> BTreeMap<String, String> {
        let refs = self.gate(repository).await.expect("hosted").refs;
        refs.refs.iter().map(|entry| (entry.name.to_string(), entry.oid.to_string())).collect()
    }

    /// Whether an event is served.
    ///
    /// # Panics
    /// When the store fails.
    pub async fn is_served(&self, event: &Event) -> bool {
        self.store.contains(&event.id).await.unwrap()
    }
}

/// The repository of this owner and identifier.
///
/// # Panics
/// When the identifier is none.
#[must_use]
pub fn coordinate(owner: &Keys, identifier: &str) -> Coordinate {
    Coordinate::new(owner.public_key(), Identifier::new(identifier).unwrap())
}
