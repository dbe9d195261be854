//! A check: one sentence, the requirement it proves, and the few lines that prove it.
//!
//! A check's function returns `Ok(())` when the requirement held, or ends early with an [`Ending`] through `?`.
//! It never formats a report and never catches its own errors: the runner does both.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::catalogue::{self, Level, Requirement};
use crate::context::Context;

/// How long a check may take unless it says otherwise.
pub const DEFAULT_BOUND: Duration = Duration::from_secs(60);

/// What a check needs beyond a reachable server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// Tens of minutes: runs only with `--patient`.
    pub patient: bool,
    /// An optional member of the family, `GRASP-06`: runs only when `supported_grasps` lists it.
    pub grasp: Option<&'static str>,
}

/// Why a check ended before its last line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The server did something else than the requirement asks for.
    Fail {
        /// What should have come back.
        expected: String,
        /// What came back.
        seen: String,
    },
    /// Nothing was proved, and that is no fault: a limit, an option that is off.
    Skip(String),
    /// The requirement holds, but somebody should look at this.
    Warn(String),
    /// The auditor's own machine is at fault: no git, no disk, no network.
    CannotRun(String),
}

/// What a check's function returns.
pub type CheckResult<T = ()> = Result<T, Ending>;

/// Ends the check with a failure unless `condition` holds.
///
/// # Errors
/// [`Ending::Fail`] when it does not.
pub fn expect(condition: bool, expected: impl Into<String>, seen: impl fmt::Display) -> CheckResult {
    if condition { Ok(()) } else { Err(fail(expected, seen)) }
}

/// Ends the check with a failure unless both are equal.
///
/// # Errors
/// [`Ending::Fail`] when they differ.
pub fn expect_eq<T: PartialEq + fmt::Debug>(what: &str, expected: &T, seen: &T) -> CheckResult {
    expect(expected == seen, format!("{what}: {expected:?}"), format!("{seen:?}"))
}

/// The failure itself, for `ok_or_else` and `return Err(…)`.
#[must_use]
pub fn fail(expected: impl Into<String>, seen: impl fmt::Display) -> Ending {
    Ending::Fail { expected: expected.into(), seen: seen.to_string() }
}

/// Nothing to prove here, for `return Err(skip(…))`.
#[must_use]
pub fn skip(why: impl Into<String>) -> Ending {
    Ending::Skip(why.into())
}

type Run = Arc<dyn Fn(Context) -> BoxFuture<'static, CheckResult> + Send + Sync>;

/// One check of the suite.
#[derive(Clone)]
pub struct Check {
    /// Unique, begins with the requirement: `G01/cors/origin/on-404`.
    pub id: String,
    /// Identifier of the catalogue row it proves.
    pub requirement: &'static str,
    /// One sentence: what is sent and what must come back.
    pub title: String,
    /// What it needs.
    pub needs: Needs,
    /// How long it may take.
    pub bound: Duration,
    run: Run,
}

impl Check {
    /// A check of `requirement`, called `<requirement>/<name>`.
    pub fn new<F, Fut>(requirement: &'static str, name: &str, title: impl Into<String>, run: F) -> Self
    where
        F: Fn(Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = CheckResult> + Send + 'static,
    {
        Self {
            id: format!("{requirement}/{name}"),
            requirement,
            title: title.into(),
            needs: Needs::default(),
            bound: DEFAULT_BOUND,
            run: Arc::new(move |context| Box::pin(run(context))),
        }
    }

    /// Runs only with `--patient`; may take up to `bound`.
    #[must_use]
    pub fn patient(mut self, bound: Duration) -> Self {
        self.needs.patient = true;
        self.bound = bound;
        self
    }

    /// May take up to `bound`.
    #[must_use]
    pub fn bound(mut self, bound: Duration) -> Self {
        self.bound = bound;
        self
    }

    /// Runs only when the server says that it supports this member of the family.
    #[must_use]
    pub fn only_with(mut self, grasp: &'static str) -> Self {
        self.needs.grasp = Some(grasp);
        self
    }

    /// The catalogue row; a unit test proves that every check has one.
    #[must_use]
    pub fn row(&self) -> Option<&'static Requirement> {
        catalogue::requirement(self.requirement)
    }

    /// How binding the requirement is.
    #[must_use]
    pub fn level(&self) -> Level {
        self.row().map_or(Level::Seed, |row| row.level)
    }

    /// Starts the check.
    #[must_use]
    pub fn start(&self, context: Context) -> BoxFuture<'static, CheckResult> {
        (self.run)(context)
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The requirement held.
    Pass,
    /// It did not.
    Fail {
        /// What should have come back.
        expected: String,
        /// What came back.
        seen: String,
    },
    /// Nothing was proved.
    Skip {
        /// Why not.
        why: String,
    },
    /// It held, with a remark.
    Warn {
        /// The remark.
        text: String,
    },
    /// The check itself could not be carried out.
    Error {
        /// What stood in its way.
        text: String,
    },
}

impl From<CheckResult> for Verdict {
    fn from(result: CheckResult) -> Self {
        match result {
            Ok(()) => Self::Pass,
            Err(Ending::Fail { expected, seen }) => Self::Fail { expected, seen },
            Err(Ending::Skip(why)) => Self::Skip { why },
            Err(Ending::Warn(text)) => Self::Warn { text },
            Err(Ending::CannotRun(text)) => Self::Error { text },
        }
    }
}

impl From<grasp_fixtures::GitError> for Ending {
    fn from(error: grasp_fixtures::GitError) -> Self {
        match error {
            // what a check asks of a clone, and what is not there, is the server's doing
            grasp_fixtures::GitError::Failed(output) => {
                fail(format!("`git {}` succeeds", output.args.join(" ")), output)
            }
            other => Self::CannotRun(other.to_string()),
        }
    }
}
