//! Ways in which the shell around the planner can be wrong: the simulation has to find each of them.

/// What the shell does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breakage {
    /// The ends of histories are not reported on any connection but the first.
    EndsAreLostAfterReconnects,
    /// What was refused once counts as had for ever, and is not kept.
    RefusedForEver,
    /// The planner is not told of root events.
    RootsAreWithheld,
    /// Nobody looks again at what was refused when something arrives.
    ArrivalsAreWithheld,
    /// Subscriptions are not closed.
    NothingIsClosed,
    /// Ids and signatures are not verified.
    NothingIsVerified,
    /// The planner is not woken.
    NobodyIsWoken,
    /// The hunt is not told of what waits.
    WaitingIsWithheld,
}
