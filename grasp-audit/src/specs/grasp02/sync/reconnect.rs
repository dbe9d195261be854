//! G02/sync/reconnect: after a short disconnection only what is new is asked for, after a long one everything.

use std::collections::BTreeSet;
use std::time::Duration;

use grasp_fixtures::events;
use nostr::event::Event;
use serde_json::Value;

use super::super::elsewhere::{check, read_histories};
use crate::check::{Check, CheckResult, expect};
use crate::context::{Context, SYNCED_WITHIN};
use crate::peer::Peer;
use crate::peer::manners::Relay;
use crate::peer::visits::{connected, histories};

const RECONNECT: &str = "G02/sync/reconnect";
/// Up to here a disconnection is short, and so far behind its beginning it is asked.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// So late an event may reach a peer.
const LATE: Duration = Duration::from_secs(10 * 60);
/// What clocks and machines may add to that.
const SLACK: u64 = 60;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check(
            RECONNECT,
            "short",
            "after a short disconnection what came in between is fetched, also when it is dated some minutes earlier, and \
             nothing older than 15 minutes before it is asked for",
            short,
        ),
        check(
            RECONNECT,
            "long",
            "after more than 15 minutes the full history is asked for: what is older comes, too",
            long,
        )
        .patient(Duration::from_secs(50 * 60)),
    ]
}

/// A repository is synced with the peer, and everything is quiet. With it, what is confirmed: histories that had ended
/// before something else came.
async fn settled(ctx: &Context) -> CheckResult<(Peer, Asked)> {
    let peer = ctx.peer().await?;
    let first = ctx.issue("from before");
    peer.publish(&first).await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.arrives(&peer, &first).await?;
    let confirmed = quiet(ctx, &peer).await?;
    ctx.arrives_live(&peer, &ctx.issue("from the last moment")).await?;
    quiet(ctx, &peer).await?;
    Ok((peer, confirmed))
}

/// The repository's history was read, and so was every other that was asked for: those that have ended.
async fn quiet(ctx: &Context, peer: &Peer) -> CheckResult<Asked> {
    let coordinate = ctx.coordinate();
    ctx.visit(peer, "the repository's history is read to its end", SYNCED_WITHIN, |visits| {
        read_histories(visits, &coordinate).map(|read| Asked::of(&read))
    })
    .await
}

/// The peer turns the server out, and nobody in; when that was.
async fn disconnected(ctx: &Context, peer: &Peer) -> CheckResult<Duration> {
    peer.behave(|manners| manners.relay = Relay::Refuses);
    let at = peer.drop_connections();
    ctx.visit(peer, "the connection ends", SYNCED_WITHIN, |visits| (connected(visits) == 0).then_some(()))
        .await?;
    Ok(at)
}

/// It lets the server in again; when that was.
fn lets_in(peer: &Peer) -> Duration {
    peer.behave(|manners| manners.relay = Relay::Open);
    peer.visits().now()
}

async fn short(ctx: Context) -> CheckResult {
    let (peer, before) = settled(&ctx).await?;
    disconnected(&ctx, &peer).await?;
    let ended = ctx.now();
    // the newest would come with any new subscription
    let late = events::issue(&ctx.coordinate(), "from before, and late", "").at(ended - LATE.as_secs());
    let missed = [ctx.sign(&ctx.someone(), late), ctx.issue("in between")];
    peer.publish_all(&missed).await?;
    let back = lets_in(&peer);
    ctx.all_arrive(&peer, &missed).await?;
    ctx.arrives_live(&peer, &ctx.issue("after")).await?;
    let earliest = ended.saturating_sub(WINDOW.as_secs() + SLACK);
    let questions = peer.visits().read(|visits| histories(visits, back));
    let again: Vec<&Value> =
        questions.iter().map(|(_, filter)| filter).filter(|filter| before.has(filter)).collect();
    expect(
        !again.is_empty(),
        "what was asked for before the disconnection is asked for again, for its news",
        peer.visits().summary(),
    )?;
    let too_far = again.iter().find(|filter| since(filter).is_none_or(|since| since < earliest));
    let expected = format!("what was asked for before is asked for with `since` of {earliest} or later");
    expect(too_far.is_none(), expected, too_far.map(|filter| filter.to_string()).unwrap_or_default())
}

/// What was asked for: whole questions, and the repositories and events that they name.
#[derive(Debug, Default)]
struct Asked {
    questions: Vec<Value>,
    names: BTreeSet<String>,
}

impl Asked {
    fn of(histories: &[Value]) -> Self {
        // what a reconciliation has found missing is asked for by its id, and is no history
        let questions = histories.iter().filter(|filter| filter.get("ids").is_none());
        let questions: Vec<Value> = questions.map(timeless).collect();
        let names = questions.iter().flat_map(names).collect();
        Self { questions, names }
    }

    /// Whether this asks once more for what was asked for, and for nothing else.
    fn has(&self, filter: &Value) -> bool {
        if filter.get("ids").is_some() {
            return false;
        }
        let names = names(filter);
        if names.is_empty() {
            return self.questions.contains(&timeless(filter));
        }
        names.iter().all(|name| self.names.contains(name))
    }
}

/// The filter without what says how far it goes.
fn timeless(filter: &Value) -> Value {
    let mut filter = filter.clone();
    if let Some(fields) = filter.as_object_mut() {
        fields.retain(|name, _| !matches!(name.as_str(), "since" | "until" | "limit"));
    }
    filter
}

/// The texts in a filter's lists.
fn names(filter: &Value) -> Vec<String> {
    let lists = filter.as_object().into_iter().flat_map(|fields| fields.values());
    let texts = lists.filter_map(Value::as_array).flatten();
    texts.filter_map(|text| Some(text.as_str()?.to_owned())).collect()
}

fn since(filter: &Value) -> Option<u64> {
    filter["since"].as_u64()
}

async fn long(ctx: Context) -> CheckResult {
    let (peer, _) = settled(&ctx).await?;
    disconnected(&ctx, &peer).await?;
    ctx.note("15 minutes begin");
    tokio::time::sleep(WINDOW + Duration::from_secs(SLACK)).await;
    // older than anything that a question for news would find
    let old: Event = ctx.issues(1).remove(0);
    peer.publish(&old).await?;
    let back = lets_in(&peer);
    let within = Duration::from_secs(25 * 60);
    ctx.visit(&peer, "a history without `since`", within, |visits| {
        histories(visits, back).iter().any(|(_, filter)| since(filter).is_none()).then_some(())
    })
    .await?;
    ctx.arrives(&peer, &old).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_asked_again_is_told_from_what_is_new() {
        let before =
            [json!({"kinds": [30617]}), json!({"#a": ["x", "y"], "limit": 500}), json!({"ids": ["z"]})];
        let before = Asked::of(&before);
        assert!(before.has(&json!({"#A": ["x"], "since": 5})));
        assert!(before.has(&json!({"kinds": [30617], "since": 5})));
        for new in [json!({"#a": ["x", "z"]}), json!({"ids": ["x"]}), json!({"kinds": [1]})] {
            assert!(!before.has(&new), "{new}");
        }
    }
}
