//! Where the conformance cases look when they are not to examine the bundled server: at any URL, or at a container of
//! any implementation's image. Both are named in the environment.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a gate that does not know what to examine cannot go on

use std::path::PathBuf;

use nostr::key::Keys;
use tokio::sync::OnceCell;

use crate::container::{Container, Wanted};

/// `ws(s)://…`, `http(s)://…` or a bare host: a server that runs.
const URL: &str = "GRASP_AUDIT_URL";
/// An image, as `docker run` would take it.
const IMAGE: &str = "GRASP_AUDIT_IMAGE";
/// The port that its server listens on.
const IMAGE_PORT: &str = "GRASP_AUDIT_IMAGE_PORT";
/// Lines of `KEY=VALUE`; `{authority}`, `{host}` and `{port}` are where it is reached from outside.
const IMAGE_ENV: &str = "GRASP_AUDIT_IMAGE_ENV";
/// Secret key that owns everything, for servers with allow lists; the same as for `grasp-audit`.
const NSEC: &str = "GRASP_AUDIT_NSEC";

/// Lives as long as this process; the companion that holds it notices the end.
static CONTAINER: OnceCell<Container> = OnceCell::const_new();

/// What the environment asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// A server that runs.
    Url(String),
    /// One to be started.
    Image(Wanted),
}

impl Elsewhere {
    /// From variables by name; `None` when the bundled server is to be examined.
    ///
    /// # Errors
    /// What is missing or contradicts itself.
    pub fn from(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let given = |name: &str| {
            variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        match (given(URL), given(IMAGE)) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(format!("{URL} and {IMAGE} are both set; examine one at a time")),
            (Some(url), None) => Ok(Some(Self::Url(url))),
            (None, Some(image)) => {
                let missing = || {
                    format!(
                        "{IMAGE} needs the port that its server listens on; for example: {IMAGE_PORT}=7334"
                    )
                };
                let port = given(IMAGE_PORT).ok_or_else(missing)?;
                let port = port.parse().map_err(|_| {
                    format!("{IMAGE_PORT}: {port:?} is no port; for example: {IMAGE_PORT}=7334")
                })?;
                let mut wanted = Wanted::new(image, port);
                for line in given(IMAGE_ENV).iter().flat_map(|lines| lines.lines()).map(str::trim) {
                    if line.is_empty() {
                        continue;
                    }
                    let (name, value) = line.split_once('=').ok_or_else(|| {
                        format!("{IMAGE_ENV}: {line:?} is no KEY=VALUE; for example: {IMAGE_ENV}='DOMAIN={{authority}}'")
                    })?;
                    wanted = wanted.set(name, value);
                }
                Ok(Some(Self::Image(wanted)))
            }
        }
    }

    /// What this process is asked for.
    ///
    /// # Panics
    /// When the variables make no sense.
    #[must_use]
    pub fn named() -> Option<Self> {
        Self::from(|name| std::env::var(name).ok()).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    /// The server's URL; an image's container is started by whoever asks first, and goes with this process.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn url(self, companion: impl Into<PathBuf>) -> String {
        match self {
            Self::Url(url) => url,
            Self::Image(wanted) => {
                let started = CONTAINER.get_or_try_init(|| wanted.start(companion)).await;
                started.unwrap_or_else(|why| panic!("{why}")).url()
            }
        }
    }
}

/// The key that is to own everything there, if one is given.
///
/// # Panics
/// When it is no key.
#[must_use]
pub fn owner() -> Option<Keys> {
    let given = std::env::var(NSEC).ok().filter(|text| !text.is_empty())?;
    Some(Keys::parse(&given).unwrap_or_else(|error| panic!("{NSEC} is no secret key: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(given: &[(&str, &str)]) -> Result<Option<Elsewhere>, String> {
        Elsewhere::from(|name| {
            given.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn without_a_word_the_bundled_server_is_examined() {
        assert_eq!(asked(&[]), Ok(None));
        assert_eq!(asked(&[(URL, " "), (IMAGE, "")]), Ok(None));
    }

    #[test]
    fn an_image_comes_with_its_port_and_its_environment() {
        let asked =
            asked(&[(IMAGE, "any:1"), (IMAGE_PORT, "80"), (IMAGE_ENV, "DOMAIN={authority}\n\n A=b=c \n")]);
        let Ok(Some(Elsewhere::Image(wanted))) = asked else { panic!("{asked:?}") };
        assert_eq!((wanted.image.as_str(), wanted.port), ("any:1", 80));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(wanted.environment, [pair("DOMAIN", "{authority}"), pair("A", "b=c")]);
    }

    #[test]
    fn what_makes_no_sense_is_told_with_an_example() {
        let wrong = |given| asked(given).expect_err("it makes no sense");
        assert!(wrong(&[(URL, "a"), (IMAGE, "b")]).contains("one at a time"));
        assert!(wrong(&[(IMAGE, "b")]).contains("GRASP_AUDIT_IMAGE_PORT=7334"));
        assert!(wrong(&[(IMAGE, "b"), (IMAGE_PORT, "http")]).contains("\"http\" is no port"));
        assert!(
            wrong(&[(IMAGE, "b"), (IMAGE_PORT, "80"), (IMAGE_ENV, "DOMAIN")]).contains("DOMAIN={authority}")
        );
    }
}
