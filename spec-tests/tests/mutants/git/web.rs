//! Mutants of G01/git/web.

use grasp_fixtures::faulty_proxy::{Asked, Head, Lies};
use hyper::StatusCode;
use percent_encoding::percent_decode_str;

use crate::lie::http::{field, set};
use crate::mutant::{Mutant, proxy};

const ROW: &str = "G01/git/web";

fn is_page(_: &Asked, head: &Head) -> bool {
    field(&head.headers, "content-type").starts_with("text/html")
}

fn is_404_page(asked: &Asked, head: &Head) -> bool {
    is_page(asked, head) && head.status == StatusCode::NOT_FOUND
}

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        proxy("page-without-links", ROW, "the page of a repository leads nowhere", || {
            Lies::default().body(is_page, |_, _, body| {
                String::from_utf8_lossy(body).replace("href=", "data-href=").into_bytes()
            })
        }),
        proxy("page-in-circles", ROW, "the page of a repository leads to this server only", || {
            Lies::default().body(is_page, |_, _, body| {
                let page = String::from_utf8_lossy(body).replace("href=\"https://", "href=\"/elsewhere/");
                page.replace("href=\"nostr:", "href=\"/").into_bytes()
            })
        }),
        proxy("missing-page-200", ROW, "the page of a repository that is not hosted comes with 200", || {
            Lies::default().head(|asked, head| {
                if is_404_page(asked, head) {
                    head.status = StatusCode::OK;
                }
            })
        }),
        proxy("missing-page-as-text", ROW, "a 404 is plain text, for browsers too", || {
            Lies::default().head(|asked, head| {
                if is_404_page(asked, head) {
                    set(head, "content-type", "text/plain");
                }
            })
        }),
        proxy(
            "missing-page-unescaped",
            ROW,
            "the 404 page says which name was asked for, as it came",
            || {
                Lies::default().body(is_404_page, |asked, _, body| {
                    let name = percent_decode_str(asked.uri.path()).decode_utf8_lossy();
                    [body, format!("<p>There is no {name}.</p>").as_bytes()].concat()
                })
            },
        ),
    ]
}
