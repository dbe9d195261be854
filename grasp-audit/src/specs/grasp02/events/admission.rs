//! G02/events/admission: a synced event passes the very rules of a published one.
//!
//! "It is not served" proves nothing of a server that fetches nothing: each check has the peer send an honest event after
//! the others, and looks when that has come.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use grasp_fixtures::events::{self, forged};
use nostr::event::Event;
use serde_json::Value;
use tokio::net::TcpListener;

use super::super::elsewhere::check;
use crate::check::{Check, CheckResult, Ending, expect, skip};
use crate::context::Context;
use crate::peer::Peer;
use crate::peer::manners::Negentropy;
use crate::target::url::ServiceUrl;

const ADMISSION: &str = "G02/events/admission";

pub(super) fn checks() -> Vec<Check> {
    let forgery = |name: &'static str, title: &str, forge: fn(&Event) -> Value| {
        check(ADMISSION, name, title, move |ctx| forgery(ctx, forge))
    };
    vec![
        forgery(
            "bad-signature",
            "an event of a peer whose signature is somebody else's is not served, and does not keep the true one out",
            forged::bad_signature,
        ),
        forgery("bad-id", "an event of a peer whose id is not its hash is not served", forged::bad_id),
        forgery(
            "altered",
            "an event of a peer that was changed after signing is not served, and does not keep the true one out",
            forged::altered_content,
        ),
        forgery("stolen-name", "an event of a peer under somebody else's name is not served", |event| {
            forged::stolen_name(event, &grasp_fixtures::keys::fresh().public_key())
        }),
        check(
            ADMISSION,
            "unrelated",
            "an event of a peer that is about nothing here is not served",
            unrelated,
        ),
        check(
            ADMISSION,
            "unlisted",
            "an announcement of a peer that does not list this service is not served",
            unlisted,
        ),
        check(
            ADMISSION,
            "stranger-state",
            "a state of a peer by somebody who maintains nothing here is not served, and moves no ref",
            stranger_state,
        ),
        check(
            ADMISSION,
            "deleted",
            "what was deleted here does not come back from a peer that still has it",
            deleted,
        ),
        check(
            ADMISSION,
            "private-address",
            "relay and clone URLs of a synced announcement that lead to a private address are not followed",
            private_address,
        ),
    ]
}

/// A peer that is read page by page: what it sends of its own accord comes with that.
async fn lying(ctx: &Context) -> CheckResult<Peer> {
    let peer = ctx.peer().await?;
    peer.behave(|manners| manners.negentropy = Negentropy::Unknown);
    Ok(peer)
}

/// The honest event has come, so all that was sent before it has been looked at.
async fn honest_comes(ctx: &Context, peer: &Peer, honest: &Event) -> CheckResult {
    peer.publish(honest).await?;
    ctx.hosted_naming(&[peer]).await?;
    ctx.arrives(peer, honest).await
}

async fn forgery(ctx: Context, forge: fn(&Event) -> Value) -> CheckResult {
    let (peer, truth) = (lying(&ctx).await?, ctx.issue("the truth"));
    let forgery = forge(&truth);
    peer.behave(|manners| manners.forged.push(forgery.clone()));
    honest_comes(&ctx, &peer, &ctx.issue("honest")).await?;
    let id = forgery["id"].as_str().unwrap_or_default().to_owned();
    let found = ctx.query(serde_json::json!({"ids": [id]})).await?;
    expect(found.is_empty(), "the forgery is not served", "REQ by its id finds it")?;
    ctx.accepted(&truth).await?;
    ctx.served(&truth).await
}

async fn unrelated(ctx: Context) -> CheckResult {
    let (peer, note) = (lying(&ctx).await?, ctx.sign(&ctx.someone(), events::note("about nothing here")));
    let json = serde_json::to_value(&note).unwrap_or_default();
    peer.behave(|manners| manners.unasked.push(json));
    honest_comes(&ctx, &peer, &ctx.issue("honest")).await?;
    ctx.not_served(&note).await
}

async fn unlisted(ctx: Context) -> CheckResult {
    let (peer, stranger) = (lying(&ctx).await?, ctx.someone());
    let identifier = ctx.other_identifier();
    let announcement = grasp_fixtures::Announcement::new(&identifier)
        .clone_url(peer.clone_url(&stranger.public_key(), &identifier))
        .relay(peer.relay());
    let announcement = ctx.sign(&stranger, announcement.draft());
    peer.publish(&announcement).await?;
    honest_comes(&ctx, &peer, &ctx.issue("honest")).await?;
    ctx.not_served(&announcement).await
}

async fn stranger_state(ctx: Context) -> CheckResult {
    let (peer, stranger) = (lying(&ctx).await?, ctx.someone());
    let hosted = ctx.hosted_naming(&[&peer]).await?;
    let state = ctx.sign(&stranger, hosted.main_at(&hosted.tip).branch("theirs", &hosted.tip).draft());
    // live: the state is told before the honest event
    ctx.is_subscribed(&peer, &state).await?;
    let honest = ctx.issue("honest");
    ctx.is_subscribed(&peer, &honest).await?;
    peer.publish_all([&state, &honest]).await?;
    ctx.arrives(&peer, &honest).await?;
    ctx.not_served(&state).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

async fn deleted(ctx: Context) -> CheckResult {
    let (peer, author) = (lying(&ctx).await?, ctx.someone());
    let regretted = ctx.sign(&author, events::issue(&ctx.coordinate(), "regretted", ""));
    peer.publish(&regretted).await?;
    let hosted = ctx.hosted_naming(&[&peer]).await?;
    ctx.arrives(&peer, &regretted).await?;
    ctx.publishes(&author, events::delete_ids([&regretted.id])).await?;
    ctx.gone(&regretted).await?;
    // a newer announcement makes the server look again, and a new connection
    let dropped = peer.drop_connections();
    let again = ctx.sign(&hosted.owner, ctx.announcement_naming(&[&peer]).draft());
    ctx.accepted(&again).await?;
    let honest = ctx.issue("honest");
    peer.publish(&honest).await?;
    ctx.arrives(&peer, &honest).await?;
    // the newest may come before the rest of the history
    ctx.reads_histories(&peer, dropped).await;
    ctx.arrives_live(&peer, &ctx.issue("afterwards")).await?;
    ctx.not_served(&regretted).await
}

async fn private_address(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    let home = ServiceUrl::parse(peer.relay().rsplit_once("/peer-").map_or(peer.relay(), |(base, _)| base))
        .map_err(|error| Ending::CannotRun(error.to_string()))?;
    if let Ok(address) = home.host.parse::<IpAddr>()
        && !is_public(address)
    {
        return Err(skip(format!(
            "the server evidently comes to {address}, so it is allowed private addresses; examined when --peer-url is public"
        )));
    }
    let Some(private) = own_private_address() else {
        return Err(skip("the auditor's machine has no private address at which it could notice a visit"));
    };
    let trap = TcpListener::bind(SocketAddr::new(private, 0)).await;
    let trap = trap.map_err(|error| Ending::CannotRun(format!("no trap at {private}: {error}")))?;
    let at = trap.local_addr().map_err(|error| Ending::CannotRun(error.to_string()))?;
    let hosted = ctx.hosted_naming(&[&peer]).await?;
    let (_, _, state) = ctx.next_state(&hosted).await?;
    let naming = ctx.announcement_naming(&[&peer]).relay(format!("ws://{at}"));
    let naming = naming.clone_url(format!("http://{at}/{}.git", ctx.identifier));
    let naming = ctx.sign(&ctx.owner, naming.draft());
    peer.publish_all([&naming, &state]).await?;
    ctx.arrives(&peer, &naming).await?;
    let path = crate::target::url::repository_path(&ctx.owner.public_key(), &ctx.identifier);
    // by the time it has asked the honest host for the data, it has had its chance at the trap
    ctx.visit(&peer, "the state's data is asked for", crate::context::SYNCED_WITHIN, |visits| {
        (!crate::peer::visits::fetches(visits, &path).is_empty()).then_some(())
    })
    .await?;
    let honest = ctx.issue("honest");
    ctx.arrives_live(&peer, &honest).await?;
    let visited = tokio::time::timeout(std::time::Duration::ZERO, trap.accept()).await;
    expect(visited.is_err(), format!("nobody comes to {at}"), "a connection from the server")
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || shared)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local())
        }
    }
}

/// A private address of this machine, by which it would go out; nothing is sent to find it.
fn own_private_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !is_public(own)).then_some(own)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn private_addresses_are_known() {
        for private in
            ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.1.1", "100.64.0.1", "::1", "fd00::1", "fe80::1"]
        {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for public in ["1.1.1.1", "100.128.0.1", "2606:4700::1111"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
