//! WebSocket clients that are slow, do not read, or say only half.

use std::time::{Duration, Instant};

use serde_json::json;

use super::super::case::{Area, Case, Findings};
use super::super::frames::{Frame, handshake};
use super::super::ground::{Ground, left};
use super::super::meter::Load;
use super::super::wire::{Meanwhile, Wire};
use crate::check::CheckResult;

/// Clients of each kind.
const CLIENTS: usize = 50;
/// Questions of a client that does not read.
const QUESTIONS: usize = 40;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            Area::Relay,
            "half-closed",
            "50 clients that subscribe and say they will send no more, and 50 that stop within a handshake or a frame",
            "ends these connections",
            Load::new(50, 200, 60_000),
            half_closed,
        ),
        Case::new(
            Area::Relay,
            "slow-writers",
            "100 clients that send a handshake, or a frame, a byte a second",
            "goes on serving others",
            Load::new(100, 160, 60_000),
            slow_writers,
        )
        .waits(),
        Case::new(
            Area::Relay,
            "deaf-subscribers",
            "50 clients that subscribe to everything and ask for it 40 times, and do not read",
            "holds only so much for each of them, and goes on serving others",
            Load::new(50, 2_200, 600_000),
            deaf,
        )
        .waits(),
    ]
}

async fn half_closed(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let mut wires: Vec<(&str, Wire)> = Vec::new();
    for _ in 0..CLIENTS {
        let mut socket = ground.socket().await?;
        socket.json(&json!(["REQ", "half", {"limit": 1}])).await?;
        socket.wire().half_close().await;
        wires.push(("after a REQ", socket.into_wire()));
    }
    ended(&ground, &mut findings, wires).await;
    let greeting = handshake(&ground.authority(), &[]);
    let mut wires: Vec<(&str, Wire)> = Vec::new();
    for number in 0..CLIENTS {
        if number % 2 == 0 {
            let mut wire = ground.wire().await?;
            wire.send(&greeting.as_bytes()[..greeting.len() / 2]).await?;
            wire.half_close().await;
            wires.push(("within a handshake", wire));
        } else {
            let mut socket = ground.socket().await?;
            let frame = Frame::text("[\"REQ\"").claiming(1_000).encode();
            socket.wire().send(&frame).await?;
            socket.wire().half_close().await;
            wires.push(("within a frame", socket.into_wire()));
        }
    }
    ended(&ground, &mut findings, wires).await;
    Ok(findings)
}

async fn ended(ground: &Ground, findings: &mut Findings, wires: Vec<(&'static str, Wire)>) {
    let deadline = Instant::now() + ground.answer_within();
    for (what, mut wire) in wires {
        match wire.hear_the_end(left(deadline)).await {
            Some(_) => findings.robust("the connection is ended"),
            None => {
                findings.weak(what, "the connection is kept, although its client has said that it is done")
            }
        }
    }
}

async fn slow_writers(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let mut slow: Vec<(Wire, Vec<u8>)> = Vec::new();
    let greeting = handshake(&ground.authority(), &[]).into_bytes();
    let frame = Frame::text(format!("[\"REQ\",\"slow\",{{\"limit\":0}}{}]", " ".repeat(200))).encode();
    for number in 0..2 * CLIENTS {
        if number % 2 == 0 {
            let Ok(mut wire) = ground.wire().await else { break };
            wire.send(&greeting[..1]).await?;
            slow.push((wire, greeting[1..].to_vec()));
        } else {
            let Ok(mut socket) = ground.socket().await else { break };
            socket.wire().send(&frame[..1]).await?;
            slow.push((socket.into_wire(), frame[1..].to_vec()));
        }
    }
    let (clients, deadline) = (slow.len(), Instant::now() + ground.hold() / 2);
    let mut at = 0;
    while Instant::now() < deadline {
        ground.pause(Duration::from_secs(1)).await;
        for (wire, rest) in slow.iter_mut().filter(|(wire, _)| wire.ended().is_none()) {
            if let Some(byte) = rest.get(at) {
                wire.drip(*byte).await?;
                wire.hear_the_end(Duration::from_millis(1)).await;
            }
        }
        at += 1;
    }
    let open = slow.iter().filter(|(wire, _)| wire.ended().is_none()).count();
    findings.robust(format!("{clients} slow clients, {open} of them still connected"));
    Ok(findings)
}

async fn deaf(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let mut sockets = Vec::new();
    let question =
        |number: usize| Frame::text(json!(["REQ", format!("deaf-{number}"), {"limit": 5_000}]).to_string());
    let questions: Vec<Frame> = (0..QUESTIONS).map(question).collect();
    for _ in 0..CLIENTS {
        let Ok(mut socket) = ground.socket().await else { break };
        socket.send_as(&questions, Meanwhile::IsDeaf).await?;
        sockets.push(socket);
    }
    ground.pause(ground.hold() / 4).await;
    let relay = ground.ctx.relay().await?;
    relay.req(&[json!({"limit": 1})]).await?;
    findings.robust(format!("others are served beside {} deaf clients", sockets.len()));
    let deadline = Instant::now() + ground.answer_within() * 2;
    for socket in &mut sockets {
        match socket.next(left(deadline)).await {
            super::super::frames::Next::Quiet => {
                findings.weak("a deaf client that reads again", "gets nothing")
            }
            super::super::frames::Next::Ended(_) => findings.robust("the connection is ended"),
            super::super::frames::Next::Said(_) => findings.robust("goes on where it stopped"),
        }
    }
    Ok(findings)
}
