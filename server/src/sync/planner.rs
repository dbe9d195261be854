//! The planner: told what has happened and when, it says what to do about other relays.
//!
//! One value, owned by one task. It never asks anything: time and chance are arguments, everything else is an
//! [`Input`]. What an input costs grows with what it changes, not with what is known.

use rand::RngCore;

use super::input::{Action, Input};
use super::millis::Millis;
use super::settings::Settings;
use super::status::{RelayStatus, Totals};

/// See the module.
#[derive(Debug)]
pub struct Planner {
    settings: Settings,
    started: Millis,
}

impl Planner {
    /// A planner that knows nothing yet, at the start of the server. The engine then tells it, in this order, what is
    /// known ([`Input::RepositoryKnown`], [`Input::RootSeen`]), and afterwards what happens.
    #[must_use]
    pub fn new(settings: Settings, now: Millis) -> Self {
        Self { settings, started: now }
    }

    /// Takes in what has happened, and returns what to do, in order.
    ///
    /// `rng` is asked for jitter only: the same inputs with the same generator give the same actions.
    pub fn handle(&mut self, input: Input, now: Millis, rng: &mut dyn RngCore) -> Vec<Action> {
        let _ = (input, now, rng, &self.settings, self.started);
        Vec::new()
    }

    /// When [`Input::Tick`] is due next; `None`: only when something happens. Ask again after each [`Self::handle`].
    #[must_use]
    pub fn next_wake(&self) -> Option<Millis> {
        None
    }

    /// How each relay stands, in the order of their URLs.
    pub fn relays(&self) -> impl Iterator<Item = RelayStatus> + '_ {
        std::iter::empty()
    }

    /// How everything stands.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals::default()
    }
}
