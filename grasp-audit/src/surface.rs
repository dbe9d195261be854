//! What a server shows to the outside, written down in a normal form: a change of any of it can be seen, reviewed, and
//! held against another server.
//!
//! What varies between two looks at the same server (ids, dates, ports, names of our own making) is replaced by a name
//! in angle brackets, so two recordings of a server that has not changed are the same bytes. Every entry says which
//! requirements it touches.

mod advertisements;
mod closes;
pub mod difference;
mod events;
mod information;
mod messages;
mod pushes;
mod redaction;
mod routes;
mod world;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::world::World;
use crate::catalogue;
use crate::document::Document;
use crate::runner::{Options, clean_up};
use crate::target::{Target, TargetError};

/// One thing that a server shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it is seen, unique: `http/GET /healthz`, `event/duplicate`.
    pub at: String,
    /// The requirements it touches; none for what the catalogue leaves free.
    pub requirements: Vec<String>,
    /// What is seen there.
    pub seen: Value,
}

impl Entry {
    fn new(at: impl Into<String>, requirements: &[&str], seen: Value) -> Self {
        let requirements = requirements.iter().map(|id| (*id).to_owned()).collect();
        Self { at: at.into(), requirements, seen }
    }

    /// The part of the surface it belongs to: `http`, `event`.
    #[must_use]
    pub fn part(&self) -> &str {
        self.at.split('/').next().unwrap_or_default()
    }
}

/// A server's surface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Surface {
    /// [`Surface::FORMAT`].
    pub format: String,
    /// [`Surface::SCHEMA`] of the suite that wrote it.
    pub schema: u32,
    /// Version of the suite.
    pub suite: String,
    /// Revision of the catalogue.
    pub catalogue: String,
    /// The server's URL.
    pub url: String,
    /// Everything that was looked at, in the order in which it was.
    pub entries: Vec<Entry>,
}

impl Document for Surface {
    const FORMAT: &'static str = "grasp-audit/surface";
    const SCHEMA: u32 = 1;
    const MADE_BY: &'static str = "`grasp-audit snapshot URL --out FILE`";
}

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
pub enum SurfaceError {
    /// The server cannot be reached.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The auditor's own machine is at fault.
    #[error("{0}")]
    CannotRun(String),
}

impl Surface {
    /// Looks at the server at `url`, part by part; `told` hears the name of each as it begins. Of the options, the owner,
    /// the prefix of identifiers, certificates, patience and cleanup count. It publishes a few dozen events and makes
    /// a few repositories, and deletes them at the end.
    ///
    /// # Errors
    /// When the server cannot be reached, or git cannot run here. A server that refuses things is no error.
    pub async fn record(url: &str, options: &Options, told: impl Fn(&str)) -> Result<Self, SurfaceError> {
        let target = Target::discover(url, options.ca.clone()).await?.with_patience(options.patience);
        let world = World::new(Arc::new(target), options);
        let recorded = Self::entries(&world, told).await;
        if options.cleanup {
            clean_up(&world.target, &world.ledger, true).await;
        }
        Ok(Self {
            format: Self::FORMAT.to_owned(),
            schema: Self::SCHEMA,
            suite: crate::VERSION.to_owned(),
            catalogue: catalogue::REVISION.to_owned(),
            url: world.target.url.base(),
            entries: recorded?,
        })
    }

    async fn entries(world: &World, told: impl Fn(&str)) -> Result<Vec<Entry>, SurfaceError> {
        told("the relay information document");
        let mut entries = information::entries(world);
        told("routes and methods");
        entries.extend(routes::entries(world).await?);
        told("advertisements");
        entries.extend(advertisements::entries(world).await?);
        told("refusals of pushes");
        entries.extend(pushes::entries(world).await?);
        told("answers to events");
        entries.extend(events::entries(world).await?);
        told("answers to malformed messages");
        entries.extend(messages::entries(world).await);
        told("close codes");
        entries.extend(closes::entries(world).await);
        Ok(entries)
    }

    /// The entries of one part: `http`.
    pub fn part<'a>(&'a self, part: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.part() == part)
    }

    /// The whole recording as JSON, with a line break at its end.
    ///
    /// # Errors
    /// Never in practice: every field is plain data.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
