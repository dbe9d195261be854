//! The work of the hunt: what waits for git data is described to [`Hunt`], what it says is fetched, and what was fetched
//! lands as soon as it completes something (requirements G02/git/state and G02/git/pr).
//!
//! One task owns the hunt; fetches run beside it, in tasks that end when they are abandoned. What a server had of a
//! repository is kept in quarantine until the rest has come from others, within bounds.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::http::StatusCode;
use nostr::event::{Event, EventId};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::hunt::{
    End, FetchId, Hunt, HuntAction, HuntInput, HuntSettings, Lead, Origin, Quarry, QuarryStatus,
};
use super::millis::Millis;
use super::self_subscriber::{Hunted, SelfSubscriber};
use super::url::CloneUrl;
use crate::fault;
use crate::git::PushGate as _;
use crate::git::fetch::{FetchError, FetchLimits, Fetched, Wants, fetch};
use crate::git::host::Host;
use crate::house::{House, HouseError};
use crate::nip34::{Coordinate, Identifier, Oid, PULL_REQUEST_UPDATE, PullRequest, RefName, STATE, State};
use crate::outbound::{Destination, Outbound, OutboundError};

/// The longest sleep: clocks that were moved are noticed.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// How often the list for people is made anew, at most.
const SHOWN_EVERY: Duration = Duration::from_millis(500);
/// The most `clone` URLs of one waiting event.
const MAX_SERVERS: usize = 50;
/// Parts of repositories that wait for the rest.
const MAX_PARTS: usize = 256;
/// Bytes of disk that they take together.
const MAX_PART_BYTES: u64 = 4 << 30;

/// How the hunt stands, for people.
#[derive(Debug, Clone, Default)]
pub struct HuntStatus {
    /// What is hunted.
    pub quarries: Vec<QuarryStatus>,
    /// Fetches that run.
    pub running: usize,
    /// Fetches since the start.
    pub fetches: u64,
    /// Of these, those that have brought something.
    pub useful: u64,
    /// Waiting events that were completed by what was fetched.
    pub completed: u64,
    /// What went wrong last, and where.
    pub trouble: Option<(CloneUrl, String)>,
}

/// Runs the hunt until told to stop.
pub(super) async fn run(
    house: Arc<House>,
    outbound: Outbound,
    settings: HuntSettings,
    limits: FetchLimits,
    subscriber: Arc<SelfSubscriber>,
    status: watch::Sender<HuntStatus>,
    stop: CancellationToken,
) {
    let site = Site { house, outbound, limits, parts: Arc::default() };
    let mut hunter = Hunter {
        site,
        hunt: Hunt::new(settings),
        hunted: HashMap::new(),
        jobs: JoinSet::new(),
        running: HashMap::new(),
        status,
        shown: Instant::now(),
    };
    hunter.look_at_everything().await;
    loop {
        let wake = hunter.sleep();
        tokio::select! {
            () = stop.cancelled() => break,
            news = subscriber.hunted() => {
                if news.incomplete {
                    hunter.look_at_everything().await;
                }
                for change in news.changes {
                    hunter.hear(change).await;
                }
            }
            Some(done) = hunter.jobs.join_next(), if !hunter.jobs.is_empty() => match done {
                Ok(report) => hunter.fetched(report).await,
                Err(error) if error.is_cancelled() => {}
                Err(error) => tracing::error!(%error, "a fetch has died"),
            },
            () = tokio::time::sleep(wake) => hunter.tell(HuntInput::Tick),
        }
        hunter.show();
    }
    // Fetches are killed; landings that have begun are carried to their end by the house.
    hunter.jobs.shutdown().await;
}

/// Owns the hunt.
struct Hunter {
    site: Site,
    hunt: Hunt,
    /// The family of everything that is hunted.
    hunted: HashMap<EventId, Identifier>,
    jobs: JoinSet<Report>,
    running: HashMap<FetchId, AbortHandle>,
    status: watch::Sender<HuntStatus>,
    shown: Instant,
}

/// What a fetch has brought.
struct Report {
    fetch: FetchId,
    identifier: Identifier,
    server: CloneUrl,
    here: Vec<Oid>,
    end: End,
    trouble: Option<String>,
    completed: usize,
}

impl Hunter {
    fn now(&self) -> Millis {
        Millis(self.site.house.plan.clock.millis())
    }

    fn sleep(&self) -> Duration {
        let now = self.now();
        self.hunt.next_wake().map_or(MAX_SLEEP, |wake| wake.since(now).min(MAX_SLEEP))
    }

    async fn look_at_everything(&mut self) {
        let waiting: Vec<EventId> = {
            let purgatory = self.site.house.purgatory.lock();
            purgatory.iter().map(|waiting| waiting.event.id).collect()
        };
        let known: BTreeSet<EventId> = waiting.iter().copied().collect();
        let gone: Vec<EventId> = self.hunted.keys().filter(|id| !known.contains(id)).copied().collect();
        for id in gone {
            self.settled(&id);
        }
        for id in waiting {
            self.want(id).await;
        }
    }

    async fn hear(&mut self, change: Hunted) {
        match change {
            Hunted::Waits(id) => self.want(id).await,
            Hunted::Leaves(id) => {
                let identifier = self.hunted.get(&id).cloned();
                self.settled(&id);
                // What has released it may be a part of what others wait for.
                if let Some(identifier) = identifier {
                    self.look_again(&identifier).await;
                }
            }
            Hunted::Announced(identifier) => self.look_again(&identifier).await,
        }
    }

    async fn look_again(&mut self, identifier: &Identifier) {
        let waiting: Vec<EventId> = {
            let purgatory = self.site.house.purgatory.lock();
            purgatory.of(identifier).map(|waiting| waiting.event.id).collect()
        };
        for id in waiting {
            self.want(id).await;
        }
    }

    /// Describes a waiting event to the hunt.
    async fn want(&mut self, id: EventId) {
        match self.site.quarry(&id).await {
            Ok(Some(quarry)) => {
                self.hunted.insert(id, quarry.repository.identifier.clone());
                self.tell(HuntInput::Wanted(quarry));
            }
            Ok(None) if self.hunted.contains_key(&id) => self.settled(&id),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, %id, "what an event waits for cannot be told"),
        }
    }

    fn settled(&mut self, id: &EventId) {
        let Some(identifier) = self.hunted.remove(id) else { return };
        self.tell(HuntInput::Settled(*id));
        let none_waits = self.site.house.purgatory.lock().of(&identifier).next().is_none();
        if none_waits {
            self.site.parts.lock().forget(&identifier);
        }
    }

    async fn fetched(&mut self, report: Report) {
        self.running.remove(&report.fetch);
        let Report { fetch, identifier, server, here, end, trouble, completed } = report;
        self.status.send_modify(|status| {
            status.useful += u64::from(!here.is_empty());
            status.completed += completed as u64;
            if let Some(trouble) = trouble {
                tracing::info!(%server, %identifier, trouble, "git data could not be fetched");
                status.trouble = Some((server, trouble));
            }
        });
        self.tell(HuntInput::Fetched { fetch, here, end });
        let pushed_out = self.site.parts.lock().push_out();
        for identifier in pushed_out {
            self.look_again(&identifier).await;
        }
    }

    /// Tells the hunt what has happened, and does what it says.
    fn tell(&mut self, input: HuntInput) {
        let actions = self.hunt.handle(input, self.now(), &mut rand::rng());
        for action in actions {
            match action {
                HuntAction::Fetch { fetch, repository, server, wants, .. } => {
                    let oids = wants.into_iter().map(|(oid, _)| oid).collect();
                    let job = self.site.clone().fetch(fetch, repository, server, oids);
                    self.running.insert(fetch, self.jobs.spawn(job));
                    self.status.send_modify(|status| status.fetches += 1);
                }
                HuntAction::Abandon { fetch } => self.abandon(fetch),
            }
        }
    }

    fn abandon(&mut self, fetch: FetchId) {
        if let Some(job) = self.running.remove(&fetch) {
            job.abort();
            self.tell(HuntInput::Fetched { fetch, here: Vec::new(), end: End::Answered });
        }
    }

    fn show(&mut self) {
        if self.shown.elapsed() < SHOWN_EVERY {
            return;
        }
        self.shown = Instant::now();
        let (quarries, running) = (self.hunt.quarries().collect(), self.running.len());
        self.status.send_modify(|status| {
            status.quarries = quarries;
            status.running = running;
        });
    }
}

/// What every fetch needs.
#[derive(Clone)]
struct Site {
    house: Arc<House>,
    outbound: Outbound,
    limits: FetchLimits,
    parts: Arc<Mutex<Parts>>,
}

impl Site {
    /// A waiting event as the hunt sees it; nothing when it does not wait, or for nothing that could be fetched.
    async fn quarry(&self, id: &EventId) -> Result<Option<Quarry>, HouseError> {
        let waiting = self.house.purgatory.lock().get(id).cloned();
        let Some(waiting) = waiting else { return Ok(None) };
        let origin = if waiting.synced { Origin::Synced } else { Origin::Published };
        let lead = if waiting.event.kind == STATE {
            self.lead_of_state(&waiting.event).await?
        } else if waiting.event.kind == PULL_REQUEST_UPDATE && fault::is("updates-not-fetched") {
            None
        } else {
            self.lead_of_pull(&waiting.event).await?
        };
        let Some(Lead { repository, mut wanted, mut servers }) = lead else { return Ok(None) };
        let here = self.house.families.present(&repository.identifier, wanted.iter().map(|(oid, _)| *oid))?;
        let parts = self.parts.lock().tips(&repository.identifier);
        let is_overlooked =
            |name: &RefName| fault::is("tags-not-fetched") && name.as_str().starts_with("refs/tags/");
        wanted.retain(|(oid, name)| !here.contains(oid) && !parts.contains(oid) && !is_overlooked(name));
        servers.truncate(MAX_SERVERS);
        Ok(Some(Quarry { event: *id, repository, missing: wanted, servers, origin }))
    }

    async fn lead_of_state(&self, event: &Event) -> Result<Option<Lead>, HouseError> {
        let Ok(state) = State::from_event(event) else { return Ok(None) };
        Ok(Lead::of_state(&self.house.load(&state.identifier).await?, &state))
    }

    async fn lead_of_pull(&self, event: &Event) -> Result<Option<Lead>, HouseError> {
        let Ok(pull) = PullRequest::from_event(event) else { return Ok(None) };
        let mut families = BTreeMap::new();
        for named in &pull.repositories {
            if !families.contains_key(&named.identifier) {
                families.insert(named.identifier.clone(), self.house.load(&named.identifier).await?);
            }
        }
        Ok(Lead::of_pull(&pull, &families))
    }

    async fn fetch(
        self,
        fetch: FetchId,
        repository: Coordinate,
        server: CloneUrl,
        oids: BTreeSet<Oid>,
    ) -> Report {
        let identifier = repository.identifier;
        // What waits for this does not expire meanwhile (requirement G01/purgatory/expires).
        let _hold = self.house.holds.hold(&identifier);
        let mut report = Report {
            fetch,
            identifier: identifier.clone(),
            server: server.clone(),
            here: Vec::new(),
            end: End::Answered,
            trouble: None,
            completed: 0,
        };
        match self.bring(&identifier, &server, &oids).await {
            Ok(None) => {}
            Ok(Some(fetched)) => {
                report.here = fetched.tips.iter().copied().collect();
                if fault::is("parts-forgotten") {
                    self.parts.lock().forget(&identifier);
                }
                self.parts.lock().put(&identifier, fetched);
                report.completed = self.land(&identifier).await;
            }
            Err(error) => {
                report.end = end(&error);
                report.trouble = Some(error.to_string());
            }
        }
        report
    }

    async fn bring(
        &self,
        identifier: &Identifier,
        server: &CloneUrl,
        oids: &BTreeSet<Oid>,
    ) -> Result<Option<Fetched>, FetchError> {
        let failed = |error: HouseError| FetchError::Io(std::io::Error::other(error));
        let from = Destination::parse(server.as_str()).map_err(OutboundError::from)?;
        let haves = self.house.fetch_haves(identifier).await.map_err(failed)?;
        let quarantine = Host(Arc::clone(&self.house)).quarantine()?;
        let family = self.house.families.path(identifier);
        self.house.families.ensure(identifier)?;
        let wants = Wants { oids, haves: &haves, family: &family };
        fetch(&self.outbound, &from, wants, quarantine, &self.limits).await
    }

    /// Lands what is complete now; returns how many events that was.
    async fn land(&self, identifier: &Identifier) -> usize {
        let parts = self.parts.lock().of(identifier);
        match self.house.land_fetched(identifier, parts).await {
            Ok(landed) => {
                for id in &landed {
                    tracing::info!(%id, %identifier, "fetched git data completes a waiting event");
                }
                landed.len()
            }
            Err(error) => {
                tracing::error!(%error, %identifier, "fetched git data could not be landed");
                0
            }
        }
    }
}

fn end(error: &FetchError) -> End {
    match error {
        FetchError::Status(StatusCode::TOO_MANY_REQUESTS) => End::RateLimited,
        // 503 too, which is what a server says that stops, and a proxy whose server does: soon it may be back.
        _ => End::Failed,
    }
}

/// Objects that were fetched and complete nothing yet, by family.
#[derive(Debug, Default)]
struct Parts {
    by_identifier: HashMap<Identifier, Vec<Part>>,
    oldest_first: VecDeque<Identifier>,
    bytes: u64,
    count: usize,
}

#[derive(Debug)]
struct Part {
    fetched: Arc<Fetched>,
    bytes: u64,
}

impl Parts {
    fn put(&mut self, identifier: &Identifier, fetched: Fetched) {
        let bytes = size(fetched.quarantine.objects());
        let parts = self.by_identifier.entry(identifier.clone()).or_insert_with(|| {
            self.oldest_first.push_back(identifier.clone());
            Vec::new()
        });
        parts.push(Part { fetched: Arc::new(fetched), bytes });
        self.bytes += bytes;
        self.count += 1;
    }

    fn of(&self, identifier: &Identifier) -> Vec<Arc<Fetched>> {
        let parts = self.by_identifier.get(identifier).into_iter().flatten();
        parts.map(|part| Arc::clone(&part.fetched)).collect()
    }

    fn tips(&self, identifier: &Identifier) -> BTreeSet<Oid> {
        self.of(identifier).iter().flat_map(|fetched| fetched.tips.iter().copied()).collect()
    }

    fn forget(&mut self, identifier: &Identifier) {
        for part in self.by_identifier.remove(identifier).into_iter().flatten() {
            self.bytes -= part.bytes;
            self.count -= 1;
        }
        self.oldest_first.retain(|known| known != identifier);
    }

    /// Makes room when there is too much; whose parts have gone.
    fn push_out(&mut self) -> Vec<Identifier> {
        let mut gone = Vec::new();
        while self.count > MAX_PARTS || self.bytes > MAX_PART_BYTES {
            let Some(oldest) = self.oldest_first.front().cloned() else { break };
            self.forget(&oldest);
            gone.push(oldest);
        }
        gone
    }
}

/// Bytes of the packs of an object folder.
fn size(objects: &Path) -> u64 {
    let entries = std::fs::read_dir(objects.join("pack")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum()
}
