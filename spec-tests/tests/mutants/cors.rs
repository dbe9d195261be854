//! Mutants of G01/cors: a field that is missing or wrong on one kind of response.

use grasp_fixtures::faulty_proxy::{Asked, Head, Lies};
use hyper::{Method, StatusCode};

use crate::lie::http::{is_document, is_git, set};
use crate::mutant::{Mutant, proxy};

const ORIGIN: &str = "access-control-allow-origin";
const METHODS: &str = "access-control-allow-methods";
const HEADERS: &str = "access-control-allow-headers";

/// A list of header fields in which `Git-Protocol` is missing.
const NO_GIT_PROTOCOL: &str = "Content-Type, Authorization, Accept, Content-Encoding, X-Requested-With";
/// The same without `Authorization`.
const NO_AUTHORIZATION: &str = "Content-Type, Git-Protocol, Accept, Content-Encoding, X-Requested-With";
/// The same without `X-Requested-With`.
const NO_REQUESTED_WITH: &str = "Content-Type, Git-Protocol, Authorization, Accept, Content-Encoding";

/// Changes the answers that `which` picks; preflights are left to `G01/cors/options`.
fn on(
    which: impl Fn(&Asked, &Head) -> bool + Copy + Send + Sync + 'static,
    change: fn(&mut Head),
) -> impl Fn() -> Lies {
    move || {
        Lies::default().head(move |asked, head| {
            if asked.method != Method::OPTIONS && which(asked, head) {
                change(head);
            }
        })
    }
}

/// Changes preflights of the paths that `which` picks.
fn preflight(which: fn(&str) -> bool, change: fn(&mut Head)) -> impl Fn() -> Lies {
    move || {
        Lies::default().head(move |asked, head| {
            if asked.method == Method::OPTIONS && which(asked.uri.path()) {
                change(head);
            }
        })
    }
}

fn is_missing(asked: &Asked, head: &Head) -> bool {
    head.status == StatusCode::NOT_FOUND && !is_in_repository(asked.uri.path())
}

fn is_missing_repository(asked: &Asked, head: &Head) -> bool {
    head.status == StatusCode::NOT_FOUND && is_in_repository(asked.uri.path())
}

fn is_in_repository(path: &str) -> bool {
    path.starts_with("/npub1")
}

fn is_upgrade(_: &Asked, head: &Head) -> bool {
    head.status == StatusCode::SWITCHING_PROTOCOLS
}

fn has_failed(_: &Asked, head: &Head) -> bool {
    head.status.is_client_error() || head.status.is_server_error()
}

pub(crate) fn mutants() -> Vec<Mutant> {
    [origin(), methods(), headers(), options()].into_iter().flatten().collect()
}

fn origin() -> Vec<Mutant> {
    let lost = |head: &mut Head| drop(head.headers.remove(ORIGIN));
    vec![
        proxy(
            "origin-lost-on-404",
            "G01/cors/origin",
            "404s have no Access-Control-Allow-Origin",
            on(is_missing, lost),
        ),
        proxy(
            "origin-lost-on-unknown-repositories",
            "G01/cors/origin",
            "a repository that is not hosted is answered without Access-Control-Allow-Origin",
            on(is_missing_repository, lost),
        ),
        proxy(
            "origin-of-one-site",
            "G01/cors/origin",
            "documents allow one site only",
            on(|_, head| is_document(head), |head| set(head, ORIGIN, "https://gitworkshop.dev")),
        )
        .affects("G01/nip11/document/has-cors", "the document's own requirement asks for the field, too"),
        proxy(
            "origin-lost-on-upgrade",
            "G01/cors/origin",
            "the answer to a WebSocket upgrade has no Access-Control-Allow-Origin",
            on(is_upgrade, lost),
        ),
        proxy(
            "origin-null-from-git",
            "G01/cors/origin",
            "what git answers allows the origin `null`",
            on(|_, head| is_git(head), |head| set(head, ORIGIN, "null")),
        ),
    ]
}

fn methods() -> Vec<Mutant> {
    let lost = |head: &mut Head| drop(head.headers.remove(METHODS));
    vec![
        proxy(
            "methods-without-post-on-documents",
            "G01/cors/methods",
            "documents allow GET alone",
            on(|_, head| is_document(head), |head| set(head, METHODS, "GET")),
        ),
        proxy(
            "methods-without-get-from-git",
            "G01/cors/methods",
            "what git answers allows POST alone",
            on(|_, head| is_git(head), |head| set(head, METHODS, "POST")),
        ),
        proxy(
            "methods-lost-on-errors",
            "G01/cors/methods",
            "errors do not say which methods",
            on(has_failed, lost),
        ),
        proxy(
            "methods-lost-on-upgrade",
            "G01/cors/methods",
            "the upgrade does not say which methods",
            on(is_upgrade, lost),
        ),
    ]
}

fn headers() -> Vec<Mutant> {
    vec![
        proxy(
            "headers-without-git-protocol",
            "G01/cors/headers",
            "what git answers does not allow Git-Protocol",
            on(|_, head| is_git(head), |head| set(head, HEADERS, NO_GIT_PROTOCOL)),
        ),
        proxy(
            "headers-without-authorization-on-errors",
            "G01/cors/headers",
            "errors allow everything but Authorization",
            on(has_failed, |head| set(head, HEADERS, NO_AUTHORIZATION)),
        ),
        proxy(
            "headers-without-requested-with",
            "G01/cors/headers",
            "documents do not allow X-Requested-With",
            on(|_, head| is_document(head), |head| set(head, HEADERS, NO_REQUESTED_WITH)),
        ),
        proxy(
            "headers-star-on-upgrade",
            "G01/cors/headers",
            "the upgrade allows `*` only, which is a name to those who send Authorization",
            on(is_upgrade, |head| set(head, HEADERS, "*")),
        ),
    ]
}

fn options() -> Vec<Mutant> {
    vec![
        proxy(
            "preflight-200",
            "G01/cors/options",
            "OPTIONS of / is answered 200",
            preflight(|path| path == "/", |head| head.status = StatusCode::OK),
        ),
        proxy(
            "preflight-404",
            "G01/cors/options",
            "OPTIONS of what is not there is answered 404",
            preflight(|path| path.starts_with("/no/"), |head| head.status = StatusCode::NOT_FOUND),
        ),
        proxy(
            "preflight-without-content-type",
            "G01/cors/options",
            "a preflight of a POST to git does not allow Content-Type",
            preflight(
                |path| path.ends_with("/git-upload-pack"),
                |head| {
                    set(
                        head,
                        HEADERS,
                        "Git-Protocol, Authorization, Accept, Content-Encoding, X-Requested-With",
                    );
                },
            ),
        ),
        proxy(
            "preflight-without-origin",
            "G01/cors/options",
            "a preflight of info/refs has no Access-Control-Allow-Origin",
            preflight(|path| path.ends_with("/info/refs"), |head| drop(head.headers.remove(ORIGIN))),
        ),
    ]
}
