//! How a snapshot is taken of a server: what `snapshot` and `diff` have in common.

use std::path::{Path, PathBuf};

use clap::Args;
use grasp_audit::context::MARK;
use grasp_audit::target::patience::Patience;
use grasp_audit::{Options, Surface};

use super::values;

#[derive(Args, Debug)]
pub(crate) struct Guest {
    /// Secret key that owns everything, for servers with allow lists (nsec1… or hex)
    #[arg(long, env = "GRASP_AUDIT_NSEC", hide_env_values = true)]
    nsec: Option<String>,
    /// Repository identifiers begin with this
    #[arg(long, default_value = MARK, value_name = "PREFIX", value_parser = values::prefix)]
    identifier_prefix: String,
    /// PEM file with further root certificates
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Multiply every wait by this: more than 1 for a slow or distant server
    #[arg(long, default_value = "1", value_name = "FACTOR", value_parser = values::patience, allow_negative_numbers = true)]
    patience: Patience,
    /// Leave on the server what was published
    #[arg(long)]
    no_cleanup: bool,
}

impl Guest {
    pub(crate) fn options(self) -> Result<Options, String> {
        Ok(Options {
            owner: self.nsec.as_deref().map(crate::parse_key).transpose()?,
            identifier_prefix: self.identifier_prefix,
            ca: crate::absolute(self.ca)?,
            cleanup: !self.no_cleanup,
            patience: self.patience,
            ..Options::default()
        })
    }
}

/// Looks at the server, and says on standard error how far it is.
pub(crate) async fn recorded(url: &str, options: &Options) -> Result<Surface, String> {
    let told = |part: &str| eprintln!("{url}: {part}");
    Surface::record(url, options, told).await.map_err(|error| error.to_string())
}

/// What is given is a file: one that is there, or that is meant to be.
pub(crate) fn is_file(given: &str) -> bool {
    let path = Path::new(given);
    let named = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    path.exists() || (!given.contains("://") && (named || given.contains('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_from_a_server() {
        assert!(is_file("surface.json") && is_file("./surface") && is_file("out/surface"));
        assert!(
            !is_file("https://git.example.org/") && !is_file("git.example.org") && !is_file("[::1]:7334")
        );
    }
}
