//! A case: what is sent, what a robust server does, what it may cost, and the lines that find out.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::ground::Ground;
use super::meter::Load;
use crate::check::CheckResult;
use crate::report::outcome::Outcome;

/// How long a case may take unless it says otherwise.
const DEFAULT_BOUND: Duration = Duration::from_secs(120);
/// How many remarks of a kind a case keeps; the rest is counted.
const MAX_REMARKS: usize = 12;
/// How many characters of a remark are kept.
const MAX_REMARK: usize = 400;

/// Which door of the server a case knocks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// HTTP itself: targets, heads, framing, bodies, slow clients.
    Http,
    /// Git smart HTTP: pkt-lines, negotiation, packs, refs.
    Git,
    /// The relay: JSON, events, queries, reconciliation, WebSocket frames.
    Relay,
}

impl Area {
    /// All of them, in the order in which their cases run.
    pub const ALL: [Self; 3] = [Self::Http, Self::Git, Self::Relay];

    /// What the ids of its cases begin with: `H/http`.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Http => "H/http",
            Self::Git => "H/git",
            Self::Relay => "H/relay",
        }
    }

    /// In words.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Http => "HTTP: targets, heads, framing, bodies, slow clients",
            Self::Git => "git: pkt-lines, negotiation, packs, refs",
            Self::Relay => "relay: messages, events, queries, WebSocket frames",
        }
    }
}

type Run = Arc<dyn Fn(Ground) -> BoxFuture<'static, CheckResult<Findings>> + Send + Sync>;

/// One case.
#[derive(Clone)]
pub struct Case {
    /// Unique: `H/http/path-traversal`.
    pub id: String,
    /// Which door.
    pub area: Area,
    /// What is sent, in a sentence without a full stop.
    pub sends: &'static str,
    /// What a robust server does, in a sentence without a full stop.
    pub robust: &'static str,
    /// What it costs at most.
    pub load: Load,
    /// How long it may take.
    pub bound: Duration,
    /// Whether it mostly waits, because its client is slow on purpose.
    pub waits: bool,
    run: Run,
}

impl Case {
    /// A case called `<area>/<name>`.
    pub fn new<F, Fut>(
        area: Area,
        name: &str,
        sends: &'static str,
        robust: &'static str,
        load: Load,
        run: F,
    ) -> Self
    where
        F: Fn(Ground) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = CheckResult<Findings>> + Send + 'static,
    {
        Self {
            id: format!("{}/{name}", area.id()),
            area,
            sends,
            robust,
            load,
            bound: DEFAULT_BOUND,
            waits: false,
            run: Arc::new(move |ground| Box::pin(run(ground))),
        }
    }

    /// May take up to `bound`.
    #[must_use]
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// Mostly waits.
    #[must_use]
    pub fn waits(mut self) -> Self {
        self.waits = true;
        self
    }

    /// Starts it.
    #[must_use]
    pub fn start(&self, ground: Ground) -> BoxFuture<'static, CheckResult<Findings>> {
        (self.run)(ground)
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How a server stood a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Grade {
    /// It did what a robust server does.
    Robust,
    /// It came to no harm, and something about it could be better.
    Tolerable {
        /// What, one remark a line.
        remarks: Vec<String>,
    },
    /// It took what it should not take, said nothing, or stopped serving others.
    Weak {
        /// What it did, one thing a line.
        seen: Vec<String>,
        /// What else could be better.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remarks: Vec<String>,
    },
    /// Nothing was found out, and that is no fault.
    Skip {
        /// Why not.
        why: String,
    },
    /// The case itself could not be carried out.
    Error {
        /// What stood in its way.
        text: String,
    },
}

impl Grade {
    /// The grade in a word.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Robust => "robust",
            Self::Tolerable { .. } => "tolerable",
            Self::Weak { .. } => "WEAK",
            Self::Skip { .. } => "skip",
            Self::Error { .. } => "ERROR",
        }
    }

    /// The outcome of a check that has the same colour.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Robust => Outcome::Pass,
            Self::Tolerable { .. } => Outcome::Warn,
            Self::Weak { .. } => Outcome::Fail,
            Self::Skip { .. } => Outcome::Skip,
            Self::Error { .. } => Outcome::Error,
        }
    }

    /// What is to be read about it: headings with their texts.
    #[must_use]
    pub fn told(&self) -> Vec<(&'static str, &[String])> {
        let one = std::slice::from_ref;
        let told: [(&'static str, &[String]); 2] = match self {
            Self::Robust => [("", &[]), ("", &[])],
            Self::Tolerable { remarks } => [("Remarks", remarks), ("", &[])],
            Self::Weak { seen, remarks } => [("This one", seen), ("Remarks", remarks)],
            Self::Skip { why } => [("Left out", one(why)), ("", &[])],
            Self::Error { text } => [("What stood in its way", one(text)), ("", &[])],
        };
        told.into_iter().filter(|(_, texts)| !texts.is_empty()).collect()
    }
}

/// What came back during a case: how often which answer, and what was not robust about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    tally: BTreeMap<String, usize>,
    remarks: Remarks,
    weak: Remarks,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Remarks {
    kept: Vec<String>,
    more: usize,
}

impl Remarks {
    fn add(&mut self, text: String) {
        let text: String = text.chars().take(MAX_REMARK).collect();
        if self.kept.contains(&text) {
            return;
        }
        if self.kept.len() < MAX_REMARKS {
            self.kept.push(text);
        } else {
            self.more += 1;
        }
    }

    fn told(mut self) -> Vec<String> {
        if self.more > 0 {
            self.kept.push(format!("… and {} more", self.more));
        }
        self.kept
    }
}

impl Findings {
    /// Nothing found yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The server answered one input as a robust one does; `seen` in few words, they are counted: `HTTP 400`.
    pub fn robust(&mut self, seen: impl Into<String>) {
        *self.tally.entry(seen.into()).or_default() += 1;
    }

    /// The server came to no harm, but could do better.
    pub fn tolerable(&mut self, input: &str, seen: impl fmt::Display) {
        *self.tally.entry("tolerable".to_owned()).or_default() += 1;
        self.remarks.add(format!("{input}: {seen}"));
    }

    /// The server did what it must not do.
    pub fn weak(&mut self, input: &str, seen: impl fmt::Display) {
        *self.tally.entry("weak".to_owned()).or_default() += 1;
        self.weak.add(format!("{input}: {seen}"));
    }

    /// Whether nothing was found: a case that looks at nothing proves nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tally.is_empty()
    }

    /// What the server did, in a line: `HTTP 400 (31), HTTP 404 (12)`.
    #[must_use]
    pub fn told(&self) -> String {
        let counted = self.tally.iter().map(|(seen, count)| match count {
            1 => seen.clone(),
            _ => format!("{seen} ({count})"),
        });
        counted.collect::<Vec<_>>().join(", ")
    }

    /// The worst of what was found.
    #[must_use]
    pub fn grade(self) -> Grade {
        let (seen, remarks) = (self.weak.told(), self.remarks.told());
        if !seen.is_empty() {
            Grade::Weak { seen, remarks }
        } else if !remarks.is_empty() {
            Grade::Tolerable { remarks }
        } else if self.tally.is_empty() {
            Grade::Error { text: "the case found nothing out".to_owned() }
        } else {
            Grade::Robust
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides_and_remarks_are_bounded() {
        let mut findings = Findings::new();
        assert!(matches!(findings.clone().grade(), Grade::Error { .. }));
        findings.robust("HTTP 400");
        findings.robust("HTTP 400");
        findings.robust("HTTP 404");
        assert_eq!(findings.told(), "HTTP 400 (2), HTTP 404");
        assert_eq!(findings.clone().grade(), Grade::Robust);
        findings.tolerable("a", "b");
        findings.tolerable("a", "b");
        assert_eq!(findings.clone().grade(), Grade::Tolerable { remarks: vec!["a: b".to_owned()] });
        for number in 0..100 {
            findings.weak(&number.to_string(), "x".repeat(10_000));
        }
        let Grade::Weak { seen, remarks } = findings.grade() else { unreachable!() };
        assert_eq!((seen.len(), remarks.len()), (MAX_REMARKS + 1, 1));
        assert!(seen.iter().all(|text| text.len() <= MAX_REMARK));
    }
}
