//! What clients say (NIP-01, 42, 45, 77): one text in, one checked message out, or what exactly was wrong with it and
//! whom to tell. Pure. A message is read once; only a malformed one is looked at again, for the id to answer to.

use std::borrow::Cow;
use std::fmt;

use nostr::event::Event;
use nostr::filter::Filter;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::Value;

use super::event_json::EventJson;
use super::filter::ClientFilter;

/// Longer subscription ids are not repeated in answers, in bytes.
const ECHOED_ID_LENGTH: usize = 256;

/// A message of the right shape.
#[derive(Debug)]
pub enum ClientMessage {
    /// `["EVENT", event]`
    Event(Box<Event>),
    /// `["REQ", id, filter, …]`
    Req(Question),
    /// `["CLOSE", id]`
    Close {
        /// The subscription.
        id: String,
    },
    /// `["COUNT", id, filter, …]` (NIP-45)
    Count(Question),
    /// `["AUTH", event]` (NIP-42)
    Auth(Box<Event>),
    /// `["NEG-OPEN", id, filter, hex]` (NIP-77)
    NegOpen {
        /// The reconciliation.
        id: String,
        /// Which events; `None` when the filter can match nothing.
        filter: Option<Filter>,
        /// The client's first message.
        message: Vec<u8>,
    },
    /// `["NEG-MSG", id, hex]` (NIP-77)
    NegMsg {
        /// The reconciliation.
        id: String,
        /// The client's next message.
        message: Vec<u8>,
    },
    /// `["NEG-CLOSE", id]` (NIP-77)
    NegClose {
        /// The reconciliation.
        id: String,
    },
}

/// What a REQ or COUNT asks for.
#[derive(Debug)]
pub struct Question {
    /// The subscription; not empty.
    pub id: String,
    /// How many filters were sent.
    pub sent: usize,
    /// Those that can match something.
    pub filters: Vec<Filter>,
}

/// Why a message was not understood, and how to say so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// Which answer the client can place.
    pub answer: AnswerTo,
    /// What was wrong, without prefix.
    pub reason: String,
}

/// Which answer a client can place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerTo {
    /// None in particular: NOTICE.
    Connection,
    /// This event: OK false.
    Event(String),
    /// This subscription: CLOSED.
    Subscription(String),
    /// This reconciliation: NEG-ERR.
    Reconciliation(String),
}

/// Reads one message.
///
/// # Errors
/// When the text is no JSON, is nested too deeply (128 levels), or has the wrong shape.
pub fn parse(text: &str) -> Result<ClientMessage, Malformed> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let message = deserializer
        .deserialize_any(MessageVisitor)
        .and_then(|message| deserializer.end().map(|()| message))
        .map_err(|error| Malformed { answer: answer_to(text), reason: error.to_string() })?;
    Ok(message)
}

/// Finds the id that a malformed message carries, if it can be read at all.
fn answer_to(text: &str) -> AnswerTo {
    let Ok(Value::Array(parts)) = serde_json::from_str(text) else { return AnswerTo::Connection };
    let verb = parts.first().and_then(Value::as_str).unwrap_or_default();
    let second = parts.get(1);
    let event_id = || second?.get("id")?.as_str().filter(|id| is_event_id(id)).map(str::to_owned);
    let subscription_id = || {
        let id = second?.as_str()?;
        (!id.is_empty() && id.len() <= ECHOED_ID_LENGTH).then(|| id.to_owned())
    };
    let answer = match verb {
        "EVENT" | "AUTH" => event_id().map(AnswerTo::Event),
        "REQ" | "COUNT" => subscription_id().map(AnswerTo::Subscription),
        "NEG-OPEN" | "NEG-MSG" => subscription_id().map(AnswerTo::Reconciliation),
        _ => None,
    };
    answer.unwrap_or(AnswerTo::Connection)
}

fn is_event_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

struct MessageVisitor;

impl<'de> Visitor<'de> for MessageVisitor {
    type Value = ClientMessage;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .write_str("a client message: a JSON list that begins with EVENT, REQ, CLOSE, COUNT, AUTH, …")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ClientMessage, A::Error> {
        let verb: Word<'de> = next(&mut list, "a verb (a string)")?;
        let message = match verb.0.as_ref() {
            "EVENT" => ClientMessage::Event(next::<EventJson, A>(&mut list, "an event")?.0),
            "AUTH" => ClientMessage::Auth(next::<EventJson, A>(&mut list, "an event of kind 22242")?.0),
            "REQ" => return question(list).map(ClientMessage::Req),
            "COUNT" => return question(list).map(ClientMessage::Count),
            "CLOSE" => ClientMessage::Close { id: id(&mut list)? },
            "NEG-OPEN" => ClientMessage::NegOpen {
                id: id(&mut list)?,
                filter: next::<ClientFilter, A>(&mut list, "a filter")?.conditions,
                message: next::<HexBytes, A>(&mut list, "a hex-encoded message")?.0,
            },
            "NEG-MSG" => ClientMessage::NegMsg {
                id: id(&mut list)?,
                message: next::<HexBytes, A>(&mut list, "a hex-encoded message")?.0,
            },
            "NEG-CLOSE" => ClientMessage::NegClose { id: id(&mut list)? },
            unknown => {
                let shown: String = unknown.chars().take(40).collect();
                return Err(A::Error::custom(format_args!(
                    "unknown verb `{shown}`, expected EVENT, REQ, CLOSE, COUNT, AUTH, NEG-OPEN, NEG-MSG or NEG-CLOSE"
                )));
            }
        };
        if list.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom(format_args!("{} has more elements than it takes", verb.0)));
        }
        Ok(message)
    }
}

fn question<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Question, A::Error> {
    let id = id(&mut list)?;
    let mut filters = Vec::new();
    let mut sent = 0;
    while let Some(filter) = list.next_element::<ClientFilter>()? {
        sent += 1;
        filters.extend(filter.conditions);
    }
    if sent == 0 {
        return Err(A::Error::custom("a filter is missing: at least one must follow the subscription id"));
    }
    Ok(Question { id, sent, filters })
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(list: &mut A, what: &str) -> Result<T, A::Error> {
    list.next_element()?.ok_or_else(|| A::Error::custom(format_args!("{what} is missing")))
}

fn id<'de, A: SeqAccess<'de>>(list: &mut A) -> Result<String, A::Error> {
    struct Id;
    impl<'de> DeserializeSeed<'de> for Id {
        type Value = String;
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
            deserializer.deserialize_str(self)
        }
    }
    impl Visitor<'_> for Id {
        type Value = String;
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a subscription id (a string that is not empty)")
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            if text.is_empty() {
                return Err(E::invalid_value(serde::de::Unexpected::Str(text), &self));
            }
            Ok(text.to_owned())
        }
    }
    list.next_element_seed(Id)?.ok_or_else(|| A::Error::custom("a subscription id is missing"))
}

struct Word<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Word<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordVisitor;
        impl<'de> Visitor<'de> for WordVisitor {
            type Value = Word<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a verb (a string)")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Word<'de>, E> {
                Ok(Word(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Word<'de>, E> {
                Ok(Word(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(WordVisitor)
    }
}

struct HexBytes(Vec<u8>);

impl<'de> Deserialize<'de> for HexBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Word::deserialize(deserializer)?;
        hex::decode(text.0.as_bytes())
            .map(HexBytes)
            .map_err(|error| D::Error::custom(format_args!("the message is not hex: {error}")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::{EventBuilder, FinalizeEvent, Kind, Tag};
    use nostr::key::Keys;
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0000000000000000000000000000000000000000000000000000000000000001";

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let event = EventBuilder::new(Kind::TextNote, "a \"quoted\" \u{1F600}\n line")
            .tag(Tag::parse(["e", ID, ""]).unwrap())
            .finalize(&Keys::generate())
            .unwrap();
        let ClientMessage::Event(read) = parse(&format!("[\"EVENT\",{}]", event.as_json())).unwrap() else {
            panic!("an event")
        };
        assert_eq!(*read, event);
        read.verify().unwrap();
    }

    #[test]
    fn filters_that_match_nothing_are_counted_and_left_out() {
        let ClientMessage::Req(question) = parse(r#"["REQ","s",{"ids":[]},{"kinds":[1]}]"#).unwrap() else {
            panic!("a REQ")
        };
        assert_eq!((question.sent, question.filters.len()), (2, 1));
    }

    #[test]
    fn the_other_verbs_are_read() {
        assert!(matches!(parse(r#" ["CLOSE" , "s"] "#).unwrap(), ClientMessage::Close { id } if id == "s"));
        assert!(
            matches!(parse(r#"["COUNT","s",{}]"#).unwrap(), ClientMessage::Count(q) if q.filters.len() == 1)
        );
        let open = parse(r#"["NEG-OPEN","n",{"kinds":[1]},"6100"]"#).unwrap();
        assert!(matches!(open, ClientMessage::NegOpen { message, .. } if message == [0x61, 0]));
        let message = parse(r#"["NEG-MSG","n","61"]"#).unwrap();
        assert!(matches!(message, ClientMessage::NegMsg { message, .. } if message == [0x61]));
        assert!(matches!(parse(r#"["NEG-CLOSE","n"]"#).unwrap(), ClientMessage::NegClose { .. }));
        assert!(
            matches!(parse(r#"["CL\u004fSE","\u0073"]"#).unwrap(), ClientMessage::Close { id } if id == "s")
        );
    }

    fn event(change: &str, to: Value) -> String {
        let mut event = serde_json::json!({
            "id": ID, "pubkey": ID, "created_at": 1, "kind": 1, "tags": [], "content": "",
            "sig": format!("{ID}{ID}"),
        });
        if change == "-" {
            event.as_object_mut().unwrap().remove(to.as_str().unwrap());
        } else {
            event[change] = to;
        }
        format!("[\"EVENT\",{event}]")
    }

    #[test]
    fn a_wrong_event_is_answered_by_its_id_with_the_field() {
        use serde_json::json;
        for (change, to, words) in [
            ("-", json!("sig"), "missing field `sig`"),
            ("-", json!("content"), "missing field `content`"),
            ("kind", json!(70_000), "`kind`, an integer from 0 to 65535"),
            ("kind", json!("1"), "`kind`"),
            ("kind", json!(-1), "`kind`"),
            ("created_at", json!("now"), "`created_at`"),
            ("created_at", json!(1.5), "`created_at`"),
            ("created_at", json!(-1), "`created_at`"),
            ("created_at", json!(u64::MAX), "`created_at`"),
            ("tags", json!({}), "`tags`"),
            ("tags", json!([["e"], "p"]), "a tag (a list of strings)"),
            ("tags", json!([[1]]), "expected a string"),
            ("tags", json!([[]]), "a tag has no name"),
            ("content", json!(null), "expected a string"),
            ("pubkey", json!("npub1"), "64 lowercase hex characters"),
            ("pubkey", json!("AB".repeat(32)), "64 lowercase hex characters"),
            ("sig", json!("00"), "128 lowercase hex characters"),
        ] {
            let malformed = parse(&event(change, to)).unwrap_err();
            assert_eq!(malformed.answer, AnswerTo::Event(ID.to_owned()), "{change}");
            assert!(malformed.reason.contains(words), "{change}: {}", malformed.reason);
        }
        let no_id = parse(&event("-", json!("id"))).unwrap_err();
        assert_eq!(no_id.answer, AnswerTo::Connection);
        assert!(no_id.reason.contains("missing field `id`"));
    }

    #[test]
    fn what_cannot_be_placed_is_answered_to_the_connection() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let deep_tail = format!("[\"REQ\",\"s\",{{\"x\":{}", "[".repeat(100_000));
        for (text, words) in [
            ("", "EOF"),
            ("hello", "expected value"),
            ("{}", "a client message"),
            ("null", "a client message"),
            ("\"EVENT\"", "a client message"),
            ("[]", "a verb (a string) is missing"),
            ("[1]", "a verb"),
            ("[\"event\",{}]", "unknown verb `event`"),
            ("[\"EVENT\"]", "an event is missing"),
            ("[\"EVENT\",[]]", "an event (a JSON object)"),
            ("[\"EVENT\",\"s\",{}]", "an event (a JSON object)"),
            ("[\"EVENT\",{}", "missing field"),
            ("[\"REQ\"]", "a subscription id is missing"),
            ("[\"REQ\",1,{}]", "a subscription id"),
            ("[\"REQ\",\"\",{}]", "a subscription id"),
            ("[\"CLOSE\"]", "a subscription id is missing"),
            ("[\"CLOSE\",\"s\",1]", "more elements"),
            ("[\"CLOSE\",\"s\"] x", "trailing characters"),
            ("[\"CLOSE\",\"s\"", "EOF"),
            ("[\"\\ud800\"]", "hex escape"),
            (deep.as_str(), "a verb"),
            (deep_tail.as_str(), "EOF"),
        ] {
            let malformed = parse(text).unwrap_err();
            let start: String = text.chars().take(30).collect();
            assert_eq!(malformed.answer, AnswerTo::Connection, "{start}");
            assert!(malformed.reason.contains(words), "{start}: {}", malformed.reason);
        }
    }

    #[test]
    fn a_wrong_question_is_answered_by_its_subscription() {
        for (text, words) in [
            (r#"["REQ","s"]"#, "a filter is missing"),
            (r#"["REQ","s",[]]"#, "a filter (a JSON object)"),
            (r#"["REQ","s",{"kinds":["a"]}]"#, "filter field `kinds`"),
            (r#"["COUNT","s",{},null]"#, "a filter (a JSON object)"),
        ] {
            let malformed = parse(text).unwrap_err();
            assert_eq!(malformed.answer, AnswerTo::Subscription("s".to_owned()), "{text}");
            assert!(malformed.reason.contains(words), "{text}: {}", malformed.reason);
        }
        let malformed = parse(r#"["NEG-OPEN","n",{},"6"]"#).unwrap_err();
        assert_eq!(malformed.answer, AnswerTo::Reconciliation("n".to_owned()));
        assert!(malformed.reason.contains("not hex"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn no_damaged_message_makes_the_parser_panic(
            verb in "(EVENT|REQ|CLOSE|COUNT|AUTH|NEG-OPEN|NEG-MSG)",
            tail in "[\\[\\]{}\",:a-z0-9#\\\\-]{0,80}",
        ) {
            let _ = parse(&format!("[\"{verb}\",{tail}"));
            let _ = parse(&format!("[\"{verb}\",\"s\",{tail}]"));
        }
    }
}
