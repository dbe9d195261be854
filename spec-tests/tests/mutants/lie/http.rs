//! Lies about HTTP: which answer is which, and bodies that change.

use grasp_fixtures::faulty_proxy::{Asked, Head, Lies};
use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;

/// A header field of a request or an answer as text; empty when absent.
pub(crate) fn field<'h>(headers: &'h hyper::HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Sets a header field.
pub(crate) fn set(head: &mut Head, name: &'static str, value: &'static str) {
    head.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
}

/// Asks for another path, with the query that was asked for.
pub(crate) fn set_path(asked: &mut Asked, path: &str) {
    let query = asked.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    if let Ok(uri) = format!("{path}{query}").parse::<Uri>() {
        asked.uri = uri;
    }
}

/// A document for relays or a page for people: an answer at `/`, or any HTML.
pub(crate) fn is_document(head: &Head) -> bool {
    let kind = field(&head.headers, "content-type");
    head.status.is_success() && (kind.contains("nostr+json") || kind.contains("text/html"))
}

/// An answer of git.
pub(crate) fn is_git(head: &Head) -> bool {
    field(&head.headers, "content-type").starts_with("application/x-git-")
}

/// A relay information document.
pub(crate) fn is_nip11(_: &Asked, head: &Head) -> bool {
    field(&head.headers, "content-type").contains("nostr+json")
}

/// The relay information document, changed.
pub(crate) fn nip11(change: impl Fn(&mut Value) + Send + Sync + 'static) -> Lies {
    Lies::default().body(is_nip11, move |_, _, body| {
        let mut document: Value = serde_json::from_slice(body).unwrap_or_default();
        change(&mut document);
        document.to_string().into_bytes()
    })
}
