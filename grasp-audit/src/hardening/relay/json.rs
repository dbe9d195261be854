//! Messages that are too long, too deep, or no JSON.

use grasp_fixtures::{events::note, hostile::malformed_messages, keys};
use serde_json::json;

use super::super::case::{Area, Case, Findings};
use super::super::frames::{Frame, Reaction};
use super::super::ground::Ground;
use super::super::meter::Load;
use crate::check::CheckResult;

/// How deep the deepest message is nested.
const DEPTHS: [usize; 3] = [1_000, 20_000, 100_000];
/// How long a message is sent to servers that state no limit, in bytes.
const LONG: usize = 8 << 20;
/// The longest message that is sent, whatever a server states.
const LONGEST: usize = 12 << 20;

pub(super) fn cases() -> Vec<Case> {
    let robust = "answers each with a NOTICE, an OK false or a CLOSED, and the connection lives";
    vec![
        Case::new(
            Area::Relay,
            "malformed-messages",
            "130 messages that are no JSON, no message, or have wrong types in every place",
            robust,
            Load::new(2, 600, 400_000),
            malformed,
        ),
        Case::new(
            Area::Relay,
            "deep-json",
            "arrays and objects nested 1,000, 20,000 and 100,000 deep: as a message, a filter, a tag, a content, and unclosed",
            robust,
            Load::new(2, 160, 8_000_000),
            deep,
        ),
        Case::new(
            Area::Relay,
            "long-messages",
            "messages longer than the `max_message_length` that is stated (8 MiB where none is), and one long token",
            "answers, or ends the connection with code 1009; a stated limit is a limit",
            Load::new(1, 12, 26_000_000),
            long,
        ),
        Case::new(
            Area::Relay,
            "odd-json",
            "numbers of 10,000 digits, a key 10,000 times, escapes of every kind, lone surrogates, and a long run of spaces",
            "answers each, and the connection lives",
            Load::new(2, 90, 2_000_000),
            odd,
        ),
    ]
}

async fn malformed(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let mut socket = ground.socket().await?;
    for message in malformed_messages() {
        socket.text(message.text).await?;
        let reaction =
            if message.lenient { socket.still_there(|_| true).await? } else { socket.reaction().await? };
        if message.lenient {
            findings.understood(message.name, &reaction);
        } else {
            findings.message(message.name, &reaction);
        }
        if !matches!(reaction, Reaction::Answered(_) | Reaction::Ignored) {
            socket = ground.socket().await?;
        }
    }
    Ok(findings)
}

async fn deep(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let event = serde_json::to_value(note("deep").sign(&keys::fresh())).unwrap_or_default();
    let with = |field: &str, value: &str| {
        let mut event = event.clone();
        event[field] = json!("DEEP");
        json!(["EVENT", event]).to_string().replace("\"DEEP\"", value)
    };
    let mut socket = ground.socket().await?;
    for depth in DEPTHS {
        let arrays = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        for (what, text) in [
            ("arrays", arrays.clone()),
            ("objects", objects.clone()),
            ("unclosed arrays", "[".repeat(depth)),
            ("unclosed objects", "{\"a\":".repeat(depth)),
            ("a filter", format!(r#"["REQ","deep",{objects}]"#)),
            ("a tag", with("tags", &arrays)),
            ("a content", with("content", &objects)),
            ("a subscription id", format!(r#"["REQ",{arrays},{{}}]"#)),
        ] {
            socket.text(text).await?;
            let reaction = socket.reaction().await?;
            if what == "a filter" {
                // an unknown field like any other, only deep
                findings.understood(&format!("{what}, {depth} deep"), &reaction);
            } else {
                findings.message(&format!("{what}, {depth} deep"), &reaction);
            }
            if !matches!(reaction, Reaction::Answered(_) | Reaction::Ignored) {
                socket = ground.socket().await?;
            }
        }
    }
    Ok(findings)
}

async fn long(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let stated = ground.ctx.target.limits.max_message_length;
    let length = stated.map_or(LONG, |limit| limit + 1);
    if length > LONGEST {
        return Err(crate::check::skip(format!(
            "a message of {length} bytes would be needed; no more than {LONGEST} are sent"
        )));
    }
    let event = note(&"x".repeat(length)).sign(&keys::fresh());
    let subject = format!(r#"["REQ","{}",{{"limit":0}}]"#, "s".repeat(length));
    for (what, text) in [("an event", json!(["EVENT", event]).to_string()), ("a subscription id", subject)] {
        let mut socket = ground.socket().await?;
        socket.send(&[Frame::text(text)]).await?;
        let reaction = socket.reaction().await?;
        let input = format!("{what} of {length} bytes");
        match &reaction {
            // RFC 6455, 7.4.1: too big.
            Reaction::Closed(Some(1009), _) => findings.robust("closed with 1009"),
            _ => findings.message(&input, &reaction),
        }
    }
    Ok(findings)
}

async fn odd(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let digits = "9".repeat(10_000);
    let mut socket = ground.socket().await?;
    for (what, text) in [
        ("a limit of 10,000 digits", format!(r#"["REQ","odd",{{"limit":{digits}}}]"#)),
        ("a time of 10,000 digits", format!(r#"["REQ","odd",{{"since":{digits}}}]"#)),
        ("an exponent of 10,000 digits", format!(r#"["REQ","odd",{{"limit":1e{digits}}}]"#)),
        ("a fraction of 10,000 digits", format!(r#"["REQ","odd",{{"since":0.{digits}}}]"#)),
        ("a key 10,000 times", format!(r#"["REQ","odd",{{{}"limit":0}}]"#, r#""limit":0,"#.repeat(10_000))),
        ("10,000 keys", {
            let keys: String = (0..10_000).map(|number| format!(r#""k{number}":1,"#)).collect();
            format!(r#"["REQ","odd",{{{keys}"limit":0}}]"#)
        }),
        ("10,000 elements", format!(r#"["CLOSE"{}]"#, ",1".repeat(10_000))),
        ("200 KB of spaces", format!(r#"["REQ","odd",{}{{"limit":0}}]"#, " ".repeat(200_000))),
        ("a lone surrogate", r#"["REQ","\ud800",{"limit":0}]"#.to_owned()),
        ("surrogates in the wrong order", r#"["REQ","\udc00\ud800",{"limit":0}]"#.to_owned()),
        ("an escape that is none", r#"["REQ","\x41",{"limit":0}]"#.to_owned()),
        ("a cut escape", r#"["REQ","\u12"#.to_owned()),
        ("an escaped NUL", r#"["REQ","a\u0000b",{"limit":0}]"#.to_owned()),
        ("a raw control byte", "[\"REQ\",\"a\u{1}b\",{\"limit\":0}]".to_owned()),
        ("escapes everywhere", r#"["\u0052\u0045\u0051","odd",{"\u006cimit":0}]"#.to_owned()),
        ("noncharacters", "[\"REQ\",\"\u{ffff}\u{fdd0}\",{\"limit\":0}]".to_owned()),
        (
            "a name of the language",
            r#"["REQ","__proto__",{"__proto__":{"limit":9},"constructor":1,"limit":0}]"#.to_owned(),
        ),
    ] {
        socket.text(text).await?;
        let reaction = socket.still_there(|_| true).await?;
        findings.understood(what, &reaction);
        if !matches!(reaction, Reaction::Answered(_) | Reaction::Ignored) {
            socket = ground.socket().await?;
        }
    }
    Ok(findings)
}
