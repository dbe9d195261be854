//! From items to filters: 100 values in a filter, and no message longer than the relay takes.

use std::collections::BTreeSet;

use nostr::filter::{Filter, SingleLetterTag};

use super::item::{Item, Layer};
use super::throttle::Ceilings;
use crate::fault;
use crate::nip34::{ANNOUNCEMENT, ISSUE, STATE};

/// What surrounds the filters of a message, and one filter's own keys, in bytes.
const ENVELOPE: usize = 256;
/// The tags by which an address is named.
const ADDRESS: [SingleLetterTag; 3] =
    [SingleLetterTag::LOWERCASE_A, SingleLetterTag::UPPERCASE_A, SingleLetterTag::LOWERCASE_Q];
/// The tags by which an event is named.
const EVENT: [SingleLetterTag; 3] =
    [SingleLetterTag::LOWERCASE_E, SingleLetterTag::UPPERCASE_E, SingleLetterTag::LOWERCASE_Q];

/// Items of one layer as filters. Not more than one filter's worth of them.
#[must_use]
pub fn filters<'a>(layer: Layer, items: impl IntoIterator<Item = &'a Item>) -> Vec<Filter> {
    let values: BTreeSet<String> = items.into_iter().filter_map(value).collect();
    let repositories = Filter::new().kinds([ANNOUNCEMENT, STATE]);
    let tagged = |tags: [SingleLetterTag; 3]| {
        let filter = |tag| {
            let mut filter = Filter::new();
            filter.generic_tags.insert(tag, values.clone());
            let issues = tag == SingleLetterTag::LOWERCASE_A && fault::is("issues-alone-asked-by-a");
            if issues { filter.kind(ISSUE) } else { filter }
        };
        tags.into_iter().filter(|tag| !is_forgotten(layer, *tag)).map(filter).collect()
    };
    match layer {
        Layer::Announcements => vec![repositories],
        Layer::Identifiers => vec![repositories.identifiers(values)],
        Layer::Repositories => tagged(ADDRESS),
        Layer::Roots => tagged(EVENT),
    }
}

/// Whether a faulty server does not ask by a tag.
fn is_forgotten(layer: Layer, tag: SingleLetterTag) -> bool {
    match (layer, tag) {
        (Layer::Repositories, SingleLetterTag::UPPERCASE_A) => fault::is("repositories-unasked-by-capital-a"),
        (Layer::Repositories, SingleLetterTag::LOWERCASE_Q) => fault::is("repositories-unasked-by-q"),
        (Layer::Roots, SingleLetterTag::LOWERCASE_E) => fault::is("roots-unasked-by-small-e"),
        (Layer::Roots, SingleLetterTag::UPPERCASE_E) => fault::is("roots-unasked-by-capital-e"),
        (Layer::Roots, SingleLetterTag::LOWERCASE_Q) => fault::is("roots-unasked-by-q"),
        _ => false,
    }
}

/// How many filters the items of one layer need, up to one filter's worth of values.
#[must_use]
pub const fn filters_of(layer: Layer) -> usize {
    match layer {
        Layer::Announcements | Layer::Identifiers => 1,
        Layer::Repositories | Layer::Roots => 3,
    }
}

/// The value that stands for an item in its layer's filters.
fn value(item: &Item) -> Option<String> {
    match item {
        Item::Announcements => None,
        Item::Identifier(identifier) => Some(identifier.as_str().to_owned()),
        Item::Repository(coordinate) => Some(coordinate.to_string()),
        Item::Root(id) => Some(id.to_hex()),
    }
}

/// Bytes of an item's value in one filter: quoted, escaped, with a comma.
#[must_use]
pub fn bytes(item: &Item) -> usize {
    let escaped = |text: &str| text.len() + text.bytes().filter(|byte| matches!(byte, b'"' | b'\\')).count();
    match item {
        Item::Announcements => 0,
        Item::Identifier(identifier) => escaped(identifier.as_str()) + 3,
        Item::Repository(coordinate) => "30617:".len() + 64 + 1 + escaped(coordinate.identifier.as_str()) + 3,
        Item::Root(_) => 64 + 3,
    }
}

/// One filter's worth of items of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Their layer.
    pub layer: Layer,
    /// The items. Not empty.
    pub items: Vec<Item>,
    /// Bytes of their values in one filter.
    bytes: usize,
}

impl Group {
    fn new(layer: Layer) -> Self {
        Self { layer, items: Vec::new(), bytes: 0 }
    }

    /// Bytes of all its filters.
    #[must_use]
    pub const fn size(&self) -> usize {
        (self.bytes + ENVELOPE) * filters_of(self.layer)
    }

    fn has_room_for(&self, item: &Item, values: usize, room: usize) -> bool {
        let size = (self.bytes + bytes(item) + ENVELOPE) * filters_of(self.layer);
        self.items.len() < values && (size <= room || self.items.is_empty())
    }

    fn push(&mut self, item: Item) {
        self.bytes += bytes(&item);
        self.items.push(item);
    }

    /// Its filters.
    #[must_use]
    pub fn filters(&self) -> Vec<Filter> {
        filters(self.layer, &self.items)
    }

    /// Those of a live subscription that is to bring so many stored events as well.
    pub fn live_filters(&self, stored: usize) -> impl Iterator<Item = Filter> {
        self.filters().into_iter().map(move |mut filter| {
            if let Some(kinds) = &mut filter.kinds
                && fault::is("states-not-live")
            {
                kinds.remove(&STATE);
            }
            filter.limit(stored)
        })
    }
}

/// Takes one group's worth of items of the first layer. For a history, each of whose filters is a message of its own.
#[must_use]
pub fn take_group(from: &mut BTreeSet<Item>, ceilings: &Ceilings) -> Option<Group> {
    let mut group = Group::new(from.first()?.layer());
    let room = ceilings.bytes.saturating_mul(filters_of(group.layer));
    fill(&mut group, from, ceilings.values, room);
    Some(group)
}

/// Takes one REQ's worth of items: as many groups as fit into the ceilings.
#[must_use]
pub fn take_groups(from: &mut BTreeSet<Item>, ceilings: &Ceilings) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let (mut filters, mut room) = (ceilings.filters, ceilings.bytes);
    while let Some(layer) = from.first().map(Item::layer) {
        let first = groups.is_empty();
        let mut group = Group::new(layer);
        let smallest = from.first().map_or(0, |item| (bytes(item) + ENVELOPE) * filters_of(layer));
        if filters_of(layer) > filters || (smallest > room && !first) {
            break;
        }
        fill(&mut group, from, ceilings.values, room);
        filters -= filters_of(layer);
        room = room.saturating_sub(group.size());
        groups.push(group);
    }
    groups
}

fn fill(group: &mut Group, from: &mut BTreeSet<Item>, values: usize, room: usize) {
    while let Some(item) =
        from.first().filter(|item| item.layer() == group.layer && group.has_room_for(item, values, room))
    {
        let item = item.clone();
        from.remove(&item);
        group.push(item);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::EventId;
    use nostr::key::Keys;

    use super::*;
    use crate::nip34::{Coordinate, Identifier};

    fn root(n: u16) -> Item {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&n.to_be_bytes());
        Item::Root(EventId::from_byte_array(id))
    }

    fn repository(identifier: &str) -> Item {
        let owner = Keys::generate().public_key();
        Item::Repository(Coordinate::new(owner, Identifier::new(identifier).unwrap()))
    }

    #[test]
    fn a_hundred_values_fill_a_filter_and_ten_filters_a_message() {
        let mut items: BTreeSet<Item> = (0..250).map(root).chain([Item::Announcements]).collect();
        let groups = take_groups(&mut items, &Ceilings::default());
        let sizes: Vec<_> = groups.iter().map(|group| group.items.len()).collect();
        assert_eq!((sizes, items.len()), (vec![1, 100, 100, 50], 0));
        let filters: usize = groups.iter().map(|group| group.filters().len()).sum();
        assert_eq!(filters, 10);
    }

    #[test]
    fn messages_stay_below_the_ceiling_also_with_long_and_escaped_identifiers() {
        let long = "\"".repeat(250);
        let ceilings = Ceilings { bytes: 8_192, ..Ceilings::default() };
        let mut items: BTreeSet<Item> =
            (0..40).map(|_| repository(&long)).chain((0..400).map(root)).collect();
        let all = items.len();
        let mut taken = 0;
        while !items.is_empty() {
            let groups = take_groups(&mut items, &ceilings);
            assert!(!groups.is_empty());
            taken += groups.iter().map(|group| group.items.len()).sum::<usize>();
            let filters: Vec<Filter> = groups.iter().flat_map(Group::filters).collect();
            assert!(serde_json::to_string(&filters).unwrap().len() + 100 <= ceilings.bytes);
        }
        assert_eq!(taken, all);
    }

    #[test]
    fn layers_ask_for_what_the_requirement_names() {
        let json = |layer, item: &Item| serde_json::to_string(&filters(layer, [item])).unwrap();
        assert_eq!(json(Layer::Announcements, &Item::Announcements), r#"[{"kinds":[30617,30618]}]"#);
        let identifier = Item::Identifier(Identifier::new("x").unwrap());
        assert_eq!(json(Layer::Identifiers, &identifier), r##"[{"kinds":[30617,30618],"#d":["x"]}]"##);
        let repository = repository("x");
        let tags = ["#a", "#A", "#q"].map(|tag| json(Layer::Repositories, &repository).contains(tag));
        assert_eq!(tags, [true; 3]);
        let tags = ["#e", "#E", "#q"].map(|tag| json(Layer::Roots, &root(1)).contains(tag));
        assert_eq!(tags, [true; 3]);
    }
}
