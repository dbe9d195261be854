//! The limits a server states in NIP-11 `limitation`, which the auditor obeys.

use serde_json::Value;

/// How many events one connection may publish within a minute: what deployed servers allow.
pub const PUBLISHED_PER_CONNECTION: usize = 60;

/// What NIP-11 `limitation` says; what is absent is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one WebSocket message.
    pub max_message_length: Option<usize>,
    /// Open subscriptions of one connection.
    pub max_subscriptions: Option<usize>,
    /// Tags of one event.
    pub max_event_tags: Option<usize>,
    /// Leading zero bits an event id must have.
    pub min_pow_difficulty: u8,
    /// Whether reading needs NIP-42.
    pub auth_required: bool,
    /// Whether only some may write.
    pub restricted_writes: bool,
}

impl Limits {
    /// Reads them out of the document; what has the wrong type counts as absent.
    #[must_use]
    pub fn from_nip11(document: &Value) -> Self {
        let limitation = &document["limitation"];
        let number = |name: &str| {
            let stated = limitation[name].as_u64()?;
            usize::try_from(stated).ok().filter(|limit| *limit > 0)
        };
        Self {
            max_message_length: number("max_message_length"),
            max_subscriptions: number("max_subscriptions"),
            max_event_tags: number("max_event_tags"),
            min_pow_difficulty: number("min_pow_difficulty")
                .and_then(|bits| u8::try_from(bits).ok())
                .unwrap_or(0),
            auth_required: limitation["auth_required"].as_bool().unwrap_or(false),
            restricted_writes: limitation["restricted_writes"].as_bool().unwrap_or(false),
        }
    }
}

/// Unix seconds of an HTTP date (RFC 9110, the fixed form `Sun, 06 Nov 1994 08:49:37 GMT`).
#[must_use]
pub fn parse_http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.split_once(", ")?.1.split(' ');
    let day: i64 = parts.next()?.parse().ok()?;
    let month = parts.next()?;
    let month = i64::try_from(MONTHS.iter().position(|name| *name == month)?).ok()? + 1;
    let year: i64 = parts.next()?.parse().ok()?;
    let mut clock = parts.next()?.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // days since 1970 by counting from March, so that leap days come last
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (month * 153 + 2) / 5
        + day
        - 719_469;
    Some(days * 86_400 + hour * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates() {
        assert_eq!(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(parse_http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(parse_http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(parse_http_date("yesterday"), None);
    }

    #[test]
    fn wrong_types_count_as_absent() {
        let stated =
            serde_json::json!({"limitation": {"max_subscriptions": "many", "max_message_length": 9}});
        let limits = Limits::from_nip11(&stated);
        assert_eq!((limits.max_subscriptions, limits.max_message_length), (None, Some(9)));
    }
}
