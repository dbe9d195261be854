//! WebSocket frames and handshakes that RFC 6455 forbids, or allows and hardly anybody sends.

use super::super::case::{Area, Case, Findings};
use super::super::frames::{BINARY, CLOSE, CONTINUATION, Frame, KEY, PING, PONG, Reaction, TEXT, handshake};
use super::super::ground::Ground;
use super::super::meter::Load;
use crate::check::CheckResult;

/// A request that every relay answers, in pieces.
const REQUEST: &str = r#"["REQ","pieces",{"limit":0}]"#;
/// Frames of the floods.
const MANY: usize = 5_000;

pub(super) fn cases() -> Vec<Case> {
    let closes = "ends the connection, with a close code that says why (1002, 1007, 1009)";
    vec![
        Case::new(
            Area::Relay,
            "broken-frames",
            "frames without a mask, with reserved bits (compression among them) and reserved opcodes, control frames that are long or in pieces, continuations of nothing",
            closes,
            Load::new(1, 100, 100_000),
            broken,
        ),
        Case::new(
            Area::Relay,
            "frame-lengths",
            "frames that claim 2^63 and 2^64 - 1 bytes, 1 TB, and more than is stated, and send little",
            closes,
            Load::new(1, 40, 100_000),
            lengths,
        ),
        Case::new(
            Area::Relay,
            "invalid-utf8",
            "text messages that are no UTF-8: broken, overlong, surrogates, cut at the end, and across fragments",
            closes,
            Load::new(1, 40, 40_000),
            invalid_utf8,
        ),
        Case::new(
            Area::Relay,
            "close-frames",
            "close frames of one byte, with codes that must not be sent, with reasons that are no UTF-8, and messages behind them",
            "ends the connection, and answers nothing that came after the close",
            Load::new(1, 80, 60_000),
            close_frames,
        ),
        Case::new(
            Area::Relay,
            "fragments",
            "a REQ a byte a frame with pings in between, one of empty fragments, 5,000 fragments of a message that never ends",
            "understands the first two, and holds no more of the third than a message may have",
            Load::new(1, 6_000, 200_000),
            fragments,
        ),
        Case::new(
            Area::Relay,
            "binary-messages",
            "binary messages: a REQ, nothing, rubbish, and 200 at once",
            "answers with a NOTICE, or ends the connection with 1003",
            Load::new(1, 240, 40_000),
            binary,
        ),
        Case::new(
            Area::Relay,
            "ping-flood",
            "5,000 pings and as many pongs that nobody asked for, as fast as they go",
            "answers pings, ignores pongs, or ends the connection; others are served",
            Load::new(2, 10_100, 2_000_000),
            pings,
        ),
        Case::new(
            Area::Relay,
            "handshakes",
            "handshakes without or with wrong keys and versions, with hundreds of extensions and protocols, and compression with impossible windows",
            "answers 400 or 426, or 101 with nothing agreed that was not offered or cannot be",
            Load::new(1, 40, 200_000),
            handshakes,
        ),
    ]
}

/// Each on a connection of its own, graded as broken framing.
async fn each_breaks(ground: &Ground, inputs: Vec<(&'static str, Vec<Frame>)>) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    for (input, frames) in inputs {
        let mut socket = ground.socket().await?;
        socket.send(&frames).await?;
        let reaction = socket.still_there(|_| true).await?;
        findings.broken_frame(input, &reaction);
    }
    Ok(findings)
}

async fn broken(ground: Ground) -> CheckResult<Findings> {
    let request = || Frame::text(REQUEST);
    let inputs = vec![
        ("no mask", vec![request().unmasked()]),
        ("RSV1, as if compressed", vec![request().reserved(4)]),
        ("RSV2", vec![request().reserved(2)]),
        ("RSV3", vec![request().reserved(1)]),
        ("opcode 3", vec![Frame::new(3, REQUEST)]),
        ("opcode 7", vec![Frame::new(7, REQUEST)]),
        ("opcode 11", vec![Frame::new(11, "x")]),
        ("opcode 15", vec![Frame::new(15, "x")]),
        ("a ping of 126 bytes", vec![Frame::new(PING, vec![b'p'; 126])]),
        ("a ping in pieces", vec![Frame::new(PING, "p").unfinished()]),
        ("a continuation of nothing", vec![Frame::new(CONTINUATION, REQUEST)]),
        ("a new message within one", vec![request().unfinished(), request()]),
        ("a binary message within a text", vec![request().unfinished(), Frame::new(BINARY, "x")]),
        (
            "RSV1 on a continuation",
            vec![Frame::new(TEXT, "[").unfinished(), Frame::new(CONTINUATION, "]").reserved(4)],
        ),
    ];
    each_breaks(&ground, inputs).await
}

async fn lengths(ground: Ground) -> CheckResult<Findings> {
    let mut inputs = vec![
        ("2^64 - 1 bytes", vec![Frame::text("x").claiming(u64::MAX)]),
        ("2^63 bytes", vec![Frame::text("x").claiming(1 << 63)]),
        ("2^62 bytes", vec![Frame::text("x").claiming(1 << 62)]),
        ("1 TB", vec![Frame::text("x").claiming(1 << 40)]),
        ("a ping of 1 TB", vec![Frame::new(PING, "x").claiming(1 << 40)]),
    ];
    if let Some(limit) = ground.ctx.target.limits.max_message_length {
        inputs.push(("one more than is stated", vec![Frame::text("x").claiming(limit as u64 + 1)]));
    }
    each_breaks(&ground, inputs).await
}

async fn invalid_utf8(ground: Ground) -> CheckResult<Findings> {
    let with = |bytes: &[u8]| {
        Frame::new(TEXT, [&b"[\"REQ\",\"u\",{\"limit\":0,\"x\":\""[..], bytes, b"\"}]"].concat())
    };
    let inputs = vec![
        ("a lone continuation byte", vec![with(b"\x80")]),
        ("an overlong slash", vec![with(b"\xc0\xaf")]),
        ("a surrogate", vec![with(b"\xed\xa0\x80")]),
        ("beyond Unicode", vec![with(b"\xf4\x90\x80\x80")]),
        ("0xff", vec![with(b"\xff\xfe")]),
        ("cut at the end", vec![Frame::new(TEXT, [REQUEST.as_bytes(), b"\xe2\x82"].concat())]),
        (
            "cut between fragments and never finished",
            vec![
                Frame::new(TEXT, "[\u{e4}".as_bytes()[..2].to_vec()).unfinished(),
                Frame::new(CONTINUATION, "]"),
            ],
        ),
    ];
    each_breaks(&ground, inputs).await
}

async fn close_frames(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let code = |code: u16, reason: &[u8]| Frame::new(CLOSE, [&code.to_be_bytes()[..], reason].concat());
    for (input, frame) in [
        ("an ordinary one", code(1000, b"bye")),
        ("an empty one", Frame::new(CLOSE, "")),
        ("one byte", Frame::new(CLOSE, "x")),
        ("code 0", code(0, b"")),
        ("code 999", code(999, b"")),
        ("code 1005", code(1005, b"")),
        ("code 1006", code(1006, b"")),
        ("code 1015", code(1015, b"")),
        ("code 65535", code(65_535, b"")),
        ("a reason that is no UTF-8", code(1000, b"\xff\xfe")),
        ("in pieces", code(1000, b"bye").unfinished()),
        ("126 bytes", Frame::new(CLOSE, vec![3; 126])),
    ] {
        let mut socket = ground.socket().await?;
        socket.send(&[frame, Frame::text(REQUEST)]).await?;
        match socket.still_there(|_| true).await? {
            Reaction::Closed(..) | Reaction::Cut => findings.robust("the connection is ended"),
            reaction @ (Reaction::Answered(_) | Reaction::Ignored) => {
                findings.weak(input, format!("goes on after a close frame ({reaction})"));
            }
            Reaction::Silent => findings.weak(input, "the connection stays open and silent"),
        }
    }
    Ok(findings)
}

async fn fragments(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let mut pieces = Vec::new();
    for (position, byte) in REQUEST.bytes().enumerate() {
        let opcode = if position == 0 { TEXT } else { CONTINUATION };
        let piece = Frame::new(opcode, vec![byte]);
        pieces.push(if position + 1 < REQUEST.len() { piece.unfinished() } else { piece });
        if position % 5 == 0 {
            pieces.push(Frame::new(PING, "between"));
        }
    }
    let mut empty = vec![Frame::new(TEXT, "").unfinished(); 1];
    empty.extend(vec![Frame::new(CONTINUATION, "").unfinished(); 500]);
    empty.push(Frame::new(CONTINUATION, REQUEST));
    for (input, frames) in [("a byte a frame", pieces), ("500 empty fragments first", empty)] {
        let mut socket = ground.socket().await?;
        socket.send(&frames).await?;
        let reaction = socket
            .still_there(
                |message| matches!(message, crate::target::message::RelayMessage::Eose(id) if id == "pieces"),
            )
            .await?;
        match reaction {
            Reaction::Ignored => {
                findings.tolerable(input, "not understood, although RFC 6455 (5.4) allows it")
            }
            other => findings.understood(input, &other),
        }
    }
    let mut socket = ground.socket().await?;
    let mut endless = vec![Frame::new(TEXT, "[").unfinished()];
    endless.extend(vec![Frame::new(CONTINUATION, " ").unfinished(); MANY]);
    socket.send(&endless).await?;
    // A ping may come between fragments, and must be answered.
    socket.send(&[Frame::new(PING, "still there?")]).await?;
    let next = socket.next(ground.answer_within()).await;
    match next {
        super::super::frames::Next::Quiet => {
            findings.weak("a message that never ends", "no answer to a ping within it")
        }
        _ => findings.robust("a message that never ends is held or refused"),
    }
    Ok(findings)
}

async fn binary(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    for (input, frames) in [
        ("a REQ", vec![Frame::new(BINARY, REQUEST)]),
        ("nothing", vec![Frame::new(BINARY, "")]),
        ("rubbish", vec![Frame::new(BINARY, (0..=255).collect::<Vec<u8>>())]),
        ("200 at once", vec![Frame::new(BINARY, "x"); 200]),
    ] {
        let mut socket = ground.socket().await?;
        socket.send(&frames).await?;
        match socket.reaction().await? {
            Reaction::Closed(Some(code), _) => findings.robust(format!("closed with {code}")),
            Reaction::Ignored => findings.weak(input, "ignored without a word"),
            other => findings.understood(input, &other),
        }
    }
    Ok(findings)
}

async fn pings(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    for (input, opcode) in [("pings", PING), ("pongs", PONG)] {
        let mut socket = ground.socket().await?;
        socket.send(&vec![Frame::new(opcode, vec![b'p'; 125]); MANY]).await?;
        let reaction = socket.still_there(|_| true).await?;
        findings.understood(input, &reaction);
    }
    Ok(findings)
}

async fn handshakes(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let authority = ground.authority();
    let whole = handshake(&authority, &[]);
    let key = format!("Sec-WebSocket-Key: {KEY}\r\n");
    let extensions = format!("Sec-WebSocket-Extensions: {}", vec!["x-unknown; a=b"; 500].join(", "));
    let protocols = format!("Sec-WebSocket-Protocol: {}", vec!["nostr"; 500].join(", "));
    let wrong: Vec<(&str, String)> = vec![
        ("no key", whole.replace(&key, "")),
        ("a key that is no base64", whole.replace(KEY, "!!!!")),
        ("a key of 3 bytes", whole.replace(KEY, "eHh4")),
        ("a key of 1 KB", whole.replace(KEY, &"A".repeat(1_024))),
        ("two keys", whole.replace(&key, &format!("{key}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"))),
        ("version 8", whole.replace("Version: 13", "Version: 8")),
        ("version 99", whole.replace("Version: 13", "Version: 99")),
        ("no version", whole.replace("Sec-WebSocket-Version: 13\r\n", "")),
        ("POST", whole.replace("GET ", "POST ")),
    ];
    for (input, request) in wrong {
        let heard = ground.ask(request.as_bytes()).await?;
        match heard.first() {
            Some(reply) if (200..300).contains(&reply.status) => {
                findings.robust("answered as an ordinary request")
            }
            _ => findings.refusal(input, &heard),
        }
    }
    for (input, field) in [
        ("500 extensions", extensions.as_str()),
        ("500 protocols", protocols.as_str()),
        ("a window of 99 bits", "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99"),
        ("a window of 0 bits", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=0"),
        ("an extension of rubbish", "Sec-WebSocket-Extensions: ;;;=,,\"\\"),
    ] {
        let mut wire = ground.wire().await?;
        let taken = wire.send(handshake(&authority, &[field]).as_bytes()).await?;
        let heard = wire.answers(taken).await;
        match heard.first() {
            Some(reply) if reply.status == 101 => {
                let agreed = (reply.field("sec-websocket-extensions"), reply.field("sec-websocket-protocol"));
                let impossible =
                    agreed.0.contains("=99") || agreed.0.contains("=0") || agreed.0.contains("x-unknown");
                if impossible {
                    findings.weak(input, format!("agrees to {agreed:?}"));
                } else {
                    findings.robust("101, and nothing odd is agreed");
                }
            }
            _ => findings.refusal(input, &heard),
        }
    }
    Ok(findings)
}
