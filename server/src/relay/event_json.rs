//! Events as clients send them: read once, strictly, with a reason for every wrong shape. Whether id and signature
//! are true is not asked here; that is the intake's.

use std::borrow::Cow;
use std::fmt;

use nostr::event::{Event, EventId, Kind, Signature, Tag};
use nostr::key::PublicKey;
use nostr::types::Timestamp;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::hex_value::Hex;

/// An event of the right shape; boxed because it travels far.
#[derive(Debug)]
pub(crate) struct EventJson(pub(crate) Box<Event>);

#[derive(Deserialize)]
struct Fields<'a> {
    id: Hex<32>,
    pubkey: Hex<32>,
    created_at: Seconds,
    kind: KindNumber,
    tags: TagList,
    #[serde(borrow)]
    content: Text<'a>,
    sig: Hex<64>,
}

impl<'de> Deserialize<'de> for EventJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EventVisitor)
    }
}

struct EventVisitor;

impl<'de> Visitor<'de> for EventVisitor {
    type Value = EventJson;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an event (a JSON object)")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EventJson, A::Error> {
        let fields = Fields::deserialize(MapAccessDeserializer::new(map))?;
        Ok(EventJson(Box::new(Event::new(
            EventId::from_byte_array(fields.id.0),
            PublicKey::from_byte_array(fields.pubkey.0),
            Timestamp::from(fields.created_at.0),
            Kind::from_u16(fields.kind.0),
            fields.tags.0,
            fields.content.0.into_owned(),
            Signature::from_byte_array(fields.sig.0),
        ))))
    }
}

struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

struct Seconds(u64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(Integer::<{ i64::MAX as u64 }>("`created_at` in Unix seconds")).map(Self)
    }
}

struct KindNumber(u16);

impl<'de> Deserialize<'de> for KindNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kind = deserializer.deserialize_u64(Integer::<65_535>("`kind`, an integer from 0 to 65535"))?;
        u16::try_from(kind).map(Self).map_err(D::Error::custom)
    }
}

/// An integer from 0 to `MAX`, under a name for the error.
struct Integer<const MAX: u64>(&'static str);

impl<const MAX: u64> Visitor<'_> for Integer<MAX> {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
        if number <= MAX {
            return Ok(number);
        }
        Err(E::invalid_value(serde::de::Unexpected::Unsigned(number), &self))
    }
}

struct TagList(Vec<Tag>);

impl<'de> Deserialize<'de> for TagList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TagListVisitor;
        impl<'de> Visitor<'de> for TagListVisitor {
            type Value = TagList;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`tags`, a list of lists of strings")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<TagList, A::Error> {
                let mut tags = Vec::new();
                while let Some(OneTag(tag)) = list.next_element()? {
                    tags.push(tag);
                }
                Ok(TagList(tags))
            }
        }
        deserializer.deserialize_seq(TagListVisitor)
    }
}

struct OneTag(Tag);

impl<'de> Deserialize<'de> for OneTag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneTagVisitor;
        impl<'de> Visitor<'de> for OneTagVisitor {
            type Value = OneTag;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a tag (a list of strings)")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneTag, A::Error> {
                let mut values: Vec<String> = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Tag::parse(values).map(OneTag).map_err(|_| A::Error::custom("a tag has no name: `[]`"))
            }
        }
        deserializer.deserialize_seq(OneTagVisitor)
    }
}
