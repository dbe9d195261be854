//! From text to values. An error is the rest of a sentence that begins with the value.
//!
//! The empty text means that nothing was given and the setting has no default value.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::{Backend, GitData, OwnerSecret, RepositoryRule};
use crate::nip34::ServiceDomain;
use crate::outbound::Destination;

type Parsed<T> = Result<T, String>;

/// Nothing given is `None`.
pub(super) fn optional<T>(parse: impl FnOnce(&str) -> Parsed<T>) -> impl FnOnce(&str) -> Parsed<Option<T>> {
    |text| if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

pub(super) fn domain(text: &str) -> Parsed<ServiceDomain> {
    if text.contains("://") {
        return Err("is a URL; only the host is wanted, with its port if that is not 80 or 443".to_owned());
    }
    text.parse().map_err(|_| "is no host with an optional port".to_owned())
}

pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| "is no IP address with a port".to_owned())
}

pub(super) fn text(text: &str) -> Parsed<String> {
    let plain = text.len() <= 2000 && !text.chars().any(|c| c.is_control() && c != '\n');
    if plain { Ok(text.to_owned()) } else { Err("is no text of at most 2000 bytes".to_owned()) }
}

pub(super) fn switch(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err("is neither true nor false".to_owned()),
    }
}

pub(super) fn secret_key(text: &str) -> Parsed<OwnerSecret> {
    let parsed = nostr::key::SecretKey::parse(text);
    parsed.map(OwnerSecret).map_err(|_| "is no private key: nsec1… or 64 hexadecimal digits".to_owned())
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    if text.contains('\0') { Err("is no path".to_owned()) } else { Ok(PathBuf::from(text)) }
}

pub(super) fn git_data(text: &str) -> Parsed<GitData> {
    path(text).map(GitData::Path)
}

pub(super) fn backend(text: &str) -> Parsed<Backend> {
    match text.to_ascii_lowercase().as_str() {
        "lmdb" => Ok(Backend::Lmdb),
        "memory" => Ok(Backend::Memory),
        _ => Err("is neither lmdb nor memory".to_owned()),
    }
}

/// `tracing`'s directives; a lone word must be a level, or a misspelt level would be taken for a module's name.
pub(super) fn log_level(text: &str) -> Parsed<String> {
    for directive in text.split(',').map(str::trim) {
        let lone = !directive.contains(['=', '[', ':']);
        if lone && directive.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "contains {directive:?}, which is no level (error, warn, info, debug, trace, off)"
            ));
        }
    }
    let checked = EnvFilter::try_new(text);
    checked.map(|_| text.to_owned()).map_err(|wrong| format!("is no log filter: {wrong}"))
}

pub(super) fn rules(text: &str) -> Parsed<Vec<RepositoryRule>> {
    entries(text).map(|entry| entry.parse().map_err(|wrong: super::NotARule| wrong.to_string())).collect()
}

pub(super) fn domains(text: &str) -> Parsed<Vec<ServiceDomain>> {
    let service = |entry: &str| domain(entry).map_err(|why| format!("contains {entry:?}, which {why}"));
    entries(text).map(service).collect()
}

pub(super) fn networks(text: &str) -> Parsed<Vec<IpNet>> {
    let network = |entry: &str| {
        let single = || entry.parse::<std::net::IpAddr>().map(IpNet::from);
        entry
            .parse::<IpNet>()
            .or_else(|_| single())
            .map_err(|_| format!("contains {entry:?}, which is no network"))
    };
    entries(text).map(network).collect()
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

fn number<T: std::str::FromStr + PartialOrd + std::fmt::Display>(
    text: &str,
    least: &T,
    most: &T,
) -> Parsed<T> {
    let number = text.replace('_', "").parse::<T>().ok().filter(|number| number >= least && number <= most);
    number.ok_or_else(|| format!("is no whole number from {least} to {most}"))
}

pub(super) fn count(least: usize, most: usize) -> impl FnOnce(&str) -> Parsed<usize> {
    move |text| number(text, &least, &most)
}

pub(super) fn rate(most: u32) -> impl FnOnce(&str) -> Parsed<u32> {
    move |text| number(text, &1, &most)
}

pub(super) fn seconds(least: u64, most: u64) -> impl FnOnce(&str) -> Parsed<Duration> {
    move |text| number(text, &least, &most).map(Duration::from_secs)
}

pub(super) fn days(least: u64, most: u64) -> impl FnOnce(&str) -> Parsed<Duration> {
    move |text| number(text, &least, &most).map(|days| Duration::from_secs(days * 24 * 60 * 60))
}

pub(super) fn milliseconds(least: u64, most: u64) -> impl FnOnce(&str) -> Parsed<Duration> {
    move |text| number(text, &least, &most).map(Duration::from_millis)
}

pub(super) fn relay_urls(text: &str) -> Parsed<Vec<Destination>> {
    let relay = |entry: &str| {
        let relay = Destination::parse(entry).map_err(|why| format!("contains {entry:?}: {why}"))?;
        let begins = || format!("contains {entry:?}, which begins with neither ws:// nor wss://");
        if relay.is_relay() { Ok(relay) } else { Err(begins()) }
    };
    entries(text).map(relay).collect()
}

/// Bytes with an optional unit: `500MiB`, `2 GB`, `1048576`.
pub(super) fn size<T: TryFrom<u64>>(least: u64, most: u64) -> impl FnOnce(&str) -> Parsed<T> {
    move |text| {
        let bytes = bytes(text).filter(|bytes| *bytes >= least && *bytes <= most);
        let fits = bytes.and_then(|bytes| T::try_from(bytes).ok());
        let range = || format!("is no size from {} to {}", shown(least), shown(most));
        fits.ok_or_else(|| format!("{} (bytes, or with KiB, MiB, GiB, TiB, kB, MB, GB, TB)", range()))
    }
}

fn bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    number.replace('_', "").parse::<u64>().ok()?.checked_mul(factor)
}

/// A size in the largest binary unit that leaves it whole.
fn shown(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let whole = UNITS.iter().find(|(_, shift)| bytes >> shift > 0 && bytes.trailing_zeros() >= *shift);
    whole.map_or_else(|| bytes.to_string(), |(unit, shift)| format!("{}{unit}", bytes >> shift))
}
