//! The command line, made from the table of settings.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use clap::{Arg, ArgMatches, Command};

use super::{Fallback, SETTINGS, Setting};

/// Settings given as flags, by the variable's name.
#[derive(Debug, Clone, Default)]
pub struct Cli(BTreeMap<&'static str, String>);

/// The flags' names, in the order of the table.
static FLAGS: LazyLock<Vec<String>> = LazyLock::new(|| SETTINGS.iter().map(Setting::flag).collect());

const ABOUT: &str = "A GRASP server: a Nostr relay and a git host behind one port";

const TEACHES: &str = "\
A GRASP server: a Nostr relay and a git smart-HTTP host behind one port.

Nobody has an account here. A maintainer publishes a signed event that says what the branches and tags of a repository \
shall be, and exactly that may then be pushed, by anybody. Signed events and git data may come in either order.

A first start needs no configuration:

    grasp-server

and then, with ngit (https://gitworkshop.dev/ngit) inside a git repository:

    ngit init --grasp-server ws://127.0.0.1:7334
    git push";

const AFTER: &str = "\
Every setting can be a flag, a variable or a line of a file `.env` in the working directory; flags win over variables, \
variables over `.env`. Unset and empty are the same. `grasp-server check-config` shows what is in force and why.";

impl Cli {
    /// Flags by the variable's name, for callers that have no command line.
    pub fn of<'a>(values: impl IntoIterator<Item = (&'static str, &'a str)>) -> Self {
        Self(values.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
    }

    /// The command with its subcommands, flags and help.
    #[must_use]
    pub fn command() -> Command {
        Command::new("grasp-server")
            .version(env!("CARGO_PKG_VERSION"))
            .about(ABOUT)
            .long_about(TEACHES)
            .after_help(AFTER)
            .args(SETTINGS.iter().zip(FLAGS.iter()).map(|(setting, name)| flag(setting, name)))
            .subcommand(Command::new("serve").about("Run the server (this is what happens without a subcommand)"))
            .subcommand(Command::new("check-config").about(
                "Check the settings, print those in force and where each came from; exits with 2 when something is wrong",
            ))
            .subcommand(Command::new("healthcheck").about(
                "Ask the server that runs with these settings on this machine whether it is well: 0 when it is, 1 when not",
            ))
    }

    /// What was given.
    #[must_use]
    pub fn from_matches(matches: &ArgMatches) -> Self {
        // Flags are global: clap copies them to whichever subcommand is the innermost.
        let inner = matches.subcommand().map_or(matches, |(_, inner)| inner);
        let given = |setting: &&'static Setting| {
            let value = inner.try_get_one::<String>(setting.name).ok().flatten()?;
            Some((setting.name, value.clone()))
        };
        Self(SETTINGS.iter().filter_map(|setting| given(&setting)).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

fn flag(setting: &'static Setting, name: &'static str) -> Arg {
    let fallback = match setting.fallback {
        Fallback::Default(value) => format!("default: {value}"),
        Fallback::Unset(meaning) => format!("unset: {meaning}"),
    };
    Arg::new(setting.name)
        .long(name)
        .value_name(setting.value)
        .help(format!("{} [{}; {fallback}]", setting.help.trim(), setting.name))
        .help_heading(setting.heading)
        .global(true)
        .allow_hyphen_values(true)
}
