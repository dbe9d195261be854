//! The rules between settings: each is right by itself, and together they make no sense.

use super::{Config, ConfigError, EffectiveValue, Origin, RepositoryRule};

/// What is wrong with the settings together.
pub(super) fn conflicts(config: &Config, values: &[EffectiveValue]) -> Vec<ConfigError> {
    let told = limits(config).into_iter().chain(archive(config, values));
    told.filter_map(|conflict| conflict.error(values)).collect()
}

/// A setting that contradicts another.
struct Conflict {
    name: &'static str,
    /// The rest of a sentence that begins with the value.
    why: String,
    example: String,
}

impl Conflict {
    fn new(name: &'static str, why: impl Into<String>, example: impl Into<String>) -> Self {
        Self { name, why: why.into(), example: example.into() }
    }

    fn error(self, values: &[EffectiveValue]) -> Option<ConfigError> {
        let value = values.iter().find(|value| value.setting.name == self.name)?;
        let (origin, got) = (value.origin, value.shown.clone());
        Some(ConfigError::Value { name: self.name, origin, got, why: self.why, example: self.example })
    }
}

fn limits(config: &Config) -> Vec<Conflict> {
    let mut found = Vec::new();
    if config.default_limit > config.max_limit {
        let most = config.max_limit;
        let why = format!("is more than NGIT_MAX_LIMIT, which is {most}");
        found.push(Conflict::new("NGIT_DEFAULT_LIMIT", why, most.to_string()));
    }
    if config.sync_base_backoff > config.sync_max_backoff {
        let base = config.sync_base_backoff.as_secs();
        let why = format!("is less than NGIT_SYNC_BASE_BACKOFF_SECS, which is {base}");
        found.push(Conflict::new("NGIT_SYNC_MAX_BACKOFF_SECS", why, base.to_string()));
    }
    found
}

/// Archiving (GRASP-05).
fn archive(config: &Config, values: &[EffectiveValue]) -> Vec<Conflict> {
    const RULES: &str = "NGIT_ARCHIVE_WHITELIST";
    const SERVICES: &str = "NGIT_ARCHIVE_GRASP_SERVICES";
    let mut found = Vec::new();
    let (rules, services) = (&config.archive_whitelist, &config.archive_grasp_services);
    let selective = !rules.is_empty() || !services.is_empty();
    if config.archive_all && selective {
        let other = if rules.is_empty() { SERVICES } else { RULES };
        let why = format!("archives everything, so {other} would choose nothing; leave one of the two out");
        found.push(Conflict::new("NGIT_ARCHIVE_ALL", why, "false"));
    }
    let is_given = values
        .iter()
        .any(|value| value.setting.name == "NGIT_ARCHIVE_READ_ONLY" && value.origin != Origin::Default);
    if !config.archive_all && !selective && config.archive_read_only && is_given {
        let why = format!(
            "is about archived repositories, and none is archived; set NGIT_ARCHIVE_ALL, {RULES} or {SERVICES} as well, \
             or leave this out"
        );
        found.push(Conflict::new("NGIT_ARCHIVE_READ_ONLY", why, "false"));
    }
    if (config.archive_all || selective) && !config.sync_enable {
        let why =
            "leaves what is to be archived without data, which only sync brings; archive nothing, or sync";
        found.push(Conflict::new("NGIT_SYNC_ENABLE", why, "true"));
    }
    let blacklisted = |rule: &&RepositoryRule| config.repository_blacklist.contains(rule);
    if let Some(rule) = rules.iter().find(blacklisted) {
        let why = format!(
            "contains {rule}, which NGIT_REPOSITORY_BLACKLIST refuses; it is in one of the two by mistake"
        );
        found.push(Conflict::new(RULES, why, "npub1…/my-project"));
    }
    let own = config.domain_at(config.bind_address);
    if services.contains(&own) {
        let why = format!("contains {own}, which is this service; name others");
        found.push(Conflict::new(SERVICES, why, "grasp.example.net"));
    }
    found
}
