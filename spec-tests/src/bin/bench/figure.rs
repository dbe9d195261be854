//! Figures and the lines of the report. Pure.

use std::fmt;

use serde_json::{Value, json};

/// A measured quantity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

impl Figure {
    pub(crate) const fn new(value: f64, unit: &'static str) -> Self {
        Self { value, unit }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.value.abs() {
            value if value >= 100.0 => 0,
            value if value >= 10.0 => 1,
            _ => 2,
        };
        let digits = format!("{:.digits$}", self.value);
        let (whole, part) = digits.split_once('.').unwrap_or((&digits, ""));
        let (sign, whole) = whole.strip_prefix('-').map_or(("", whole), |whole| ("-", whole));
        f.write_str(sign)?;
        for (position, digit) in whole.chars().enumerate() {
            if position > 0 && (whole.len() - position) % 3 == 0 {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        if !part.is_empty() {
            write!(f, ".{part}")?;
        }
        write!(f, " {}", self.unit)
    }
}

/// What is asked of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// The ratio is at least this.
    RatioAtLeast(f64),
    /// The ratio is at most this.
    RatioAtMost(f64),
    /// Our figure is at most this, in its own unit.
    AtMost(f64),
    /// Both our figure and the one beside it, which is ours with more to do, are at most this, and the second is at
    /// most so much more than the first.
    BothAtMostAndFlat(f64, f64),
    /// The figure is stated.
    Stated,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatioAtLeast(ratio) => write!(f, "≥ {ratio} ×"),
            Self::RatioAtMost(ratio) => write!(f, "≤ {ratio} ×"),
            Self::AtMost(value) => write!(f, "≤ {value}"),
            Self::BothAtMostAndFlat(value, _) => write!(f, "≤ {value}, flat"),
            Self::Stated => f.write_str("stated"),
        }
    }
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    pub(crate) work: String,
    pub(crate) ours: Figure,
    pub(crate) beside: Option<(String, Figure)>,
    pub(crate) ratio: Option<f64>,
    pub(crate) target: Target,
}

impl Line {
    /// Ours beside something, from the figures of each round: the medians, and the median of the rounds' ratios.
    pub(crate) fn rounds(
        work: impl Into<String>,
        unit: &'static str,
        ours: &[f64],
        name: impl Into<String>,
        beside: &[f64],
        target: Target,
    ) -> Self {
        let ratios: Vec<f64> = ours.iter().zip(beside).map(|(ours, beside)| ours / beside).collect();
        Self {
            work: work.into(),
            ours: Figure::new(median(ours), unit),
            beside: Some((name.into(), Figure::new(median(beside), unit))),
            ratio: Some(median(&ratios)),
            target,
        }
    }

    /// A figure with nothing beside it.
    pub(crate) fn alone(work: impl Into<String>, ours: Figure, target: Target) -> Self {
        Self { work: work.into(), ours, beside: None, ratio: None, target }
    }

    /// Whether the target is met; nothing where none is set.
    pub(crate) fn met(&self) -> Option<bool> {
        match self.target {
            Target::RatioAtLeast(least) => self.ratio.map(|ratio| ratio >= least),
            Target::RatioAtMost(most) => self.ratio.map(|ratio| ratio <= most),
            Target::AtMost(most) => Some(self.ours.value <= most),
            Target::BothAtMostAndFlat(most, tolerance) => self.beside.as_ref().map(|(_, more)| {
                self.ours.value <= most && more.value <= most && more.value - self.ours.value <= tolerance
            }),
            Target::Stated => None,
        }
    }

    pub(crate) fn json(&self, row: &str) -> Value {
        let figure = |figure: &Figure| json!({"value": figure.value, "unit": figure.unit});
        json!({
            "row": row,
            "work": self.work,
            "ours": figure(&self.ours),
            "beside": self.beside.as_ref().map(|(name, beside)| json!({"name": name, "figure": figure(beside)})),
            "ratio": self.ratio,
            "target": self.target.to_string(),
            "met": self.met(),
        })
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2} ×"));
        let met = match self.met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        let beside = self.beside.as_ref();
        let figure = beside.map_or_else(String::new, |(_, figure)| figure.to_string());
        let name = beside.map_or("", |(name, _)| name);
        let target = self.target.to_string();
        let text = format!(
            "{:<58} {:>20} {figure:>20} {ratio:>9}  {target:<12} {met:<7} {name}",
            self.work,
            self.ours.to_string()
        );
        f.write_str(text.trim_end())
    }
}

/// The line above the lines.
pub(crate) fn heading() -> String {
    format!(
        "{:<58} {:>20} {:>20} {:>9}  {:<12} {:<7} {}",
        "work", "ours", "beside", "ratio", "target", "", "beside what"
    )
}

/// The middle one; of an even number, the mean of the two in the middle; 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_the_rounds_ratios() {
        let line = Line::rounds("w", "s", &[1.0, 9.0, 2.0], "b", &[2.0, 3.0, 4.0], Target::RatioAtMost(0.5));
        assert_eq!((line.ours.value, line.ratio, line.met()), (2.0, Some(0.5), Some(true)));
    }

    #[test]
    fn flat_means_that_more_work_takes_no_more() {
        let line = |more| Line {
            beside: Some(("1 GiB".to_owned(), Figure::new(more, "MiB"))),
            ..Line::alone("w", Figure::new(10.0, "MiB"), Target::BothAtMostAndFlat(64.0, 16.0))
        };
        assert_eq!(line(20.0).met(), Some(true));
        assert_eq!(line(30.0).met(), Some(false));
    }

    #[test]
    fn figures_are_readable() {
        let shown =
            [1_234_567.8, 999.6, 12.34, 0.5, -1234.0].map(|value| Figure::new(value, "x").to_string());
        assert_eq!(shown, ["1,234,568 x", "1,000 x", "12.3 x", "0.50 x", "-1,234 x"]);
    }
}
