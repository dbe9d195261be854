//! What a request is for. Pure: method, raw path and headers in, a [`Route`] out.
//!
//! The raw path is split into segments first; then each segment is decoded once, by [`Coordinate::from_path`], which is
//! the only door from URLs to repositories. So no encoding of a slash or of dots ever changes which repository is meant.

use http::header::HOST;
use http::{HeaderMap, Method, Version};

use super::{GitResource, accept, handshake};
use crate::nip34::Coordinate;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `OPTIONS` anywhere: 204 (G01/cors/options).
    Preflight,
    /// A WebSocket upgrade at `/` (G01/relay/nip01).
    Relay,
    /// `/`, asked for as `application/nostr+json` (G01/nip11/document).
    RelayDocument,
    /// `/`, for people.
    Landing,
    /// A git client's request (G01/git/serves).
    Git(Coordinate, GitResource),
    /// The same of a contributor's own repository, `/prs/<npub>/<identifier>.git` (G06/push).
    Contribution(Coordinate, GitResource),
    /// The repository's URL itself, for people (G01/git/web).
    RepositoryPage(Coordinate),
    /// `/.well-known/nostr.json` (NIP-05).
    Names,
    /// `/icon.svg`, and under the names that browsers and relays' lists guess.
    Icon,
    /// `/healthz`.
    Health,
    /// `/sync`: how proactive sync stands, for people or as data.
    Sync,
    /// `/metrics`, for monitoring systems.
    Metrics,
    /// There is such a place, but not for this method; the text is the `Allow` header.
    NotAllowed(&'static str),
    /// Nothing is here.
    NotFound,
}

const READ: &str = "GET, HEAD, OPTIONS";
const WRITE: &str = "POST, OPTIONS";

/// Which route a request takes. `raw_path` is the path as it was sent, without the query; `contributions`: contributors
/// have repositories here (GRASP-06).
#[must_use]
pub fn route(method: &Method, raw_path: &str, headers: &HeaderMap, contributions: bool) -> Route {
    if method == Method::OPTIONS {
        return Route::Preflight;
    }
    // Doubled and trailing slashes are ignored, as they are when an announcement lists the service.
    let segments: Vec<&str> = raw_path.split('/').filter(|segment| !segment.is_empty()).collect();
    if !raw_path.starts_with('/') {
        return Route::NotFound;
    }
    let readable = |route| if is_read(method) { route } else { Route::NotAllowed(READ) };
    match segments[..] {
        [] if method == Method::GET && handshake::is_asked(headers) => Route::Relay,
        [] if accept::wants_relay_document(headers) => readable(Route::RelayDocument),
        [] => readable(Route::Landing),
        ["healthz"] => readable(Route::Health),
        ["sync"] => readable(Route::Sync),
        ["metrics"] => readable(Route::Metrics),
        ["icon.svg" | "icon.png" | "favicon.ico" | "favicon.svg"] => readable(Route::Icon),
        [".well-known", "nostr.json"] => readable(Route::Names),
        ["prs", npub, repository, ref rest @ ..] if contributions => {
            git_resource(method, npub, repository, rest, Route::Contribution)
        }
        [npub, repository, ref rest @ ..] => in_repository(method, npub, repository, rest),
        _ => Route::NotFound,
    }
}

fn in_repository(method: &Method, npub: &str, repository: &str, rest: &[&str]) -> Route {
    if rest.is_empty() {
        // People may leave out `.git`; git clients are told the full URL.
        let found = Coordinate::from_path(npub, repository)
            .or_else(|| Coordinate::from_path(npub, &format!("{repository}.git")));
        return match found {
            Some(found) if is_read(method) => Route::RepositoryPage(found),
            Some(_) => Route::NotAllowed(READ),
            None => Route::NotFound,
        };
    }
    git_resource(method, npub, repository, rest, Route::Git)
}

fn git_resource(
    method: &Method,
    npub: &str,
    repository: &str,
    rest: &[&str],
    reached: impl FnOnce(Coordinate, GitResource) -> Route,
) -> Route {
    let Some(found) = Coordinate::from_path(npub, repository) else { return Route::NotFound };
    let (resource, fits, allow) = match rest {
        ["info", "refs"] => (GitResource::InfoRefs, is_read(method), READ),
        ["git-upload-pack"] => (GitResource::UploadPack, method == Method::POST, WRITE),
        ["git-receive-pack"] => (GitResource::ReceivePack, method == Method::POST, WRITE),
        _ => return Route::NotFound,
    };
    if fits { reached(found, resource) } else { Route::NotAllowed(allow) }
}

/// Whether a request says which host it is for, once: what RFC 9112 (3.2) asks of HTTP/1.1, since two readers of a request
/// with two hosts could each take another.
#[must_use]
pub fn names_one_host(version: Version, headers: &HeaderMap) -> bool {
    match headers.get_all(HOST).iter().count() {
        0 => version < Version::HTTP_11,
        count => count == 1,
    }
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::nip34::Identifier;
    use proptest::prelude::*;

    const NPUB: &str = "npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6";

    fn get(path: &str) -> Route {
        route(&Method::GET, path, &HeaderMap::new(), true)
    }

    #[test]
    fn a_request_is_for_one_host() {
        let hosts = |count: usize| {
            HeaderMap::from_iter((0..count).map(|_| (HOST, "git.example.org".parse().unwrap())))
        };
        for (version, count, fine) in [
            (Version::HTTP_11, 1, true),
            (Version::HTTP_11, 0, false),
            (Version::HTTP_10, 0, true),
            (Version::HTTP_10, 1, true),
        ] {
            assert_eq!(names_one_host(version, &hosts(count)), fine, "{version:?}, {count}");
        }
        let mut two = hosts(1);
        two.append(HOST, "git.example.org".parse().unwrap());
        assert!(!names_one_host(Version::HTTP_11, &two) && !names_one_host(Version::HTTP_10, &two));
    }

    fn repository(identifier: &str) -> Coordinate {
        let any = Coordinate::from_path(NPUB, "x.git").unwrap();
        Coordinate::new(any.owner, Identifier::new(identifier).unwrap())
    }

    #[test]
    fn the_root_is_a_page_a_document_or_a_relay() {
        assert_eq!(get("/"), Route::Landing);
        let nip11 = HeaderMap::from_iter([(http::header::ACCEPT, "application/nostr+json".parse().unwrap())]);
        assert_eq!(route(&Method::GET, "/", &nip11, false), Route::RelayDocument);
        assert_eq!(route(&Method::HEAD, "/", &nip11, false), Route::RelayDocument);
        let mut upgrade = nip11;
        upgrade.insert(http::header::CONNECTION, "keep-alive, Upgrade".parse().unwrap());
        upgrade.insert(http::header::UPGRADE, "WebSocket".parse().unwrap());
        assert_eq!(route(&Method::GET, "/", &upgrade, false), Route::Relay);
        assert_eq!(route(&Method::GET, "/healthz", &upgrade, false), Route::Health);
        assert_eq!([get("/sync"), get("/metrics/")], [Route::Sync, Route::Metrics]);
    }

    #[test]
    fn git_clients_reach_the_three_resources_with_the_right_methods() {
        let at = |method: Method, rest: &str| {
            route(&method, &format!("/{NPUB}/a.git{rest}"), &HeaderMap::new(), true)
        };
        let git = |resource| Route::Git(repository("a"), resource);
        assert_eq!(at(Method::GET, "/info/refs"), git(GitResource::InfoRefs));
        assert_eq!(at(Method::HEAD, "/info/refs"), git(GitResource::InfoRefs));
        assert_eq!(at(Method::POST, "/git-upload-pack"), git(GitResource::UploadPack));
        assert_eq!(at(Method::POST, "/git-receive-pack"), git(GitResource::ReceivePack));
        assert_eq!(at(Method::POST, "/info/refs"), Route::NotAllowed(READ));
        assert_eq!(at(Method::GET, "/git-receive-pack"), Route::NotAllowed(WRITE));
        assert_eq!(at(Method::PUT, ""), Route::NotAllowed(READ));
        for rest in ["/HEAD", "/objects/info/packs", "/config", "/info", "/info/refs/x", "/info%2Frefs"] {
            assert_eq!(at(Method::GET, rest), Route::NotFound, "{rest}");
        }
    }

    #[test]
    fn people_reach_the_page_with_and_without_git_and_slashes() {
        for path in ["/N/my%20app.git", "/N/my%20app", "/N/my%20app.git/", "//N//my%20app.git//"] {
            assert_eq!(get(&path.replace('N', NPUB)), Route::RepositoryPage(repository("my app")), "{path}");
        }
        assert_eq!(get(&format!("/{NPUB}/a.git.git")), Route::RepositoryPage(repository("a.git")));
        assert_eq!(get(&format!("/{NPUB}")), Route::NotFound);
    }

    #[test]
    fn contributors_repositories_are_there_for_git_only_and_only_when_they_are_on() {
        let at = |method, path: &str, on| route(&method, &path.replace('N', NPUB), &HeaderMap::new(), on);
        let contribution = |resource| Route::Contribution(repository("a"), resource);
        let refs = "/prs/N/a.git/info/refs";
        assert_eq!(at(Method::GET, refs, true), contribution(GitResource::InfoRefs));
        assert_eq!(
            at(Method::POST, "/prs/N/a.git/git-receive-pack", true),
            contribution(GitResource::ReceivePack)
        );
        assert_eq!(at(Method::POST, refs, true), Route::NotAllowed(READ));
        for path in ["/prs", "/prs/N", "/prs/N/a.git", "/prs/N/a.git/HEAD", "/prs/x/a.git/info/refs"] {
            assert_eq!(at(Method::GET, path, true), Route::NotFound, "{path}");
        }
        for method in [Method::GET, Method::POST, Method::PUT] {
            assert_eq!(at(method, refs, false), Route::NotFound);
        }
    }

    #[test]
    fn options_is_answered_everywhere() {
        for path in ["/", "*", "/nowhere", "", "/%2e%2e/x"] {
            assert_eq!(route(&Method::OPTIONS, path, &HeaderMap::new(), false), Route::Preflight);
        }
    }

    #[test]
    fn no_spelling_leads_out_of_the_segment() {
        for name in ["..%2f..%2fetc", "%2e%2e", "..", "a%2Fb", "a%00", "%", "%ff", "a%5c%2f", "%2e%2e%2f"] {
            for tail in [".git", ".git/info/refs", ""] {
                let reached = get(&format!("/{NPUB}/{name}{tail}"));
                let identifier = match &reached {
                    Route::RepositoryPage(found) | Route::Git(found, _) => found.identifier.as_str(),
                    _ => continue,
                };
                // `%` and the like are names; a path they are not.
                assert!(!identifier.contains('/') && !identifier.contains('\0'), "{name}: {reached:?}");
                assert!(identifier != "." && identifier != "..", "{name}: {reached:?}");
            }
        }
        assert_eq!(get(&format!("/{NPUB}/../{NPUB}/a.git")), Route::NotFound);
        assert_eq!(get(&format!("/{NPUB}%2fa.git")), Route::NotFound);
        assert_eq!(get(&format!("/{}/a.git", NPUB.to_uppercase())), Route::NotFound);
        assert_eq!(get("/prs/x/a.git"), Route::NotFound);
    }

    #[test]
    fn encoded_once_means_decoded_once() {
        assert_eq!(get(&format!("/{NPUB}/a%252Fb.git")), Route::RepositoryPage(repository("a%2Fb")));
    }

    proptest! {
        #[test]
        fn every_identifier_is_found_under_its_url(identifier in "\\PC{1,60}") {
            if let Ok(identifier) = Identifier::new(&identifier) {
                let repository = Coordinate::new(repository("x").owner, identifier);
                prop_assert_eq!(get(&repository.url_path()), Route::RepositoryPage(repository.clone()));
                let refs = format!("{}/info/refs", repository.url_path());
                prop_assert_eq!(get(&refs), Route::Git(repository, GitResource::InfoRefs));
            }
        }

        #[test]
        fn a_repository_that_is_reached_is_one_safe_segment(
            path in "(/|%2f|%2F|%2e|\\.|%00|%25|\\.git|info|refs|a|%c3%28|\\\\|;|NPUB){0,12}",
        ) {
            let path = format!("/{}", path.replace("NPUB", NPUB));
            if let Route::RepositoryPage(found) | Route::Git(found, _) = get(&path) {
                let name = found.identifier.as_str();
                prop_assert!(!name.contains('/') && !name.chars().any(char::is_control));
                prop_assert!(name != "." && name != "..");
            }
        }
    }
}
