//! Who may sign a state: the shapes of maintainer chains, each with somebody who may and somebody who may not.
//! They belong to `G01/relay/accepts-repository-events`: a state is taken or refused.
//!
//! The links of a chain list another service alone. One that listed this service would have a repository of its own here,
//! and whom it lists could sign for that one, chain or no chain.

use grasp_fixtures::Announcement;
use nostr::event::Event;
use nostr::key::Keys;

use super::repository_events::{ROW, commit};
use crate::check::{Check, CheckResult};
use crate::context::{Context, pushed};
use crate::specs::grasp05::unless_everything_is_archived;

pub(super) fn checks() -> Vec<Check> {
    let role = |name: &str, what: &str, roles: fn(&Cast) -> Announcement, verdict: Verdict| {
        let title = format!("{what}: their state is {}", verdict.words());
        Check::new(ROW, &format!("role-{name}"), title, move |ctx| role(ctx, roles, verdict))
    };
    vec![
        Check::new(
            ROW,
            "chain-stranger",
            "a state by somebody nobody lists is refused `restricted:`",
            stranger,
        ),
        Check::new(ROW, "chain-listed", "a state by a listed maintainer is taken", listed),
        Check::new(ROW, "chain-two-hops", "a state by a maintainer's maintainer is taken", two_hops),
        Check::new(ROW, "chain-six-hops", "a state at the end of six hops is taken", six_hops),
        Check::new(
            ROW,
            "chain-cycle",
            "maintainers who list each other may both sign, and nobody else",
            cycle,
        ),
        Check::new(
            ROW,
            "chain-elsewhere",
            "a link that lists another service leads on, and nobody else signs",
            elsewhere,
        ),
        Check::new(ROW, "chain-order", "a chain holds whichever of its announcements came first", order),
        Check::new(ROW, "chain-removed", "a maintainer who is no longer listed may not sign", removed),
        Check::new(ROW, "chain-broken", "whom only a removed maintainer lists may not sign", broken),
        Check::new(ROW, "chain-one-way", "listing a maintainer of others makes nobody one of them", one_way),
        Check::new(
            ROW,
            "chain-other-identifier",
            "a maintainer of one repository is none of the owner's others",
            other_identifier,
        ),
        Check::new(ROW, "chain-hosted", "the same holds once the repository is served", hosted),
        role("m", "an active co-maintainer (`m`)", |cast| cast.lists('m', &[]), Verdict::Taken),
        role("lead", "an active lead (`M`)", |cast| cast.lists('M', &[]), Verdict::Taken),
        role("started", "`m` with a start", |cast| cast.lists('m', &[1_700_000_000]), Verdict::Taken),
        role(
            "ended",
            "`m` with start and end",
            |cast| cast.lists('m', &[1_600_000_000, 1_700_000_000]),
            Verdict::Refused,
        ),
        role(
            "back",
            "`m` with start, end, start",
            |cast| cast.lists('m', &[1_500_000_000, 1_600_000_000, 1_700_000_000]),
            Verdict::Taken,
        ),
        role("moderator", "a moderator (`o`)", |cast| cast.lists('o', &[]), Verdict::Refused),
        role(
            "hides-maintainers",
            "a key under `maintainers` beside somebody's role tag",
            |cast| {
                cast.plain.clone().maintainer(cast.somebody.public_key()).role(
                    'm',
                    cast.other.public_key(),
                    &[],
                )
            },
            Verdict::Refused,
        ),
        role(
            "moderator-hides-maintainers",
            "a key under `maintainers` beside a moderator's tag",
            |cast| {
                cast.plain.clone().maintainer(cast.somebody.public_key()).role(
                    'o',
                    cast.other.public_key(),
                    &[],
                )
            },
            Verdict::Refused,
        ),
        role(
            "ended-hides-maintainers",
            "a key under `maintainers` whose own role has ended",
            |cast| {
                let history = [1_600_000_000, 1_700_000_000];
                cast.lists('m', &history).maintainer(cast.somebody.public_key())
            },
            Verdict::Refused,
        ),
        Check::new(ROW, "role-owner-lead", "an owner with an active role of its own may sign", |ctx| {
            owner_with(ctx, 'M', &[], Verdict::Taken)
        }),
        Check::new(
            ROW,
            "role-owner-without",
            "an owner without a role beside others' roles may sign",
            owner_beside_others,
        ),
        Check::new(
            ROW,
            "role-owner-left",
            "an owner whose own role has ended has left: it may not sign",
            |ctx| owner_with(ctx, 'M', &[1_600_000_000, 1_700_000_000], Verdict::Refused),
        ),
        Check::new(
            ROW,
            "role-owner-moderator",
            "an owner that is only moderator (`o`) has left: it may not sign",
            |ctx| owner_with(ctx, 'o', &[], Verdict::Refused),
        ),
    ]
}

/// What shall become of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Taken,
    Refused,
}

impl Verdict {
    fn words(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused `restricted:`",
        }
    }
}

/// Who plays in a check about roles.
struct Cast {
    plain: Announcement,
    somebody: Keys,
    other: Keys,
}

impl Cast {
    fn lists(&self, letter: char, history: &[u64]) -> Announcement {
        self.plain.clone().role(letter, self.somebody.public_key(), history)
    }
}

/// Announces the check's identifier for `author`, listing the service and these maintainers.
async fn announces(ctx: &Context, author: &Keys, maintainers: &[&Keys]) -> CheckResult<Event> {
    let announcement = ctx.announcement_of(author, &ctx.identifier);
    ctx.publishes(author, with(announcement, maintainers).draft()).await
}

/// The same, listing another service alone.
async fn announces_elsewhere(ctx: &Context, author: &Keys, maintainers: &[&Keys]) -> CheckResult<Event> {
    let elsewhere = Announcement::new(&ctx.identifier)
        .clone_url("https://grasp.invalid/x.git")
        .relay("wss://grasp.invalid");
    ctx.publishes(author, with(elsewhere, maintainers).draft()).await
}

fn with(announcement: Announcement, maintainers: &[&Keys]) -> Announcement {
    maintainers.iter().fold(announcement, |announcement, key| announcement.maintainer(key.public_key()))
}

async fn may_sign(ctx: &Context, author: &Keys) -> CheckResult {
    ctx.state_by(author, &ctx.state(&commit())).await.map(drop)
}

async fn may_not_sign(ctx: &Context, author: &Keys) -> CheckResult {
    let state = ctx.sign(author, ctx.state(&commit()).draft());
    ctx.refused_as(&state, "restricted:").await.map(drop)
}

async fn stranger(ctx: Context) -> CheckResult {
    announces(&ctx, &ctx.owner, &[&ctx.someone()]).await?;
    may_not_sign(&ctx, &ctx.someone()).await?;
    may_sign(&ctx, &ctx.owner).await
}

async fn listed(ctx: Context) -> CheckResult {
    let (one, other) = (ctx.someone(), ctx.someone());
    announces(&ctx, &ctx.owner, &[&one, &other]).await?;
    may_sign(&ctx, &one).await?;
    may_sign(&ctx, &other).await?;
    may_not_sign(&ctx, &ctx.someone()).await
}

async fn two_hops(ctx: Context) -> CheckResult {
    let (middle, end) = (ctx.someone(), ctx.someone());
    announces(&ctx, &ctx.owner, &[&middle]).await?;
    may_not_sign(&ctx, &end).await?;
    announces_elsewhere(&ctx, &middle, &[&end]).await?;
    may_sign(&ctx, &end).await
}

async fn six_hops(ctx: Context) -> CheckResult {
    let chain: Vec<Keys> = (0..6).map(|_| ctx.someone()).collect();
    announces(&ctx, &ctx.owner, &[&chain[0]]).await?;
    for link in chain.windows(2) {
        announces_elsewhere(&ctx, &link[0], &[&link[1]]).await?;
    }
    may_sign(&ctx, &chain[5]).await?;
    may_not_sign(&ctx, &ctx.someone()).await
}

async fn cycle(ctx: Context) -> CheckResult {
    let other = ctx.someone();
    announces(&ctx, &ctx.owner, &[&other]).await?;
    announces(&ctx, &other, &[&ctx.owner]).await?;
    may_sign(&ctx, &ctx.owner).await?;
    may_sign(&ctx, &other).await?;
    may_not_sign(&ctx, &ctx.someone()).await
}

async fn elsewhere(ctx: Context) -> CheckResult {
    let (middle, end) = (ctx.someone(), ctx.someone());
    announces(&ctx, &ctx.owner, &[&middle]).await?;
    announces_elsewhere(&ctx, &middle, &[&end]).await?;
    may_sign(&ctx, &end).await?;
    may_not_sign(&ctx, &ctx.someone()).await
}

async fn order(ctx: Context) -> CheckResult {
    let (middle, end) = (ctx.someone(), ctx.someone());
    // it has to list the service, or nothing would vouch for it yet
    announces(&ctx, &middle, &[&end]).await?;
    announces(&ctx, &ctx.owner, &[&middle]).await?;
    // so what the end signs holds for the middle's repository anyway, and only a push to the owner's tells
    let (data, tip) = ctx.local_repository().await?;
    ctx.state_by(&end, &ctx.state(&tip)).await?;
    let main = ["refs/heads/main"];
    pushed(ctx.git.push(&data, &ctx.clone_url(), &main).await?)?;
    may_not_sign(&ctx, &ctx.someone()).await
}

async fn removed(ctx: Context) -> CheckResult {
    let (kept, gone) = (ctx.someone(), ctx.someone());
    announces(&ctx, &ctx.owner, &[&kept, &gone]).await?;
    may_sign(&ctx, &gone).await?;
    announces(&ctx, &ctx.owner, &[&kept]).await?;
    may_not_sign(&ctx, &gone).await?;
    may_sign(&ctx, &kept).await
}

async fn broken(ctx: Context) -> CheckResult {
    // what does not list the service would have a repository of its own there, and its owner could sign for that
    unless_everything_is_archived(&ctx).await?;
    let (middle, end) = (ctx.someone(), ctx.someone());
    announces(&ctx, &ctx.owner, &[&middle]).await?;
    announces_elsewhere(&ctx, &middle, &[&end]).await?;
    may_sign(&ctx, &end).await?;
    announces(&ctx, &ctx.owner, &[]).await?;
    may_not_sign(&ctx, &end).await
}

async fn one_way(ctx: Context) -> CheckResult {
    unless_everything_is_archived(&ctx).await?;
    let (listed, climber) = (ctx.someone(), ctx.someone());
    announces(&ctx, &ctx.owner, &[&listed]).await?;
    // it lists them, but not the service, so it has no repository of its own here either
    let climbing = with(Announcement::new(&ctx.identifier), &[&ctx.owner, &listed]);
    ctx.refused(&ctx.sign(&climber, climbing.draft())).await?;
    may_not_sign(&ctx, &climber).await?;
    may_sign(&ctx, &listed).await
}

async fn other_identifier(ctx: Context) -> CheckResult {
    let maintainer = ctx.someone();
    announces(&ctx, &ctx.owner, &[&maintainer]).await?;
    let other = ctx.other_identifier();
    ctx.publishes(&ctx.owner, ctx.announcement_of(&ctx.owner, &other).draft()).await?;
    let state = grasp_fixtures::State::new(other).branch("main", commit());
    ctx.refused_as(&ctx.sign(&maintainer, state.draft()), "restricted:").await?;
    may_sign(&ctx, &maintainer).await
}

async fn hosted(ctx: Context) -> CheckResult {
    let (middle, end) = (ctx.someone(), ctx.someone());
    let announcement = ctx.announcement().maintainer(middle.public_key());
    ctx.hosted_repository_as(&ctx.owner, &announcement).await?;
    may_not_sign(&ctx, &end).await?;
    announces_elsewhere(&ctx, &middle, &[&end]).await?;
    may_sign(&ctx, &end).await?;
    may_not_sign(&ctx, &ctx.someone()).await
}

async fn role(ctx: Context, roles: fn(&Cast) -> Announcement, verdict: Verdict) -> CheckResult {
    let cast = Cast { plain: ctx.announcement(), somebody: ctx.someone(), other: ctx.someone() };
    ctx.publishes(&ctx.owner, roles(&cast).draft()).await?;
    match verdict {
        Verdict::Taken => may_sign(&ctx, &cast.somebody).await?,
        Verdict::Refused => may_not_sign(&ctx, &cast.somebody).await?,
    }
    may_not_sign(&ctx, &ctx.someone()).await
}

async fn owner_with(ctx: Context, letter: char, history: &[u64], verdict: Verdict) -> CheckResult {
    let maintainer = ctx.someone();
    let announcement = ctx.announcement().role(letter, ctx.owner.public_key(), history);
    let announcement = announcement.role('m', maintainer.public_key(), &[]);
    ctx.publishes(&ctx.owner, announcement.draft()).await?;
    match verdict {
        Verdict::Taken => may_sign(&ctx, &ctx.owner).await?,
        Verdict::Refused => may_not_sign(&ctx, &ctx.owner).await?,
    }
    may_sign(&ctx, &maintainer).await?;
    may_not_sign(&ctx, &ctx.someone()).await
}

async fn owner_beside_others(ctx: Context) -> CheckResult {
    let maintainer = ctx.someone();
    let announcement = ctx.announcement().role('m', maintainer.public_key(), &[]);
    ctx.publishes(&ctx.owner, announcement.draft()).await?;
    may_sign(&ctx, &ctx.owner).await?;
    may_sign(&ctx, &maintainer).await?;
    may_not_sign(&ctx, &ctx.someone()).await
}
