//! Status and header fields, route by route and method by method, errors included.
//!
//! Every request is made twice: a field that differs between the two varies by itself. The CORS fields, which are to be
//! the same on every response, are an entry of their own, and another for every response on which they are not.

use std::collections::BTreeMap;

use bytes::Bytes;
use grasp_fixtures::keys;
use serde_json::{Map, Value, json};

use super::redaction::Redaction;
use super::world::World;
use super::{Entry, SurfaceError};
use crate::check::Ending;
use crate::target::http::{HttpClient, HttpError, Response};
use crate::target::limits::parse_http_date;

const METHODS: [&str; 5] = ["GET", "HEAD", "OPTIONS", "POST", "DELETE"];
/// Fields whose values vary on every server.
const VARYING: [&str; 7] =
    ["date", "etag", "last-modified", "content-length", "age", "set-cookie", "sec-websocket-accept"];
/// Dates from here on (2000-01-01) are times of a response; older ones are constants like `Expires: 1980`.
const CONSTANT_BEFORE: i64 = 946_684_800;
/// How much of a plain body is written down, in characters.
const SHOWN_BODY: usize = 300;
const CORS: [&str; 3] = ["G01/cors/origin", "G01/cors/methods", "G01/cors/headers"];
const UPGRADE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
];

/// A response: what it shows, and its CORS fields.
struct Shown {
    at: String,
    requirements: Vec<&'static str>,
    seen: Value,
    cors: Value,
}

pub(super) async fn entries(world: &World) -> Result<Vec<Entry>, SurfaceError> {
    let stage = world.hosted("http").await?;
    let (http, redaction, hosted, unhosted) = match stage {
        Ok(stage) => (stage.ctx.http.clone(), stage.redaction, Some(stage.hosted), None),
        Err(entry) => (world.context("http").http.clone(), world.redaction(), None, Some(entry)),
    };
    let mut shown = Vec::new();
    for (route, requirements) in routes(hosted.as_ref().map(|hosted| hosted.path.as_str())) {
        let mut known: Vec<(&str, Value)> = Vec::new();
        for method in METHODS {
            let mut response = look(&http, &redaction, method, &route, &[]).await?;
            response.requirements = match method {
                "OPTIONS" => vec!["G01/cors/options"],
                _ => requirements.clone(),
            };
            let like = known.iter().find(|(_, seen)| *seen == response.seen).map(|(method, _)| *method);
            match like {
                Some(other) => response.seen = json!(format!("as {other}")),
                None => known.push((method, response.seen.clone())),
            }
            shown.push(response);
        }
    }
    for (what, route, headers, requirements) in requests(hosted.as_ref().map(|hosted| hosted.path.as_str())) {
        let mut response = look(&http, &redaction, "GET", &route, &headers).await?;
        response.at.push_str(what);
        response.requirements = requirements;
        shown.push(response);
    }
    let mut entries = with_cors(shown);
    entries.extend(unhosted);
    Ok(entries)
}

fn nobody() -> String {
    keys::npub(&keys::fresh().public_key())
}

/// The routes with the requirements they touch; `path` is that of a hosted repository.
fn routes(path: Option<&str>) -> Vec<(String, Vec<&'static str>)> {
    let (serves, pushes) = (vec!["G01/git/serves"], vec!["G01/git/push-unauthorised"]);
    let nowhere = format!("/{}/nothing.git", nobody());
    let mut routes = vec![
        ("/".to_owned(), vec![]),
        ("/healthz".to_owned(), vec![]),
        ("/.well-known/nostr.json?name=_".to_owned(), vec![]),
        ("/icon.svg".to_owned(), vec![]),
        ("/nothing".to_owned(), vec![]),
    ];
    if let Some(path) = path {
        routes.extend([
            (path.to_owned(), vec!["G01/git/web"]),
            (format!("{path}/info/refs?service=git-upload-pack"), serves.clone()),
            (format!("{path}/info/refs?service=git-receive-pack"), pushes.clone()),
            (format!("{path}/info/refs?service=git-upload-archive"), serves.clone()),
            (format!("{path}/info/refs"), serves.clone()),
            (format!("{path}/git-upload-pack"), serves.clone()),
            (format!("{path}/git-receive-pack"), pushes),
            (format!("{path}/git-upload-archive"), serves.clone()),
            (format!("{path}/objects/info/packs"), serves.clone()),
        ]);
    }
    routes.extend([
        (nowhere.clone(), vec!["G01/git/web"]),
        (format!("{nowhere}/info/refs?service=git-upload-pack"), serves.clone()),
        ("/npub1notakey/x.git/info/refs?service=git-upload-pack".to_owned(), serves),
        ("/prs/x".to_owned(), vec!["G06/advertised"]),
    ]);
    routes
}

type Fields = Vec<(&'static str, &'static str)>;

/// GET requests with header fields of their own.
fn requests(path: Option<&str>) -> Vec<(&'static str, String, Fields, Vec<&'static str>)> {
    let root = || "/".to_owned();
    let nowhere = format!("/{}/nothing.git", nobody());
    let without = |field: &str| UPGRADE.into_iter().filter(|(name, _)| *name != field).collect::<Fields>();
    let mut old = without("sec-websocket-version");
    old.push(("sec-websocket-version", "8"));
    let page = vec![("accept", "text/html")];
    let relay = || vec!["G01/relay/nip01"];
    let mut requests = vec![
        (
            " for application/nostr+json",
            root(),
            vec![("accept", "application/nostr+json")],
            vec!["G01/nip11/document"],
        ),
        (" for a WebSocket", root(), UPGRADE.to_vec(), relay()),
        (" for a WebSocket without a key", root(), without("sec-websocket-key"), relay()),
        (" for a WebSocket of version 8", root(), old, relay()),
        (" for a WebSocket", "/nothing".to_owned(), UPGRADE.to_vec(), relay()),
        (" for a browser", nowhere, page.clone(), vec!["G01/git/web"]),
    ];
    if let Some(path) = path {
        requests.push((" for a browser", path.to_owned(), page, vec!["G01/git/web"]));
    }
    requests
}

async fn look(
    http: &HttpClient,
    redaction: &Redaction,
    method: &str,
    route: &str,
    headers: &[(&str, &str)],
) -> Result<Shown, SurfaceError> {
    let at = redaction.apply(&format!("http/{method} {route}"));
    let mut looks = Vec::with_capacity(2);
    for _ in 0..2 {
        match http.request(method, route, headers, Bytes::new()).await {
            Ok(response) => looks.push(response),
            Err(HttpError::Request(why)) => return Err(SurfaceError::CannotRun(why)),
            Err(error) => {
                let Ending::Fail { seen, .. } = error.into() else { break };
                let seen = json!({"no response": redaction.apply(&seen)});
                return Ok(Shown { at, requirements: vec![], seen, cors: Value::Null });
            }
        }
    }
    let [first, second] = looks.as_slice() else {
        let seen = json!({"not looked at": "the server limits requests"});
        return Ok(Shown { at, requirements: vec![], seen, cors: Value::Null });
    };
    let (fields, again) = (fields(first, redaction), fields(second, redaction));
    let (mut own, mut cors) = (Map::new(), Map::new());
    for (name, value) in fields {
        let value = if again.get(&name) == Some(&value) { value } else { "<varies>".to_owned() };
        let map = if name.starts_with("access-control-") { &mut cors } else { &mut own };
        map.insert(name, json!(value));
    }
    let mut seen = json!({"status": first.status, "fields": own});
    if let Some(said) = said(first) {
        seen["says"] = json!(redaction.apply(&said));
    }
    Ok(Shown { at, requirements: vec![], seen, cors: Value::Object(cors) })
}

fn fields(response: &Response, redaction: &Redaction) -> BTreeMap<String, String> {
    let names = response.headers.keys().map(http::HeaderName::as_str);
    names
        .map(|name| {
            let value = response.header(name);
            let shown = if VARYING.contains(&name) {
                format!("<{name}>")
            } else if parse_http_date(&value).is_some_and(|date| date >= CONSTANT_BEFORE) {
                "<date>".to_owned()
            } else {
                redaction.apply(&value)
            };
            (name.to_owned(), shown)
        })
        .collect()
}

/// A short body that is text for people or JSON.
fn said(response: &Response) -> Option<String> {
    let kind = response.header("content-type");
    let plain = kind.starts_with("text/plain") || kind.starts_with("application/json");
    let text = response.text();
    (plain && !text.is_empty() && text.chars().count() <= SHOWN_BODY).then(|| text.trim_end().to_owned())
}

/// The CORS fields that most responses have, once; and those of every response that has others.
fn with_cors(shown: Vec<Shown>) -> Vec<Entry> {
    let mut common: Vec<(Value, usize)> = Vec::new();
    for response in shown.iter().filter(|response| !response.cors.is_null()) {
        match common.iter_mut().find(|(cors, _)| *cors == response.cors) {
            Some((_, count)) => *count += 1,
            None => common.push((response.cors.clone(), 1)),
        }
    }
    // of two that are as frequent, the one that was seen first
    let common = common.into_iter().reduce(|best, next| if next.1 > best.1 { next } else { best });
    let common = common.map_or(Value::Null, |(cors, _)| cors);
    let mut entries = vec![Entry::new("http/CORS on every response", &CORS, common.clone())];
    for response in shown {
        if !response.cors.is_null() && response.cors != common {
            let at = response.at.replacen("http/", "http/CORS on ", 1);
            entries.push(Entry::new(at, &CORS, response.cors));
        }
        entries.push(Entry::new(response.at, &response.requirements, response.seen));
    }
    entries
}
