//! The kinds of event that wait, each ready to be published, and what releases it.

use grasp_fixtures::{PullRequest, Repository, events};
use nostr::event::Event;
use nostr::key::Keys;
use serde_json::{Value, json};

use crate::check::CheckResult;
use crate::context::{Context, Hosted, pushed};
use crate::target::url::repository_path;

/// A kind of event that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Announcement,
    State,
    PullRequest,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::Announcement, Self::State, Self::PullRequest];

    /// As it stands in the ids of checks.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Announcement => "announcement",
            Self::State => "state",
            Self::PullRequest => "pull-request",
        }
    }
}

/// An event that has to wait, not published yet, in a world where everything else it needs is there.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) event: Event,
    pub(super) author: Keys,
    /// The state that an announcement needs for its release; not published yet.
    pub(super) state: Option<Event>,
    /// A repository that is served: the event's own, or another one of the same owner.
    pub(super) served: Hosted,
    /// The path of the event's own repository.
    pub(super) path: String,
    repository: Repository,
    refspec: String,
    url: String,
}

impl Waiting {
    pub(super) async fn prepare(ctx: &Context, kind: Kind) -> CheckResult<Self> {
        match kind {
            Kind::Announcement => Self::announcement(ctx).await,
            Kind::State => Self::state(ctx).await,
            Kind::PullRequest => Self::pull_request(ctx).await,
        }
    }

    async fn announcement(ctx: &Context) -> CheckResult<Self> {
        let identifier = ctx.other_identifier();
        let served = ctx.hosted_repository_of(&ctx.owner, &identifier).await?;
        let (repository, tip) = ctx.local_repository().await?;
        Ok(Self {
            event: ctx.sign(&ctx.owner, ctx.announcement().draft()),
            author: ctx.owner.clone(),
            state: Some(ctx.sign(&ctx.owner, ctx.state(&tip).draft())),
            served,
            path: repository_path(&ctx.owner.public_key(), &ctx.identifier),
            repository,
            refspec: format!("{tip}:refs/heads/main"),
            url: ctx.clone_url(),
        })
    }

    async fn state(ctx: &Context) -> CheckResult<Self> {
        let served = ctx.hosted_repository().await?;
        let tip = served.commit("newer").await?;
        let event = ctx.sign(&ctx.owner, served.main_at(&tip).draft());
        let refspec = format!("{tip}:refs/heads/main");
        Ok(Self::within(served, event, ctx.owner.clone(), refspec))
    }

    async fn pull_request(ctx: &Context) -> CheckResult<Self> {
        let (served, author) = (ctx.hosted_repository().await?, ctx.someone());
        let tip = served.commit("contribution").await?;
        let said = PullRequest::new(&served.coordinate, &tip).clone_url(&served.url);
        let event = ctx.sign(&author, said.draft());
        let refspec = format!("{tip}:refs/nostr/{}", event.id.to_hex());
        Ok(Self::within(served, event, author, refspec))
    }

    fn within(served: Hosted, event: Event, author: Keys, refspec: String) -> Self {
        Self {
            event,
            author,
            state: None,
            path: served.path.clone(),
            repository: served.repository.clone(),
            url: served.url.clone(),
            refspec,
            served,
        }
    }

    /// Publishes what else is needed, and pushes.
    pub(super) async fn release(&self, ctx: &Context) -> CheckResult {
        if let Some(state) = &self.state {
            ctx.accepted(state).await?;
        }
        self.push(ctx).await
    }

    /// Pushes the data, which must succeed.
    pub(super) async fn push(&self, ctx: &Context) -> CheckResult {
        let refspec = [self.refspec.as_str()];
        pushed(ctx.git.push(&self.repository, &self.url, &refspec).await?).map(drop)
    }

    /// Pushes the data, whatever comes of it; whether git called it a success.
    pub(super) async fn try_push(&self, ctx: &Context) -> CheckResult<bool> {
        let refspec = [self.refspec.as_str()];
        Ok(ctx.git.push(&self.repository, &self.url, &refspec).await?.ok())
    }

    /// An event by the same author that is served at once: whoever sees it would have seen the other one.
    pub(super) fn fence(&self, ctx: &Context) -> Event {
        let issue = events::issue(&self.served.coordinate, "Fence", "");
        ctx.sign(&self.author, issue)
    }

    /// Different ways to ask for the event alone.
    pub(super) fn filters(&self) -> Vec<Value> {
        let event = &self.event;
        let (author, kind) = (event.pubkey.to_hex(), event.kind.as_u16());
        let since = event.created_at.as_secs();
        let by_tag = match event.tags.identifier() {
            Some(identifier) => json!({"#d": [identifier], "kinds": [kind], "since": since}),
            None => json!({"#a": [self.served.coordinate], "kinds": [kind], "since": since}),
        };
        let mut by_author = by_tag.clone(); // the author alone may own what other checks publish
        by_author["authors"] = json!([author]);
        let by_id = json!({"ids": [event.id.to_hex()]});
        vec![by_id, by_tag, by_author]
    }
}
