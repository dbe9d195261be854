//! Each row of the decision table is a case here; what a case does is told in the table's words.
#![allow(clippy::unwrap_used)]

mod contributions;
mod fixpoint;

use super::*;
use crate::property::story::Person::{Alice, Bob, Carol, Dave};
use crate::property::story::{Object::*, Role};

const X: Project = Project::X;

fn at(owner: Person) -> Repo {
    Repo { owner, project: X }
}

fn refs(named: &[(Name, Object)]) -> Refs {
    named.iter().copied().collect()
}

fn main_at(object: Object) -> Refs {
    refs(&[(Name::Main, object)])
}

/// A world and the clock of those who act in it.
#[derive(Default)]
struct Tale {
    world: World,
    made: u8,
}

impl Tale {
    fn event(&mut self, by: Person, says: Says) -> Event {
        self.made += 1;
        Event { id: EventId::from_byte_array([self.made; 32]), at: u64::from(self.made) * 10, by, says }
    }

    fn announcement(&mut self, by: Person, listed: bool, maintainers: &[Person]) -> Event {
        let authority = Authority { maintainers: maintainers.to_vec(), roles: Vec::new() };
        self.event(by, Says::Announcement { project: X, listed, authority })
    }

    fn state(&mut self, by: Person, refs: Refs) -> Event {
        let says = Says::State { project: X, refs, head: Some(Name::Main), invalid: false };
        self.event(by, says)
    }

    fn pull(&mut self, names: &[Repo], tip: Object) -> Event {
        self.event(Dave, Says::Pull { names: names.to_vec(), tip, contributed: None })
    }

    fn deletion(&mut self, by: Person, ids: &[&Event], addresses: &[Address]) -> Event {
        let ids = ids.iter().map(|event| event.id).collect();
        self.event(by, Says::Deletion { ids, addresses: addresses.to_vec() })
    }

    /// Publishes; the answer and the rows that decided, and the world goes on by the most literal reading.
    fn publish(&mut self, event: &Event) -> (Reply, BTreeSet<Row>) {
        let judgement = self.world.publish(event);
        self.goes_on(judgement)
    }

    fn push(&mut self, to: Repo, wants: Wants) -> (Reply, BTreeSet<Row>) {
        let brings = Object::ALL.into_iter().collect();
        let judgement = self.world.push(&Push { to, wants, brings });
        self.goes_on(judgement)
    }

    fn goes_on(&mut self, judgement: Judgement) -> (Reply, BTreeSet<Row>) {
        let first = judgement.alternatives.into_iter().next().unwrap();
        self.world = first.world;
        (first.reply, judgement.rows)
    }

    /// Announced, published and pushed by its owner: `main` at this object.
    fn founded(&mut self, owner: Person, maintainers: &[Person], object: Object) -> Event {
        let announcement = self.announcement(owner, true, maintainers);
        self.publish(&announcement);
        self.advanced(owner, owner, object)
    }

    /// A state by somebody, pushed to a repository.
    fn advanced(&mut self, by: Person, to: Person, object: Object) -> Event {
        let state = self.state(by, main_at(object));
        self.publish(&state);
        assert_eq!(self.push(at(to), Wants::Refs(main_at(object))).0, Reply::Taken);
        state
    }

    fn refs_of(&self, owner: Person) -> Option<Refs> {
        self.world.refs(at(owner)).cloned()
    }
}

fn decided((reply, rows): (Reply, BTreeSet<Row>), expected: Reply, row: Row) {
    assert_eq!(reply, expected);
    assert!(rows.contains(&row), "{rows:?} have {row:?}");
}

#[test]
fn a_new_announcement_waits_with_an_empty_repository() {
    let mut tale = Tale::default();
    let announcement = tale.announcement(Alice, true, &[]);
    decided(tale.publish(&announcement), Reply::Waits, Row::AnnouncedNew);
    assert_eq!(tale.refs_of(Alice), Some(Refs::new()));
    let replacement = tale.announcement(Alice, true, &[]);
    decided(tale.publish(&replacement), Reply::Waits, Row::AnnouncedOverWaiting);
    assert!(!tale.world.is_waiting(announcement.id) && tale.world.is_waiting(replacement.id));
    decided(tale.publish(&announcement), Reply::Refused, Row::Replaced);
}

#[test]
fn an_announcement_whose_authorised_state_is_served_is_served_at_once_with_its_refs() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[], C2);
    let announcement = tale.announcement(Bob, true, &[Alice]);
    decided(tale.publish(&announcement), Reply::Taken, Row::AnnouncedWithState);
    assert_eq!(tale.refs_of(Bob), Some(main_at(C2)));
}

#[test]
fn a_replacement_of_a_served_announcement_is_served_at_once_and_its_chain_is_judged_again() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[], C1);
    tale.founded(Bob, &[], C3);
    let replacement = tale.announcement(Alice, true, &[Bob]);
    let seen = tale.publish(&replacement);
    assert!(seen.1.contains(&Row::JudgedAgain));
    decided(seen, Reply::Taken, Row::AnnouncedOverServed);
    assert_eq!(tale.refs_of(Alice), Some(main_at(C3)), "Bob's state is newer");
}

#[test]
fn who_lists_another_service_is_refused_unless_somebody_here_lists_them() {
    let mut tale = Tale::default();
    let elsewhere = tale.announcement(Bob, false, &[]);
    decided(tale.publish(&elsewhere), Reply::Refused, Row::Unlisted);
    let announcement = tale.announcement(Alice, true, &[Bob]);
    tale.publish(&announcement);
    decided(tale.publish(&elsewhere), Reply::Taken, Row::CoMaintainer);
    assert_eq!(tale.refs_of(Bob), None, "its path stays 404");
}

#[test]
fn who_no_longer_lists_the_service_has_left_it() {
    let mut tale = Tale::default();
    let state = tale.founded(Alice, &[], C1);
    let elsewhere = tale.announcement(Alice, false, &[]);
    let seen = tale.publish(&elsewhere);
    assert!(seen.1.contains(&Row::Retired));
    decided(seen, Reply::Refused, Row::Unlisted);
    assert_eq!(tale.refs_of(Alice), None);
    assert!(!tale.world.is_served(state.id));
}

#[test]
fn authority_goes_from_one_announcement_to_the_next_and_roles_come_before_maintainers() {
    let mut tale = Tale::default();
    let announcement = tale.announcement(Alice, true, &[Bob]);
    tale.publish(&announcement);
    let chain = tale.announcement(Bob, false, &[Carol]);
    tale.publish(&chain);
    let set = |tale: &Tale| tale.world.family(X).unwrap().maintainers(Alice);
    assert_eq!(set(&tale), BTreeSet::from([Alice, Bob, Carol]));
    let role = |letter, person, active| Role { letter, person, active };
    let roles = vec![role('M', Bob, true), role('o', Carol, true), role('m', Alice, false)];
    let authority = Authority { maintainers: vec![Dave], roles };
    let left = tale.event(Alice, Says::Announcement { project: X, listed: true, authority });
    tale.publish(&left);
    assert_eq!(set(&tale), BTreeSet::from([Bob, Carol]), "Alice has left; Carol is still listed by Bob");
}

#[test]
fn a_state_by_nobody_s_maintainer_is_refused() {
    let mut tale = Tale::default();
    let announcement = tale.announcement(Alice, true, &[]);
    tale.publish(&announcement);
    let state = tale.state(Bob, main_at(C1));
    decided(tale.publish(&state), Reply::Refused, Row::StateUnauthorised);
}

#[test]
fn a_state_with_an_impossible_ref_is_invalid() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[], C1);
    let says = Says::State { project: X, refs: main_at(C1), head: None, invalid: true };
    let state = tale.event(Alice, says);
    decided(tale.publish(&state), Reply::Refused, Row::StateInvalid);
}

#[test]
fn a_state_waits_for_its_data_and_is_served_with_the_push_that_brings_it() {
    let mut tale = Tale::default();
    let announcement = tale.announcement(Alice, true, &[]);
    tale.publish(&announcement);
    let state = tale.state(Alice, main_at(C2));
    decided(tale.publish(&state), Reply::Waits, Row::StateMissing);
    decided(tale.push(at(Alice), Wants::Refs(main_at(C2))), Reply::Taken, Row::PushAligned);
    assert!(tale.world.is_served(state.id) && tale.world.is_served(announcement.id));
    assert_eq!(tale.refs_of(Alice), Some(main_at(C2)));
    decided(tale.publish(&state), Reply::Repeated, Row::Repeated);
    decided(tale.push(at(Alice), Wants::Refs(main_at(C2))), Reply::Taken, Row::PushInPlace);
}

#[test]
fn a_state_whose_data_is_here_moves_refs_where_it_is_newer_and_only_there() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[], C2);
    tale.founded(Bob, &[Alice], C3);
    let rollback = tale.state(Alice, main_at(C1));
    decided(tale.publish(&rollback), Reply::Taken, Row::StateHere);
    assert_eq!((tale.refs_of(Alice), tale.refs_of(Bob)), (Some(main_at(C1)), Some(main_at(C1))));
    let mut older = tale.state(Bob, main_at(C2));
    older.at = rollback.at - 1;
    decided(tale.publish(&older), Reply::Taken, Row::StateHereOlder);
    assert_eq!(tale.refs_of(Bob), Some(main_at(C1)));
}

#[test]
fn of_two_states_of_one_second_the_lower_id_is_the_newer_one() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[Bob], C2);
    let low = tale.state(Alice, main_at(C1));
    let mut high = tale.state(Bob, main_at(C2));
    high.at = low.at;
    tale.publish(&high);
    tale.publish(&low);
    assert_eq!(tale.refs_of(Alice), Some(main_at(C1)));
    assert!(tale.world.is_served(high.id), "it is Bob's newest all the same");
}

#[test]
fn a_state_without_refs_releases_nothing_and_empties_what_was_served() {
    let mut tale = Tale::default();
    let announcement = tale.announcement(Alice, true, &[]);
    tale.publish(&announcement);
    let nothing = tale.state(Alice, Refs::new());
    decided(tale.publish(&nothing), Reply::Waits, Row::StateEmptyWaits);
    assert!(tale.world.is_waiting(announcement.id));
    tale.advanced(Alice, Alice, C1);
    let nothing = tale.state(Alice, Refs::new());
    decided(tale.publish(&nothing), Reply::Taken, Row::StateEmptyServed);
    assert_eq!(tale.refs_of(Alice), Some(Refs::new()));
}

#[test]
fn a_head_that_the_state_does_not_list_stays() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[], C1);
    let dev = refs(&[(Name::Main, C1), (Name::Dev, C1)]);
    let says = |head| Says::State { project: X, refs: dev.clone(), head: Some(head), invalid: false };
    let moved = tale.event(Alice, says(Name::Dev));
    tale.publish(&moved);
    let unlisted = tale.event(Alice, says(Name::DevNext));
    decided(tale.publish(&unlisted), Reply::Taken, Row::HeadUnlisted);
    assert_eq!(tale.world.hosted(at(Alice)).unwrap().head, Some(Name::Dev));
}

#[test]
fn a_state_that_was_passed_on_the_way_may_have_moved_head_or_not() {
    let mut tale = Tale::default();
    let announcement = tale.announcement(Alice, true, &[Bob]);
    tale.publish(&announcement);
    let on_dev = refs(&[(Name::Main, C1), (Name::Dev, C1)]);
    let says = Says::State { project: X, refs: on_dev.clone(), head: Some(Name::Dev), invalid: false };
    let passed = tale.event(Bob, says);
    let nothing = tale.state(Alice, Refs::new());
    tale.publish(&passed);
    tale.publish(&nothing);
    decided(tale.push(at(Alice), Wants::Refs(on_dev)), Reply::Taken, Row::PushAligned);
    assert_eq!(tale.refs_of(Alice), Some(Refs::new()), "the newer state names nothing");
    assert_eq!(tale.world.hosted(at(Alice)).unwrap().head, None, "what is seen decides");
}

#[test]
fn a_pull_request_needs_a_repository_that_is_served() {
    let mut tale = Tale::default();
    let pull = tale.pull(&[at(Alice)], C2);
    decided(tale.publish(&pull), Reply::Refused, Row::PullNoRepository);
    let announcement = tale.announcement(Alice, true, &[]);
    tale.publish(&announcement);
    decided(tale.publish(&pull), Reply::Refused, Row::PullRepositoryWaits);
    tale.advanced(Alice, Alice, C1);
    decided(tale.publish(&pull), Reply::Waits, Row::PullWaits);
    decided(tale.push(at(Alice), Wants::Nostr(pull.id, C3)), Reply::Refused, Row::PushPullOther);
    decided(tale.push(at(Alice), Wants::Nostr(pull.id, C2)), Reply::Taken, Row::PushPullMatching);
    assert!(tale.world.is_served(pull.id));
    assert_eq!(tale.world.shown_at(at(Alice), pull.id), Some(C2));
}

#[test]
fn a_pull_request_whose_tip_is_here_is_served_at_once() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[], C3);
    let pull = tale.pull(&[at(Alice)], C2);
    decided(tale.publish(&pull), Reply::Taken, Row::PullHere);
    assert_eq!(tale.world.shown_at(at(Alice), pull.id), Some(C2));
}

#[test]
fn data_may_come_before_its_pull_request_and_another_tip_goes_when_it_comes() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[], C1);
    let pull = tale.pull(&[at(Alice)], C2);
    decided(tale.push(at(Alice), Wants::Nostr(pull.id, C2)), Reply::Taken, Row::PushPullUnknown);
    let state = tale.state(Alice, main_at(C2));
    decided(tale.publish(&state), Reply::Waits, Row::StateMissing);
    decided(tale.publish(&pull), Reply::Taken, Row::PullUploaded);
    assert!(tale.world.is_served(state.id), "what the pull request brought is here now");
    let other = tale.pull(&[at(Alice)], D2);
    tale.push(at(Alice), Wants::Nostr(other.id, R1));
    decided(tale.publish(&other), Reply::Waits, Row::PullOtherTip);
    assert_eq!(tale.world.shown_at(at(Alice), other.id), None);
}

#[test]
fn a_push_that_no_waiting_state_says_is_refused() {
    let mut tale = Tale::default();
    decided(tale.push(at(Alice), Wants::Refs(main_at(C1))), Reply::NotHosted, Row::PushNowhere);
    tale.founded(Alice, &[Bob], C1);
    tale.founded(Carol, &[], R1);
    let first = tale.state(Alice, main_at(C2));
    tale.publish(&first);
    tale.advanced(Bob, Alice, C3);
    assert!(tale.world.is_served(first.id), "what it names came with the newer one");
    let more = refs(&[(Name::Main, C3), (Name::Dev, C3)]);
    decided(tale.push(at(Alice), Wants::Refs(more)), Reply::Refused, Row::PushRefused);
    decided(tale.push(at(Alice), Wants::Refs(main_at(C2))), Reply::Refused, Row::PushStale);
    decided(tale.push(at(Alice), Wants::Refs(main_at(R1))), Reply::Refused, Row::PushForeign);
    let incomplete = Push { to: at(Alice), wants: Wants::Refs(main_at(D2)), brings: BTreeSet::new() };
    let state = tale.state(Alice, main_at(D2));
    tale.publish(&state);
    assert_eq!(tale.world.push(&incomplete).alternatives[0].reply, Reply::Refused, "its data is missing");
}

#[test]
fn siblings_get_the_same_refs_by_whichever_path_the_push_comes() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[Bob], C1);
    let announcement = tale.announcement(Bob, true, &[Alice]);
    tale.publish(&announcement);
    let state = tale.state(Bob, main_at(C2));
    tale.publish(&state);
    decided(tale.push(at(Alice), Wants::Refs(main_at(C2))), Reply::Taken, Row::SiblingsMove);
    assert_eq!((tale.refs_of(Alice), tale.refs_of(Bob)), (Some(main_at(C2)), Some(main_at(C2))));
}

#[test]
fn deletion_of_a_state_goes_back_to_the_newest_that_remains_or_stays() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[Bob], C1);
    let newest = tale.advanced(Bob, Alice, C2);
    let stranger = tale.deletion(Carol, &[&newest], &[]);
    decided(tale.publish(&stranger), Reply::Refused, Row::DeletionOfOthers);
    let deletion = tale.deletion(Bob, &[&newest], &[]);
    decided(tale.publish(&deletion), Reply::Taken, Row::DeletedState);
    assert!(tale.world.is_served(deletion.id));
    assert_eq!(tale.refs_of(Alice), Some(main_at(C1)));
    decided(tale.publish(&newest), Reply::Refused, Row::DeletedAgain);
    let last = tale.deletion(Alice, &[], &[Address::State(at(Alice))]);
    tale.publish(&last);
    assert_eq!(tale.refs_of(Alice), Some(main_at(C1)), "none remains");
    let again = tale.deletion(Alice, &[], &[Address::State(at(Alice))]);
    decided(tale.publish(&again), Reply::Refused, Row::DeletionOfNothing);
}

#[test]
fn a_co_maintainers_announcement_goes_with_or_without_their_states() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[Bob], C1);
    let elsewhere = tale.announcement(Bob, false, &[]);
    decided(tale.publish(&elsewhere), Reply::Taken, Row::CoMaintainer);
    let state = tale.advanced(Bob, Alice, C2);
    let deletion = tale.deletion(Bob, &[&elsewhere], &[]);
    let worlds: Vec<World> =
        tale.world.publish(&deletion).alternatives.into_iter().map(|way| way.world).collect();
    assert!(worlds.iter().all(|world| !world.is_served(elsewhere.id)));
    let refs = |served| {
        let mut of = worlds.iter().filter(|world| world.is_served(state.id) == served);
        of.next().and_then(|world| world.refs(at(Alice))).cloned()
    };
    assert_eq!((refs(true), refs(false)), (Some(main_at(C2)), Some(main_at(C1))));
}

#[test]
fn a_repository_that_is_announced_again_waits_or_is_as_it_was() {
    let mut tale = Tale::default();
    let state = tale.founded(Alice, &[], C1);
    let retired = tale.deletion(Alice, &[], &[Address::Announcement(at(Alice))]);
    tale.publish(&retired);
    let again = tale.announcement(Alice, true, &[]);
    let judgement = tale.world.publish(&again);
    let is = |reply, main: &Refs| {
        let refs = |world: &World| world.refs(at(Alice)) == Some(main);
        judgement.alternatives.iter().any(|way| way.reply == reply && refs(&way.world))
    };
    assert!(is(Reply::Waits, &Refs::new()) && is(Reply::Taken, &main_at(C1)));
    let both = tale.deletion(Alice, &[&state], &[]);
    tale.world = judgement.alternatives.iter().find(|way| way.reply == Reply::Taken).unwrap().world.clone();
    tale.publish(&both);
    let retired = tale.deletion(Alice, &[&again], &[]);
    tale.publish(&retired);
    let third = tale.announcement(Alice, true, &[]);
    let ways = tale.world.publish(&third).alternatives;
    assert!(ways.iter().all(|way| way.reply == Reply::Waits), "what was deleted itself does not come back");
}

#[test]
fn deletion_of_an_announcement_retires_the_repository_and_of_a_pull_request_its_ref() {
    let mut tale = Tale::default();
    let state = tale.founded(Alice, &[], C1);
    let pull = tale.pull(&[at(Alice)], C1);
    tale.publish(&pull);
    let withdrawn = tale.deletion(Dave, &[&pull], &[]);
    decided(tale.publish(&withdrawn), Reply::Taken, Row::DeletedPull);
    assert_eq!(tale.world.shown_at(at(Alice), pull.id), None);
    let retired = tale.deletion(Alice, &[], &[Address::Announcement(at(Alice))]);
    decided(tale.publish(&retired), Reply::Taken, Row::DeletedAnnouncement);
    assert!(tale.refs_of(Alice).is_none() && !tale.world.is_served(state.id));
}

#[test]
fn what_is_related_is_taken_and_profiles_of_people_who_are_known() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[], C1);
    let note = tale.event(Dave, Says::Note);
    decided(tale.publish(&note), Reply::Refused, Row::Unrelated);
    let profile = tale.event(Dave, Says::Profile);
    decided(tale.publish(&profile), Reply::Refused, Row::Unrelated);
    let issue = tale.event(Dave, Says::Issue { about: at(Alice), quotes: vec![note.id] });
    decided(tale.publish(&issue), Reply::Taken, Row::Related);
    decided(tale.publish(&note), Reply::Taken, Row::Related);
    decided(tale.publish(&profile), Reply::Taken, Row::KnownAuthor);
    let comment = tale.event(Carol, Says::CommentOnEvent(issue.id));
    decided(tale.publish(&comment), Reply::Taken, Row::Related);
    let reply = tale.event(Bob, Says::CommentOnEvent(comment.id));
    decided(tale.publish(&reply), Reply::Taken, Row::Related);
    let gone = tale.deletion(Dave, &[&issue], &[]);
    decided(tale.publish(&gone), Reply::Taken, Row::DeletedOther);
    let late = tale.event(Bob, Says::CommentOnEvent(issue.id));
    decided(tale.publish(&late), Reply::Refused, Row::Unrelated);
}

#[test]
fn what_is_open_has_several_answers_and_what_is_seen_says_which() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[Bob], C1);
    let waits = tale.state(Bob, main_at(C2));
    tale.publish(&waits);
    let without = tale.announcement(Alice, true, &[]);
    let judgement = tale.world.publish(&without);
    let still = |alternative: &Alternative| alternative.world.is_waiting(waits.id);
    assert_eq!(judgement.alternatives.iter().filter(|world| still(world)).count(), 1);
    assert_eq!(judgement.alternatives.len(), 2, "nobody lists Bob: his state waits on, or is forgotten");
}

#[test]
fn a_difference_between_server_and_world_is_named() {
    let mut tale = Tale::default();
    let state = tale.founded(Alice, &[], C1);
    let shown = Shown { refs: main_at(C2), head: Some(Name::Main), ..Shown::default() };
    let seen = Seen {
        asked: BTreeSet::from([state.id]),
        repositories: BTreeMap::from([(at(Alice), Some(shown)), (at(Bob), Some(Shown::default()))]),
        ..Seen::default()
    };
    let differences = tale.world.agrees_with(&seen).unwrap_err();
    assert!(differences.contains(&Difference::NotServed(state.id)));
    assert!(differences.contains(&Difference::Hosting { repo: at(Bob), expected: false }));
    let of_refs = |difference: &Difference| matches!(difference, Difference::Refs { .. });
    assert!(differences.iter().any(of_refs) && differences.len() == 3, "{differences:?}");
}
