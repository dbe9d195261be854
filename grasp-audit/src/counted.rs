//! A number with its noun.

/// `1 check`, `2 checks`.
#[must_use]
pub fn counted(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_one() {
        assert_eq!([0, 1, 2].map(|number| counted(number, "check")), ["0 checks", "1 check", "2 checks"]);
    }
}
