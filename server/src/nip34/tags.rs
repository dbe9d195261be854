//! Reading tags: an event's tags are lists of strings, whatever a client put there.

use nostr::event::Event;

/// The tags of an event as slices of strings: name first.
pub(crate) fn tags(event: &Event) -> impl Iterator<Item = &[String]> {
    event.tags.iter().map(nostr::event::Tag::as_slice).filter(|tag| !tag.is_empty())
}

/// All values of all tags of one name: `["clone", a, b]` and `["clone", a], ["clone", b]` mean the same.
pub(crate) fn values<'a>(event: &'a Event, name: &'a str) -> impl Iterator<Item = &'a str> {
    tags(event).filter(move |tag| tag[0] == name).flat_map(|tag| tag[1..].iter().map(String::as_str))
}

/// The first value of the first tag of one name.
pub(crate) fn first<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    tags(event).find(|tag| tag[0] == name).and_then(|tag| tag.get(1)).map(String::as_str)
}
