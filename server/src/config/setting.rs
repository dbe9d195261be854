//! What a setting is, where its value came from, and what can be wrong with it.

use std::fmt;

/// A source of values: its origin, and the value by the variable's name.
type Source<'a> = (Origin, Box<dyn Fn(&str) -> Option<String> + 'a>);

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The variable, `NGIT_…`.
    pub name: &'static str,
    /// The group it stands under in the help.
    pub heading: &'static str,
    /// What it does, in one sentence.
    pub help: &'static str,
    /// What its value is called in the help.
    pub value: &'static str,
    /// What holds when it is not set.
    pub fallback: Fallback,
    /// A value that would be accepted.
    pub example: &'static str,
    /// Whether its value must never be shown.
    pub secret: bool,
}

/// What holds when a setting is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// This value.
    Default(&'static str),
    /// No value; the text says what that means.
    Unset(&'static str),
}

impl Setting {
    /// The flag: `NGIT_BIND_ADDRESS` is `bind-address`.
    #[must_use]
    pub fn flag(&self) -> String {
        self.name.trim_start_matches("NGIT_").to_ascii_lowercase().replace('_', "-")
    }
}

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A flag.
    CommandLine,
    /// A variable of the environment.
    Environment,
    /// A line of `.env`.
    DotEnv,
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CommandLine => "command line",
            Self::Environment => "environment",
            Self::DotEnv => ".env",
            Self::Default => "default",
        })
    }
}

/// A value in force, as `check-config` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveValue {
    /// Whose value it is.
    pub setting: &'static Setting,
    /// The value as it was given, or what its absence means; hidden when secret.
    pub shown: String,
    /// Where it came from.
    pub origin: Origin,
}

impl fmt::Display for EffectiveValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<33} {}  [{}]", self.setting.name, self.shown, self.origin)
    }
}

/// Why the server does not start with these settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value that cannot be used.
    #[error("{name} (from {origin}): {got} {why}; for example: {name}={example}")]
    Value {
        /// The variable.
        name: &'static str,
        /// Where the value came from.
        origin: Origin,
        /// The value in quotes, or `the value` when it is secret.
        got: String,
        /// What is wrong with it, as the rest of a sentence that begins with the value.
        why: String,
        /// A value that would be accepted.
        example: String,
    },
    /// `.env` is there and cannot be read.
    #[error(".env: {0}; each line is NAME=value, for example: NGIT_DOMAIN=git.example.org")]
    DotEnv(String),
}

/// Takes values from the sources in order and keeps what is to be told.
pub(super) struct Reader<'a> {
    sources: Vec<Source<'a>>,
    values: Vec<EffectiveValue>,
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(sources: Vec<Source<'a>>) -> Self {
        Self { sources, values: Vec::new(), errors: Vec::new() }
    }

    /// The first value that is there and not empty; parsers see the empty text when there is none at all.
    pub(super) fn read<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let given = self.sources.iter().find_map(|(origin, source)| {
            let text = source(setting.name)?.trim().to_owned();
            (!text.is_empty()).then_some((*origin, text))
        });
        let (origin, text, shown) = match (given, setting.fallback) {
            (Some((origin, text)), _) => {
                let shown = if setting.secret { "(set, not shown)".to_owned() } else { text.clone() };
                (origin, text, shown)
            }
            (None, Fallback::Default(text)) => (Origin::Default, text.to_owned(), text.to_owned()),
            (None, Fallback::Unset(meaning)) => (Origin::Default, String::new(), format!("({meaning})")),
        };
        let parsed = parse(&text);
        self.values.push(EffectiveValue { setting, shown, origin });
        match parsed {
            Ok(value) => Some(value),
            Err(why) => {
                let got = if setting.secret { "the value".to_owned() } else { quoted(&text) };
                let example = setting.example.to_owned();
                self.errors.push(ConfigError::Value { name: setting.name, origin, got, why, example });
                None
            }
        }
    }

    pub(super) fn finish(self) -> (Vec<EffectiveValue>, Vec<ConfigError>) {
        (self.values, self.errors)
    }
}

/// What was given, shortened; private keys that ended up in the wrong place are not repeated.
fn quoted(text: &str) -> String {
    if text.contains("nsec1") {
        return "the value (it contains a private key!)".to_owned();
    }
    let mut short: String = text.chars().take(120).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
