//! The pages that people see: what this is, a repository, and what is not here.
//!
//! No scripts, one stylesheet inside the page, nothing from other places; everything that strangers wrote is escaped.
//! The content security policy allows just that.

use std::sync::LazyLock;

use base64::Engine as _;
use http::HeaderValue;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use nostr::nips::nip19::ToBech32 as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::{About, RepositoryView, SyncView, sync_page};
use crate::nip34::Coordinate;

/// The icon, as SVG.
pub(super) const ICON: &str = include_str!("icon.svg");

/// The policy of the icon when it is opened by itself.
pub(super) const IMAGE_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("style.css");

/// What RFC 3986 calls unreserved stays as it is in URLs.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Branches and maintainers that a page lists; the rest is counted.
const LISTED: usize = 100;

/// The policy of all pages.
pub(super) fn policy() -> HeaderValue {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; img-src 'self'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        );
        // Base64 and the text around it are visible ASCII.
        #[allow(clippy::expect_used)]
        HeaderValue::from_str(&policy).expect("visible ASCII")
    });
    POLICY.clone()
}

/// What is not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// A repository that is not hosted.
    NoRepository,
    /// Any other address.
    NoPage,
}

impl Problem {
    const fn title(self) -> &'static str {
        match self {
            Self::NoRepository => "This repository is not hosted here",
            Self::NoPage => "There is nothing at this address",
        }
    }

    /// For programs and people alike.
    pub(super) const fn explanation(self) -> &'static str {
        match self {
            Self::NoRepository => {
                "not found: no repository is announced to this server under this address; \
                 check the npub and the name, or announce it first (for example with `ngit init`)"
            }
            Self::NoPage => "not found: there is nothing at this address",
        }
    }
}

/// The pages of one service.
pub(super) struct Pages {
    about: About,
    landing: String,
}

impl Pages {
    pub(super) fn new(about: About) -> Self {
        let landing = landing(&about).into_string();
        Self { about, landing }
    }

    pub(super) fn landing(&self) -> String {
        self.landing.clone()
    }

    pub(super) fn repository(&self, repository: &Coordinate, view: &RepositoryView) -> String {
        repository_page(&self.about, repository, view).into_string()
    }

    /// How proactive sync stands; nothing when it is off.
    pub(super) fn sync(&self, view: Option<&SyncView>) -> String {
        frame(&self.about, sync_page::TITLE, &sync_page::body(view)).into_string()
    }

    pub(super) fn problem(&self, problem: Problem) -> String {
        let body = html! {
            h1 { (problem.title()) }
            @match problem {
                Problem::NoRepository => {
                    p.lead { "Nobody has announced it to this server, or it has been withdrawn." }
                    p {
                        "It may be hosted elsewhere: look for it on "
                        a href="https://gitworkshop.dev" { "gitworkshop.dev" }
                        ". If it is yours, announce it to this server, for example with "
                        a href="https://gitworkshop.dev/ngit" { "ngit" } ":"
                    }
                    pre { code.copy { "ngit init --grasp-server " (self.about.domain.relay_url()) } }
                }
                Problem::NoPage => {
                    p.lead { "Repositories are at " code { "/<npub>/<name>.git" } "." }
                }
            }
            p { a href="/" { "What this server is" } }
        };
        frame(&self.about, problem.title(), &body).into_string()
    }
}

fn frame(about: &About, title: &str, body: &Markup) -> Markup {
    let owner = about.owner.to_bech32().unwrap_or_else(|never| match never {});
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) @if title != about.name { " · " (about.name) } }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (body) }
                footer {
                    p {
                        "A "
                        a href="https://gitworkshop.dev/danconwaydev.com/grasp" { "GRASP" }
                        " server: git relays authorised by signed Nostr proofs. Operated by "
                        code { (owner) } "."
                    }
                }
            }
        }
    }
}

fn landing(about: &About) -> Markup {
    let relay = about.domain.relay_url();
    let pattern = format!("{}/<npub>/<name>.git", about.domain.http_url());
    let body = html! {
        header {
            img src="/icon.svg" alt="";
            h1 { (about.name) }
        }
        @if !about.description.is_empty() { p.lead { (about.description) } }

        h2 { "What this is" }
        p {
            "A git host and a Nostr relay in one, without accounts. The maintainers of a repository publish signed "
            "events that say what it is and where its branches and tags shall be; this server accepts exactly the "
            "pushes that agree with them. Issues, patches and pull requests are Nostr events as well, so nobody is "
            "tied to this server: the same repository can live on many."
        }
        dl {
            dt { "Relay" } dd { code.copy { (relay) } }
            dt { "Repositories" } dd { code { (pattern) } }
            dt { "Other servers" } dd { a href="/sync" { "How this one keeps in step with them" } }
        }

        h2 { "Clone and browse" }
        p { "Plain git is enough to read:" }
        pre { code { "git clone " (pattern) } }
        p {
            "With " a href="https://gitworkshop.dev/ngit" { "ngit" }
            " installed, git also understands Nostr addresses, checks what it fetches against the maintainers' "
            "signatures, and finds the repository wherever it lives:"
        }
        pre { code { "git clone nostr://<npub>/<name>" } }
        ul.buttons {
            li { a href="https://gitworkshop.dev" { "Browse on gitworkshop.dev" } }
            li { a href="https://gitworkshop.dev/ngit" { "Get ngit for the command line" } }
        }

        h2 { "Publish a repository" }
        p { "In your git repository, with ngit:" }
        pre { code {
            "ngit init --grasp-server " (relay) "\n"
            "git push"
        } }
        p {
            "The first command announces the repository and gives it a " code { "nostr://" }
            " remote. The second signs the new state of your branches and then pushes them. An announcement that is not "
            "followed by its git data is forgotten after a while."
        }
        p { "To propose a change to somebody else's repository, push a branch whose name begins with " code { "pr/" } "." }
    };
    frame(about, &about.name, &body)
}

fn repository_page(about: &About, repository: &Coordinate, view: &RepositoryView) -> Markup {
    let name = if view.name.trim().is_empty() { repository.identifier.as_str() } else { view.name.trim() };
    let address = nostr_address(about, repository);
    let body = html! {
        h1 { (name) }
        @if !view.description.is_empty() { p.lead { (view.description) } }
        @if view.waiting {
            p.waiting role="status" {
                "This repository has been announced, and its git data has not arrived yet. It is served to others once "
                "its maintainers have pushed what they have signed."
            }
        }
        @if view.archived {
            p { "This is an archive's copy of a repository that lives on other servers, which it follows." }
        }
        ul.buttons {
            li { a href=(format!("https://gitworkshop.dev/{address}")) { "Open on gitworkshop.dev" } }
            li { a href="https://gitworkshop.dev/ngit" { "Get ngit for the command line" } }
        }

        h2 { "Clone" }
        p { "With ngit, to contribute:" }
        pre { code.copy { "git clone nostr://" (address) } }
        p { "With plain git, to read:" }
        pre { code.copy { "git clone " (view.clone_url) } }

        h2 { "About" }
        dl {
            dt { "Maintainers" }
            dd { (listed(&view.maintainers, None)) }
            dt { "Branches" }
            dd {
                @if view.branches.is_empty() { "none yet" } @else { (listed(&view.branches, view.head.as_deref())) }
            }
            dt { "Identifier" } dd { code { (repository.identifier) } }
        }
        p { a href="/" { "About this server" } }
    };
    frame(about, name, &body)
}

/// The first [`LISTED`] names, one of them marked as the default.
fn listed(names: &[String], default: Option<&str>) -> Markup {
    html! {
        ul.names {
            @for name in names.iter().take(LISTED) {
                li { code { (name) } @if default == Some(name) { " (default)" } }
            }
            @if names.len() > LISTED { li { "and " (names.len() - LISTED) " more" } }
        }
    }
}

/// `<npub>/<relay>/<identifier>`: behind `nostr://` for git with ngit, behind gitworkshop.dev's address for browsers.
/// The relay is percent-encoded; its scheme is left out when it is `wss`.
fn nostr_address(about: &About, repository: &Coordinate) -> String {
    let relay = about.domain.relay_url();
    let hint = relay.strip_prefix("wss://").unwrap_or(&relay);
    let hint = utf8_percent_encode(hint, UNRESERVED);
    format!("{}/{hint}/{}", repository.npub(), repository.identifier.encoded())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn about(domain: &str) -> About {
        About {
            domain: domain.parse().unwrap(),
            name: "<b>Name</b>".to_owned(),
            description: "a & b".to_owned(),
            owner: repository("x").owner,
            contributions: true,
        }
    }

    fn repository(identifier: &str) -> Coordinate {
        let npub = "npub180cvv07tjdrrgpa0j7j7tmnyl2yr6yr7l8j4s3evf6u64th6gkwsyjh6w6";
        let any = Coordinate::from_path(npub, "x.git").unwrap();
        Coordinate::new(any.owner, crate::nip34::Identifier::new(identifier).unwrap())
    }

    #[test]
    fn what_strangers_wrote_is_text() {
        let evil = "<script>alert(1)</script>\"'><img src=x onerror=y>".to_owned();
        let view = RepositoryView {
            name: evil.clone(),
            description: evil.clone(),
            clone_url: evil.clone(),
            waiting: true,
            archived: true,
            maintainers: vec![evil.clone()],
            branches: vec![evil.clone()],
            head: Some(evil),
        };
        let pages = Pages::new(about("git.example.org"));
        let page = pages.repository(&repository("<i>&\"' x"), &view);
        assert!(!page.contains("<script") && !page.contains("<img src=x") && !page.contains("<i>"), "{page}");
        assert!(!pages.landing().contains("<b>Name"));
        assert!(pages.landing().contains("a &amp; b"));
    }

    #[test]
    fn addresses_carry_the_relay_as_ngit_reads_it() {
        let repository = repository("my app");
        let npub = repository.npub();
        assert_eq!(
            nostr_address(&about("git.example.org"), &repository),
            format!("{npub}/git.example.org/my%20app")
        );
        let local = nostr_address(&about("127.0.0.1:7334"), &repository);
        assert_eq!(local, format!("{npub}/ws%3A%2F%2F127.0.0.1%3A7334/my%20app"));
    }

    #[test]
    fn the_policy_allows_the_stylesheet_as_it_is_in_the_page() {
        let page = Pages::new(about("git.example.org")).landing();
        let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style));
        assert!(policy().to_str().unwrap().contains(&hash));
        assert!(!page.contains("<script"));
    }

    #[test]
    fn long_lists_are_cut() {
        let branches = (0..250).map(|number| format!("branch-{number}")).collect();
        let view =
            RepositoryView { branches, head: Some("branch-1".to_owned()), ..RepositoryView::default() };
        let page = Pages::new(about("git.example.org")).repository(&repository("x"), &view);
        assert!(page.contains("and 150 more") && page.contains("branch-1</code> (default)"));
    }
}
