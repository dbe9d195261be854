//! What a step comes to: an event to publish or a push to send, and the server's answer to it.

use std::collections::BTreeSet;

use super::cast::{Cast, Minted};
use super::model::{Push, Reply, Wants, World};
use super::story::{Aim, Name, Object, Pack, Refs, Repo, Step, Twist};
use crate::check::CheckResult;
use crate::context::Context;
use crate::target::receive_pack::{Command, NOTHING, PushReport, receive_pack};
use crate::target::websocket::OkReply;

/// Something to do.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    Publish(Box<Minted>),
    Push(Sending),
}

/// A push, as the model sees it and as it goes over the wire.
#[derive(Debug, Clone)]
pub(super) struct Sending {
    pub(super) push: Push,
    commands: Vec<Command>,
    /// Whether a pack goes with it: not with deletions alone.
    packed: bool,
}

/// What the step comes to in this world; `None` when there is nothing to do.
pub(super) fn of(step: &Step, cast: &mut Cast, world: &World) -> Option<Deed> {
    match step {
        Step::Push { to, aim, twist, pack } => {
            let wanted = twisted(aimed(aim, *to, cast, world)?, *twist);
            let current = world.refs(*to).cloned().unwrap_or_default();
            let changes = changes(&current, &wanted);
            let changes = if changes.is_empty() { in_place(&current)? } else { changes };
            let brings =
                carried(changes.iter().filter_map(|change| change.new), *pack, || world.shown_objects(*to));
            Some(Deed::Push(Sending {
                commands: changes.iter().map(|change| change.command(cast)).collect(),
                packed: changes.iter().any(|change| change.new.is_some()),
                push: Push { to: *to, wants: Wants::Refs(wanted), brings },
            }))
        }
        Step::PushPull { to, number, other, pack } => {
            let pull = cast.pull(*number)?;
            let super::model::Says::Pull { tip, .. } = pull.event.says else { return None };
            let (id, tip) = (pull.event.id, other.unwrap_or(tip));
            let name = format!("refs/nostr/{}", id.to_hex());
            let brings = carried([tip], *pack, || world.shown_objects(*to));
            let push = Push { to: *to, wants: Wants::Nostr(id, tip), brings };
            Some(Deed::Push(Sending::one(&name, world.shown_at(*to, id), tip, push, cast)))
        }
        Step::Contribute { number, to, other, pack } => {
            let (pull, to) = (cast.pull(*number)?, cast.place(*number, *to)?);
            let super::model::Says::Pull { tip, .. } = pull.event.says else { return None };
            let (id, tip) = (pull.event.id, other.unwrap_or(tip));
            let name = format!("refs/nostr/{}", id.to_hex());
            let brings = carried([tip], *pack, || world.contributed_objects(to));
            let push = Push { to, wants: Wants::Contribution(id, tip), brings };
            Some(Deed::Push(Sending::one(&name, world.contributed_at(to, id), tip, push, cast)))
        }
        Step::ContributeRef { to, name, object } => {
            let brings = carried([*object], Pack::Whole, BTreeSet::new);
            let push = Push { to: *to, wants: Wants::ContributedRef(*name, *object), brings };
            Some(Deed::Push(Sending::one(name.full(), None, *object, push, cast)))
        }
        _ => cast.event(step).map(|minted| Deed::Publish(Box::new(minted))),
    }
}

fn aimed(aim: &Aim, to: Repo, cast: &Cast, world: &World) -> Option<Refs> {
    match aim {
        Aim::Newest(by) => cast.refs_of_state(*by, to.project, 0).cloned(),
        Aim::Former(by) => cast.refs_of_state(*by, to.project, 1).cloned(),
        Aim::InPlace => world.refs(to).cloned(),
        Aim::Refs(refs) => Some(refs.clone()),
    }
}

fn twisted(mut refs: Refs, twist: Twist) -> Refs {
    match twist {
        Twist::None => {}
        Twist::Without(name) => drop(refs.remove(&name)),
        Twist::With(name, object) => drop(refs.insert(name, object)),
    }
    refs
}

struct Change {
    name: Name,
    old: Option<Object>,
    new: Option<Object>,
}

impl Change {
    fn command(&self, cast: &Cast) -> Command {
        let oid = |object: Option<Object>| object.map_or(NOTHING, |object| cast.graph.oid(object));
        Command::update(self.name.full(), oid(self.old), oid(self.new))
    }
}

fn changes(current: &Refs, wanted: &Refs) -> Vec<Change> {
    let names: BTreeSet<Name> = current.keys().chain(wanted.keys()).copied().collect();
    let of = |name| Change { name, old: current.get(&name).copied(), new: wanted.get(&name).copied() };
    names.into_iter().map(of).filter(|change| change.old != change.new).collect()
}

/// A push of what is there already comes from somebody who has looked before it was.
fn in_place(current: &Refs) -> Option<Vec<Change>> {
    let (name, object) = current.iter().next()?;
    Some(vec![Change { name: *name, old: None, new: Some(*object) }])
}

fn carried(
    tips: impl IntoIterator<Item = Object>,
    pack: Pack,
    shown: impl FnOnce() -> BTreeSet<Object>,
) -> BTreeSet<Object> {
    let whole: BTreeSet<Object> = tips.into_iter().flat_map(|tip| tip.reaches()).copied().collect();
    match pack {
        Pack::Whole => whole,
        Pack::Missing => whole.difference(&shown()).copied().collect(),
        Pack::Empty => BTreeSet::new(),
    }
}

impl Sending {
    /// A push of one ref, which is at `old` as far as is known.
    fn one(name: &str, old: Option<Object>, new: Object, push: Push, cast: &Cast) -> Self {
        let old = old.filter(|old| *old != new).map_or(NOTHING, |old| cast.graph.oid(old));
        Self { commands: vec![Command::update(name, old, cast.graph.oid(new))], packed: true, push }
    }

    /// Sends it and reads the report.
    pub(super) async fn send(&self, ctx: &Context, cast: &Cast) -> CheckResult<Answer> {
        let pack = if self.packed { cast.graph.pack(&self.push.brings) } else { Vec::new() };
        let report = receive_pack(&ctx.http, &self.path(cast), &self.commands, &pack).await?;
        Ok(Answer::to_push(&report, &self.commands))
    }

    fn path(&self, cast: &Cast) -> String {
        match self.push.wants {
            Wants::Refs(_) | Wants::Nostr(..) => cast.path(self.push.to),
            Wants::Contribution(..) | Wants::ContributedRef(..) => cast.contribution_path(self.push.to),
        }
    }
}

/// What a server answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    fits: Vec<Reply>,
    pub(super) words: String,
}

impl Answer {
    pub(super) fn to_event(reply: &OkReply) -> Self {
        let waits = reply.message.starts_with("purgatory:");
        let fits = match (reply.accepted, waits) {
            (true, true) => vec![Reply::Waits, Reply::Repeated],
            (true, false) => vec![Reply::Taken, Reply::Repeated],
            (false, _) => vec![Reply::Refused],
        };
        Self { fits, words: reply.to_string() }
    }

    fn to_push(report: &PushReport, commands: &[Command]) -> Self {
        let taken = commands.iter().all(|command| report.took(&command.name));
        let refused = commands.iter().all(|command| report.refused(&command.name).is_some());
        let fits = match (report.response.status, taken, refused) {
            (404, ..) => vec![Reply::NotHosted],
            (200, true, false) => vec![Reply::Taken],
            (200, false, true) => vec![Reply::Refused],
            _ => Vec::new(),
        };
        let lines: Vec<String> = report.lines.iter().map(|line| plain(line)).collect();
        let words = match report.response.status {
            200 => lines.join("; "),
            status => format!("HTTP {status}"),
        };
        Self { fits, words }
    }

    /// Whether this is such an answer.
    pub(super) fn is(&self, reply: Reply) -> bool {
        self.fits.contains(&reply)
    }
}

/// A line of the report for people: branches by their short names, long ids cut.
fn plain(line: &str) -> String {
    let short = |word: &str| match word.strip_prefix("refs/nostr/") {
        Some(id) if id.len() > 8 => format!("refs/nostr/{}…", id.chars().take(8).collect::<String>()),
        _ => word.replace("refs/heads/", "").replace("refs/tags/", "tags/"),
    };
    line.split(' ').map(short).collect::<Vec<_>>().join(" ")
}
