//! A real browser as witness: what a page from another origin does with the bundled server, by isomorphic-git and
//! nostr-tools, as people's browser clients do.
//!
//! `.ci/browser` installs what this needs; `make test` does so by itself.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use grasp_fixtures::faulty_proxy::{Lies, Listening};
use hyper::Method;
use hyper::header::{ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue};
use spec_tests::browser::{Account, Browser};
use spec_tests::{Backend, Setup, gate};

/// Everything the page does, in its order (`spec-tests/browser/witness.js`).
const STEPS: [&str; 15] = [
    "the page has another origin",
    "the relay information document can be read",
    "an error can be told from a network failure",
    "nostr-tools connects and subscribes",
    "nostr-tools publishes announcement and state, which wait",
    "isomorphic-git pushes what the state says",
    "the subscription brings both events",
    "isomorphic-git lists refs by protocol v2",
    "isomorphic-git clones it",
    "a push that no state names is refused with a reason",
    "after its state the same push is taken",
    "isomorphic-git fetches what is new",
    "isomorphic-git clones one commit deep",
    "blob:none brings commits and trees and no blob",
    "a blob is fetched by its id",
];

/// What the page tells of a server behind a proxy that lies; nothing when there is no browser.
async fn witness(test: &str, lies: Lies) -> Option<Account> {
    let browser = match Browser::find() {
        Ok(browser) => browser,
        Err(why) => {
            gate::skip(test, &why);
            return None;
        }
    };
    let proxy = Listening::bind().await.unwrap();
    let setup = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Lmdb);
    let server = setup.set("NGIT_DOMAIN", proxy.authority()).start().await;
    let authority = proxy.authority().to_owned();
    let _proxy = proxy.serve(server.authority().parse().unwrap(), lies);
    Some(browser.witness(&authority).await)
}

/// The first `count` steps hold, and then it ends with a failure that says `why`.
fn fails_after(account: &Account, count: usize, why: &str) {
    assert_eq!(account.held, STEPS[..count], "{:?}", account.failed);
    let (step, said) = account.failed.as_ref().expect("a step fails");
    assert_eq!(step, STEPS[count]);
    assert!(said.contains(why), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_origin_publishes_pushes_clones_and_fetches_by_id() {
    let browser = match Browser::find() {
        Ok(browser) => browser,
        Err(why) => {
            return gate::skip("a_page_of_another_origin_publishes_pushes_clones_and_fetches_by_id", &why);
        }
    };
    let server = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Lmdb).start().await;
    let account = browser.witness(&server.authority()).await;
    assert_eq!(account, Account { held: STEPS.map(str::to_owned).to_vec(), failed: None });
}

#[tokio::test(flavor = "multi_thread")]
async fn it_notices_when_errors_carry_no_cors_headers() {
    let lies = Lies::default().head(|_, head| {
        if head.status.is_client_error() {
            head.headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        }
    });
    let Some(account) = witness("it_notices_when_errors_carry_no_cors_headers", lies).await else { return };
    fails_after(&account, 2, "Failed to fetch");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_notices_when_a_push_carries_no_cors_headers() {
    let lies = Lies::default().head(|asked, head| {
        if asked.method == Method::POST && asked.uri.path().ends_with("/git-receive-pack") {
            head.headers.remove(ACCESS_CONTROL_ALLOW_ORIGIN);
        }
    });
    let Some(account) = witness("it_notices_when_a_push_carries_no_cors_headers", lies).await else { return };
    fails_after(&account, 5, "Failed to fetch");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_notices_when_a_preflight_does_not_allow_git_protocol() {
    let lies = Lies::default().head(|_, head| {
        head.headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("Content-Type, Accept"));
    });
    let Some(account) = witness("it_notices_when_a_preflight_does_not_allow_git_protocol", lies).await else {
        return;
    };
    fails_after(&account, 7, "Failed to fetch");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_notices_when_a_filter_is_ignored() {
    let filtered = |body: &[u8]| String::from_utf8_lossy(body).contains("filter blob:none");
    let lies = Lies::default().request_body(
        |asked| asked.uri.path().ends_with("/git-upload-pack"),
        move |_, body| {
            if !filtered(body) {
                return Ok(body.to_vec());
            }
            let body = String::from_utf8_lossy(body).replace("0015filter blob:none\n", "");
            Ok(body.into_bytes())
        },
    );
    let Some(account) = witness("it_notices_when_a_filter_is_ignored", lies).await else { return };
    fails_after(&account, 13, "two commits and two trees are due");
}
