#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use nostr::event::{Event, EventBuilder, FinalizeEvent as _, Kind, Tag};
use nostr::key::{Keys, PublicKey};
use proptest::prelude::*;
use rstest::rstest;

use super::maintainers::{MAX_MAINTAINERS, maintainer_set};
use super::*;

fn event(keys: &Keys, kind: Kind, tags: &[&[&str]]) -> Event {
    let tags = tags.iter().map(|tag| Tag::parse(tag.iter().copied()).unwrap());
    EventBuilder::new(kind, "").tags(tags).finalize(keys).unwrap()
}

fn announcement(keys: &Keys, tags: &[&[&str]]) -> Announcement {
    let mut all: Vec<&[&str]> = vec![&["d", "project"]];
    all.extend(tags);
    Announcement::from_event(&event(keys, ANNOUNCEMENT, &all)).unwrap()
}

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn state(tags: &[&[&str]]) -> Result<State, ShapeError> {
    let mut all: Vec<&[&str]> = vec![&["d", "project"]];
    all.extend(tags);
    State::from_event(&event(&Keys::generate(), STATE, &all))
}

#[test]
fn a_state_lists_branches_and_tags_and_nothing_else() {
    let state = state(&[
        &["refs/heads/main", A, "an older commit"],
        &["refs/tags/v1", B],
        &["refs/tags/v1^{}", A],
        &["refs/heads/alias", "ref: refs/heads/main"],
        &["refs/notes/commits", "not an oid"],
        &["HEAD", "ref: refs/heads/main"],
    ])
    .unwrap();
    let names: Vec<&str> = state.refs.keys().map(RefName::as_str).collect();
    assert_eq!(names, ["refs/heads/main", "refs/tags/v1"]);
    assert_eq!(state.head.unwrap().as_str(), "refs/heads/main");
}

#[rstest]
#[case::without_prefix("refs/heads/main", true)]
#[case::with_prefix("ref: refs/heads/main", true)]
#[case::unlisted("ref: refs/heads/other", false)]
#[case::detached(A, false)]
fn head_is_a_listed_branch_or_nothing(#[case] head: &str, #[case] counts: bool) {
    let state = state(&[&["refs/heads/main", A], &["HEAD", head]]).unwrap();
    assert_eq!(state.head.is_some(), counts);
}

#[rstest]
#[case::name(&["refs/heads/a..b", A])]
#[case::lock(&["refs/heads/a.lock", A])]
#[case::value(&["refs/heads/main", "main"])]
#[case::no_value(&["refs/heads/main"])]
#[case::zero(&["refs/heads/main", "0000000000000000000000000000000000000000"])]
#[case::empty_name(&["refs/heads/", A])]
fn a_state_with_an_impossible_ref_is_no_state(#[case] tag: &[&str]) {
    assert!(state(&[&["refs/heads/ok", B], tag]).is_err());
}

#[test]
fn a_state_is_told_what_is_wrong_with_it() {
    let sha256 = "a".repeat(64);
    let error = state(&[&["refs/heads/main", &sha256]]).unwrap_err();
    assert_eq!(error, ShapeError::Sha256("refs/heads/main".into()));
    let error = state(&[&["refs/heads/a", A], &["refs/heads/a/b", A]]).unwrap_err();
    assert_eq!(error, ShapeError::FolderClash("refs/heads/a".into(), "refs/heads/a/b".into()));
    let error = state(&[&["refs/heads/a", A], &["refs/heads/a", B]]).unwrap_err();
    assert_eq!(error, ShapeError::Contradiction("refs/heads/a".into()));
}

#[test]
fn role_tags_replace_the_maintainers_tag() {
    let [author, lead, co, gone, moderator, listed] = [(); 6].map(|()| Keys::generate());
    let hex = |keys: &Keys| keys.public_key().to_hex();
    let (lead_hex, co_hex, gone_hex) = (hex(&lead), hex(&co), hex(&gone));
    let (moderator_hex, listed_hex) = (hex(&moderator), hex(&listed));
    let announced = announcement(
        &author,
        &[
            &["maintainers", &listed_hex],
            &["M", &lead_hex, "1"],
            &["m", &co_hex, "1", "2", "3"],
            &["m", &gone_hex, "1", "2"],
            &["o", &moderator_hex],
        ],
    );
    assert_eq!(announced.listed, [lead.public_key(), co.public_key()].into());
    assert!(!announced.author_left);

    let author_hex = hex(&author);
    let left = announcement(&author, &[&["M", &author_hex, "1", "2"], &["m", &co_hex]]);
    assert!(left.author_left);
    let announced = BTreeMap::from([(author.public_key(), &left)]);
    assert_eq!(maintainer_set(&author.public_key(), &announced), [co.public_key()].into());
}

#[test]
fn maintainer_sets_follow_chains_and_survive_cycles() {
    let [a, b, c, stranger] = [(); 4].map(|()| Keys::generate());
    let lists = |keys: &Keys, other: &Keys| {
        let hex = other.public_key().to_hex();
        announcement(keys, &[&["maintainers", &hex]])
    };
    let (of_a, of_b, of_c) = (lists(&a, &b), lists(&b, &c), lists(&c, &a));
    let of_stranger = lists(&stranger, &a);
    let all: BTreeMap<PublicKey, &Announcement> =
        [&of_a, &of_b, &of_c, &of_stranger].into_iter().map(|known| (known.author, known)).collect();
    let three = [a.public_key(), b.public_key(), c.public_key()].into();
    assert_eq!(maintainer_set(&a.public_key(), &all), three);
    assert!(maintainer_set(&stranger.public_key(), &all).len() == 4);
    assert!(maintainer_set(&PublicKey::from_byte_array([1; 32]), &all).is_empty());
}

#[test]
fn maintainer_sets_are_bounded() {
    let owner = Keys::generate();
    let mut announced = announcement(&owner, &[]);
    for n in 0..(MAX_MAINTAINERS as u64 * 2) {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        announced.listed.insert(PublicKey::from_byte_array(bytes));
    }
    let set = maintainer_set(&owner.public_key(), &BTreeMap::from([(owner.public_key(), &announced)]));
    assert_eq!(set.len(), MAX_MAINTAINERS);
}

#[rstest]
#[case::plain("https://git.example.org", true)]
#[case::port("https://git.example.org:443", true)]
#[case::case("HTTPS://Git.Example.ORG", true)]
#[case::insecure("http://git.example.org", true)]
#[case::other_port("https://git.example.org:8443", false)]
#[case::other_host("https://git.example.org.evil.example", false)]
#[case::userinfo("https://git.example.org@evil.example", false)]
#[case::relay_scheme("wss://git.example.org", false)]
fn clone_urls_are_compared_by_host_and_port(#[case] base: &str, #[case] ours: bool) {
    let service: ServiceDomain = "git.example.org".parse().unwrap();
    let owner = Keys::generate().public_key();
    let repository = Coordinate::new(owner, Identifier::new("my project").unwrap());
    let npub = repository.npub();
    for path in [
        format!("/{npub}/my%20project.git"),
        format!("/{npub}/my project.git"),
        format!("//{npub}//my%20project.git/"),
        format!("/{npub}/%6dy%20project.git"),
    ] {
        assert_eq!(service.is_clone_url(&format!("{base}{path}"), &repository), ours, "{base}{path}");
    }
    for path in [
        format!("/base/{npub}/my%20project.git"),
        format!("/{npub}/other.git"),
        format!("/{npub}/my%20project"),
    ] {
        assert!(!service.is_clone_url(&format!("{base}{path}"), &repository), "{path}");
    }
}

#[rstest]
#[case("wss://git.example.org", true)]
#[case("ws://git.example.org//", true)]
#[case("wss://git.example.org/", true)]
#[case("wss://git.example.org/relay", false)]
#[case("https://git.example.org", false)]
#[case("wss://git.example.org?x=y", false)]
fn relay_urls_have_no_path(#[case] url: &str, #[case] ours: bool) {
    let service: ServiceDomain = "git.example.org".parse().unwrap();
    assert_eq!(service.is_relay_url(url), ours);
}

#[test]
fn a_pull_request_needs_a_tip() {
    let keys = Keys::generate();
    let pull = |tags: &[&[&str]]| PullRequest::from_event(&event(&keys, PULL_REQUEST, tags));
    let coordinate = format!("30617:{}:project", keys.public_key().to_hex());
    assert_eq!(pull(&[&["a", &coordinate]]), Err(ShapeError::NoTip));
    assert_eq!(pull(&[&["c", "main"]]), Err(ShapeError::Tip("main".into())));
    assert_eq!(pull(&[&["c", &"a".repeat(64)]]).unwrap().tip, None);
    let good = pull(&[&["a", &coordinate, "wss://hint"], &["a", &coordinate], &["c", A]]).unwrap();
    assert_eq!((good.repositories.len(), good.tip), (1, Some(A.parse().unwrap())));
}

proptest! {
    #[test]
    fn every_identifier_survives_its_way_through_a_url(text in "\\PC{1,60}") {
        let Ok(identifier) = Identifier::new(&text) else { return Ok(()) };
        let repository = Coordinate::new(Keys::generate().public_key(), identifier);
        let path = repository.url_path();
        let segments: Vec<&str> = path.split('/').collect();
        prop_assert_eq!(segments.len(), 3);
        prop_assert_eq!(Coordinate::from_path(segments[1], segments[2]), Some(repository));
    }

    #[test]
    fn no_path_segment_names_anything_but_one_name_in_a_folder(raw in "[%a-zA-Z0-9./\\\\ ]{0,40}") {
        if let Some(identifier) = Identifier::from_path_segment(&raw) {
            let joined = std::path::Path::new("/base").join(format!("{identifier}.git"));
            prop_assert_eq!(joined.parent(), Some(std::path::Path::new("/base")));
            prop_assert!(!identifier.as_str().contains(['/', '\0']) && identifier.as_str() != "..");
        }
    }

    #[test]
    fn ref_names_are_those_that_git_takes(name in "refs/(heads|tags)/[a-c./@{~ -]{1,8}") {
        let git = git2::Reference::is_valid_name(&name);
        let ours = name.parse::<RefName>().is_ok();
        // Ours may be stricter, never laxer: a name that git refuses could never be written.
        prop_assert!(git || !ours, "{name}");
        prop_assert!(ours || !git || name.to_ascii_lowercase().contains(".lock"), "{name}");
    }
}
