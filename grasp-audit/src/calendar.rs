//! Unix time for people.

use time::OffsetDateTime;

/// `2026-11-24 09:30 UTC`; seconds since 1970 where no calendar reaches.
#[must_use]
pub fn minute(unix: u64) -> String {
    match i64::try_from(unix).map(OffsetDateTime::from_unix_timestamp) {
        Ok(Ok(at)) => format!(
            "{:04}-{:02}-{:02} {:02}:{:02} UTC",
            at.year(),
            u8::from(at.month()),
            at.day(),
            at.hour(),
            at.minute()
        ),
        _ => format!("{unix} s after 1970"),
    }
}

/// `2026-11-24T09:30:00+00:00`, for programs; none where no calendar reaches.
#[must_use]
pub fn rfc3339(unix: u64) -> Option<String> {
    let at = OffsetDateTime::from_unix_timestamp(i64::try_from(unix).ok()?).ok()?;
    Some(format!("{}T{:02}:{:02}:{:02}+00:00", at.date(), at.hour(), at.minute(), at.second()))
}

/// `850 ms`, `14.9 s`, `2 min 5 s`.
#[must_use]
pub fn span(milliseconds: u64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..120_000 => format!("{}.{} s", milliseconds / 1_000, milliseconds % 1_000 / 100),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_are_written_for_people() {
        assert_eq!(minute(1_795_512_600), "2026-11-24 09:30 UTC");
        assert_eq!(minute(u64::MAX), format!("{} s after 1970", u64::MAX));
        assert_eq!(rfc3339(1_795_512_607).unwrap(), "2026-11-24T09:30:07+00:00");
        assert_eq!(rfc3339(u64::MAX), None);
        assert_eq!([850, 14_960, 125_000].map(span), ["850 ms", "14.9 s", "2 min 5 s"]);
    }
}
