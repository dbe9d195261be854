//! A story is told to a server: each step is done, its answer and then everything the server shows is held against the
//! worlds that the model allows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grasp_fixtures::keys;

use super::cast::Cast;
use super::deed::{self, Answer, Deed};
use super::explain;
use super::generate::Scope;
use super::look::look;
use super::model::{Alternative, Coverage, Difference, Reply, Row, Seen, World};
use super::story::{Person, Step, Story};
use super::sync::{self, Peers};
use crate::check::{CheckResult, Ending};
use crate::context::{Context, Expiry};
use crate::ledger::Ledger;
use crate::report::Cleanup;
use crate::target::Target;
use crate::target::transcript::{Entry, Transcript};

/// How many worlds may be possible at once; past that the story ends undecided.
const MAX_WORLDS: usize = 96;

/// How often a limit on questions is answered by waiting: 1, 2, 4, … seconds.
const MAX_BACKOFFS: u32 = 5;

/// How stories are told.
#[derive(Debug, Clone)]
pub struct Telling {
    /// Keys are derived from this.
    pub seed: u64,
    /// Identifiers begin with this.
    pub prefix: String,
    /// How long the server may take to show what it has answered.
    pub settles: Duration,
    /// Delete afterwards what was published.
    pub cleanup: bool,
    /// The other servers of stories of two servers.
    pub peers: Arc<Peers>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Everything was as the model says.
    Held,
    /// Something was not.
    Broken(Break),
    /// A limit of the server stood in the way.
    Limited(String),
    /// The table leaves so much open here that nothing more can be said.
    Undecided,
    /// The auditor's own machine is at fault.
    CannotRun(String),
}

/// Where the server left the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// The position of the step, from 0.
    pub step: usize,
    /// What should have been.
    pub expected: String,
    /// What was.
    pub seen: String,
    /// The rows of the table that decided.
    pub rows: BTreeSet<Row>,
}

/// A story that was told.
#[derive(Debug)]
pub struct Told {
    /// How it ended.
    pub outcome: Outcome,
    /// A sentence for each step that was done, with the server's answer.
    pub sentences: Vec<String>,
    /// The rows that were exercised.
    pub coverage: Coverage,
    /// What became of the events that were published.
    pub cleanup: Cleanup,
    /// What went over the wire.
    pub transcript: Vec<Entry>,
}

impl Told {
    pub(super) fn untold(outcome: Outcome) -> Self {
        Self {
            outcome,
            sentences: Vec::new(),
            coverage: Coverage::default(),
            cleanup: Cleanup::default(),
            transcript: Vec::new(),
        }
    }
}

/// Tells a story to the server, with fresh identifiers.
pub async fn tell(target: &Arc<Target>, story: &Story, telling: &Telling) -> Told {
    if !story.contributors().is_empty() && Scope::of(target) == Scope::Core {
        return Told::untold(Outcome::Limited("the server does not list GRASP-06".to_owned()));
    }
    let name = format!("{}-{}", telling.prefix, keys::random_suffix(10));
    let cast = Cast::new(story, target.url.clone(), target.now(), telling.seed, &name);
    let (transcript, ledger) = (Arc::new(Transcript::new()), Arc::new(Ledger::default()));
    for person in Person::ALL {
        ledger.know(cast.keys(person));
    }
    let owner = cast.keys(Person::Alice).clone();
    let ctx =
        Context::new(target.clone(), owner, name, Expiry::default(), transcript.clone(), ledger.clone())
            .with_lodging(telling.peers.lodging.clone());
    let (outcome, sentences, coverage) = if story.two_servers {
        let (outcome, sentences) = sync::tell(&ctx, cast, story, telling).await;
        (outcome, sentences, Coverage::default())
    } else {
        let mut stage = Stage {
            ctx,
            cast,
            worlds: vec![World::default()],
            coverage: Coverage::default(),
            sentences: Vec::new(),
            settles: telling.settles,
            rows: BTreeSet::new(),
        };
        (stage.all(story).await, stage.sentences, stage.coverage)
    };
    let cleanup = crate::runner::clean_up(target, &ledger, telling.cleanup).await;
    Told { outcome, sentences, coverage, cleanup, transcript: transcript.entries() }
}

/// Why a story ends before its last step.
pub(super) enum End {
    Broken { expected: String, seen: String },
    Undecided,
    Limited(String),
    CannotRun(String),
}

impl From<Ending> for End {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Fail { expected, seen } => Self::Broken { expected, seen },
            Ending::Skip(why) | Ending::Warn(why) => Self::Limited(why),
            Ending::CannotRun(why) => Self::CannotRun(why),
        }
    }
}

impl End {
    /// What comes of the story; `rows` have decided its step number `step`.
    pub(super) fn outcome(self, step: usize, rows: BTreeSet<Row>) -> Outcome {
        match self {
            Self::Broken { expected, seen } => Outcome::Broken(Break { step, expected, seen, rows }),
            Self::Undecided => Outcome::Undecided,
            Self::Limited(why) => Outcome::Limited(why),
            Self::CannotRun(why) => Outcome::CannotRun(why),
        }
    }
}

struct Stage {
    ctx: Context,
    cast: Cast,
    worlds: Vec<World>,
    coverage: Coverage,
    sentences: Vec<String>,
    settles: Duration,
    /// The rows that decide the step in hand.
    rows: BTreeSet<Row>,
}

impl Stage {
    async fn all(&mut self, story: &Story) -> Outcome {
        for (position, step) in story.steps.iter().enumerate() {
            self.sentences.push(story.sentence(step));
            if let Err(end) = self.step(step).await {
                return end.outcome(position, std::mem::take(&mut self.rows));
            }
        }
        Outcome::Held
    }

    async fn step(&mut self, step: &Step) -> Result<(), End> {
        let first = &self.worlds[0];
        let Some(deed) = deed::of(step, &mut self.cast, first) else {
            self.answered("nothing to do");
            return Ok(());
        };
        let (rows, alternatives) = self.judge(&deed);
        self.rows.clone_from(&rows);
        let answer = self.done(&deed).await?;
        self.answered(&answer.words);
        let allowed: Vec<Alternative> =
            alternatives.iter().filter(|allowed| answer.is(allowed.reply)).cloned().collect();
        if allowed.is_empty() {
            let replies: BTreeSet<Reply> = alternatives.iter().map(|allowed| allowed.reply).collect();
            let expected = explain::replies(&replies, matches!(deed, Deed::Push(_)), &rows);
            return Err(End::Broken { expected, seen: answer.words });
        }
        self.worlds = self.agreed(&allowed, &rows).await?;
        self.coverage.count(&rows);
        if self.worlds.len() > MAX_WORLDS { Err(End::Undecided) } else { Ok(()) }
    }

    fn answered(&mut self, words: &str) {
        if let Some(sentence) = self.sentences.last_mut() {
            sentence.push_str(" → ");
            sentence.push_str(words);
        }
    }

    /// What may follow, in each of the possible worlds.
    fn judge(&self, deed: &Deed) -> (BTreeSet<Row>, Vec<Alternative>) {
        let mut alternatives: Vec<Alternative> = Vec::new();
        let mut rows = BTreeSet::new();
        for world in &self.worlds {
            let judgement = match deed {
                Deed::Publish(minted) => world.publish(&minted.event),
                Deed::Push(push) => world.push(&push.push),
            };
            if rows.is_empty() {
                rows = judgement.rows;
            }
            for alternative in judgement.alternatives {
                if !alternatives.contains(&alternative) {
                    alternatives.push(alternative);
                }
            }
        }
        (rows, alternatives)
    }

    async fn done(&self, deed: &Deed) -> CheckResult<Answer> {
        match deed {
            Deed::Publish(minted) => Ok(Answer::to_event(&self.ctx.publish(&minted.signed).await?)),
            Deed::Push(push) => push.send(&self.ctx, &self.cast).await,
        }
    }

    /// The worlds that the server shows, once it has come to rest.
    async fn agreed(&self, allowed: &[Alternative], rows: &BTreeSet<Row>) -> Result<Vec<World>, End> {
        let mut seen = self.seen().await?;
        let deadline = Instant::now() + self.ctx.target.patience.of(self.settles);
        let mut pause = Duration::from_millis(5);
        loop {
            let (worlds, differences) = agreeing(allowed.iter().map(|allowed| &allowed.world), &seen);
            if !worlds.is_empty() {
                return Ok(worlds);
            }
            if Instant::now() >= deadline {
                let (expected, seen) = explain::differences(&differences, &self.cast, rows);
                return Err(End::Broken { expected, seen });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
            seen = self.seen().await?;
        }
    }

    /// Looks; when the server limits questions, after a while again.
    async fn seen(&self) -> CheckResult<Seen> {
        for backoff in 0..MAX_BACKOFFS {
            match look(&self.ctx, &self.cast).await {
                Err(Ending::Skip(why)) => self.ctx.note(&format!("waiting: {why}")),
                seen => return seen,
            }
            tokio::time::sleep(Duration::from_secs(1 << backoff)).await;
        }
        look(&self.ctx, &self.cast).await
    }
}

/// The worlds that agree with what was seen; when none does, how the one that comes nearest differs.
pub(super) fn agreeing<'w>(
    allowed: impl IntoIterator<Item = &'w World>,
    seen: &Seen,
) -> (Vec<World>, Vec<Difference>) {
    let (mut worlds, mut nearest): (Vec<World>, Option<Vec<Difference>>) = (Vec::new(), None);
    for world in allowed {
        match world.agrees_with(seen) {
            Ok(world) if !worlds.contains(&world) => worlds.push(world),
            Ok(_) => {}
            Err(differences) => {
                if nearest.as_ref().is_none_or(|nearest| differences.len() < nearest.len()) {
                    nearest = Some(differences);
                }
            }
        }
    }
    (worlds, nearest.unwrap_or_default())
}
