//! Values of options that are wrong whatever the server: refused where they are read, with the option and its range.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use grasp_audit::target::patience::Patience;

/// The longest identifier, in bytes: 255 is the limit of file names, less `.git`.
const MAX_IDENTIFIER: usize = 251;
/// The longest prefix: what a check adds to it has to fit as well.
const MAX_PREFIX: usize = 100;

/// A whole number that is not 0.
pub(crate) fn at_least_one<T>(text: &str) -> Result<T, String>
where
    T: FromStr<Err: Display> + PartialOrd + From<u8>,
{
    match text.parse::<T>() {
        Ok(number) if number >= T::from(1) => Ok(number),
        Ok(_) => Err("give 1 or more".to_owned()),
        Err(error) => Err(format!("{error}; give 1 or more")),
    }
}

/// A factor that [`Patience`] takes as it is.
pub(crate) fn patience(text: &str) -> Result<Patience, String> {
    let factor = text.parse::<f64>().ok().filter(|factor| (0.01..=100.0).contains(factor));
    factor.map(Patience::new).ok_or_else(|| "give a factor from 0.01 to 100".to_owned())
}

/// A number of seconds, also with a fraction.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "give a number of seconds, for example 2.5".to_owned())
}

/// An identifier that a server may have to take.
pub(crate) fn identifier(text: &str) -> Result<String, String> {
    one_segment(text, MAX_IDENTIFIER)?;
    if text == "." || text == ".." {
        return Err("that is a path and no identifier".to_owned());
    }
    Ok(text.to_owned())
}

/// What such an identifier can begin with.
pub(crate) fn prefix(text: &str) -> Result<String, String> {
    one_segment(text, MAX_PREFIX)?;
    Ok(text.to_owned())
}

fn one_segment(text: &str, most: usize) -> Result<(), String> {
    if text.is_empty() || text.len() > most {
        return Err(format!("give 1 to {most} bytes, not {}", text.len()));
    }
    if text.contains('/') || text.chars().any(char::is_control) {
        return Err("an identifier has no `/`, and no control characters".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_begin_with_one() {
        assert_eq!(at_least_one::<usize>("1"), Ok(1));
        for wrong in ["0", "-1", "x", ""] {
            assert!(at_least_one::<u64>(wrong).unwrap_err().ends_with("give 1 or more"), "{wrong}");
        }
    }

    #[test]
    fn a_factor_is_taken_as_it_is_or_not_at_all() {
        assert!(patience("0.01").is_ok() && patience("100").is_ok() && patience("1").is_ok());
        for wrong in ["0", "0.001", "101", "-1", "nan", "inf", "x"] {
            assert!(patience(wrong).is_err(), "{wrong}");
        }
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert!(seconds("-1").is_err() && seconds("nan").is_err() && seconds("inf").is_err());
    }

    #[test]
    fn identifiers_are_one_segment_of_a_path() {
        for right in ["hello", "a b", "ü%", ".hidden", &"x".repeat(251)] {
            assert!(identifier(right).is_ok(), "{right}");
        }
        for wrong in ["", ".", "..", "a/b", "a\nb", "a\0", &"x".repeat(252)] {
            assert!(identifier(wrong).is_err(), "{wrong:?}");
        }
        assert!(prefix(&"x".repeat(100)).is_ok() && prefix(&"x".repeat(101)).is_err());
        assert!(prefix("a/b").is_err() && prefix("").is_err());
    }
}
