//! The page that shows how proactive sync stands.

use maud::{Markup, html};
use time::OffsetDateTime;

use super::overview::{HuntedView, PeerHealth, PeerState, PeerView, SyncView};

/// The page's title.
pub(super) const TITLE: &str = "How this server keeps in step";

/// Repositories that are hunted for and listed; the rest is counted. Relays are bounded by the planner.
const LISTED: usize = 200;

/// What stands between the page's head and its foot.
pub(super) fn body(view: Option<&SyncView>) -> Markup {
    html! {
        h1 { (TITLE) }
        p.lead {
            "Repositories live on several servers. This one asks the others that an announcement names for what came to them "
            "first: events, and the git data that signed events name."
        }
        @match view {
            None => p.waiting role="status" {
                "Proactive sync is off: this server asks no other server for anything, and holds what is sent to it."
            },
            Some(view) => (standing(view)),
        }
        p { a href="/" { "About this server" } }
    }
}

fn standing(view: &SyncView) -> Markup {
    let connected = view.peers.iter().filter(|peer| peer.state == PeerState::Connected).count();
    html! {
        p { "As of " (time(view.now)) ". The same as data: ask for " code { "application/json" } "." }

        h2 { "Other relays" }
        @if view.peers.is_empty() {
            p { "No repository here names another relay." }
        } @else {
            p { (connected) " of " (view.peers.len()) " are connected." }
        }
        @if view.unlisted_peers > 0 {
            p {
                (view.unlisted_peers) " more are not shown: only announcements that still wait for their git data name them."
            }
        }
        @if view.queued_peers > 0 { p { (view.queued_peers) " more wait until there is room for them." } }
        ul.peers { @for peer in &view.peers { li { (peer_entry(peer, view.now)) } } }

        h2 { "Git data that is looked for" }
        @if view.hunted.is_empty() {
            p { "Nothing is missing in the repositories that are served here." }
        }
        ul.peers { @for hunted in view.hunted.iter().take(LISTED) { li { (hunted_entry(hunted, view.now)) } } }
        @if view.hunted.len() > LISTED { p { "And " (view.hunted.len() - LISTED) " more." } }
        dl {
            dt { "Fetches under way" } dd { (view.fetches) }
            dt { "Repositories that wait" } dd { (view.waiting_repositories) }
            @if view.unlisted_hunted > 0 { dt { "Looked for on behalf of these" } dd { (events(view.unlisted_hunted)) } }
        }
    }
}

fn peer_entry(peer: &PeerView, now: u64) -> Markup {
    html! {
        h3 { code { (peer.relay) } }
        dl {
            dt { "State" }
            dd {
                strong.(state_class(peer)) { (state(peer)) }
                @if let Some(since) = peer.since { " since " (moment(since, now)) }
                @if peer.bootstrap { ", named by the operator" }
            }
            @if let Some(why) = peer.why { dt { "Why" } dd { (why) } }
            @if let Some(next) = peer.next_try { dt { "Next try" } dd { (moment(next, now)) } }
            dt { "Last event" }
            dd { @if let Some(last) = peer.last_event { (moment(last, now)) } @else { "none since this server started" } }
            dt { "Events" }
            dd {
                (peer.events.taken) " taken, " (peer.events.known) " known already, " (peer.events.refused) " refused"
                @if peer.events.forged > 0 { ", " (peer.events.forged) " forged" }
            }
            dt { "Level" }
            dd {
                (peer.confirmed) " of " (peer.wanted) " histories are here"
                @if peer.reconciles { ", compared by reconciliation" } @else { ", read page by page" }
                @if let Some(next) = peer.next_reconciliation { "; all of it again " (moment(next, now)) }
            }
        }
    }
}

fn hunted_entry(hunted: &HuntedView, now: u64) -> Markup {
    html! {
        h3 { a href=(hunted.path) { (hunted.identifier) } }
        p {
            (events(hunted.events)) " for " (hunted.missing) " objects; "
            (hunted.servers) " servers may have them, "
            (hunted.attempts) " fetches did not bring everything"
            @match hunted.next_try {
                Some(next) => { "; next try " (moment(next, now)) }
                None if hunted.servers == 0 => "; there is nowhere to look",
                None => "; a fetch is under way",
            }
            "."
        }
    }
}

fn events(count: usize) -> String {
    if count == 1 { "1 event waits".to_owned() } else { format!("{count} events wait") }
}

const fn state(peer: &PeerView) -> &'static str {
    match (peer.state, peer.health) {
        (PeerState::Connected, _) => "Connected",
        (PeerState::Connecting, _) => "Being connected",
        (PeerState::Leaving, _) => "Being left",
        (PeerState::Away, PeerHealth::Dead) => "Not connected, tried once a day",
        (PeerState::Away, _) => "Not connected",
    }
}

const fn state_class(peer: &PeerView) -> &'static str {
    match peer.state {
        PeerState::Connected => "here",
        PeerState::Connecting | PeerState::Leaving | PeerState::Away => "away",
    }
}

fn time(seconds: u64) -> Markup {
    let written = utc(seconds);
    html! { time datetime=(written) { (written) } }
}

/// A Unix time as RFC 3339 has it. What is beyond all calendars is the epoch.
fn utc(seconds: u64) -> String {
    let at =
        i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A moment, and how far it is from now.
fn moment(seconds: u64, now: u64) -> Markup {
    let distance = span(seconds.abs_diff(now));
    html! { (time(seconds)) " (" @if seconds > now { "in " (distance) } @else { (distance) " ago" } ")" }
}

/// A span of time in its largest unit.
fn span(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::overview::PeerEvents;

    fn peer(relay: &str) -> PeerView {
        PeerView {
            relay: relay.to_owned(),
            bootstrap: false,
            state: PeerState::Away,
            since: Some(1_000),
            health: PeerHealth::Degraded,
            failures: 3,
            why: Some("no connection came about, or it broke off"),
            next_try: Some(1_000 + 7_200),
            last_event: None,
            wanted: 3,
            confirmed: 1,
            live: 0,
            events: PeerEvents { taken: 7, ..PeerEvents::default() },
            reconciles: true,
            next_reconciliation: None,
        }
    }

    #[test]
    fn a_peer_is_told_with_state_since_when_last_event_next_try_and_why() {
        let view = SyncView { now: 1_060, peers: vec![peer("wss://a.example")], ..SyncView::default() };
        let page = body(Some(&view)).into_string();
        for told in [
            "wss://a.example",
            "Not connected",
            "1970-01-01T00:16:40Z",
            "(1 minute ago)",
            "(in 1 hour)",
            "no connection came about",
            "none since this server started",
            "1 of 3 histories",
        ] {
            assert!(page.contains(told), "{told}: {page}");
        }
    }

    #[test]
    fn what_strangers_named_is_text() {
        let evil = "wss://x/<script>\"'>";
        let hunted = HuntedView {
            path: "/npub1/<b>".to_owned(),
            identifier: "<b>".to_owned(),
            events: 1,
            missing: 2,
            servers: 0,
            attempts: 0,
            next_try: None,
        };
        let view = SyncView { peers: vec![peer(evil)], hunted: vec![hunted], ..SyncView::default() };
        let page = body(Some(&view)).into_string();
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(page.contains("1 event waits") && page.contains("nowhere to look"), "{page}");
    }

    #[test]
    fn a_server_that_does_not_sync_says_so() {
        assert!(body(None).into_string().contains("Proactive sync is off"));
    }

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        let told = [0, 1, 59, 60, 3_599, 3_600, 86_399, 86_400, 864_000].map(span);
        let expected = [
            "0 seconds",
            "1 second",
            "59 seconds",
            "1 minute",
            "59 minutes",
            "1 hour",
            "23 hours",
            "1 day",
            "10 days",
        ];
        assert_eq!(told, expected);
    }
}
