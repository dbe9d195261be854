//! G01/relay: the relay, and which events it takes. One file per row of the catalogue.

mod curation;
mod deletion;
mod maintainers;
mod nip01;
mod related;
mod repository_events;
mod unlisted;
mod unrelated;

use nostr::event::Event;
use nostr::key::Keys;

use crate::check::{Check, CheckResult};
use crate::context::{Context, Hosted, SETTLES_WITHIN};
use grasp_fixtures::{Draft, events};

/// The checks of this section.
#[must_use]
pub fn checks() -> Vec<Check> {
    [
        nip01::checks(),
        repository_events::checks(),
        maintainers::checks(),
        unlisted::checks(),
        related::checks(),
        unrelated::checks(),
        deletion::checks(),
        curation::checks(),
    ]
    .concat()
}

/// An issue about a hosted repository, unsigned.
fn issue(hosted: &Hosted) -> Draft {
    events::issue(&hosted.coordinate, "found by the audit", "it only looks broken")
}

/// Somebody's issue about a hosted repository, published and taken.
async fn filed_issue(ctx: &Context, hosted: &Hosted, author: &Keys) -> CheckResult<Event> {
    ctx.publishes(author, issue(hosted)).await
}

/// Whether git is answered at the repository's path: with `status`, now or soon.
pub(in crate::specs) async fn path_answers(ctx: &Context, path: &str, status: u16) -> CheckResult {
    let query = format!("{path}/info/refs?service=git-upload-pack");
    let what = format!("GET {query} is answered {status}");
    let asks = || async { Ok(ctx.http.get(&query, &[]).await?.status == status) };
    ctx.eventually(&what, SETTLES_WITHIN, asks).await
}

/// Two versions of one replaceable event, signed for the same second: the one with the lower id first.
fn twins(ctx: &Context, author: &Keys, version: impl Fn(&str) -> Draft) -> (Event, Event) {
    let second = ctx.later();
    let one = ctx.sign(author, version("one").at(second));
    let other = ctx.sign(author, version("other").at(second));
    if one.id.to_hex() < other.id.to_hex() { (one, other) } else { (other, one) }
}
