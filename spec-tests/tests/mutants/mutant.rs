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
    pub(crate) affected: Vec<Affected>,
}

/// A mutant by a lying proxy.
pub(crate) fn proxy(
    name: &'static str,
    breaks: &'static str,
    what: &'static str,
    lies: impl Fn() -> Lies + Send + Sync + 'static,
) -> Mutant {
    let way = Way::Proxy(Box::new(lies));
    Mutant { name, breaks, what, way, settings: Vec::new(), patient: false, affected: Vec::new() }
}

/// A mutant by a fault of the server's test build.
pub(crate) fn fault(name: &'static str, breaks: &'static str) -> Mutant {
    let listed = FAULTS.iter().find(|(known, _)| *known == name);
    let (_, what) = listed.unwrap_or_else(|| panic!("server/src/fault.rs does not list {name}"));
    Mutant { name, breaks, what, way: Way::Fault, settings: Vec::new(), patient: false, affected: Vec::new() }
}

impl Mutant {
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

    /// With this variable in the server's environment.
    pub(crate) fn with(mut self, variable: &'static str, value: impl ToString) -> Self {
        self.settings.push((variable, value.to_string()));
        self
    }
}
