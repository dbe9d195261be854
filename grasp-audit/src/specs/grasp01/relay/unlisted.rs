//! `G01/relay/rejects-unlisted`: what lists the service, what does not, and what happens when it no longer does.

use grasp_fixtures::{Announcement, keys};
use nostr::event::Event;
use nostr::key::Keys;

use crate::check::{Check, CheckResult, skip};
use crate::context::Context;
use crate::specs::grasp01::relay::path_answers;
use crate::specs::grasp05::unless_everything_is_archived;
use crate::target::url::repository_path;

const ROW: &str = "G01/relay/rejects-unlisted";

/// A way to fill the `clone` tag and the `relays` tag.
type Listing = fn(&Context) -> CheckResult<(String, String)>;

const UNLISTED: [(&str, &str, Listing); 12] = [
    ("neither", "lists only another service", |_| {
        Ok(("https://grasp.invalid/x.git".into(), "wss://grasp.invalid".into()))
    }),
    ("clone-missing", "lists the relay, and another service's clone URL", |ctx| {
        Ok((ctx.clone_url().replace(&ctx.target.url.authority(), "grasp.invalid"), ctx.target.url.relay()))
    }),
    ("relay-missing", "lists the clone URL, and another service's relay", |ctx| {
        Ok((ctx.clone_url(), "wss://grasp.invalid".into()))
    }),
    ("other-key", "lists somebody else's clone URL here", |ctx| {
        let other = ctx.target.url.clone_url(&ctx.someone().public_key(), &ctx.identifier);
        Ok((other, ctx.target.url.relay()))
    }),
    ("other-identifier", "lists another repository's clone URL here", |ctx| {
        let other = ctx.target.url.clone_url(&ctx.owner.public_key(), &ctx.other_identifier());
        Ok((other, ctx.target.url.relay()))
    }),
    ("hex-key", "names its author in hex in the clone URL", |ctx| {
        let (npub, hex) = (keys::npub(&ctx.owner.public_key()), ctx.owner.public_key().to_hex());
        Ok((ctx.clone_url().replace(&npub, &hex), ctx.target.url.relay()))
    }),
    ("other-port", "lists another port of this host", |ctx| {
        let (host, port) = (&ctx.target.url.host, ctx.target.url.port.wrapping_add(1).max(1));
        let other = format!("{}:{port}", bracketed(host));
        let swap = |url: String| url.replacen(&ctx.target.url.authority(), &other, 1);
        Ok((swap(ctx.clone_url()), swap(ctx.target.url.relay())))
    }),
    ("longer-host", "lists a host whose name begins like this one's", |ctx| {
        let (host, authority) = (bracketed(&ctx.target.url.host), ctx.target.url.authority());
        let other = authority.replacen(&host, &format!("{host}.grasp.invalid"), 1);
        let swap = |url: String| url.replacen(&authority, &other, 1);
        Ok((swap(ctx.clone_url()), swap(ctx.target.url.relay())))
    }),
    ("userinfo", "has the service's name before an `@`", |ctx| {
        let other = format!("{}@grasp.invalid", ctx.target.url.authority());
        let swap = |url: String| url.replacen(&ctx.target.url.authority(), &other, 1);
        Ok((swap(ctx.clone_url()), swap(ctx.target.url.relay())))
    }),
    ("base-path", "has a base path before the key", |ctx| {
        let base = ctx.target.url.base();
        Ok((ctx.clone_url().replacen(&base, &format!("{base}/git"), 1), ctx.target.url.relay()))
    }),
    ("in-path", "has the service's name in the path of another", |ctx| {
        let swap = |url: String| url.replacen("://", "://grasp.invalid/", 1);
        Ok((swap(ctx.clone_url()), swap(ctx.target.url.relay())))
    }),
    ("scheme", "lists the service under schemes it does not speak", |ctx| {
        let swap = |url: String| format!("git{}", &url[url.find(':').unwrap_or(0)..]);
        Ok((swap(ctx.clone_url()), swap(ctx.target.url.relay())))
    }),
];

const LISTED: [(&str, &str, Listing); 8] = [
    ("slash", "with a slash at the end of both", |ctx| {
        Ok((format!("{}/", ctx.clone_url()), format!("{}/", ctx.target.url.relay())))
    }),
    ("double-slash", "with doubled slashes", |ctx| {
        let base = ctx.target.url.base();
        let doubled = ctx.clone_url()[base.len()..].replace('/', "//");
        Ok((format!("{base}{doubled}"), format!("{}//", ctx.target.url.relay())))
    }),
    ("host-case", "with its host in capitals", |ctx| {
        let (host, capitals) = (ctx.target.url.authority(), ctx.target.url.authority().to_ascii_uppercase());
        if host == capitals {
            return Err(skip("the service's name is an address without letters"));
        }
        let swap = |url: String| url.replacen(&host, &capitals, 1);
        Ok((swap(ctx.clone_url()), swap(ctx.target.url.relay())))
    }),
    ("default-port", "with its default port written out", |ctx| {
        let (url, written) =
            (&ctx.target.url, format!("{}:{}", ctx.target.url.authority(), ctx.target.url.port));
        if url.authority().ends_with(&format!(":{}", url.port)) {
            return Err(skip("the service has no default port"));
        }
        let swap = |text: String| text.replacen(&url.authority(), &written, 1);
        Ok((swap(ctx.clone_url()), swap(url.relay())))
    }),
    ("percent-letters", "with letters of the identifier percent-encoded", |ctx| {
        let encoded: String = ctx.identifier.bytes().map(|byte| format!("%{byte:02x}")).collect();
        Ok((ctx.clone_url().replacen(&ctx.identifier, &encoded, 1), ctx.target.url.relay()))
    }),
    ("percent-upper", "with letters of the identifier percent-encoded in capitals", |ctx| {
        let encoded: String = ctx.identifier.bytes().map(|byte| format!("%{byte:02X}")).collect();
        Ok((ctx.clone_url().replacen(&ctx.identifier, &encoded, 1), ctx.target.url.relay()))
    }),
    ("among-others", "between other services' URLs in the same tags", |ctx| {
        Ok((ctx.clone_url(), ctx.target.url.relay()))
    }),
    (
        "other-scheme",
        "with TLS where there is none, or without where there is: the port says the same",
        |ctx| {
            let swap = |url: String, scheme: &str| format!("{scheme}{}", &url[url.find(':').unwrap_or(0)..]);
            if !ctx.target.url.authority().ends_with(&format!(":{}", ctx.target.url.port)) {
                return Err(skip("without a port in the URL, the scheme means another port"));
            }
            let (http, ws) = if ctx.target.url.tls { ("http", "ws") } else { ("https", "wss") };
            Ok((swap(ctx.clone_url(), http), swap(ctx.target.url.relay(), ws)))
        },
    ),
];

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, what, listing) in UNLISTED {
        let title = format!("an announcement that {what} is refused `blocked:`");
        checks.push(Check::new(ROW, name, title, move |ctx| unlisted(ctx, listing)));
    }
    for (name, what, listing) in LISTED {
        let title = format!("an announcement that lists the service {what} is taken");
        checks.push(Check::new(ROW, &format!("listed-{name}"), title, move |ctx| listed(ctx, listing)));
    }
    let co = |name: &str, title: &str, run: fn(Context) -> Run| {
        Check::new(ROW, name, title, move |ctx| refusing(ctx, run))
    };
    checks.extend([
        co(
            "co-maintainer",
            "a listed maintainer's announcement of another service is served, its path is 404",
            |ctx| Box::pin(co_maintainer(ctx)),
        ),
        co(
            "co-maintainer-waiting",
            "also while the announcement that lists the maintainer still waits",
            |ctx| Box::pin(co_maintainer_of_waiting(ctx)),
        ),
        co("co-maintainer-two-hops", "also when the maintainer is listed by another maintainer", |ctx| {
            Box::pin(co_maintainer_two_hops(ctx))
        }),
        co("co-maintainer-removed", "not when the maintainer is no longer listed", |ctx| {
            Box::pin(co_maintainer_removed(ctx))
        }),
        co("co-maintainer-other-identifier", "not for another identifier", |ctx| {
            Box::pin(co_maintainer_elsewhere(ctx))
        }),
        co("retires", "an announcement that no longer lists the service retires the repository", |ctx| {
            Box::pin(retires(ctx))
        }),
        co(
            "retires-to-co-maintainer",
            "an owner who moves away but is a maintainer here is served without repository",
            |ctx| Box::pin(retires_to_co_maintainer(ctx)),
        ),
        co("returns", "a repository that was retired can be announced again", |ctx| Box::pin(returns(ctx))),
    ]);
    checks
}

type Run = futures_util::future::BoxFuture<'static, CheckResult>;

/// Runs a check, unless the server archives what such a check expects it to refuse.
async fn refusing(ctx: Context, run: fn(Context) -> Run) -> CheckResult {
    unless_everything_is_archived(&ctx).await?;
    run(ctx).await
}

fn listing_of(ctx: &Context, (clone, relay): (String, String)) -> Announcement {
    Announcement::new(&ctx.identifier)
        .clone_url("https://github.invalid/x/y.git")
        .clone_url(clone)
        .relay("wss://relay.invalid")
        .relay(relay)
}

async fn unlisted(ctx: Context, listing: Listing) -> CheckResult {
    unless_everything_is_archived(&ctx).await?;
    let event = ctx.sign(&ctx.owner, listing_of(&ctx, listing(&ctx)?).draft());
    ctx.refused_as(&event, "blocked:").await?;
    ctx.not_served(&event).await
}

async fn listed(ctx: Context, listing: Listing) -> CheckResult {
    ctx.publishes(&ctx.owner, listing_of(&ctx, listing(&ctx)?).draft()).await?;
    path_answers(&ctx, &repository_path(&ctx.owner.public_key(), &ctx.identifier), 200).await
}

/// An announcement of the check's identifier that lists another service alone.
fn away(ctx: &Context, author: &Keys) -> Event {
    ctx.sign(author, elsewhere(ctx).draft())
}

fn elsewhere(ctx: &Context) -> Announcement {
    Announcement::new(&ctx.identifier).clone_url("https://grasp.invalid/x.git").relay("wss://grasp.invalid")
}

/// The announcement must be taken and served at once, and git be refused at its author's path.
async fn served_without_repository(ctx: &Context, event: &Event) -> CheckResult {
    ctx.accepted(event).await?;
    ctx.served_already(event).await?;
    path_answers(ctx, &repository_path(&event.pubkey, &ctx.identifier), 404).await
}

async fn co_maintainer(ctx: Context) -> CheckResult {
    let maintainer = ctx.someone();
    let announcement = ctx.announcement().maintainer(maintainer.public_key());
    ctx.hosted_repository_as(&ctx.owner, &announcement).await?;
    ctx.refused_as(&away(&ctx, &ctx.someone()), "blocked:").await?;
    served_without_repository(&ctx, &away(&ctx, &maintainer)).await
}

async fn co_maintainer_of_waiting(ctx: Context) -> CheckResult {
    let maintainer = ctx.someone();
    let announcement = ctx.announcement().maintainer(maintainer.public_key());
    ctx.publishes(&ctx.owner, announcement.draft()).await?;
    served_without_repository(&ctx, &away(&ctx, &maintainer)).await
}

async fn co_maintainer_two_hops(ctx: Context) -> CheckResult {
    let (middle, end) = (ctx.someone(), ctx.someone());
    ctx.publishes(&ctx.owner, ctx.announcement().maintainer(middle.public_key()).draft()).await?;
    ctx.refused_as(&away(&ctx, &end), "blocked:").await?;
    // it lists another service: with a repository of its own here it would vouch for the end by itself
    let link = elsewhere(&ctx).maintainer(end.public_key());
    ctx.publishes(&middle, link.draft()).await?;
    served_without_repository(&ctx, &away(&ctx, &end)).await
}

async fn co_maintainer_removed(ctx: Context) -> CheckResult {
    let (kept, gone) = (ctx.someone(), ctx.someone());
    let both = ctx.announcement().maintainer(kept.public_key()).maintainer(gone.public_key());
    ctx.publishes(&ctx.owner, both.draft()).await?;
    ctx.publishes(&ctx.owner, ctx.announcement().maintainer(kept.public_key()).draft()).await?;
    ctx.refused_as(&away(&ctx, &gone), "blocked:").await?;
    served_without_repository(&ctx, &away(&ctx, &kept)).await
}

async fn co_maintainer_elsewhere(ctx: Context) -> CheckResult {
    let (maintainer, other) = (ctx.someone(), ctx.other_identifier());
    let elsewhere = ctx.announcement_of(&ctx.owner, &other).maintainer(maintainer.public_key());
    ctx.publishes(&ctx.owner, elsewhere.draft()).await?;
    ctx.announce().await?;
    ctx.refused_as(&away(&ctx, &maintainer), "blocked:").await.map(drop)
}

async fn retires(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let away = away(&ctx, &ctx.owner);
    ctx.refused(&away).await?;
    ctx.gone(&hosted.announcement).await?;
    ctx.gone(&hosted.state).await?;
    ctx.not_served(&away).await?;
    path_answers(&ctx, &hosted.path, 404).await
}

async fn retires_to_co_maintainer(ctx: Context) -> CheckResult {
    let other = ctx.someone();
    let hosted = ctx.hosted_repository().await?;
    let theirs = ctx.announcement_of(&other, &ctx.identifier).maintainer(ctx.owner.public_key());
    ctx.publishes(&other, theirs.draft()).await?;
    served_without_repository(&ctx, &away(&ctx, &ctx.owner)).await?;
    ctx.gone(&hosted.announcement).await
}

async fn returns(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    ctx.refused(&away(&ctx, &ctx.owner)).await?;
    path_answers(&ctx, &hosted.path, 404).await?;
    ctx.announce().await?;
    path_answers(&ctx, &hosted.path, 200).await
}
