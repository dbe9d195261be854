//! Negentropy (NIP-77): many sessions, huge and lying frames, sessions that are not open.

use serde_json::json;

use super::super::case::{Area, Case, Findings};
use super::super::frames::{Reaction, Socket};
use super::super::ground::Ground;
use super::super::meter::Load;
use crate::check::{CheckResult, skip};
use crate::target::message::RelayMessage;

/// Sessions that are opened on one connection.
const SESSIONS: usize = 200;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            Area::Relay,
            "neg-frames",
            "NEG-OPEN and NEG-MSG whose frames are cut, of other versions, of 1 MB, and claim 2^60 ids or ranges; for sessions that are not open",
            "answers each with NEG-ERR, NEG-MSG or NOTICE, and allocates nothing that is only claimed",
            Load::new(2, 260, 12_000_000),
            frames,
        ),
        Case::new(
            Area::Relay,
            "neg-flood",
            "200 reconciliations of everything, opened on one connection and left open",
            "answers each, with NEG-ERR beyond its bound, and goes on serving",
            Load::new(1, 300, 200_000),
            flood,
        ),
    ]
}

/// The first message of an honest reconciliation of nothing: version 1, everything as one empty id list.
const HONEST: &str = "6100000200";

async fn spoken(socket: &mut Socket) -> CheckResult<bool> {
    socket.json(&json!(["NEG-OPEN", "spoken", {"kinds": [30617], "limit": 1}, HONEST])).await?;
    let reaction = socket.reaction().await?;
    socket.json(&json!(["NEG-CLOSE", "spoken"])).await?;
    Ok(matches!(
        reaction,
        Reaction::Answered(RelayMessage::NegMsg { .. } | RelayMessage::NegErr { .. }) | Reaction::Silent
    ))
}

/// A number as negentropy writes it: seven bits a byte, the highest first.
fn varint(mut number: u64) -> String {
    let mut digits = vec![(number & 0x7f) as u8];
    number >>= 7;
    while number > 0 {
        digits.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    digits.reverse();
    hex::encode(digits)
}

async fn frames(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let mut socket = ground.socket().await?;
    if !spoken(&mut socket).await? {
        return Err(skip("the relay does not speak NIP-77"));
    }
    let id_list = |count: u64, ids: &str| format!("610000{}{}{ids}", varint(2), varint(count));
    let inputs: Vec<(&str, String)> = vec![
        ("nothing", String::new()),
        ("only a version", "61".to_owned()),
        ("version 0x60", "6000000200".to_owned()),
        ("version 0x62", "6200000200".to_owned()),
        ("version 0xff", "ff00000200".to_owned()),
        ("cut in a range", "6100".to_owned()),
        ("an unknown mode", "61000009".to_owned()),
        ("a prefix of 255 bytes", format!("6100{}{}00", varint(255), "ab".repeat(255))),
        ("2^60 ids", id_list(1 << 60, "")),
        ("2^32 ids, and one", id_list(1 << 32, &"ab".repeat(32))),
        ("2^64 - 1 ids", id_list(u64::MAX, "")),
        ("a number without end", format!("610000{}", "ff".repeat(40))),
        ("a fingerprint cut short", "6100000112".to_owned()),
        ("1 MB of zeros", format!("61{}", "00".repeat(500_000))),
        ("1 MB of ids", id_list(15_000, &"ab".repeat(15_000 * 32))),
        ("100,000 ranges", format!("61{}", "01000200".repeat(100_000))),
        ("no hex", "zz".to_owned()),
        ("odd length", "610".to_owned()),
    ];
    for (what, frame) in &inputs {
        socket.json(&json!(["NEG-OPEN", "hostile", {"kinds": [30617]}, frame])).await?;
        graded(&ground, &mut findings, &mut socket, &format!("NEG-OPEN, {what}")).await?;
        socket.json(&json!(["NEG-CLOSE", "hostile"])).await?;
    }
    for (what, frame) in &inputs[..inputs.len() - 4] {
        socket.json(&json!(["NEG-OPEN", "honest", {"kinds": [30617], "limit": 1}, HONEST])).await?;
        socket.reaction().await?;
        socket.json(&json!(["NEG-MSG", "honest", frame])).await?;
        graded(&ground, &mut findings, &mut socket, &format!("NEG-MSG, {what}")).await?;
    }
    for (what, message) in [
        ("a session that is not open", json!(["NEG-MSG", "never-opened", HONEST])),
        ("a session id of 10 KB", json!(["NEG-MSG", "s".repeat(10_000), HONEST])),
        ("a session id that is a number", json!(["NEG-MSG", 1, HONEST])),
    ] {
        socket.json(&message).await?;
        graded(&ground, &mut findings, &mut socket, what).await?;
    }
    Ok(findings)
}

async fn graded(ground: &Ground, findings: &mut Findings, socket: &mut Socket, input: &str) -> CheckResult {
    let reaction = socket.reaction().await?;
    findings.message(input, &reaction);
    if !matches!(reaction, Reaction::Answered(_) | Reaction::Ignored) {
        *socket = ground.socket().await?;
    }
    Ok(())
}

async fn flood(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let mut socket = ground.socket().await?;
    if !spoken(&mut socket).await? {
        return Err(skip("the relay does not speak NIP-77"));
    }
    for number in 0..SESSIONS {
        socket.json(&json!(["NEG-OPEN", format!("flood-{number}"), {}, HONEST])).await?;
    }
    let (mut opened, mut refused) = (0, 0);
    while opened + refused < SESSIONS {
        let answer = socket
            .hear(ground.answer_within(), |message| match message {
                RelayMessage::NegMsg { .. } => Some(true),
                RelayMessage::NegErr { .. } | RelayMessage::Closed { .. } | RelayMessage::Notice(_) => {
                    Some(false)
                }
                _ => None,
            })
            .await;
        match answer {
            Ok(true) => opened += 1,
            Ok(false) => refused += 1,
            Err(reaction @ (Reaction::Closed(..) | Reaction::Cut)) => {
                findings.tolerable(
                    "200 reconciliations",
                    format!("after {opened} the connection is ended: {reaction}"),
                );
                return Ok(findings);
            }
            Err(reaction) => {
                findings.weak(
                    "200 reconciliations",
                    format!("{} were not answered: {reaction}", SESSIONS - opened - refused),
                );
                return Ok(findings);
            }
        }
    }
    if refused > 0 {
        findings.robust(format!("{opened} are opened, {refused} refused"));
    } else {
        findings.tolerable("200 reconciliations", "all are open at the same time: no bound was found");
    }
    findings.understood("the connection afterwards", &socket.still_there(|_| true).await?);
    Ok(findings)
}
