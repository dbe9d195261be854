//! The frame against tiny servers of this file: one that says yes to everything and must not pass, one that is
//! right about NIP-11 and CORS, one that speaks relay; and the runner against checks that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use grasp_audit::check::{Check, Ending, Verdict, expect};
use grasp_audit::report::{junit, terminal};
use grasp_audit::{Context, Options, Report, Suite};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Message, Role};

/// What a server can be right about without taking a single event.
const SAID_AT_THE_DOOR: [&str; 6] = [
    "G01/nip11/document",
    "G01/nip11/supported-grasps",
    "G01/nip11/acceptance",
    "G01/nip11/curation",
    "G01/nip11/limits/well-formed",
    "G01/cors",
];

type Answer = Response<Full<Bytes>>;

/// Serves `answer` on loopback until the test ends.
async fn serve(answer: fn(Request<Incoming>) -> Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request| async move { Ok::<_, Infallible>(answer(request)) });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    address
}

fn null_server(_: Request<Incoming>) -> Answer {
    Response::new(Full::new(Bytes::new()))
}

/// Right about NIP-11 and CORS, takes every event, forgets it, and has no git.
fn canned_server(mut request: Request<Incoming>) -> Answer {
    let response = Response::builder()
        .header("access-control-allow-origin", "*")
        .header("access-control-allow-methods", "GET, POST")
        .header(
            "access-control-allow-headers",
            "Content-Type, Git-Protocol, Authorization, Accept, Content-Encoding, X-Requested-With",
        );
    if request.method() == "OPTIONS" {
        return response.status(204).body(Full::default()).unwrap();
    }
    if let Some(key) = request.headers().get("sec-websocket-key").cloned() {
        tokio::spawn(async move {
            if let Ok(upgraded) = hyper::upgrade::on(&mut request).await {
                relay(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await)
                    .await;
            }
        });
        return response
            .status(101)
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-accept", derive_accept_key(key.as_bytes()))
            .body(Full::default())
            .unwrap();
    }
    let accept = request.headers().get("accept").map(|value| value.to_str().unwrap().to_owned());
    if accept.is_some_and(|accept| accept.contains("nostr+json")) {
        let document = json!({
            "name": "canned",
            "supported_grasps": ["GRASP-01"],
            "repo_acceptance_criteria": "none",
            "limitation": {"max_message_length": 100_000},
        });
        return response
            .header("content-type", "application/nostr+json")
            .body(document.to_string().into())
            .unwrap();
    }
    let status = if request.uri().path().contains(".git/info/refs") { 200 } else { 404 };
    response.status(status).body(Full::default()).unwrap()
}

async fn relay<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
    let mut limited = true;
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let message: Value = serde_json::from_str(&text).unwrap();
        let answer = match message[0].as_str() {
            // the first event of a connection about this kind meets a rate limit
            Some("EVENT") if message[1]["kind"] == 7 && limited => {
                limited = false;
                json!(["OK", message[1]["id"], false, "rate-limited: slow down"])
            }
            Some("EVENT") => json!(["OK", message[1]["id"], true, ""]),
            Some("REQ") => json!(["EOSE", message[1]]),
            Some("COUNT") => json!(["COUNT", message[1], {"count": 0}]),
            _ => json!(["NOTICE", "what?"]),
        };
        if socket.send(Message::text(answer.to_string())).await.is_err() {
            return;
        }
    }
}

async fn run(address: SocketAddr, filter: &str) -> Report {
    let options = Options { filter: Some(filter.to_owned()), ..Options::default() };
    Suite::new(options).run(&format!("ws://{address}")).await.unwrap()
}

fn told(report: &Report) -> String {
    terminal::render(report, false)
}

#[tokio::test]
async fn a_server_that_answers_200_to_everything_passes_nothing_of_nip11_and_cors() {
    let address = serve(null_server).await;
    for section in SAID_AT_THE_DOOR {
        let report = run(address, section).await;
        assert!(!report.checks.is_empty());
        for check in &report.checks {
            assert!(matches!(check.verdict, Verdict::Fail { .. }), "{} {:?}", check.id, check.verdict);
            assert!(!check.transcript.is_empty(), "{} shows what went over the wire", check.id);
        }
        // what only should be does not decide
        assert_eq!(report.exit_code(), u8::from(report.totals.failed_must > 0));
        assert_eq!(report.totals.failed_must == 0, section.contains("limits"));
    }
}

#[tokio::test]
async fn a_server_that_is_right_about_nip11_and_cors_passes_them() {
    let address = serve(canned_server).await;
    for section in SAID_AT_THE_DOOR {
        let report = run(address, section).await;
        assert_eq!(report.exit_code(), 0, "{}", told(&report));
        assert_eq!(report.totals.passed, report.checks.len(), "{}", told(&report));
    }
}

#[tokio::test]
async fn a_relay_without_git_fails_what_needs_git() {
    let address = serve(canned_server).await;
    let report = run(address, "G01/git/push-aligned/round-trip").await;
    let text = told(&report);
    assert_eq!(report.exit_code(), 1, "{text}");
    assert!(text.contains("expected:") && text.contains("git push"), "{text}");
    assert!(junit::render(&[&report]).unwrap().contains("<failure"));
    let json: Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    assert_eq!(json["checks"][0]["verdict"], "fail");
    assert_eq!(json["totals"]["failed_must"], 1);
    assert_eq!(json["checks"][0]["cleanup"]["published"], 2);
    assert_eq!(json["checks"][0]["cleanup"]["deleted"], 2);
}

async fn breaks(_: Context) -> Result<(), Ending> {
    panic!("a bug in the check")
}

async fn hangs(_: Context) -> Result<(), Ending> {
    std::future::pending().await
}

async fn holds(_: Context) -> Result<(), Ending> {
    Ok(())
}

async fn does_not_hold(_: Context) -> Result<(), Ending> {
    expect(false, "true", "false")
}

async fn is_limited_once(ctx: Context) -> Result<(), Ending> {
    let event = ctx.sign(&ctx.owner, grasp_fixtures::Draft::new(7, "+"));
    // the first answer is a rate limit on this connection, and on every fresh one
    let reply = ctx.publisher().await?.publish(&serde_json::to_value(&event).unwrap()).await?;
    expect(reply.message.starts_with("rate-limited:"), "a limit", &reply)?;
    ctx.accepted(&event).await.map(drop)
}

#[tokio::test]
async fn no_check_stops_the_others() {
    let address = serve(canned_server).await;
    let checks = vec![
        Check::new("G01/cors/origin", "breaks", "", breaks),
        Check::new("G01/cors/origin", "hangs", "", hangs).bound(Duration::from_millis(100)),
        Check::new("G01/cors/origin", "later", "", holds).patient(Duration::from_secs(120)),
        Check::new("G01/cors/origin", "elsewhere", "", holds).only_with("GRASP-06"),
        Check::new("G01/cors/origin", "holds", "", holds),
        Check::new("G01/cors/origin", "does-not-hold", "", does_not_hold),
        Check::new("G01/cors/origin", "limited", "", is_limited_once),
    ];
    let report = Suite::of(checks, Options::default()).run(&address.to_string()).await.unwrap();
    let verdicts: Vec<&Verdict> = report.checks.iter().map(|check| &check.verdict).collect();
    assert!(matches!(verdicts[0], Verdict::Error { text } if text.contains("a bug in the check")));
    assert!(matches!(verdicts[1], Verdict::Error { .. }));
    assert!(matches!(verdicts[2], Verdict::Skip { why } if why.contains("--patient")));
    assert!(matches!(verdicts[3], Verdict::Skip { why } if why.contains("GRASP-06")));
    assert!(matches!(verdicts[4], Verdict::Pass));
    assert!(matches!(verdicts[5], Verdict::Fail { .. }));
    assert!(matches!(verdicts[6], Verdict::Pass), "{:?}", verdicts[6]);
}

#[tokio::test]
async fn an_unreachable_server_is_said_with_the_way_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Suite::new(Options::default()).run(&format!("ws://{address}")).await.unwrap_err();
    assert!(error.to_string().contains("Is the server running"), "{error}");
}
