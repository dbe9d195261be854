//! The settings of the server: one table from which flags, variables, defaults, help and `check-config` follow.
//!
//! The command line wins over the environment, the environment over `.env`, `.env` over the defaults; unset and empty
//! are the same. A first start needs nothing. Everything is checked before anything is opened, and all that is wrong
//! is told at once: which variable, what it got, what it could be. Pure: where values come from is passed in.

pub mod cli;
mod conflicts;
mod parse;
mod setting;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use crate::admission::rule::{NotARule, RepositoryRule};
pub use cli::Cli;
pub use setting::{ConfigError, EffectiveValue, Fallback, Origin, Setting};

use crate::nip34::ServiceDomain;
use crate::outbound::Destination;
use setting::Reader;

/// Where served events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// On disk, in LMDB: survives power loss.
    Lmdb,
    /// In memory: promises nothing across restarts and writes nothing to the relay path.
    Memory,
}

/// Where repositories are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitData {
    /// In this folder, made when missing.
    Path(PathBuf),
    /// In a temporary folder that goes at the end: the default when events are kept in memory.
    Temporary,
}

/// The private key of the relay's owner; never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnerSecret(pub nostr::key::SecretKey);

impl std::fmt::Debug for OwnerSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnerSecret(hidden)")
    }
}

/// Writes the struct, the table and the reading of it from one list.
macro_rules! settings {
    (@fallback default $text:literal) => { Fallback::Default($text) };
    (@fallback unset $text:literal) => { Fallback::Unset($text) };
    (@secret) => { false };
    (@secret secret) => { true };
    ($($heading:literal {$(
        $(#[doc = $help:literal])+
        $field:ident: $type:ty = $parse:expr, $name:literal <$value:literal>, $kind:ident $fallback:literal,
        example $example:literal $(, $secret:ident)?;
    )+})+) => {
        /// Every setting, checked.
        #[derive(Debug, Clone)]
        pub struct Config {$($(
            $(#[doc = $help])+
            #[doc = concat!("\n\nVariable `", $name, "`, ", stringify!($kind), ": ", $fallback, ".")]
            pub $field: $type,
        )+)+}

        /// The table of settings, in the order of the help.
        pub const SETTINGS: &[Setting] = &[$($(
            Setting {
                name: $name,
                heading: $heading,
                help: concat!($($help),+),
                value: $value,
                fallback: settings!(@fallback $kind $fallback),
                example: $example,
                secret: settings!(@secret $($secret)?),
            },
        )+)+];

        impl Config {
            /// `None` when something is wrong; the reader has kept what.
            fn read(reader: &mut Reader<'_>) -> Option<Self> {
                let mut table = SETTINGS.iter();
                $($( let $field = reader.read(table.next()?, $parse); )+)+
                Some(Self {$($( $field: $field?, )+)+})
            }
        }
    };
}

settings! {
    "Service" {
        /// Public name under which announcements list this service: host, and port unless 80 or 443
        domain: Option<ServiceDomain> = parse::optional(parse::domain),
            "NGIT_DOMAIN" <"DOMAIN">, unset "the bind address", example "git.example.org";
        /// Address and port to listen on; port 0 lets the system choose
        bind_address: SocketAddr = parse::address,
            "NGIT_BIND_ADDRESS" <"ADDRESS:PORT">, default "127.0.0.1:7334", example "0.0.0.0:7334";
        /// Name of the relay, shown on its pages and in NIP-11
        relay_name: String = parse::text,
            "NGIT_RELAY_NAME" <"TEXT">, default "GRASP server", example "Example's repositories";
        /// What the relay is for, shown on its pages and in NIP-11
        relay_description: String = parse::text,
            "NGIT_RELAY_DESCRIPTION" <"TEXT">,
            default "A Nostr relay and git host: pushes are authorised by signed events.",
            example "Repositories of the Example project";
        /// Private key of the relay's owner (nsec or hex)
        relay_owner_nsec: Option<OwnerSecret> = parse::optional(parse::secret_key),
            "NGIT_RELAY_OWNER_NSEC" <"NSEC">, unset ".relay-owner.nsec in the working directory, made at first start",
            example "nsec1…", secret;
        /// How much to log: error, warn, info, debug, trace, off, or directives such as `info,grasp_server=debug`
        log_level: String = parse::log_level,
            "NGIT_LOG_LEVEL" <"LEVEL">, default "info", example "info,grasp_server::relay=debug";
        /// Figures for monitoring systems (Prometheus) at /metrics, for everybody who reaches this server; false: 404
        metrics_enabled: bool = parse::switch,
            "NGIT_METRICS_ENABLED" <"true|false">, default "true", example "false";
        /// Seconds that running pushes are given to finish when the server stops
        shutdown_grace: Duration = parse::seconds(0, 3600),
            "NGIT_SHUTDOWN_GRACE_SECS" <"SECONDS">, default "30", example "30";
    }
    "Storage" {
        /// Folder of the repositories; with the memory backend a temporary folder unless given
        git_data_path: GitData = parse::git_data,
            "NGIT_GIT_DATA_PATH" <"FOLDER">, default "./data/git", example "/srv/grasp/git";
        /// Folder of the event databases
        relay_data_path: PathBuf = parse::path,
            "NGIT_RELAY_DATA_PATH" <"FOLDER">, default "./data/relay", example "/srv/grasp/relay";
        /// Where events are kept: lmdb (durable) or memory (gone at the end)
        database_backend: Backend = parse::backend,
            "NGIT_DATABASE_BACKEND" <"lmdb|memory">, default "lmdb", example "lmdb";
    }
    "Who and what is welcome" {
        /// Only these repositories are accepted: npub, npub/identifier or identifier, separated by commas
        repository_whitelist: Vec<RepositoryRule> = parse::rules,
            "NGIT_REPOSITORY_WHITELIST" <"RULES">, unset "everybody's", example "npub1…,npub1…/my-project,my-project";
        /// These repositories are refused: npub, npub/identifier or identifier, separated by commas
        repository_blacklist: Vec<RepositoryRule> = parse::rules,
            "NGIT_REPOSITORY_BLACKLIST" <"RULES">, unset "none", example "npub1…,npub1…/spam";
        /// Events of these authors or about these repositories are refused, by the same kind of rules
        event_blacklist: Vec<RepositoryRule> = parse::rules,
            "NGIT_EVENT_BLACKLIST" <"RULES">, unset "none", example "npub1…";
        /// Contributors may push pull requests to repositories of their own, below /prs/ (GRASP-06)
        grasp06_enable: bool = parse::switch,
            "NGIT_GRASP06_ENABLE" <"true|false">, default "false", example "true";
        /// Keep copies of all repositories that become known, also of those that do not list this service (GRASP-05)
        archive_all: bool = parse::switch,
            "NGIT_ARCHIVE_ALL" <"true|false">, default "false", example "true";
        /// Keep copies of these repositories, though they do not list this service, by the same kind of rules (GRASP-05)
        archive_whitelist: Vec<RepositoryRule> = parse::rules,
            "NGIT_ARCHIVE_WHITELIST" <"RULES">, unset "none", example "npub1…,npub1…/my-project,my-project";
        /// Keep copies of the repositories that list one of these GRASP services, and follow their relays (GRASP-05)
        archive_grasp_services: Vec<ServiceDomain> = parse::domains,
            "NGIT_ARCHIVE_GRASP_SERVICES" <"DOMAINS">, unset "none", example "git.example.org,grasp.example.net";
        /// Refuse pushes to such copies; with false, a signed state authorises them as it does everywhere
        archive_read_only: bool = parse::switch,
            "NGIT_ARCHIVE_READ_ONLY" <"true|false">, default "true", example "false";
        /// Networks of reverse proxies whose forwarding headers name the client, separated by commas
        trusted_proxy_cidrs: Vec<IpNet> = parse::networks,
            "NGIT_TRUSTED_PROXY_CIDRS" <"CIDRS">, unset "none: forwarding headers are ignored",
            example "127.0.0.1/32,10.0.0.0/8";
    }
    "Limits of connections" {
        /// Open connections, all clients together
        max_connections: usize = parse::count(1, 1_000_000),
            "NGIT_MAX_CONNECTIONS" <"COUNT">, default "4096", example "4096";
        /// Open connections of one address
        max_connections_per_address: usize = parse::count(1, 1_000_000),
            "NGIT_MAX_CONNECTIONS_PER_ADDRESS" <"COUNT">, default "1024", example "100";
        /// Seconds without a word after which a relay client is pinged; one that stays silent is dropped
        idle_ping: Duration = parse::seconds(1, 86_400),
            "NGIT_IDLE_PING_SECS" <"SECONDS">, default "60", example "60";
        /// Bytes that wait for a relay client that reads slowly
        outgoing_queue_bytes: usize = parse::size(64 << 10, 1 << 30),
            "NGIT_OUTGOING_QUEUE_BYTES" <"SIZE">, default "4MiB", example "4MiB";
    }
    "Limits of the relay" {
        /// Longest message of a relay client
        max_message_bytes: usize = parse::size(16 << 10, 256 << 20),
            "NGIT_MAX_MESSAGE_BYTES" <"SIZE">, default "4MiB", example "4MiB";
        /// Open subscriptions of one connection
        max_subscriptions: usize = parse::count(1, 100_000),
            "NGIT_MAX_SUBSCRIPTIONS" <"COUNT">, default "200", example "200";
        /// Filters in one REQ or COUNT
        max_filters: usize = parse::count(1, 10_000),
            "NGIT_MAX_FILTERS" <"COUNT">, default "100", example "100";
        /// Most events that one filter returns
        max_limit: usize = parse::count(1, 1_000_000),
            "NGIT_MAX_LIMIT" <"COUNT">, default "5000", example "5000";
        /// Events that a filter without a limit returns
        default_limit: usize = parse::count(1, 1_000_000),
            "NGIT_DEFAULT_LIMIT" <"COUNT">, default "500", example "500";
        /// Events that one address may publish in a minute, all of them at once if it likes
        events_per_minute: u32 = parse::rate(1_000_000_000),
            "NGIT_EVENTS_PER_MINUTE" <"COUNT">, default "60000", example "60000";
        /// Queries (REQ, COUNT, NEG-OPEN) that one address may ask in a minute
        queries_per_minute: u32 = parse::rate(1_000_000_000),
            "NGIT_QUERIES_PER_MINUTE" <"COUNT">, default "6000", example "6000";
    }
    "Limits of git" {
        /// Largest pack that a push may send
        max_push_bytes: u64 = parse::size(64 << 10, 1 << 50),
            "NGIT_MAX_PUSH_BYTES" <"SIZE">, default "2GiB", example "500MiB";
        /// Fetches served at the same time; more wait their turn
        max_concurrent_fetches: usize = parse::count(1, 10_000),
            "NGIT_MAX_CONCURRENT_FETCHES" <"COUNT">, default "32", example "32";
        /// Pushes taken at the same time; more wait their turn
        max_concurrent_pushes: usize = parse::count(1, 10_000),
            "NGIT_MAX_CONCURRENT_PUSHES" <"COUNT">, default "16", example "16";
        /// Disk space for uploads that no signed event has named yet
        max_unsigned_bytes: u64 = parse::size(0, 1 << 60),
            "NGIT_MAX_UNSIGNED_BYTES" <"SIZE">, default "10GiB", example "1GiB";
    }
    "Purgatory" {
        /// Seconds that an event waits for its git data
        purgatory_expiry: Duration = parse::seconds(1, 31_536_000),
            "NGIT_PURGATORY_EXPIRY_SECS" <"SECONDS">, default "1800", example "1800";
        /// Seconds that an upload under refs/nostr/ waits for its event
        nostr_ref_expiry: Duration = parse::seconds(1, 31_536_000),
            "NGIT_NOSTR_REF_EXPIRY_SECS" <"SECONDS">, default "1200", example "1200";
        /// Most events that wait at the same time
        max_purgatory_events: usize = parse::count(1, 100_000_000),
            "NGIT_MAX_PURGATORY_EVENTS" <"COUNT">, default "10000", example "10000";
    }
    "Retired repositories" {
        /// Days that the data of a repository is held after it was deleted, moved away or was sent away by a list
        deletion_retention: Duration = parse::days(0, 36_500),
            "NGIT_DELETION_RETENTION_DAYS" <"DAYS">, default "30", example "30";
    }
    "Proactive sync" {
        /// Fetch what other relays and git hosts have of the repositories here (GRASP-02); false: no outgoing connections
        sync_enable: bool = parse::switch,
            "NGIT_SYNC_ENABLE" <"true|false">, default "true", example "false";
        /// Relays that are always connected, to learn of repositories that list this service, separated by commas
        sync_bootstrap_relays: Vec<Destination> = parse::relay_urls,
            "NGIT_SYNC_BOOTSTRAP_RELAY_URL" <"URLS">, unset "none", example "wss://relay.example.org";
        /// Talk to loopback and private addresses as well as public ones; false: to public ones only
        sync_allow_non_global_targets: Option<bool> = parse::optional(parse::switch),
            "NGIT_SYNC_ALLOW_NON_GLOBAL_TARGETS" <"true|false">,
            unset "by NGIT_DOMAIN: a public service talks to public addresses, a loopback one to this machine only",
            example "true";
        /// Seconds until a relay that has failed is tried again; twice as long after each further failure
        sync_base_backoff: Duration = parse::seconds(1, 86_400),
            "NGIT_SYNC_BASE_BACKOFF_SECS" <"SECONDS">, default "5", example "5";
        /// The most seconds between two tries
        sync_max_backoff: Duration = parse::seconds(1, 86_400),
            "NGIT_SYNC_MAX_BACKOFF_SECS" <"SECONDS">, default "3600", example "3600";
        /// How often, in seconds, relays that no repository needs any more are looked for and left
        sync_disconnect_check_interval: Duration = parse::seconds(1, 86_400),
            "NGIT_SYNC_DISCONNECT_CHECK_INTERVAL_SECS" <"SECONDS">, default "60", example "60";
        /// Seconds between the start of the server and its first outgoing connection
        sync_startup_delay: Duration = parse::seconds(0, 3600),
            "NGIT_SYNC_STARTUP_DELAY_SECS" <"SECONDS">, default "0", example "5";
        /// The most milliseconds by which the first connections are spread, so that servers do not start together
        sync_startup_jitter: Duration = parse::milliseconds(0, 3_600_000),
            "NGIT_SYNC_STARTUP_JITTER_MS" <"MILLISECONDS">, default "1000", example "10000";
        /// Milliseconds in which new repositories and root events are gathered before relays are asked about them
        sync_batch_window: Duration = parse::milliseconds(0, 60_000),
            "NGIT_SYNC_BATCH_WINDOW_MS" <"MILLISECONDS">, default "5000", example "5000";
        /// Fetch history by pages even where a relay can reconcile (NIP-77)
        sync_disable_negentropy: bool = parse::switch,
            "NGIT_SYNC_DISABLE_NEGENTROPY" <"true|false">, default "false", example "true";
        /// The server runs in a test: changes are gathered for 200 milliseconds, and nothing is spread over time
        test: bool = parse::switch,
            "NGIT_TEST" <"true|false">, default "false", example "1";
    }
}

impl Config {
    /// Reads and checks everything. `environment` and `dotenv` answer by the variable's name.
    ///
    /// # Errors
    /// All that is wrong, not only the first.
    pub fn load(
        cli: &Cli,
        environment: impl Fn(&str) -> Option<String>,
        dotenv: impl Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<EffectiveValue>), Vec<ConfigError>> {
        let mut reader = Reader::new(vec![
            (Origin::CommandLine, Box::new(|name| cli.get(name))),
            (Origin::Environment, Box::new(environment)),
            (Origin::DotEnv, Box::new(dotenv)),
        ]);
        let read = Self::read(&mut reader);
        let (mut values, mut errors) = reader.finish();
        let Some(mut config) = read else { return Err(errors) };
        config.settle_dependent_defaults(&mut values);
        errors.extend(conflicts::conflicts(&config, &values));
        if errors.is_empty() { Ok((config, values)) } else { Err(errors) }
    }

    /// Defaults that follow from other settings.
    fn settle_dependent_defaults(&mut self, values: &mut [EffectiveValue]) {
        for value in values.iter_mut().filter(|value| value.origin == Origin::Default) {
            match value.setting.name {
                "NGIT_GIT_DATA_PATH" if self.database_backend == Backend::Memory => {
                    self.git_data_path = GitData::Temporary;
                    "(a temporary folder, because events are kept in memory)".clone_into(&mut value.shown);
                }
                "NGIT_SYNC_BATCH_WINDOW_MS" if self.test => {
                    self.sync_batch_window = Duration::from_millis(200);
                    "200 (NGIT_TEST)".clone_into(&mut value.shown);
                }
                "NGIT_SYNC_STARTUP_JITTER_MS" if self.test => {
                    self.sync_startup_jitter = Duration::ZERO;
                    "0 (NGIT_TEST)".clone_into(&mut value.shown);
                }
                "NGIT_SYNC_MAX_BACKOFF_SECS" if self.sync_base_backoff > self.sync_max_backoff => {
                    self.sync_max_backoff = self.sync_base_backoff;
                    value.shown =
                        format!("{} (NGIT_SYNC_BASE_BACKOFF_SECS)", self.sync_base_backoff.as_secs());
                }
                "NGIT_DEFAULT_LIMIT" if self.default_limit > self.max_limit => {
                    self.default_limit = self.max_limit;
                    value.shown = format!("{} (NGIT_MAX_LIMIT)", self.max_limit);
                }
                "NGIT_DOMAIN" if self.bind_address.port() == 0 => {
                    "(the bind address, once the port is known)".clone_into(&mut value.shown);
                }
                "NGIT_DOMAIN" => value.shown = self.domain_at(self.bind_address).to_string(),
                _ => {}
            }
        }
    }

    /// The name under which announcements list this service, now that the port is known.
    ///
    /// Without a configured domain that is the address itself; an address that means "all interfaces" is reached as
    /// `localhost`.
    #[must_use]
    pub fn domain_at(&self, bound: SocketAddr) -> ServiceDomain {
        if let Some(domain) = &self.domain {
            return domain.clone();
        }
        let localhost = || format!("localhost:{}", bound.port());
        let text = if bound.ip().is_unspecified() { localhost() } else { bound.to_string() };
        // A scoped IPv6 address (`[fe80::1%2]:80`) is no host that a URL could carry; localhost:port always is.
        #[allow(clippy::expect_used)]
        text.parse().or_else(|_| localhost().parse()).expect("`localhost:<port>` is a domain")
    }
}

/// The names among these that look like settings and are none: probably misspelt, or another server's.
pub fn unknown_names(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let known = |name: &str| SETTINGS.iter().any(|setting| setting.name == name);
    names.into_iter().filter(|name| name.starts_with("NGIT_") && !known(name)).collect()
}
