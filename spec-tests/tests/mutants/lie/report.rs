//! Lies about pushes: what the report says about refs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use grasp_fixtures::faulty_proxy::{Asked, Head, Heard, Lies, Side};
use grasp_fixtures::pkt_line::{Packet, decode, edit};
use serde_json::Value;

use super::git::{edit_lines, identifier, is_post};
use super::relay::{all_tags, is_kind, tag};

/// One line of a push.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) new: String,
    pub(crate) name: String,
}

impl Command {
    pub(crate) fn deletes(&self) -> bool {
        self.new.bytes().all(|digit| digit == b'0')
    }
}

/// What states have said about refs, by identifier: the newest last.
pub(crate) type States = BTreeMap<String, Vec<BTreeMap<String, String>>>;

/// The commands of a push.
pub(crate) fn commands(body: &[u8]) -> Vec<Command> {
    let lines = decode(body).unwrap_or_default();
    let lines = lines.iter().map(Packet::text);
    let commands = lines.filter_map(|line| {
        let line = line.split('\0').next().unwrap_or_default();
        let mut words = line.splitn(3, ' ');
        let (_, new, name) = (words.next()?, words.next()?, words.next()?);
        Some(Command { new: new.to_owned(), name: name.to_owned() })
    });
    commands.collect()
}

/// Changes the lines of a report, inside a side-band or not.
pub(crate) fn edit_report(body: &[u8], change: impl Fn(&str) -> Option<String> + Copy) -> Vec<u8> {
    let on_bands = |packet: &Packet| match packet {
        Packet::Data(payload) => payload.first().is_some_and(|band| (1..=3).contains(band)),
        _ => true,
    };
    if !decode(body).unwrap_or_default().iter().all(on_bands) {
        return edit_lines(body, change);
    }
    edit(body, |packet| match packet {
        Packet::Data(payload) if payload.first() == Some(&1) => {
            Some(Packet::Data([b"\x01", &edit_lines(&payload[1..], change)[..]].concat()))
        }
        other => Some(other),
    })
}

fn is_report(asked: &Asked, head: &Head) -> bool {
    is_post(asked, "git-receive-pack") && head.status.is_success()
}

/// Refused refs that are reported as taken, by the path that they were pushed to: a check pushes to its own repositories,
/// to each one after the other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forgiven(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Forgiven {
    /// Those of the push that begins.
    pub(crate) fn note(&self, asked: &Asked, picked: impl Iterator<Item = Command>) {
        let names = picked.map(|command| command.name).collect();
        self.0.lock().unwrap().insert(asked.uri.path().to_owned(), names);
    }

    /// The report on it, with `ok` in place of refusals.
    fn tell(&self, asked: &Asked, body: &[u8]) -> Vec<u8> {
        let told = self.0.lock().unwrap();
        let names = told.get(asked.uri.path()).map(Vec::as_slice).unwrap_or_default();
        edit_report(body, |line| {
            let refused = line.strip_prefix("ng ").and_then(|rest| rest.split(' ').next());
            let lied = refused.filter(|name| names.iter().any(|named| named == name));
            Some(lied.map_or_else(|| line.to_owned(), |name| format!("ok {name}")))
        })
    }

    /// Tells it so.
    pub(crate) fn lies(self) -> Lies {
        Lies::default().body(is_report, move |asked, _, body| self.tell(asked, body))
    }
}

/// Reports refused refs as taken, when `which` picks the command: by it and by what states of the identifier have said.
/// Nothing changes.
pub(crate) fn reports_ok(which: fn(&Command, &[BTreeMap<String, String>]) -> bool) -> impl Fn() -> Lies {
    move || {
        let states: Arc<Mutex<States>> = Arc::default();
        let (stated, forgiven) = (states.clone(), Forgiven::default());
        forgiven
            .clone()
            .lies()
            .relay(move || {
                let states = states.clone();
                move |heard: &Heard| {
                    let event = &heard.json[1];
                    if heard.verb_of(Side::Client) == "EVENT" && is_kind(event, 30_618) {
                        let mut states = states.lock().unwrap();
                        states.entry(tag(event, "d").to_owned()).or_default().push(refs(event));
                    }
                    grasp_fixtures::faulty_proxy::Fate::Pass
                }
            })
            .request_body(
                |asked| is_post(asked, "git-receive-pack"),
                move |asked, body| {
                    let stated = stated.lock().unwrap();
                    let known = stated.get(&identifier(asked)).map(Vec::as_slice).unwrap_or_default();
                    forgiven.note(asked, commands(body).into_iter().filter(|command| which(command, known)));
                    Ok(body.to_vec())
                },
            )
    }
}

fn refs(state: &Value) -> BTreeMap<String, String> {
    let named = all_tags(state).filter_map(|tag| Some((tag[0].as_str()?, tag[1].as_str()?)));
    named.filter(|(name, _)| name.starts_with("refs/")).map(|(name, oid)| (name.into(), oid.into())).collect()
}

/// Changes whole answers to pushes that were refused in part or whole.
pub(crate) fn refusals(
    which: fn(&[Command]) -> bool,
    change: fn(&mut Head, &[u8]) -> Vec<u8>,
) -> impl Fn() -> Lies {
    move || {
        let picked: Arc<Mutex<BTreeMap<String, bool>>> = Arc::default();
        let asked_for = picked.clone();
        Lies::default()
            .request_body(
                |asked| is_post(asked, "git-receive-pack"),
                move |asked, body| {
                    picked.lock().unwrap().insert(asked.uri.path().to_owned(), which(&commands(body)));
                    Ok(body.to_vec())
                },
            )
            .body(is_report, move |asked, head, body| {
                let refused = String::from_utf8_lossy(body).contains("ng refs/");
                let picked = asked_for.lock().unwrap().get(asked.uri.path()) == Some(&true);
                if refused && picked { change(head, body) } else { body.to_vec() }
            })
    }
}
