//! A verdict without its words: what is counted, compared and shown in a cell.

use serde::{Deserialize, Serialize};

use crate::check::Verdict;

/// How something ended, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing was proved.
    Skip,
    /// It held.
    Pass,
    /// It held, with a remark.
    Warn,
    /// The check could not be carried out.
    Error,
    /// It did not hold.
    Fail,
}

impl Outcome {
    /// All of them, the worst first.
    pub const ALL: [Self; 5] = [Self::Fail, Self::Error, Self::Warn, Self::Pass, Self::Skip];

    /// Four letters for a column of the terminal; what asks for attention is in capitals.
    #[must_use]
    pub const fn mark(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Error => "ERR ",
        }
    }

    /// The word, as JSON has it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// A sign of its own shape, so that colour is never all that tells.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Pass => "✓",
            Self::Fail => "✗",
            Self::Skip => "–",
            Self::Warn => "!",
            Self::Error => "?",
        }
    }

    /// Whether the requirement is known to hold.
    #[must_use]
    pub const fn holds(self) -> bool {
        matches!(self, Self::Pass | Self::Warn)
    }
}

impl Verdict {
    /// The verdict without its words.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Pass => Outcome::Pass,
            Self::Fail { .. } => Outcome::Fail,
            Self::Skip { .. } => Outcome::Skip,
            Self::Warn { .. } => Outcome::Warn,
            Self::Error { .. } => Outcome::Error,
        }
    }
}

/// How many checks ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Passed.
    pub pass: usize,
    /// Failed.
    pub fail: usize,
    /// Proved nothing.
    pub skip: usize,
    /// Passed with a remark.
    pub warn: usize,
    /// Could not be carried out.
    pub error: usize,
}

impl Tally {
    /// Counts.
    #[must_use]
    pub fn of(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let mut tally = Self::default();
        for outcome in outcomes {
            *match outcome {
                Outcome::Pass => &mut tally.pass,
                Outcome::Fail => &mut tally.fail,
                Outcome::Skip => &mut tally.skip,
                Outcome::Warn => &mut tally.warn,
                Outcome::Error => &mut tally.error,
            } += 1;
        }
        tally
    }

    /// How many ended so.
    #[must_use]
    pub const fn count(&self, outcome: Outcome) -> usize {
        match outcome {
            Outcome::Pass => self.pass,
            Outcome::Fail => self.fail,
            Outcome::Skip => self.skip,
            Outcome::Warn => self.warn,
            Outcome::Error => self.error,
        }
    }

    /// All.
    #[must_use]
    pub const fn all(&self) -> usize {
        self.pass + self.fail + self.skip + self.warn + self.error
    }

    /// Those that were examined or should have been: all but what was skipped.
    #[must_use]
    pub const fn asked(&self) -> usize {
        self.all() - self.skip
    }

    /// Those of which it is known that they hold.
    #[must_use]
    pub const fn holding(&self) -> usize {
        self.pass + self.warn
    }

    /// The outcome of all together: the worst one; what was skipped counts only when nothing else is there.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let worst = Outcome::ALL.into_iter().find(|outcome| self.count(*outcome) > 0);
        worst.unwrap_or(Outcome::Skip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides_and_skips_do_not() {
        assert_eq!(Tally::of([Outcome::Pass, Outcome::Skip]).outcome(), Outcome::Pass);
        assert_eq!(Tally::of([Outcome::Pass, Outcome::Error, Outcome::Fail]).outcome(), Outcome::Fail);
        assert_eq!(Tally::of([Outcome::Skip]).outcome(), Outcome::Skip);
        assert_eq!(Tally::of([]).outcome(), Outcome::Skip);
        let tally = Tally::of([Outcome::Pass, Outcome::Warn, Outcome::Skip, Outcome::Error]);
        assert_eq!((tally.asked(), tally.holding(), tally.all()), (3, 2, 4));
    }
}
