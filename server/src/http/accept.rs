//! What a client would like to get (RFC 9110, 12.5.1), as far as it matters here. Pure.

use http::HeaderMap;
use http::header::ACCEPT;

/// Whether the NIP-11 document is asked for: named itself, not refused, and not liked less than HTML.
/// A star is no wish for it: browsers and `curl` send stars.
pub(super) fn wants_relay_document(headers: &HeaderMap) -> bool {
    prefers(headers, "application/nostr+json")
}

/// Whether data is asked for rather than a page: named itself, and not liked less than HTML.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    prefers(headers, "application/json")
}

/// Whether a media type is named itself, not refused, and not liked less than HTML.
fn prefers(headers: &HeaderMap, media: &str) -> bool {
    let Some(wish) = quality(headers, media) else { return false };
    wish > 0 && quality(headers, "text/html").unwrap_or(0) <= wish
}

/// Whether an error is to be a page: only browsers name HTML.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    quality(headers, "text/html").is_some_and(|quality| quality > 0)
}

/// The weight of a media type that is named literally, in thousandths.
fn quality(headers: &HeaderMap, wanted: &str) -> Option<u32> {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        parts.next().filter(|media| media.eq_ignore_ascii_case(wanted))?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        Some(weight.map_or(1000, thousandths))
    })
}

/// `0.5` → 500. What is no weight counts as none given.
fn thousandths(weight: &str) -> u32 {
    let weight = weight.trim().parse::<f32>().ok().filter(|weight| (0.0..=1.0).contains(weight));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0.0 to 1000.0
    weight.map_or(1000, |weight| (weight * 1000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn document(accept: &str) -> bool {
        wants_relay_document(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]))
    }

    #[test]
    fn the_document_is_for_those_who_name_it() {
        assert!(document("application/nostr+json"));
        assert!(document("Application/Nostr+JSON; charset=utf-8"));
        assert!(document("text/html;q=0.9, application/nostr+json"));
        assert!(document("application/json, application/nostr+json;q=0.5, */*;q=0.1"));
        assert!(document("text/html, application/nostr+json"));
    }

    #[test]
    fn stars_and_browsers_get_the_page() {
        assert!(!document("*/*"));
        assert!(!document("application/*"));
        assert!(!document("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(!document("application/nostr+json;q=0"));
        assert!(!document("text/html, application/nostr+json;q=0.5"));
        assert!(!wants_relay_document(&HeaderMap::new()));
    }

    #[test]
    fn data_is_for_those_who_name_it() {
        let json = |accept: &str| wants_json(&HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]));
        assert!(json("application/json"));
        assert!(json("application/json, text/html;q=0.5"));
        assert!(!json("text/html, application/json;q=0.9"));
        assert!(!json("*/*"));
    }

    #[test]
    fn the_wish_may_stand_in_a_later_line() {
        let headers =
            [(ACCEPT, "text/plain".parse().unwrap()), (ACCEPT, "application/nostr+json".parse().unwrap())];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value);
        }
        assert!(wants_relay_document(&map));
    }
}
