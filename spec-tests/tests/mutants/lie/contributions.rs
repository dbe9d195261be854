//! Lies about contributors' repositories (GRASP-06): which paths and events are theirs, and what a proxy remembers of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use grasp_fixtures::faulty_proxy::{Answer, Asked, Fate, Heard, Lies};
use nostr::key::PublicKey;
use serde_json::Value;

use super::git::{edit_lines, identifier, is_listing, is_post};
use super::http::is_git;
use super::relay::{Answers, all_tags, is_kind};
use super::report::{Command, Forgiven, commands};

/// Whether a request is for a contributor's repository.
pub(crate) fn is_contribution(asked: &Asked) -> bool {
    asked.uri.path().starts_with("/prs/")
}

/// Whether it is for a hosted one.
pub(crate) fn is_hosted(asked: &Asked) -> bool {
    !is_contribution(asked)
}

fn contributor(asked: &Asked) -> &str {
    asked.uri.path().split('/').nth(2).unwrap_or_default()
}

/// Everything under `clone`.
pub(crate) fn clone_urls(event: &Value) -> impl Iterator<Item = &str> {
    let named = all_tags(event).filter(|tag| tag[0] == "clone").filter_map(Value::as_array);
    named.flat_map(|tag| tag.iter().skip(1)).filter_map(Value::as_str)
}

/// Key and identifier of the contributor's repository that an event names, by its URL.
pub(crate) fn place(event: &Value) -> Option<(&str, &str)> {
    let below = clone_urls(event).find_map(|url| Some(url.split_once("/prs/")?.1))?;
    below.strip_suffix(".git")?.split_once('/')
}

/// A pull request or an update of one whose data belongs below `/prs/`.
pub(crate) fn is_contributed(event: &Value) -> bool {
    (is_kind(event, 1618) || is_kind(event, 1619)) && place(event).is_some()
}

/// The author's key, as it stands in paths.
pub(crate) fn author(event: &Value) -> String {
    let key = event["pubkey"].as_str().and_then(|hex| PublicKey::from_hex(hex).ok());
    key.map(|key| grasp_fixtures::keys::npub(&key)).unwrap_or_default()
}

/// The events that the relay has taken, by id, for all connections of a proxy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taken(Arc<Mutex<HashMap<String, Value>>>);

impl Taken {
    pub(crate) fn by_id(&self, id: &str) -> Option<Value> {
        self.0.lock().unwrap().get(id).cloned()
    }

    /// The event that the data under this ref belongs to.
    fn of(&self, name: &str) -> Option<Value> {
        self.by_id(name.strip_prefix("refs/nostr/")?)
    }

    /// Notes what is taken, for one connection.
    pub(crate) fn hear(&self) -> impl FnMut(&Heard) -> Fate + Send + use<> {
        let (taken, mut answers) = (self.0.clone(), Answers::default());
        move |heard: &Heard| {
            if let Some(answered) = answers.hear(heard).filter(|answered| answered.accepted) {
                let id = answered.event["id"].as_str().unwrap_or_default().to_owned();
                taken.lock().unwrap().insert(id, answered.event);
            }
            Fate::Pass
        }
    }
}

/// One line of a push to a contributor's repository.
pub(crate) struct Contributed<'p> {
    pub(crate) command: &'p Command,
    /// Key and identifier in the path.
    pub(crate) place: (&'p str, &'p str),
    /// The event that the ref names, when it is known.
    pub(crate) event: Option<&'p Value>,
}

/// Reports refs of contributors' repositories as taken that are refused, when `which` picks them. Nothing changes.
pub(crate) fn contributions_ok(which: fn(&Contributed) -> bool) -> impl Fn() -> Lies {
    move || {
        let (taken, forgiven) = (Taken::default(), Forgiven::default());
        let known = taken.clone();
        forgiven.clone().lies().relay(move || taken.hear()).request_body(is_upload, move |asked, body| {
            let identifier = identifier(asked);
            let picked = commands(body).into_iter().filter(|command| {
                let event = known.of(&command.name);
                which(&Contributed {
                    command,
                    place: (contributor(asked), &identifier),
                    event: event.as_ref(),
                })
            });
            forgiven.note(asked, picked);
            Ok(body.to_vec())
        })
    }
}

fn is_upload(asked: &Asked) -> bool {
    is_contribution(asked) && is_post(asked, "git-receive-pack")
}

/// What was pushed to a contributor's repository.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) name: String,
    pub(crate) tip: String,
    identifier: String,
    /// Its event was known before.
    pub(crate) event_first: bool,
    /// Its event is known by now.
    pub(crate) is_signed: bool,
}

/// What was pushed to contributors' repositories, for all connections of a proxy.
#[derive(Debug, Clone, Default)]
struct Uploads {
    taken: Taken,
    pushed: Arc<Mutex<Vec<Upload>>>,
}

impl Uploads {
    /// Notes a push that begins.
    fn note(&self, asked: &Asked, body: &[u8]) {
        let uploads = commands(body).into_iter().map(|command| {
            let event_first = self.taken.of(&command.name).is_some();
            let identifier = identifier(asked);
            Upload { name: command.name, tip: command.new, identifier, event_first, is_signed: event_first }
        });
        self.pushed.lock().unwrap().extend(uploads);
    }

    /// Those of the identifier that is asked for.
    fn beside(&self, asked: &Asked) -> Vec<Upload> {
        let identifier = identifier(asked);
        let mut uploads = self.pushed.lock().unwrap().clone();
        uploads.retain(|upload| upload.identifier == identifier);
        uploads.iter_mut().for_each(|upload| upload.is_signed = self.taken.of(&upload.name).is_some());
        uploads
    }
}

/// Changes what the repositories that `which` picks list, by what was pushed to contributors' ones of the same identifier.
pub(crate) fn lists(which: fn(&Asked) -> bool, change: fn(&[Upload], &[u8]) -> Vec<u8>) -> impl Fn() -> Lies {
    move || {
        let uploads = Uploads::default();
        let (taken, pushed) = (uploads.taken.clone(), uploads.clone());
        Lies::default()
            .relay(move || taken.hear())
            .request_body(is_upload, move |asked, body| {
                pushed.note(asked, body);
                Ok(body.to_vec())
            })
            .body(
                move |asked, head| is_git(head) && is_post(asked, "git-upload-pack") && which(asked),
                move |asked, _, body| {
                    if is_listing(body) { change(&uploads.beside(asked), body) } else { body.to_vec() }
                },
            )
    }
}

/// Answers what is asked of hosted repositories, when `answer` does so by what was pushed to contributors' ones.
pub(crate) fn answers(answer: fn(&[Upload], &[u8]) -> Option<Answer>) -> impl Fn() -> Lies {
    move || {
        let uploads = Uploads::default();
        Lies::default().request_body(
            |asked| is_upload(asked) || is_hosted(asked) && is_post(asked, "git-upload-pack"),
            move |asked, body| {
                if is_upload(asked) {
                    uploads.note(asked, body);
                    return Ok(body.to_vec());
                }
                answer(&uploads.beside(asked), body).map_or_else(|| Ok(body.to_vec()), Err)
            },
        )
    }
}

/// A list of refs without the uploads that `which` picks.
pub(crate) fn without(uploads: &[Upload], body: &[u8], which: fn(&Upload) -> bool) -> Vec<u8> {
    edit_lines(body, |line| {
        let hidden = |name| uploads.iter().any(|upload| which(upload) && upload.name == name);
        (!line.split(' ').nth(1).is_some_and(hidden)).then(|| line.to_owned())
    })
}
