//! Clients that are slow, do not read, say only half, or vanish. Others must not notice: the vital signs decide.

use std::time::{Duration, Instant};

use super::super::case::{Area, Case, Findings};
use super::super::ground::{Ground, left};
use super::super::meter::Load;
use super::super::wire::{Meanwhile, Wire};
use crate::check::CheckResult;
use crate::target::receive_pack;
use crate::target::smart_http::ls_refs;

/// Clients that send their head byte by byte.
const SLOW_HEADS: usize = 100;
/// Clients that push byte by byte: more than most servers run pushes at once.
const SLOW_PUSHES: usize = 150;
/// Clients that fetch byte by byte.
const SLOW_FETCHES: usize = 50;
/// Between two bytes of a slow client.
const DRIP: Duration = Duration::from_secs(1);
/// Clients that ask and do not read.
const DEAF: usize = 50;
/// How much each of them asks for.
const ASKED: usize = 100;
/// Connections on which nothing is said.
const IDLE: usize = 200;
/// Clients of each kind that half-close.
const HALF_CLOSED: usize = 30;
/// Clients that vanish.
const VANISHING: usize = 150;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            Area::Http,
            "half-closed",
            "90 clients that say they will send no more: after a request, in the middle of one, and before any",
            "answers the first kind or ends the connection, and ends the other two",
            Load::new(30, 90, 40_000),
            half_closed,
        ),
        Case::new(
            Area::Http,
            "vanishing-clients",
            "150 clients that ask for refs, packs and pages, and are gone before the answer",
            "forgets them at once, and leaves nothing running for them",
            Load::new(150, 150, 200_000),
            vanishing,
        ),
        Case::new(
            Area::Http,
            "idle-connections",
            "200 connections on which nothing is said",
            "goes on serving others",
            Load::new(200, 1, 1),
            idle,
        )
        .waits(),
        Case::new(
            Area::Http,
            "unread-answers",
            "50 clients that ask a hundred times for pages and refs in one go, and do not read",
            "goes on serving others, and lets them go in the end",
            Load::new(50, 5_000, 2_000_000),
            unread,
        )
        .waits(),
        Case::new(
            Area::Http,
            "slow-heads",
            "100 clients that send the head of a request a byte a second (slowloris)",
            "goes on serving others, and ends such a connection within 40 s",
            Load::new(100, 100, 40_000),
            slow_heads,
        )
        .waits(),
        Case::new(
            Area::Http,
            "slow-bodies",
            "150 pushes and 50 fetches that send a byte a second, and an ordinary fetch and push beside them",
            "goes on serving others, fetches and pushes included",
            Load::new(200, 200, 200_000),
            slow_bodies,
        )
        .waits(),
    ]
}

async fn half_closed(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let whole = ground.request("GET", "/", &[], b"");
    for (what, bytes) in [("a whole request", &whole[..]), ("half a head", &whole[..20]), ("nothing", b"")] {
        let mut wires = Vec::new();
        for _ in 0..HALF_CLOSED {
            let mut wire = ground.wire().await?;
            wire.send(bytes).await?;
            wire.half_close().await;
            wires.push(wire);
        }
        let deadline = Instant::now() + ground.answer_within();
        for mut wire in wires {
            let heard = wire.answers_within(left(deadline), true).await;
            match (heard.first(), heard.end) {
                (Some(reply), _) => findings.robust(format!("HTTP {}", reply.status)),
                (None, Some(_)) => findings.robust("the connection is ended"),
                (None, None) => findings.weak(what, "neither answered nor ended"),
            }
        }
    }
    Ok(findings)
}

async fn vanishing(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let path = match ground.victim() {
        Ok(victim) => victim.hosted.path.clone(),
        Err(_) => "/npub1x/x.git".to_owned(),
    };
    let requests = [
        ground.request("GET", "/", &["Accept: text/html"], b""),
        ground.request("GET", &format!("{path}/info/refs?service=git-upload-pack"), &[], b""),
        ground.request("POST", &format!("{path}/git-upload-pack"), &["Content-Length: 100000"], b"0032want "),
    ];
    let mut wires = Vec::new();
    for request in requests.iter().cycle().take(VANISHING) {
        let mut wire = ground.wire().await?;
        wire.send_as(request, 1, Meanwhile::IsDeaf).await?;
        wires.push(wire);
    }
    drop(wires);
    let (response, _) = ls_refs(&ground.ctx.http, &path).await?;
    findings.robust(format!("others are served: HTTP {}", response.status));
    Ok(findings)
}

async fn idle(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let mut wires = connected(&ground, IDLE, &mut findings).await;
    ground.pause(ground.hold() / 8).await;
    let mut ended = 0;
    for wire in &mut wires {
        ended += usize::from(wire.hear_the_end(Duration::from_millis(1)).await.is_some());
    }
    findings.robust(format!("{} connections are held, {ended} were ended", wires.len()));
    Ok(findings)
}

/// As many connections as the server takes; to take fewer is its right.
async fn connected(ground: &Ground, count: usize, findings: &mut Findings) -> Vec<Wire> {
    let mut wires = Vec::new();
    while wires.len() < count {
        match ground.wire().await {
            Ok(wire) => wires.push(wire),
            Err(_) => {
                findings.robust(format!("takes {} connections and no more", wires.len()));
                break;
            }
        }
    }
    wires
}

async fn unread(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let path = match ground.victim() {
        Ok(victim) => format!("{}/info/refs?service=git-upload-pack", victim.hosted.path),
        Err(_) => "/".to_owned(),
    };
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", ground.authority());
    let burst = request.repeat(ASKED);
    let mut wires = connected(&ground, DEAF, &mut findings).await;
    for wire in &mut wires {
        wire.send_as(burst.as_bytes(), ASKED, Meanwhile::IsDeaf).await?;
    }
    ground.pause(ground.hold() / 4).await;
    let deadline = Instant::now() + ground.answer_within() * 2;
    for wire in &mut wires {
        let heard = wire.answers_within(left(deadline), true).await;
        match heard.replies.last() {
            Some(_) => findings.robust("answers in the order of the requests"),
            None if heard.end.is_some() => findings.robust("the connection is ended"),
            None => findings.weak("a hundred requests on one connection", "never answered"),
        }
    }
    Ok(findings)
}

async fn slow_heads(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let mut wires = connected(&ground, SLOW_HEADS, &mut findings).await;
    for wire in &mut wires {
        wire.send(b"GET / HTTP/1.1\r\nHost: slow\r\nX-Slow: ").await?;
    }
    let open = drip(&ground, &mut wires, ground.hold()).await?;
    if open == 0 {
        findings.robust("every slow connection is ended");
    } else {
        let seconds = ground.hold().as_secs();
        findings.tolerable(
            "slow heads",
            format!("{open} of {SLOW_HEADS} are still waited for after {seconds} s"),
        );
    }
    Ok(findings)
}

/// Sends a byte a second on every connection; how many are still open at the end.
async fn drip(ground: &Ground, wires: &mut [Wire], within: Duration) -> CheckResult<usize> {
    let deadline = Instant::now() + within;
    let mut open = wires.len();
    while open > 0 && Instant::now() < deadline {
        ground.pause(DRIP).await;
        open = 0;
        for wire in wires.iter_mut().filter(|wire| wire.ended().is_none()) {
            wire.drip(b'x').await?;
            wire.hear_the_end(Duration::from_millis(1)).await;
            open += usize::from(wire.ended().is_none());
        }
    }
    Ok(open)
}

async fn slow_bodies(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let path = ground.victim()?.hosted.path.clone();
    let head = |service: &str| {
        format!(
            "POST {path}/{service} HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000000\r\n\
             Content-Type: application/x-{service}-request\r\n\r\n00",
            ground.authority()
        )
    };
    let mut wires = connected(&ground, SLOW_PUSHES + SLOW_FETCHES, &mut findings).await;
    for (position, wire) in wires.iter_mut().enumerate() {
        let service = if position < SLOW_PUSHES { "git-receive-pack" } else { "git-upload-pack" };
        wire.send(head(service).as_bytes()).await?;
    }
    // First a while in which they hold what they can get, then the others, while it goes on.
    drip(&ground, &mut wires, ground.hold() / 2).await?;
    let others = async {
        let (refs, _) = ls_refs(&ground.ctx.http, &path).await?;
        let push = receive_pack::post(&ground.ctx.http, &path, &b"0000"[..]).await?;
        Ok::<_, crate::check::Ending>((refs.status, push.status))
    };
    tokio::pin!(others);
    let served = loop {
        tokio::select! {
            served = &mut others => break served?,
            open = drip(&ground, &mut wires, DRIP) => { open?; }
        }
    };
    for (what, status) in [("a fetch beside them", served.0), ("a push beside them", served.1)] {
        match status {
            200 => findings.robust(what),
            503 | 429 => findings.tolerable(what, format!("HTTP {status}: turned away, told to come back")),
            other => findings.weak(what, format!("HTTP {other}")),
        }
    }
    Ok(findings)
}
