//! Short histories, each of which ends the same however often it was interrupted.

use std::collections::BTreeMap;

use grasp_audit::Context;
use grasp_audit::target::url::{contribution_path, repository_path};
use grasp_fixtures::{Announcement, Draft, PullRequest, Repository, State, events};
use nostr::event::Event;
use nostr::key::Keys;

use crate::act::Act;

/// A history, and how it ends.
#[derive(Debug, Default)]
pub(crate) struct Scenario {
    /// What happened before the server may crash.
    pub(crate) before: Vec<Act>,
    /// What may be interrupted.
    pub(crate) acts: Vec<Act>,
    /// What is served in the end.
    pub(crate) served: Vec<Event>,
    /// What is not served in the end.
    pub(crate) gone: Vec<Event>,
    /// All refs of the repositories at these paths in the end; `None`: not hosted.
    pub(crate) refs: Vec<(String, Option<BTreeMap<String, String>>)>,
}

/// Local data, people, and their events.
struct Cast<'a> {
    ctx: &'a Context,
    repository: Repository,
    commits: Vec<String>,
    tag: String,
    other: Keys,
}

impl<'a> Cast<'a> {
    async fn new(ctx: &'a Context) -> Self {
        let repository = Repository::init("main").await.unwrap();
        let commits = repository.chain(&ctx.identifier, 4, None).await.unwrap();
        let tag = repository.annotated_tag("v1", &commits[0]).await.unwrap();
        Self { ctx, repository, commits, tag, other: ctx.someone() }
    }

    fn announcement(&self, of: &Keys) -> Announcement {
        self.ctx.announcement_of(of, &self.ctx.identifier)
    }

    fn path(&self, of: &Keys) -> String {
        repository_path(&of.public_key(), &self.ctx.identifier)
    }

    fn sign(&self, by: &Keys, draft: impl Into<Draft>) -> Event {
        self.ctx.sign(by, draft)
    }

    /// A state with `main` at one commit, and what `more` adds.
    fn state(&self, by: &Keys, main: usize, more: impl FnOnce(State) -> State) -> Event {
        let state = State::new(&self.ctx.identifier).branch("main", &self.commits[main]).head("main");
        self.sign(by, more(state).draft())
    }

    fn push(&self, of: &Keys, refspecs: &[&str]) -> Act {
        let url = self.ctx.target.url.clone_url(&of.public_key(), &self.ctx.identifier);
        Act::push(&self.repository, &url, refspecs)
    }

    /// A refspec that forces a branch to a commit.
    fn to(&self, branch: &str, commit: usize) -> String {
        format!("+{}:refs/heads/{branch}", self.commits[commit])
    }

    fn refs(&self, named: &[(&str, &str)]) -> Option<BTreeMap<String, String>> {
        Some(named.iter().map(|(name, oid)| ((*name).to_owned(), (*oid).to_owned())).collect())
    }
}

const MAIN: &str = "refs/heads/main";

/// Announcement, state, push.
pub(crate) async fn first_push(ctx: &Context) -> Scenario {
    let cast = Cast::new(ctx).await;
    let announcement = cast.sign(&ctx.owner, cast.announcement(&ctx.owner).draft());
    let state =
        cast.state(&ctx.owner, 1, |state| state.branch("dev", &cast.commits[0]).git_tag("v1", &cast.tag));
    let push = cast.push(&ctx.owner, &[&cast.to("main", 1), &cast.to("dev", 0), "refs/tags/v1"]);
    let refs =
        [(MAIN, &*cast.commits[1]), ("refs/heads/dev", &*cast.commits[0]), ("refs/tags/v1", &*cast.tag)];
    Scenario {
        acts: vec![Act::Publish(announcement.clone()), Act::Publish(state.clone()), push],
        served: vec![announcement, state],
        refs: vec![(cast.path(&ctx.owner), cast.refs(&refs))],
        ..Scenario::default()
    }
}

/// What the scenarios about pull requests begin with.
async fn with_pull_request(ctx: &Context) -> (Scenario, Act, Act) {
    let cast = Cast::new(ctx).await;
    let announcement = cast.sign(&ctx.owner, cast.announcement(&ctx.owner).draft());
    let state = cast.state(&ctx.owner, 0, |state| state);
    let pull = PullRequest::new(ctx.coordinate(), &cast.commits[3]).subject("a change");
    let pull = cast.sign(&cast.other, pull.draft());
    let name = format!("refs/nostr/{}", pull.id.to_hex());
    let data = cast.push(&ctx.owner, &[&format!("{}:{name}", cast.commits[3])]);
    let scenario = Scenario {
        before: vec![
            Act::Publish(announcement.clone()),
            Act::Publish(state.clone()),
            cast.push(&ctx.owner, &[&cast.to("main", 0)]),
        ],
        served: vec![announcement, state, pull.clone()],
        refs: vec![(
            cast.path(&ctx.owner),
            cast.refs(&[(MAIN, &cast.commits[0]), (&name, &cast.commits[3])]),
        )],
        ..Scenario::default()
    };
    (scenario, Act::Publish(pull), data)
}

/// A pull request whose event comes before its data.
pub(crate) async fn pull_request_event_first(ctx: &Context) -> Scenario {
    let (scenario, event, data) = with_pull_request(ctx).await;
    Scenario { acts: vec![event, data], ..scenario }
}

/// A pull request whose data comes before its event.
pub(crate) async fn pull_request_data_first(ctx: &Context) -> Scenario {
    let (scenario, event, data) = with_pull_request(ctx).await;
    Scenario { acts: vec![data, event], ..scenario }
}

/// What the scenarios about contributors' repositories begin with: a pull request to a hosted repository, and to one
/// that is hosted nowhere here.
async fn with_contribution(ctx: &Context) -> (Scenario, Event, Act, Keys) {
    let cast = Cast::new(ctx).await;
    let announcement = cast.sign(&ctx.owner, cast.announcement(&ctx.owner).draft());
    let state = cast.state(&ctx.owner, 0, |state| state);
    let path = contribution_path(&cast.other.public_key(), &ctx.identifier);
    let url = format!("{}{path}", ctx.target.url.base());
    let pull = PullRequest::new(ctx.coordinate(), &cast.commits[3]).clone_url(&url).subject("a change");
    let pull = cast.sign(&cast.other, pull.draft());
    let name = format!("refs/nostr/{}", pull.id.to_hex());
    let data = Act::push(&cast.repository, &url, &[&format!("{}:{name}", cast.commits[3])]);
    let scenario = Scenario {
        before: vec![
            Act::Publish(announcement.clone()),
            Act::Publish(state.clone()),
            cast.push(&ctx.owner, &[&cast.to("main", 0)]),
        ],
        served: vec![announcement, state, pull.clone()],
        refs: vec![
            (cast.path(&ctx.owner), cast.refs(&[(MAIN, &cast.commits[0]), (&name, &cast.commits[3])])),
            (path, cast.refs(&[(&name, &cast.commits[3])])),
        ],
        ..Scenario::default()
    };
    (scenario, pull, data, cast.other)
}

/// A pull request whose event comes before its data, which is pushed to the contributor's own repository.
pub(crate) async fn contribution_event_first(ctx: &Context) -> Scenario {
    let (scenario, event, data, _) = with_contribution(ctx).await;
    Scenario { acts: vec![Act::Publish(event), data], ..scenario }
}

/// The same with the data first; in the end the pull request is deleted, and the contributor's repository goes.
pub(crate) async fn contribution_deleted(ctx: &Context) -> Scenario {
    let (mut scenario, pull, data, author) = with_contribution(ctx).await;
    let delete = ctx.sign(&author, events::delete_ids([&pull.id]));
    scenario.served.retain(|served| served.id != pull.id);
    scenario.served.push(delete.clone());
    scenario.gone.push(pull.clone());
    for (_, refs) in &mut scenario.refs {
        refs.iter_mut().for_each(|refs| refs.retain(|name, _| !name.starts_with("refs/nostr/")));
    }
    Scenario { acts: vec![data, Act::Publish(pull), Act::Publish(delete)], ..scenario }
}

/// Two owners who list each other: one's push moves both, whoever is announced first.
pub(crate) async fn siblings(ctx: &Context) -> Scenario {
    let cast = Cast::new(ctx).await;
    let (owner, other) = (&ctx.owner, &cast.other);
    let first = cast.sign(owner, cast.announcement(owner).maintainer(other.public_key()).draft());
    let old = cast.state(owner, 0, |state| state);
    let second = cast.sign(other, cast.announcement(other).maintainer(owner.public_key()).draft());
    let new = cast.state(other, 2, |state| state.branch("dev", &cast.commits[1]));
    let refs = [(MAIN, &*cast.commits[2]), ("refs/heads/dev", &*cast.commits[1])];
    Scenario {
        before: vec![
            Act::Publish(first.clone()),
            Act::Publish(old.clone()),
            cast.push(owner, &[&cast.to("main", 0)]),
        ],
        acts: vec![
            Act::Publish(second.clone()),
            Act::Publish(new.clone()),
            cast.push(other, &[&cast.to("main", 2), &cast.to("dev", 1)]),
        ],
        served: vec![first, second, old, new],
        refs: vec![(cast.path(owner), cast.refs(&refs)), (cast.path(other), cast.refs(&refs))],
        ..Scenario::default()
    }
}

/// Announcements and states, served and waiting ones, give way to newer ones; the last state moves everything back.
pub(crate) async fn replacement(ctx: &Context) -> Scenario {
    let cast = Cast::new(ctx).await;
    let owner = &ctx.owner;
    let old = cast.sign(owner, cast.announcement(owner).draft());
    let one = cast.state(owner, 0, |state| state);
    let new = cast.sign(owner, cast.announcement(owner).name("renamed").draft());
    let two = cast.state(owner, 1, |state| state);
    let three = cast.state(owner, 2, |state| state.branch("dev", &cast.commits[1]));
    let four = cast.state(owner, 0, |state| state);
    Scenario {
        before: vec![
            Act::Publish(old.clone()),
            Act::Publish(one.clone()),
            cast.push(owner, &[&cast.to("main", 0)]),
        ],
        acts: vec![
            Act::Publish(new.clone()),
            Act::Publish(two.clone()),
            Act::Publish(three.clone()),
            cast.push(owner, &[&cast.to("main", 2), &cast.to("dev", 1)]),
            Act::Publish(four.clone()),
        ],
        served: vec![new, four],
        gone: vec![old, one, two, three],
        refs: vec![(cast.path(owner), cast.refs(&[(MAIN, &cast.commits[0])]))],
    }
}

/// A waiting state, a served state and an announcement are deleted one after the other.
/// A repository that was deleted is announced again.
pub(crate) async fn restoration(ctx: &Context) -> Scenario {
    let cast = Cast::new(ctx).await;
    let owner = &ctx.owner;
    let first = cast.sign(owner, cast.announcement(owner).draft());
    let state = cast.state(owner, 1, |state| state.branch("dev", &cast.commits[0]));
    let deletion = cast.sign(owner, events::delete_address(&ctx.coordinate()));
    let again = cast.sign(owner, cast.announcement(owner).name("again").draft());
    Scenario {
        before: vec![
            Act::Publish(first.clone()),
            Act::Publish(state.clone()),
            cast.push(owner, &[&cast.to("main", 1), &cast.to("dev", 0)]),
        ],
        acts: vec![Act::Publish(deletion.clone()), Act::Publish(again.clone())],
        served: vec![again, state, deletion],
        gone: vec![first],
        refs: vec![(
            cast.path(owner),
            cast.refs(&[(MAIN, &cast.commits[1]), ("refs/heads/dev", &cast.commits[0])]),
        )],
    }
}

pub(crate) async fn deletion(ctx: &Context) -> Scenario {
    let cast = Cast::new(ctx).await;
    let (owner, other) = (&ctx.owner, &cast.other);
    let first = cast.sign(owner, cast.announcement(owner).maintainer(other.public_key()).draft());
    let second = cast.sign(other, cast.announcement(other).maintainer(owner.public_key()).draft());
    let theirs = cast.state(other, 0, |state| state);
    let ours = cast.state(owner, 1, |state| state.branch("dev", &cast.commits[0]));
    let waits = cast.state(owner, 2, |state| state);
    let delete_waiting = cast.sign(owner, events::delete_ids([&waits.id]));
    let delete_state = cast.sign(owner, events::delete_ids([&ours.id]));
    let delete_announcement = cast.sign(owner, events::delete_address(&ctx.coordinate()));
    Scenario {
        before: vec![
            Act::Publish(first.clone()),
            Act::Publish(second.clone()),
            Act::Publish(theirs.clone()),
            cast.push(other, &[&cast.to("main", 0)]),
            Act::Publish(ours.clone()),
            cast.push(owner, &[&cast.to("main", 1), &cast.to("dev", 0)]),
        ],
        acts: vec![
            Act::Publish(waits.clone()),
            Act::Publish(delete_waiting.clone()),
            Act::Publish(delete_state.clone()),
            Act::Publish(delete_announcement.clone()),
        ],
        served: vec![second, theirs, delete_waiting, delete_state, delete_announcement],
        gone: vec![first, ours, waits],
        refs: vec![(cast.path(owner), None), (cast.path(other), cast.refs(&[(MAIN, &cast.commits[0])]))],
    }
}
