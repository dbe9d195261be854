//! A mutant: a server that breaks one requirement in one way, and nothing else.

use grasp_fixtures::faulty_proxy::Lies;
use grasp_server::fault::FAULTS;

/// How a mutant goes wrong.
pub(crate) enum Way {
    /// A proxy in front of an honest server lies.
    Proxy(Box<dyn Fn() -> Lies + Send + Sync>),
    /// The server itself does: the fault of the mutant's name in `server/src/fault.rs`.
    Fault,
}

/// Checks of other requirements that fail as well, because what is broken is part of what they do.
pub(crate) struct Affected {
    /// Ids of checks, as a pattern with `*`.
    pub(crate) checks: &'static str,
    /// Why they cannot but fail.
    pub(crate) because: &'static str,
}

/// One mutant.
pub(crate) struct Mutant {
    /// Unique.
    pub(crate) name: &'static str,
    /// The catalogue row it breaks.
    pub(crate) breaks: &'static str,
    /// What is wrong with it, as a sentence about the server.
    pub(crate) what: &'static str,
    pub(crate) way: Way,
    /// Variables of the server's environment.
    pub(crate) settings: Vec<(&'static str, String)>,
    /// The checks that wait for expiry are held against it too.
    pub(crate) patient: bool,
    /// Its server fetches from the auditor's peers.
    pub(crate) syncs: bool,
    /// The auditor is told that it archives this identifier.
    pub(crate) archives: Option<&'static str>,
    /// Each check has a server to itself.
    pub(crate) apart: bool,
    pub(crate) affected: Vec<Affected>,
}

/// A mutant by a lying proxy.
pub(crate) fn proxy(
    name: &'static str,
    breaks: &'static str,
    what: &'static str,
    lies: impl Fn() -> Lies + Send + Sync + 'static,
) -> Mutant {
    Mutant::new(name, breaks, what, Way::Proxy(Box::new(lies)))
}

/// A mutant by a fault of the server's test build.
pub(crate) fn fault(name: &'static str, breaks: &'static str) -> Mutant {
    let listed = FAULTS.iter().find(|(known, _)| *known == name);
    let (_, what) = listed.unwrap_or_else(|| panic!("server/src/fault.rs does not list {name}"));
    Mutant::new(name, breaks, what, Way::Fault)
}

impl Mutant {
    fn new(name: &'static str, breaks: &'static str, what: &'static str, way: Way) -> Self {
        let (settings, affected) = Default::default();
        Self {
            name,
            breaks,
            what,
            way,
            settings,
            patient: false,
            syncs: false,
            archives: None,
            apart: false,
            affected,
        }
    }

    /// Checks of other requirements that fail by nature, and the reason in words.
    pub(crate) fn affects(mut self, checks: &'static str, because: &'static str) -> Self {
        self.affected.push(Affected { checks, because });
        self
    }

    /// It is about what expires: it also meets the checks that wait for that.
    pub(crate) fn patient(mut self) -> Self {
        self.patient = true;
        self
    }

    /// It is about what peers have: its server fetches from them, and tries again soon.
    pub(crate) fn syncing(mut self) -> Self {
        self.syncs = true;
        self.with("NGIT_SYNC_ENABLE", true)
            .with("NGIT_TEST", true)
            .with("NGIT_SYNC_BASE_BACKOFF_SECS", 3)
            .with("NGIT_SYNC_DISCONNECT_CHECK_INTERVAL_SECS", 2)
    }

    /// The auditor is told that it archives this identifier, and nothing else.
    pub(crate) fn archiving(mut self, identifier: &'static str) -> Self {
        self.archives = Some(identifier);
        self
    }

    /// What the peers of one check do, it lets the others feel: each has a server to itself.
    pub(crate) fn apart(mut self) -> Self {
        self.apart = true;
        self
    }

    /// Whether its trial does little but wait.
    pub(crate) fn mostly_waits(&self) -> bool {
        self.patient || self.syncs
    }

    /// With this variable in the server's environment.
    pub(crate) fn with(mut self, variable: &'static str, value: impl ToString) -> Self {
        self.settings.push((variable, value.to_string()));
        self
    }
}
