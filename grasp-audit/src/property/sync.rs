//! Stories of two servers (GRASP-02): the one under test, and a peer that the auditor plays. Events are published at one of
//! them or at both, data is pushed to the one or put into the git host of the other, and the peer goes away and comes
//! back. Nothing is compared in between, for when something comes by sync is not said. In the end the peer is there, and
//! what the server shows has to become what the model says of everything that the two had together.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use grasp_fixtures::Repository;
use nostr::event::EventId;

use super::cast::{Cast, Minted};
use super::deed::{self, Deed};
use super::explain;
use super::look::look;
use super::model::{Had, Reply, Says, Seen, Wants, World};
use super::play::{End, Outcome, Telling, agreeing};
use super::story::{Object, Repo, Site, Step, Story};
use crate::check::CheckResult;
use crate::context::Context;
use crate::peer::visits::connected;
use crate::peer::{Lodging, Peer, manners};

/// How long a peer that is to go away waits for a server that has heard of it.
const COMES_WITHIN: Duration = Duration::from_secs(2);
/// The first wait before the server is looked at again; each is twice as long as the one before, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The peers of a run. One that was always there is used by story after story, so that the server's connection to it stays.
#[derive(Debug, Default)]
pub struct Peers {
    /// Where they live.
    pub lodging: Arc<Lodging>,
    idle: Mutex<Vec<Arc<Peer>>>,
}

impl Peers {
    /// Peers that live there.
    #[must_use]
    pub fn new(lodging: Lodging) -> Self {
        Self { lodging: Arc::new(lodging), idle: Mutex::default() }
    }

    async fn one(&self, ctx: &Context) -> CheckResult<Arc<Peer>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(peer) => Ok(peer),
            None => Ok(Arc::new(ctx.peer().await?)),
        }
    }

    fn is_idle(&self, peer: Arc<Peer>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(peer);
    }
}

/// Tells a story of two servers: how it ended, and a sentence for each step.
pub(super) async fn tell(
    ctx: &Context,
    cast: Cast,
    story: &Story,
    telling: &Telling,
) -> (Outcome, Vec<String>) {
    if !ctx.target.supports("GRASP-02") {
        return (Outcome::Limited("the server does not list GRASP-02".to_owned()), Vec::new());
    }
    let stage = async {
        let peer = telling.peers.one(ctx).await?;
        Stage::new(ctx, cast, peer).await
    };
    let mut stage = match stage.await {
        Ok(stage) => stage,
        Err(ending) => return (End::from(ending).outcome(0, BTreeSet::new()), Vec::new()),
    };
    let outcome = stage.all(story, telling.settles).await;
    // a server may have given up one that was away, and the next story is to begin as if there had been none before
    let was_there = !story.steps.contains(&Step::PeerLeaves);
    if was_there && matches!(outcome, Outcome::Held | Outcome::Undecided) {
        telling.peers.is_idle(stage.peer);
    }
    (outcome, stage.sentences)
}

/// A story of two servers while it is told.
struct Stage<'a> {
    ctx: &'a Context,
    cast: Cast,
    peer: Arc<Peer>,
    /// All objects of the story, for the peer's git host.
    objects: Repository,
    had: Had,
    /// Whether the server has taken an announcement that names the peer; before, nothing leads it there.
    named: bool,
    sentences: Vec<String>,
}

impl<'a> Stage<'a> {
    async fn new(ctx: &'a Context, cast: Cast, peer: Arc<Peer>) -> CheckResult<Self> {
        let objects = Repository::init("main").await?;
        let pack = cast.graph.pack(&Object::ALL.into_iter().collect());
        objects.run_with_input(&["index-pack", "--stdin"], &pack).await?.success()?;
        let cast = cast.with_peer(peer.clone());
        Ok(Self { ctx, cast, peer, objects, had: Had::default(), named: false, sentences: Vec::new() })
    }

    /// Tells it, and looks at the end.
    async fn all(&mut self, story: &Story, settles: Duration) -> Outcome {
        let told = self.steps(story).await;
        self.peer_returns();
        let ended = match told {
            Ok(()) => self.end(settles).await,
            Err(end) => Err(end),
        };
        match ended {
            Ok(()) => Outcome::Held,
            Err(end) => end.outcome(story.steps.len().saturating_sub(1), BTreeSet::new()),
        }
    }

    async fn steps(&mut self, story: &Story) -> Result<(), End> {
        for step in &story.steps {
            let sentence = story.sentence(step);
            let words = self.step(step).await?;
            self.sentences.push(format!("{sentence} → {words}"));
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> CheckResult<String> {
        match step {
            Step::PeerLeaves => {
                self.peer_leaves().await;
                Ok("its connections end".to_owned())
            }
            Step::PeerReturns => {
                self.peer_returns();
                Ok("it is there".to_owned())
            }
            Step::Published { step, at, data } => match self.cast.event(step) {
                Some(minted) => self.publish(&minted, *at, *data).await,
                None => Ok("nothing to do".to_owned()),
            },
            _ => self.push(step).await,
        }
    }

    /// A server that is on its way is let in first: what it has not come to, it cannot lose.
    async fn peer_leaves(&self) {
        if self.named {
            let within = self.ctx.target.patience.of(COMES_WITHIN);
            self.peer.visits().until(within, |visits| (connected(visits) > 0).then_some(())).await;
        }
        self.peer.behave(|manners| {
            manners.relay = manners::Relay::Refuses;
            // 503 would ask for patience
            manners.git = manners::Git::Status(500);
        });
        self.peer.drop_connections();
    }

    fn peer_returns(&self) {
        self.peer.behave(|manners| {
            manners.relay = manners::Relay::Open;
            manners.git = manners::Git::Serves;
        });
    }

    async fn publish(&mut self, minted: &Minted, at: Site, data: Option<Repo>) -> CheckResult<String> {
        if let Some(repo) = data {
            self.host(minted, repo).await?;
        }
        let mut words = Vec::new();
        let mut taken = false;
        if at != Site::Peer {
            let reply = self.ctx.publish(&minted.signed).await?;
            if reply.accepted {
                taken = true;
                self.had.direct.insert(minted.event.id);
                self.named |= matches!(minted.event.says, Says::Announcement { .. });
            }
            words.push(reply.to_string());
        }
        if at != Site::Target {
            // a relay refuses what is older than what it has
            let there = self.peer.publish(&minted.signed).await.is_ok();
            taken |= there;
            words.push(if there { "the peer has it" } else { "the peer has a newer one" }.to_owned());
        }
        if taken && self.had.events.iter().all(|known| known.id != minted.event.id) {
            self.had.events.push(minted.event.clone());
        }
        Ok(words.join(", "))
    }

    /// The peer's git host gets everything that the event names.
    async fn host(&mut self, minted: &Minted, repo: Repo) -> CheckResult {
        let tips: BTreeSet<Object> = match &minted.event.says {
            Says::State { refs, .. } => refs.values().copied().collect(),
            Says::Pull { tip, .. } => BTreeSet::from([*tip]),
            _ => return Ok(()),
        };
        let named = |tip: &Object| {
            let folder = if *tip == Object::T2 { "tags" } else { "heads" };
            format!("{}:refs/{folder}/{tip}", self.cast.graph.oid(*tip))
        };
        let refs: Vec<String> = tips.iter().map(named).collect();
        if refs.is_empty() {
            return Ok(());
        }
        let owner = self.cast.keys(repo.owner).public_key();
        self.peer.host(&owner, self.cast.identifier(repo.project), &self.objects, &refs).await?;
        let hosted = self.had.hosted.entry(repo).or_default();
        hosted.extend(tips.iter().flat_map(|tip| tip.reaches()));
        Ok(())
    }

    /// A push to the server under test; what it takes counts, whatever it had when it was asked.
    async fn push(&mut self, step: &Step) -> CheckResult<String> {
        let seen = look(self.ctx, &self.cast).await?;
        let world = World::of_refs(&seen);
        let Some(Deed::Push(sending)) = deed::of(step, &mut self.cast, &world) else {
            return Ok("nothing to do".to_owned());
        };
        let answer = sending.send(self.ctx, &self.cast).await?;
        if answer.is(Reply::Taken) {
            let to = sending.push.to;
            let pushed = self.had.pushed.entry(to.project).or_default();
            match &sending.push.wants {
                Wants::Refs(refs) => pushed.extend(refs.values().flat_map(|tip| tip.reaches())),
                Wants::Nostr(id, tip) => drop(self.had.uploads.insert((to, *id), *tip)),
                Wants::Contribution(..) | Wants::ContributedRef(..) => {}
            }
        }
        Ok(answer.words)
    }

    /// Within a bound the server has to show what the two had together.
    async fn end(&mut self, settles: Duration) -> Result<(), End> {
        if !self.named {
            return Err(End::Undecided);
        }
        let Some(worlds) = self.had.settled() else { return Err(End::Undecided) };
        let within = self.ctx.target.patience.of(settles);
        let deadline = Instant::now() + within;
        let mut pause = FIRST_PAUSE;
        loop {
            let seen = look(self.ctx, &self.cast).await?;
            let (agree, differences) = agreeing(&worlds, &seen);
            if !agree.is_empty() {
                self.keeps_what_came(&seen);
                return Ok(());
            }
            if Instant::now() >= deadline {
                self.keeps_what_came(&seen);
                let (expected, seen) = explain::differences(&differences, &self.cast, &BTreeSet::new());
                return Err(End::Broken {
                    expected: format!("within {within:?} after the end: {expected}"),
                    seen: format!("{seen}; {}", self.peer.visits().summary()),
                });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What has come by sync is to be taken back, too.
    fn keeps_what_came(&self, seen: &Seen) {
        let came = |id: &EventId| seen.served.contains(id) && !self.had.direct.contains(id);
        let came = self.cast.minted().iter().filter(|minted| came(&minted.event.id));
        came.for_each(|minted| self.ctx.keeps(&minted.signed));
    }
}
