//! The engine of proactive sync: one task owns the planner and tells it what happens; workers at relays and the hunter
//! do the work and report.
//!
//! The task never waits for a worker: orders are given or, when a relay is hopelessly behind, its connection is ended.
//! Everything that comes from a peer goes through the intake, as events from clients do.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nostr::event::EventId;
use nostr::filter::Filter;
use nostr::key::Keys;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::git_hunter::{self, HuntStatus};
use super::hunt::HuntSettings;
use super::input::{Action, Input, Unreachable};
use super::millis::Millis;
use super::offering::{Offering, Reception, Tally};
use super::planner::Planner;
use super::refused::{Bounds as RefusedBounds, Refused};
use super::relay_client::{ClientLimits, Dialer};
use super::relay_worker::{Order, Worker, Workplace};
use super::retrieval::Pace;
use super::self_subscriber::{self, Batching, News, SelfSubscriber};
use super::settings::Settings;
use super::status::{Link, RelayStatus, Totals};
use super::url::RelayUrl;
use crate::git::fetch::FetchLimits;
use crate::house::{House, HouseError};
use crate::intake::Intake;
use crate::nip34::{ANNOUNCEMENT, Announcement, ISSUE, PATCH, PULL_REQUEST, PULL_REQUEST_UPDATE};
use crate::outbound::Outbound;

/// Reports that wait for the planner.
const REPORTS: usize = 1024;
/// How many reports and changes are taken in between two looks at everything else.
const AT_ONCE: usize = 256;
/// The longest sleep: clocks that were moved are noticed.
const MAX_SLEEP: Duration = Duration::from_secs(1);
/// How often the status is made anew, at most.
const SHOWN_EVERY: Duration = Duration::from_millis(500);
/// Events that are read from the store in one go at the start; they may be large.
const READ_AT_ONCE: usize = 32;
/// The longest wait between two tries to fetch what is missing (requirement G02/git/state).
const HUNTED_EVERY: Duration = Duration::from_secs(60 * 60);
/// Relays whose figures are kept after they have been left.
const MAX_TALLIES: usize = 4096;

/// What sync is built with.
pub struct SyncParts {
    /// What is known here.
    pub house: Arc<House>,
    /// Takes events in.
    pub intake: Arc<dyn Intake>,
    /// The way out.
    pub outbound: Outbound,
    /// Sign for us where a relay asks who is there (NIP-42).
    pub keys: Keys,
    /// Settings of the planner.
    pub settings: Settings,
    /// How long changes are gathered (`NGIT_SYNC_BATCH_WINDOW_MS`).
    pub batch_window: Duration,
    /// What a connection to a relay may cost.
    pub relays: ClientLimits,
    /// What a fetch of git data may cost.
    pub git: FetchLimits,
}

impl std::fmt::Debug for SyncParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncParts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// How one relay stands, for people and for monitoring.
#[derive(Debug, Clone)]
pub struct PeerStatus {
    /// As the planner sees it.
    pub relay: RelayStatus,
    /// Events of it that were taken in.
    pub taken: u64,
    /// Events of it that were refused.
    pub refused: u64,
    /// Events of it that were known already.
    pub known: u64,
    /// Events of it with a false id or signature.
    pub forged: u64,
    /// When the last event came that was taken in, in Unix seconds.
    pub last_taken: Option<u64>,
    /// Requests that were sent to it.
    pub requests: u64,
}

/// How sync stands.
#[derive(Debug, Clone, Default)]
pub struct SyncStatus {
    /// Each relay, by URL.
    pub peers: Vec<PeerStatus>,
    /// Everything together.
    pub totals: Totals,
    /// Refused events that are remembered.
    pub remembered: usize,
}

/// Proactive sync, running.
#[derive(Debug)]
pub struct ProactiveSync {
    /// How it stands; made anew twice a second at most.
    pub status: watch::Receiver<SyncStatus>,
    /// How the hunt for git data stands.
    pub hunt: watch::Receiver<HuntStatus>,
    stop: CancellationToken,
    engine: JoinHandle<()>,
    hunter: JoinHandle<()>,
    tasks: TaskTracker,
}

impl ProactiveSync {
    /// Starts it. It ends when `stop` is cancelled.
    #[must_use]
    pub fn start(parts: SyncParts, stop: CancellationToken) -> Self {
        let SyncParts { house, intake, outbound, keys, settings, batch_window, relays, git } = parts;
        let subscriber = Arc::new(SelfSubscriber::default());
        house.observe(Arc::clone(&subscriber) as _);
        let tasks = TaskTracker::new();
        let reception = Reception {
            house: Arc::clone(&house),
            intake,
            refused: Arc::new(Mutex::new(Refused::new(RefusedBounds::default()))),
            tasks: tasks.clone(),
        };
        let (hunt_status, hunt) = watch::channel(HuntStatus::default());
        let hunt_settings = HuntSettings {
            service: settings.service.clone(),
            max_backoff: settings.max_backoff.min(HUNTED_EVERY),
        };
        let hunter = git_hunter::run(
            Arc::clone(&house),
            outbound.clone(),
            hunt_settings,
            git,
            Arc::clone(&subscriber),
            hunt_status,
            stop.clone(),
        );
        let (reports, reported) = mpsc::channel(REPORTS);
        let (shown, status) = watch::channel(SyncStatus::default());
        let dialer = Dialer::new(outbound, keys, relays);
        let place = Workplace { dialer, reception, reports, pace: Pace::default() };
        let now = Millis(house.plan.clock.millis());
        let engine = Engine {
            planner: Planner::new(settings, now),
            workers: HashMap::new(),
            tallies: HashMap::new(),
            again: Offering::open(place.reception.clone(), Arc::default()),
            place,
            subscriber,
            batching: Batching::new(batch_window),
            gathered: Vec::new(),
            shown,
            last_shown: Instant::now(),
            level: HashSet::new(),
            stop: stop.clone(),
        };
        Self {
            status,
            hunt,
            engine: tokio::spawn(engine.run(reported)),
            hunter: tokio::spawn(hunter),
            stop,
            tasks,
        }
    }

    /// Ends all of it: connections, fetches with their processes, and, within `grace`, what is being taken in.
    pub async fn stop(self, grace: Duration) {
        self.stop.cancel();
        for task in [self.engine, self.hunter] {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of sync has died");
            }
        }
        self.tasks.close();
        if tokio::time::timeout(grace, self.tasks.wait()).await.is_err() {
            tracing::warn!("synced events were still being taken in when the time to stop was over");
        }
    }
}

struct Engine {
    planner: Planner,
    place: Workplace,
    workers: HashMap<RelayUrl, Worker>,
    /// Figures of each relay, over all its connections.
    tallies: HashMap<RelayUrl, Arc<Tally>>,
    /// The queue of what is looked at again.
    again: Offering,
    subscriber: Arc<SelfSubscriber>,
    batching: Batching,
    /// Changes that wait for the end of the window.
    gathered: Vec<Input>,
    shown: watch::Sender<SyncStatus>,
    last_shown: Instant,
    /// Relays of which everything that is wanted is here, as far as the log has said.
    level: HashSet<RelayUrl>,
    stop: CancellationToken,
}

impl Engine {
    async fn run(mut self, mut reports: mpsc::Receiver<Input>) {
        let stop = self.stop.clone();
        tokio::select! {
            () = stop.cancelled() => return,
            () = self.look_at_everything() => {}
        }
        self.tell(Input::Tick);
        let subscriber = Arc::clone(&self.subscriber);
        let mut several = Vec::with_capacity(AT_ONCE);
        loop {
            let wake = self.wake();
            tokio::select! {
                () = stop.cancelled() => return,
                _ = reports.recv_many(&mut several, AT_ONCE) => {
                    for report in several.drain(..) {
                        self.reported(report);
                    }
                }
                news = subscriber.news() => {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = self.hear(news) => {}
                    }
                }
                () = tokio::time::sleep_until(wake) => self.tell(Input::Tick),
            }
            self.send_gathered();
            self.show();
        }
    }

    fn now(&self) -> Millis {
        Millis(self.place.reception.house.plan.clock.millis())
    }

    fn wake(&self) -> Instant {
        let (now, millis) = (Instant::now(), self.now());
        let planner = self.planner.next_wake().map_or(MAX_SLEEP, |wake| wake.since(millis).min(MAX_SLEEP));
        let gathered = (!self.gathered.is_empty()).then(|| self.batching.due(now));
        gathered.map_or(now + planner, |due| due.min(now + planner))
    }

    fn reported(&mut self, report: Input) {
        if let Input::Disconnected { relay, why } = &report {
            self.workers.remove(relay);
            self.level.remove(relay);
            tracing::info!(%relay, ?why, "relay disconnected");
        }
        if let Input::Connected { relay } = &report {
            tracing::info!(%relay, "relay connected");
        }
        self.tell(report);
    }

    async fn hear(&mut self, news: News) {
        if news.incomplete {
            tracing::warn!("sync has fallen behind, and looks at everything anew");
            self.look_at_everything().await;
        }
        self.gathered.extend(news.changes);
        let again = {
            let mut refused = self.place.reception.refused.lock();
            let mut again = refused.look_again(&news.names);
            if news.incomplete {
                again.extend(refused.look_at_all());
            }
            again
        };
        if again.is_empty() {
            return;
        }
        let (queue, stop) = (self.again.clone(), self.stop.clone());
        // Beside this task, which others wait for. What a stop leaves out is fetched again at the next start.
        self.place.reception.tasks.spawn(async move {
            for event in again {
                if stop.is_cancelled() || queue.offer_again(event).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Tells the planner what was gathered, when its time has come.
    fn send_gathered(&mut self) {
        let now = Instant::now();
        if self.gathered.is_empty() || self.batching.due(now) > now {
            return;
        }
        self.batching.sent(now);
        for input in std::mem::take(&mut self.gathered) {
            self.tell(input);
        }
    }

    /// Tells the planner everything that is known: at the start, and when news was lost.
    async fn look_at_everything(&mut self) {
        let known = async {
            self.tell_repositories().await?;
            self.tell_roots().await
        };
        if let Err(error) = known.await {
            tracing::error!(%error, "sync could not read what is known here");
        }
    }

    async fn tell_repositories(&mut self) -> Result<(), HouseError> {
        let house = Arc::clone(&self.place.reception.house);
        let ids = house.store.index(Filter::new().kind(ANNOUNCEMENT)).await?;
        for ids in ids.chunks(READ_AT_ONCE) {
            let ids: Vec<EventId> = ids.iter().map(|(id, _)| *id).collect();
            for event in house.store.by_ids(&ids).await? {
                if let Ok(announcement) = Announcement::from_event(&event) {
                    self.tell(self_subscriber::repository(&announcement, true));
                }
            }
        }
        let waiting: Vec<Input> = {
            let purgatory = house.purgatory.lock();
            let announcements =
                purgatory.iter().filter_map(|waiting| Announcement::from_event(&waiting.event).ok());
            announcements.map(|announcement| self_subscriber::repository(&announcement, false)).collect()
        };
        waiting.into_iter().for_each(|input| self.tell(input));
        Ok(())
    }

    async fn tell_roots(&mut self) -> Result<(), HouseError> {
        let house = Arc::clone(&self.place.reception.house);
        let roots = Filter::new().kinds([PATCH, PULL_REQUEST, PULL_REQUEST_UPDATE, ISSUE]);
        let ids = house.store.index(roots).await?;
        for ids in ids.chunks(READ_AT_ONCE) {
            let ids: Vec<EventId> = ids.iter().map(|(id, _)| *id).collect();
            for event in house.store.by_ids(&ids).await? {
                if let Some(root) = self_subscriber::root(&event) {
                    self.tell(root);
                }
            }
        }
        Ok(())
    }

    /// Tells the planner what has happened, and does what it says.
    fn tell(&mut self, input: Input) {
        let actions = self.planner.handle(input, self.now(), &mut rand::rng());
        for action in actions {
            self.act(action);
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Connect { relay } => self.connect(relay),
            Action::Disconnect { relay, why } => {
                tracing::info!(%relay, why, "leaving a relay");
                self.order(&relay, Order::Leave);
            }
            Action::Subscribe { relay, subscription, mode, filters } => {
                self.order(&relay, Order::Subscribe { subscription, mode, filters });
            }
            Action::Unsubscribe { relay, subscription } => {
                self.order(&relay, Order::Unsubscribe(subscription));
            }
            Action::Negotiate { relay, subscription, filter } => {
                self.order(&relay, Order::Negotiate { subscription, filter });
            }
        }
    }

    fn connect(&mut self, relay: RelayUrl) {
        if self.tallies.len() >= MAX_TALLIES {
            let workers = &self.workers;
            self.tallies.retain(|relay, _| workers.contains_key(relay));
        }
        let tally = Arc::clone(self.tallies.entry(relay.clone()).or_default());
        let worker = Worker::start(relay.clone(), self.place.clone(), tally);
        self.workers.insert(relay, worker);
    }

    fn order(&mut self, relay: &RelayUrl, order: Order) {
        let taken = self.workers.get(relay).is_none_or(|worker| worker.order(order));
        if !taken {
            // Its task ends with the handle, and cannot report that any more.
            self.workers.remove(relay);
            let why = Unreachable::Failed("it is hopelessly behind with what was asked of it".to_owned());
            self.reported(Input::Disconnected { relay: relay.clone(), why });
        }
    }

    fn show(&mut self) {
        if self.last_shown.elapsed() < SHOWN_EVERY {
            return;
        }
        self.last_shown = Instant::now();
        let peers: Vec<PeerStatus> = self.planner.relays().map(|relay| self.peer(relay)).collect();
        peers.iter().for_each(|peer| self.note_level(peer));
        let remembered = self.place.reception.refused.lock().len();
        self.shown.send_replace(SyncStatus { peers, totals: self.planner.totals(), remembered });
    }

    /// One line in the log whenever everything that is wanted of a relay has come.
    fn note_level(&mut self, peer: &PeerStatus) {
        let status = &peer.relay;
        let is_level = matches!(status.link, Link::Connected { .. }) && status.confirmed == status.wanted;
        if !is_level {
            self.level.remove(&status.relay);
        } else if self.level.insert(status.relay.clone()) {
            let PeerStatus { relay, taken, refused, known, requests, .. } = peer;
            let (relay, wanted) = (&relay.relay, relay.wanted);
            tracing::info!(%relay, wanted, taken, refused, known, requests, "level with a relay");
        }
    }

    fn peer(&self, relay: RelayStatus) -> PeerStatus {
        let tally = self.tallies.get(&relay.relay).map(Arc::clone).unwrap_or_default();
        let figure = |figure: &std::sync::atomic::AtomicU64| figure.load(Ordering::Relaxed);
        PeerStatus {
            relay,
            taken: figure(&tally.taken),
            refused: figure(&tally.refused),
            known: figure(&tally.known),
            forged: figure(&tally.forged),
            last_taken: Some(figure(&tally.last_taken)).filter(|time| *time > 0),
            requests: figure(&tally.requests),
        }
    }
}
