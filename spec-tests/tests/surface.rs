//! The surface that clients and operators see, written down: a change of any of it shows up in a review.
//!
//! What varies between runs is replaced by a name in angle brackets. After a change that is meant:
//! `INSTA_UPDATE=always cargo test -p spec-tests --test surface`, and look at the difference.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;
use std::time::Duration;

use grasp_audit::Context;
use grasp_audit::context::Hosted;
use grasp_audit::target::http::Response;
use grasp_audit::target::message::RelayMessage;
use grasp_audit::target::smart_http::{self, Packet};
use grasp_audit::target::url::repository_path;
use grasp_fixtures::{Announcement, Draft, PullRequest, State, events, forged, hostile, keys};
use nostr::event::Event;
use nostr::types::Timestamp;
use serde_json::json;
use spec_tests::{Backend, Instance, Setup, instance};

/// Key of the relay's owner, so that the key in NIP-11 is always the same.
const OWNER_NSEC: &str = "0000000000000000000000000000000000000000000000000000000000000003";
const WITHIN: Duration = Duration::from_secs(20);

async fn start() -> Instance {
    let setup = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Memory);
    setup.set("NGIT_RELAY_OWNER_NSEC", OWNER_NSEC).start().await
}

/// Replaces what varies by names.
#[derive(Default)]
struct Redaction(Vec<(String, String)>);

impl Redaction {
    fn of(server: &Instance) -> Self {
        Self::default().name(server.authority(), "<service>")
    }

    fn name(mut self, text: impl Into<String>, name: &str) -> Self {
        self.0.push((text.into(), name.to_owned()));
        self
    }

    fn with_repository(self, ctx: &Context, hosted: &Hosted) -> Self {
        self.name(repository_path(&hosted.owner.public_key(), &hosted.identifier), "/<npub>/<identifier>.git")
            .name(keys::npub(&hosted.owner.public_key()), "<npub>")
            .name(hosted.owner.public_key().to_hex(), "<owner>")
            .name(&ctx.identifier, "<identifier>")
            .name(&hosted.tip, "<tip>")
            .name(&hosted.tip[..12], "<tip>")
    }

    fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.0 {
            text = text.replace(from, to);
        }
        text.split_inclusive([' ', '\n', '"', '=', ',', '/', '(', ')']).map(loose).collect()
    }
}

/// A word that is an id, a date or a version of its own.
fn loose(word: &str) -> String {
    let end = word.trim_end_matches([' ', '\n', '"', '=', ',', '/', '(', ')', ';']).len();
    let (bare, rest) = word.split_at(end);
    let hex = |length: usize| bare.len() == length && bare.chars().all(|c| c.is_ascii_hexdigit());
    let name = if hex(64) {
        "<id>"
    } else if hex(40) {
        "<oid>"
    } else if hex(12) {
        "<short oid>"
    } else if bare.starts_with("npub1") && bare.len() == 63 {
        "<npub>"
    } else {
        bare
    };
    format!("{name}{rest}")
}

/// Status and header fields, sorted, without the body.
fn head(response: &Response) -> String {
    let mut fields: Vec<String> = response
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .map(|(name, value)| match name {
            "date" | "etag" | "last-modified" | "content-length" => format!("  {name}: <{name}>"),
            _ => format!("  {name}: {value}"),
        })
        .collect();
    fields.sort();
    format!("{}\n{}\n", response.status, fields.join("\n"))
}

#[tokio::test]
async fn relay_information_document() {
    let server = start().await;
    let target = server.target().await;
    let mut document = target.nip11.clone().expect("a document");
    document["version"] = json!("<version>");
    let text = serde_json::to_string_pretty(&document).unwrap();
    insta::assert_snapshot!(text.replace(&server.authority(), "<service>"));
}

#[tokio::test]
async fn every_route_and_method() {
    let server = start().await;
    let ctx = server.context("surface").await;
    let hosted = ctx.hosted_repository().await.unwrap();
    let redaction = Redaction::of(&server).with_repository(&ctx, &hosted);
    let path = hosted.path.clone();
    let nowhere = format!("/{}/nothing.git", keys::npub(&hosted.owner.public_key()));
    let mut text = String::new();
    let routes = [
        "/".to_owned(),
        "/healthz".to_owned(),
        "/.well-known/nostr.json?name=_".to_owned(),
        "/icon.svg".to_owned(),
        "/nothing".to_owned(),
        path.clone(),
        nowhere.clone(),
        format!("{path}/info/refs?service=git-upload-pack"),
        format!("{path}/info/refs?service=git-receive-pack"),
        format!("{path}/info/refs?service=git-upload-archive"),
        format!("{path}/info/refs"),
        format!("{path}/git-upload-pack"),
        format!("{path}/git-receive-pack"),
        format!("{path}/git-upload-archive"),
        format!("{path}/objects/info/packs"),
        format!("{nowhere}/info/refs?service=git-upload-pack"),
        "/npub1notakey/x.git/info/refs?service=git-upload-pack".to_owned(),
        "/prs/x".to_owned(),
    ];
    for route in routes {
        let mut answers: Vec<(String, Vec<&str>)> = Vec::new();
        for method in ["GET", "HEAD", "OPTIONS", "POST", "DELETE"] {
            let response = ctx.http.request(method, &route, &[], bytes::Bytes::new()).await.unwrap();
            let head = head(&response);
            match answers.iter_mut().find(|(known, _)| *known == head) {
                Some((_, methods)) => methods.push(method),
                None => answers.push((head, vec![method])),
            }
        }
        for (head, methods) in answers {
            writeln!(text, "{} {route} → {head}", methods.join(", ")).unwrap();
        }
    }
    let accepts = [("accept", "application/nostr+json")];
    let response = ctx.http.get("/", &accepts).await.unwrap();
    writeln!(text, "GET / for application/nostr+json → {}", head(&response)).unwrap();
    for route in [&path, &nowhere] {
        let response = ctx.http.get(route, &[("accept", "text/html")]).await.unwrap();
        writeln!(text, "GET {route} for a browser → {}", head(&response)).unwrap();
    }
    // The same on every response: written once.
    let cors: String =
        text.lines().filter(|line| line.contains("access-control-")).take(5).map(with_end).collect();
    let mut text = format!("<CORS>\n{cors}\n{}", text.replace(&cors, "  <CORS>\n"));
    let names = ctx.http.get("/.well-known/nostr.json?name=_", &[]).await.unwrap();
    writeln!(text, "/.well-known/nostr.json: {}", names.text()).unwrap();
    insta::assert_snapshot!(redaction.apply(&text));
}

fn with_end(line: &str) -> String {
    format!("{line}\n")
}

#[tokio::test]
async fn advertisements_of_a_small_repository() {
    let server = start().await;
    let ctx = server.context("adverts").await;
    let hosted = ctx.hosted_repository().await.unwrap();
    let tag = hosted.repository.annotated_tag("v1", &hosted.tip).await.unwrap();
    let state = ctx.state(&hosted.tip).git_tag("v1", &tag).branch("dev", &hosted.tip);
    ctx.accepted(&ctx.sign(&ctx.owner, state.draft())).await.unwrap();
    let refspecs = ["refs/tags/v1", &format!("{}:refs/heads/dev", hosted.tip)];
    let pushed = hosted.repository.push(&hosted.url, &refspecs).await.unwrap();
    assert!(pushed.ok(), "{pushed}");
    let redaction = Redaction::of(&server).with_repository(&ctx, &hosted).name(tag, "<tag>");
    let mut text = String::new();
    for service in ["git-upload-pack", "git-receive-pack"] {
        for version in [0, 1, 2] {
            let response = smart_http::info_refs(&ctx.http, &hosted.path, service, version).await.unwrap();
            writeln!(text, "{service}, version {version}\n{}", packets(&response)).unwrap();
        }
    }
    let (response, _) = smart_http::ls_refs(&ctx.http, &hosted.path).await.unwrap();
    writeln!(text, "ls-refs\n{}", packets(&response)).unwrap();
    let other = ctx.other_identifier();
    let empty = ctx.sign(&ctx.owner, ctx.announcement_of(&ctx.owner, &other).draft());
    ctx.accepted(&empty).await.unwrap();
    let path = repository_path(&ctx.owner.public_key(), &other);
    let response = smart_http::info_refs(&ctx.http, &path, "git-upload-pack", 0).await.unwrap();
    writeln!(text, "an empty repository\n{}", packets(&response)).unwrap();
    let (response, _) = smart_http::ls_refs(&ctx.http, &path).await.unwrap();
    writeln!(text, "ls-refs of an empty repository\n{}", packets(&response)).unwrap();
    insta::assert_snapshot!(redaction.apply(&text));
}

fn packets(response: &Response) -> String {
    let agent = |text: String| {
        let words = text.split(' ').map(|word| match word.split_once("agent=") {
            Some((before, _)) => format!("{before}agent=<agent>"),
            None => word.to_owned(),
        });
        words.collect::<Vec<_>>().join(" ").replace('\0', " \\0 ")
    };
    let lines = smart_http::decode(&response.body).unwrap().into_iter().map(|packet| match packet {
        Packet::Flush => "  0000\n".to_owned(),
        Packet::Delimiter => "  0001\n".to_owned(),
        Packet::ResponseEnd => "  0002\n".to_owned(),
        data @ Packet::Data(_) => format!("  {}\n", agent(data.text())),
    });
    lines.collect()
}

#[tokio::test]
async fn refusals_of_pushes() {
    let server = start().await;
    let ctx = server.context("refused").await;
    let hosted = ctx.hosted_repository().await.unwrap();
    let repository = &hosted.repository;
    let next = repository.commit("a", "next\n", &[&hosted.tip]).await.unwrap();
    let other = repository.commit("a", "other\n", &[&hosted.tip]).await.unwrap();
    let redaction = Redaction::of(&server)
        .with_repository(&ctx, &hosted)
        .name(&next, "<next>")
        .name(&next[..12], "<next>")
        .name(&next[..7], "<next>")
        .name(&other, "<other>")
        .name(&other[..12], "<other>")
        .name(&other[..7], "<other>")
        .name(&hosted.tip[..7], "<tip>");
    let mut text = String::new();
    let mut refused = async |what: &str, refspecs: &[&str]| {
        let output = repository.push(&hosted.url, refspecs).await.unwrap();
        assert!(!output.ok(), "{what}: {output}");
        writeln!(text, "## {what}\n{}\n", output.terminal().replace("        \n", "\n")).unwrap();
    };
    let to = |oid: &str, name: &str| format!("+{oid}:{name}");
    refused("without a state", &[&to(&next, "refs/heads/main")]).await;
    refused("a branch that is not listed", &[&to(&next, "refs/heads/dev")]).await;
    refused("a tag that is not listed", &[&to(&next, "refs/tags/v1")]).await;
    refused("a branch of a pull request", &[&to(&next, "refs/heads/pr/fix")]).await;
    refused("a deletion without a state", &[":refs/heads/main"]).await;
    refused("a ref outside heads and tags", &[&to(&next, "refs/notes/commits")]).await;
    refused("refs/nostr without an id", &[&to(&next, "refs/nostr/abc")]).await;
    let pull = ctx.sign(&ctx.someone(), PullRequest::new(&hosted.coordinate, &next).draft());
    ctx.accepted(&pull).await.unwrap();
    let name = format!("refs/nostr/{}", pull.id.to_hex());
    refused("another tip than the pull request names", &[&to(&other, &name)]).await;
    let state = ctx.state(&next).branch("dev", &hosted.tip);
    ctx.accepted(&ctx.sign(&ctx.owner, state.draft())).await.unwrap();
    refused("another commit than the waiting state", &[&to(&other, "refs/heads/main")]).await;
    refused("a part of the waiting state", &[&to(&next, "refs/heads/main")]).await;
    refused(
        "more than the waiting state",
        &[&to(&next, "refs/heads/main"), &to(&hosted.tip, "refs/heads/dev"), &to(&next, "refs/heads/more")],
    )
    .await;
    insta::assert_snapshot!(redaction.apply(&text).replace(&pull.id.to_hex(), "<id>"));
}

#[tokio::test]
async fn refusals_of_events() {
    let server = start().await;
    let ctx = server.context("events").await;
    let hosted = ctx.hosted_repository().await.unwrap();
    let redaction = Redaction::of(&server).with_repository(&ctx, &hosted);
    let mut text = String::new();
    let note = ctx.sign(&ctx.owner, events::note("hello"));
    for (what, forgery) in
        [("forged id", forged::bad_id(&note)), ("forged signature", forged::bad_signature(&note))]
    {
        let reply = ctx.publish(&forgery).await.unwrap();
        writeln!(text, "{what}: {} {}", reply.accepted, reply.message).unwrap();
    }
    let mut answer = async |what: &str, event: &Event| {
        let reply = ctx.publish(event).await.unwrap();
        writeln!(text, "{what}: {} {}", reply.accepted, reply.message).unwrap();
    };
    let (owner, stranger) = (&ctx.owner, &ctx.someone());
    let sign = |draft: Draft| ctx.sign(owner, draft);
    let now = Timestamp::now().as_secs();
    let d = &ctx.identifier;
    let ours = || ctx.announcement();
    answer("duplicate", &hosted.announcement).await;
    answer("note", &note).await;
    answer("from the future", &sign(events::note("x").at(now + 3600))).await;
    answer("expired", &sign(events::note("x").tag(["expiration", "1"]))).await;
    answer("protected", &sign(events::note("x").tag(["-"]))).await;
    answer("authentication", &sign(Draft::new(22242, ""))).await;
    answer("older announcement", &sign(ours().draft().at(1000))).await;
    answer("older state", &sign(ctx.state(&hosted.tip).draft().at(1000))).await;
    let elsewhere =
        Announcement::new("elsewhere").clone_url("https://a.invalid/x.git").relay("wss://a.invalid");
    answer("announcement of another service", &sign(elsewhere.draft())).await;
    let half = Announcement::new("half").relay(ctx.target.url.relay());
    answer("announcement without clone", &sign(half.draft())).await;
    answer("announcement without d", &sign(ours().draft().without("d"))).await;
    answer("announcement with a path as identifier", &sign(Announcement::new("a/b").draft())).await;
    let foreign = State::new("unknown").branch("main", &hosted.tip);
    answer("state of an unknown repository", &ctx.sign(stranger, foreign.draft())).await;
    answer("state of a stranger", &ctx.sign(stranger, ctx.state(&hosted.tip).draft())).await;
    let odd = |name: &str, value: &str| State::new(d).reference(name, value).draft();
    answer("state with an impossible name", &sign(odd("refs/heads/a..b", &hosted.tip))).await;
    answer("state with an impossible value", &sign(odd("refs/heads/a", "zz"))).await;
    answer("state with SHA-256", &sign(odd("refs/heads/a", &"a".repeat(64)))).await;
    let pull = PullRequest::new(&hosted.coordinate, &hosted.tip);
    answer("pull request without tip", &sign(pull.clone().without_tip().draft())).await;
    let nowhere = events::coordinate(&stranger.public_key(), "nowhere");
    answer("pull request to nowhere", &sign(PullRequest::new(&nowhere, &hosted.tip).draft())).await;
    answer("issue of nowhere", &sign(events::issue(&nowhere, "s", "c"))).await;
    answer("pull request whose data is here", &sign(pull.draft())).await;
    answer("deletion of somebody else's", &ctx.sign(stranger, events::delete_ids([&hosted.state.id]))).await;
    answer("deletion of nothing", &ctx.sign(stranger, Draft::new(5, ""))).await;
    let issue = sign(events::issue(&hosted.coordinate, "s", "c"));
    answer("issue", &issue).await;
    answer("deletion of it", &sign(events::delete_ids([&issue.id]))).await;
    answer("the same issue again", &issue).await;
    let waiting = ctx.other_identifier();
    let announced = sign(ctx.announcement_of(owner, &waiting).draft());
    answer("announcement", &announced).await;
    let to_waiting = events::coordinate(&owner.public_key(), &waiting);
    answer("pull request to it", &sign(PullRequest::new(&to_waiting, &hosted.tip).draft())).await;
    insta::assert_snapshot!(redaction.apply(&text.replace(&waiting, "<other identifier>")));
}

#[tokio::test]
async fn answers_to_malformed_messages() {
    let server = start().await;
    let target = server.target().await;
    let relay = instance::relay(&target).await.unwrap();
    let mut text = String::new();
    for malformed in hostile::malformed_messages().into_iter().filter(|malformed| !malformed.lenient) {
        relay.send_text(malformed.text.clone()).await.unwrap();
        let answer = relay.take("answer", WITHIN, |message| match message {
            RelayMessage::Auth(_) | RelayMessage::Event { .. } | RelayMessage::Eose(_) => None,
            other => Some(Ok(shown(other))),
        });
        writeln!(text, "{}: {}", malformed.name, answer.await.unwrap()).unwrap();
    }
    insta::assert_snapshot!(Redaction::of(&server).apply(&text));
}

fn shown(message: &RelayMessage) -> String {
    let shortened = |text: &str| text.chars().take(160).collect::<String>();
    shortened(&match message {
        RelayMessage::Ok { accepted, message, .. } => format!("OK {accepted} {message}"),
        RelayMessage::Closed { subscription, reason } => format!("CLOSED {subscription:?} {reason}"),
        RelayMessage::Notice(text) => format!("NOTICE {text}"),
        RelayMessage::NegErr { reason, .. } => format!("NEG-ERR {reason}"),
        other => format!("{other:?}"),
    })
}

#[tokio::test]
async fn close_codes() {
    let setup = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Memory);
    let mut server = setup.set("NGIT_MAX_MESSAGE_BYTES", "16KiB").start().await;
    let target = server.target().await;
    let mut text = String::new();
    let mut closed = async |what: &str, relay: grasp_audit::target::websocket::Relay| {
        let end = relay.closed(WITHIN).await.unwrap();
        let (code, reason) = end.expect("a close frame");
        writeln!(text, "{what}: {} {reason}", code.unwrap_or_default()).unwrap();
    };
    let relay = instance::relay(&target).await.unwrap();
    relay.send_binary(vec![0; 10]).await.unwrap();
    closed("binary", relay).await;
    let relay = instance::relay(&target).await.unwrap();
    relay.send_text("x".repeat(20 << 10)).await.unwrap();
    closed("too long", relay).await;
    let relay = instance::relay(&target).await.unwrap();
    server.ask_to_stop();
    closed("the server stops", relay).await;
    server.ended().await;
    insta::assert_snapshot!(text);
}

#[tokio::test]
async fn settings_shown_by_check_config() {
    let program = env!("CARGO_BIN_EXE_server-under-test");
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(program);
    let output = command.arg("check-config").env_clear().current_dir(nowhere.path()).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    insta::assert_snapshot!(text);
}
