//! The whole server: opens the rooms, connects them, and closes them in good order.

mod doors;
mod figures;
mod folders;
mod overview;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nostr::key::Keys;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::archive::Archive;
use crate::admission::curation::Curation;
use crate::clock::Clock;
use crate::config::{Backend, Config};
use crate::git::contributions::Contributions;
use crate::git::fetch::FetchLimits;
use crate::git::host::Host;
use crate::git::{GitLimits, GitService};
use crate::house::{Bounds, House, HouseError, OpenError, Plan};
use crate::http::{About, Door, Limits as DoorLimits, Services};
use crate::intake::Funnel;
use crate::nip34::ServiceDomain;
use crate::outbound::{Outbound, Reach};
use crate::owner_key::{self, OwnerKeyError};
use crate::purgatory::Patience;
use crate::relay::feed::Feed;
use crate::relay::limits::Limits;
use crate::relay::nip11::Description;
use crate::relay::{Relay, RelayParts};
use crate::store::{EventStore, tables::Tables};
use crate::sync::engine::{ProactiveSync, SyncParts};
use crate::sync::relay_client::ClientLimits;
use crate::sync::{RelayUrl, Settings};

use doors::{GitRoom, Pages, RelayRoom};
pub use folders::FolderError;
use folders::Folders;
use overview::{Outlook, Rooms, Standing};

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {0}: {1}; stop what listens there, or set NGIT_BIND_ADDRESS to another address"
    )]
    Bind(SocketAddr, std::io::Error),
    /// There is no key for the relay's owner.
    #[error(transparent)]
    OwnerKey(#[from] OwnerKeyError),
    /// A folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The event database does not open.
    #[error(
        "the databases in {folder} do not open: {source}; set NGIT_RELAY_DATA_PATH to a folder that this user may write, with \
         databases of this server or none"
    )]
    Databases {
        /// Where they are.
        folder: PathBuf,
        /// What the database said.
        source: HouseError,
    },
    /// What is stored cannot be read back.
    #[error(transparent)]
    House(#[from] OpenError),
}

/// Starts servers.
#[derive(Debug)]
pub struct Server;

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    door: Door,
    config: Config,
    service: ServiceDomain,
    house: Arc<House>,
    git: Arc<GitService>,
    stop: CancellationToken,
    expiry: JoinHandle<()>,
    sync: Option<ProactiveSync>,
    _folders: Folders,
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config) -> Result<Running, StartError> {
        Self::start_at(config, Clock::system()).await
    }

    /// Starts a server that goes by a clock of the caller's.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_at(config: Config, clock: Clock) -> Result<Running, StartError> {
        // Before anything is made: a start in vain leaves nothing.
        let failed = |failed| StartError::Bind(config.bind_address, failed);
        let listener = TcpListener::bind(config.bind_address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let keys = owner_key::load_or_create(config.relay_owner_nsec.as_ref(), Path::new("."))?;
        let service = config.domain_at(bound);

        let folders = Folders::prepare(&config)?;
        let unopened = |source| StartError::Databases { folder: config.relay_data_path.clone(), source };
        let (store, tables) = open_stores(&config).await.map_err(unopened)?;
        let feed = Arc::new(Feed::new(clock.clone()));
        let curation = curation(&config);
        let plan = Plan {
            service: service.clone(),
            git_data: folders.git_data().to_owned(),
            curation: curation.clone(),
            patience: Patience {
                events: config.purgatory_expiry.as_secs(),
                uploads: config.nostr_ref_expiry.as_secs(),
                retired: config.deletion_retention.as_secs(),
                ..Patience::default()
            },
            bounds: Bounds {
                waiting_events: config.max_purgatory_events,
                unsigned_bytes: config.max_unsigned_bytes,
                ..Bounds::default()
            },
            contributions: config.grasp06_enable,
            clock: clock.clone(),
        };
        let house = House::open(plan, store.clone(), tables, Arc::clone(&feed)).await?;

        let stop = CancellationToken::new();
        let limits = relay_limits(&config);
        let about = Description {
            name: config.relay_name.clone(),
            description: config.relay_description.clone(),
            owner: Some(keys.public_key()),
            icon: Some(format!("{}/icon.svg", service.http_url())),
            curation: curation.summary(),
            acceptance: acceptance(&curation, &service),
            grasps: grasps(&config, &curation.archive),
            ..Description::default()
        };
        let nip11 = crate::relay::nip11::document(&about, &limits).to_string();
        let relay = Relay::new(RelayParts {
            store,
            feed,
            intake: Arc::new(Funnel(Arc::clone(&house))),
            limits,
            clock,
            url: service.relay_url(),
            shutdown: stop.clone(),
            meters: Arc::clone(house.meters()),
        });
        let gate = Arc::new(Host(Arc::clone(&house)));
        let git = GitService::new(gate, git_limits(&config), stop.clone(), TaskTracker::new());
        let git = Arc::new(git.metered(Arc::clone(house.meters())));
        let contributions = Contributions(Arc::clone(&house));
        let contributions = config.grasp06_enable.then(|| Arc::new(git.over(Arc::new(contributions))));
        let owner = keys.public_key();
        let sync = config.sync_enable.then(|| start_sync(&config, &service, &house, keys, &stop));
        let overview = Arc::new(Outlook::new(Rooms {
            house: Arc::clone(&house),
            relay: Arc::clone(&relay),
            git: Arc::clone(&git),
            standing: sync.as_ref().map(Standing::of),
            metrics: config.metrics_enabled,
        }));
        let services = Services {
            relay: Arc::new(RelayRoom { relay, nip11: nip11.into() }),
            git: Arc::new(GitRoom { git: Arc::clone(&git), contributions, house: Arc::clone(&house) }),
            repositories: Arc::new(Pages(Arc::clone(&house))),
            overview,
            about: About {
                domain: service.clone(),
                name: config.relay_name.clone(),
                description: config.relay_description.clone(),
                owner,
                contributions: config.grasp06_enable,
            },
            trusted_proxies: config.trusted_proxy_cidrs.clone().into(),
        };
        let door_limits = DoorLimits {
            connections: config.max_connections,
            connections_per_address: config.max_connections_per_address,
            ..DoorLimits::default()
        };
        let expiry = tokio::spawn(Arc::clone(&house).expire_until(stop.clone()));
        let door = Door::open(listener, services, door_limits).map_err(failed)?;
        Ok(Running { door, config, service, house, git, stop, expiry, sync, _folders: folders })
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// Proactive sync, if it is on (`NGIT_SYNC_ENABLE`).
    #[must_use]
    pub const fn sync(&self) -> Option<&ProactiveSync> {
        self.sync.as_ref()
    }

    /// The name under which announcements list it.
    #[must_use]
    pub const fn service(&self) -> &ServiceDomain {
        &self.service
    }

    /// Stops: nothing new begins, what runs may finish within the configured grace, the stores are closed.
    pub async fn stop(self) {
        self.stop.cancel();
        let grace = self.config.shutdown_grace;
        let sync = async {
            if let Some(sync) = self.sync {
                sync.stop(grace).await;
            }
        };
        let (closed, ()) = tokio::join!(self.door.close(grace), sync);
        if !closed {
            tracing::warn!("the time to stop was over before everything had finished");
        }
        self.git.tasks.close();
        if tokio::time::timeout(self.config.shutdown_grace, self.git.tasks.wait()).await.is_err() {
            tracing::warn!("a push was still running; what it had been told stands");
        }
        // Operations that have begun are short and decide what was promised: they end before the stores close.
        self.house.rest().await;
        let _ = self.expiry.await;
    }
}

async fn open_stores(config: &Config) -> Result<(EventStore, Tables), HouseError> {
    match config.database_backend {
        Backend::Memory => Ok((EventStore::memory(), Tables::memory())),
        Backend::Lmdb => {
            let store = EventStore::lmdb(&config.relay_data_path.join("events")).await?;
            let tables = Tables::lmdb(&config.relay_data_path.join("grasp"))?;
            Ok((store, tables))
        }
    }
}

fn curation(config: &Config) -> Curation {
    Curation {
        repository_whitelist: config.repository_whitelist.clone(),
        repository_blacklist: config.repository_blacklist.clone(),
        event_blacklist: config.event_blacklist.clone(),
        archive: Archive {
            all: config.archive_all,
            rules: config.archive_whitelist.clone(),
            services: config.archive_grasp_services.clone(),
            read_only: config.archive_read_only,
        },
    }
}

fn acceptance(curation: &Curation, service: &ServiceDomain) -> String {
    let who = if curation.repository_whitelist.is_empty() {
        "Any repository whose announcement lists"
    } else {
        "Repositories on the operator's list whose announcement lists"
    };
    let archived = curation.archive.summary();
    let archived = archived
        .map(|which| format!(" Of repositories that do not list it, copies are kept (GRASP-05): {which}."));
    format!(
        "{who} {}/<npub>/<identifier>.git in `clone` and {} in `relays`.{}",
        service.http_url(),
        service.relay_url(),
        archived.unwrap_or_default()
    )
}

fn grasps(config: &Config, archive: &Archive) -> Vec<String> {
    let optional = [(config.sync_enable, "02"), (archive.is_on(), "05"), (config.grasp06_enable, "06")];
    let optional = optional.into_iter().filter_map(|(is_on, number)| is_on.then_some(number));
    ["01"].into_iter().chain(optional).map(|number| format!("GRASP-{number}")).collect()
}

fn start_sync(
    config: &Config,
    service: &ServiceDomain,
    house: &Arc<House>,
    keys: Keys,
    stop: &CancellationToken,
) -> ProactiveSync {
    let named = config.sync_bootstrap_relays.iter().map(|relay| relay.as_str().to_owned());
    // What lists an archived service is announced on that service's relay.
    let archived = config.archive_grasp_services.iter().map(ServiceDomain::relay_url);
    let settings = Settings {
        bootstrap: named.chain(archived).filter_map(|relay| RelayUrl::parse(&relay).ok()).collect(),
        base_backoff: config.sync_base_backoff,
        max_backoff: config.sync_max_backoff,
        disconnect_check: config.sync_disconnect_check_interval,
        startup_delay: config.sync_startup_delay,
        startup_jitter: config.sync_startup_jitter,
        negentropy: !config.sync_disable_negentropy,
        ..Settings::new(service.clone())
    };
    let reach = Reach::of(service, config.sync_allow_non_global_targets);
    tracing::info!(?reach, bootstrap = settings.bootstrap.len(), "proactive sync starts");
    let parts = SyncParts {
        house: Arc::clone(house),
        intake: Arc::new(Funnel(Arc::clone(house))),
        outbound: Outbound::new(reach),
        keys,
        settings,
        batch_window: config.sync_batch_window,
        relays: ClientLimits { message_bytes: config.max_message_bytes, ..ClientLimits::default() },
        git: FetchLimits { pack_bytes: config.max_push_bytes, ..FetchLimits::default() },
    };
    ProactiveSync::start(parts, stop.child_token())
}

fn relay_limits(config: &Config) -> Limits {
    Limits {
        max_message_length: config.max_message_bytes,
        max_subscriptions: config.max_subscriptions,
        max_filters: config.max_filters,
        max_limit: config.max_limit,
        default_limit: config.default_limit,
        events_per_minute: config.events_per_minute,
        events_per_minute_per_address: config.events_per_minute,
        queries_per_minute: config.queries_per_minute,
        queries_per_minute_per_address: config.queries_per_minute,
        max_connections: config.max_connections,
        max_connections_per_address: config.max_connections_per_address,
        queue_live_bytes: config.outgoing_queue_bytes,
        idle_ping: config.idle_ping,
        ..Limits::default()
    }
}

fn git_limits(config: &Config) -> GitLimits {
    GitLimits {
        max_push_bytes: config.max_push_bytes,
        max_fetches: config.max_concurrent_fetches,
        max_pushes: config.max_concurrent_pushes,
        shutdown_grace: config.shutdown_grace,
        ..GitLimits::default()
    }
}
