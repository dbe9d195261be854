//! The rows about contributors' repositories, `/prs/…` (GRASP-06).

use super::*;

/// Dave's repository below `/prs/`.
const DAVES: Repo = Repo { owner: Dave, project: X };

impl Tale {
    /// A pull request of Dave's whose `clone` tag names this contributor's repository.
    fn contribution(&mut self, names: &[Repo], tip: Object, to: Repo) -> Event {
        self.event(Dave, Says::Pull { names: names.to_vec(), tip, contributed: Some(to) })
    }

    fn contribute(&mut self, to: Repo, event: &Event, tip: Object) -> (Reply, BTreeSet<Row>) {
        self.push(to, Wants::Contribution(event.id, tip))
    }

    fn contributed(&self, event: &Event) -> Option<Object> {
        self.world.contributed_at(DAVES, event.id)
    }
}

#[test]
fn a_pull_request_to_a_repository_hosted_elsewhere_needs_its_signers_place_here() {
    let mut tale = Tale::default();
    let none = tale.pull(&[at(Alice)], C2);
    decided(tale.publish(&none), Reply::Refused, Row::PullNoRepository);
    let anothers = tale.contribution(&[at(Alice)], C2, Repo { owner: Carol, project: X });
    decided(tale.publish(&anothers), Reply::Refused, Row::PullNoRepository);
    let another_project = tale.contribution(&[at(Alice)], C2, Repo { owner: Dave, project: Project::Y });
    decided(tale.publish(&another_project), Reply::Refused, Row::PullNoRepository);
    let own = tale.contribution(&[at(Alice)], C2, DAVES);
    decided(tale.publish(&own), Reply::Waits, Row::PullContributed);
    decided(tale.contribute(DAVES, &own, C2), Reply::Taken, Row::ContributedMatching);
    assert!(tale.world.is_served(own.id));
    assert_eq!(tale.contributed(&own), Some(C2));
    decided(tale.contribute(DAVES, &own, C2), Reply::Taken, Row::PushInPlace);
}

#[test]
fn once_the_event_is_known_its_data_has_one_place_and_one_tip() {
    let mut tale = Tale::default();
    let pull = tale.contribution(&[at(Alice)], C2, DAVES);
    tale.publish(&pull);
    for (to, tip) in [
        (DAVES, C3),
        (Repo { owner: Carol, project: X }, C2),
        (Repo { owner: Dave, project: Project::Y }, C2),
    ] {
        decided(tale.contribute(to, &pull, tip), Reply::Refused, Row::ContributedOther);
    }
    let branch = tale.push(DAVES, Wants::ContributedRef(Name::Main, C1));
    decided(branch, Reply::Refused, Row::ContributedRef);
    assert_eq!(tale.contributed(&pull), None);
}

#[test]
fn what_came_before_the_event_goes_where_it_does_not_fit_and_serves_it_where_it_does() {
    let mut tale = Tale::default();
    let pull = tale.contribution(&[at(Alice)], C2, DAVES);
    let carols = Repo { owner: Carol, project: X };
    decided(tale.contribute(carols, &pull, C2), Reply::Taken, Row::ContributedUnknown);
    decided(tale.publish(&pull), Reply::Waits, Row::ContributionUnfit);
    assert_eq!(tale.world.contributed_at(carols, pull.id), None);
    let other = tale.contribution(&[at(Alice)], D2, DAVES);
    tale.contribute(DAVES, &other, D2);
    decided(tale.publish(&other), Reply::Taken, Row::PullUploaded);
    assert_eq!(tale.contributed(&other), Some(D2));
}

#[test]
fn unsigned_data_is_in_no_family_and_in_no_hosted_repository() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[], C1);
    let pull = tale.contribution(&[at(Alice)], C2, DAVES);
    tale.contribute(DAVES, &pull, C2);
    assert_eq!(tale.world.shown_at(at(Alice), pull.id), None);
    let state = tale.state(Alice, main_at(C2));
    decided(tale.publish(&state), Reply::Waits, Row::StateMissing);
    decided(tale.publish(&pull), Reply::Taken, Row::Mirrored);
    assert!(tale.world.is_served(state.id), "what the pull request brought is here now");
}

#[test]
fn what_is_released_below_prs_is_mirrored_and_never_the_other_way() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[], C1);
    tale.founded(Bob, &[], C1);
    let mirrored = tale.contribution(&[at(Alice)], C2, DAVES);
    tale.publish(&mirrored);
    decided(tale.contribute(DAVES, &mirrored, C2), Reply::Taken, Row::Mirrored);
    assert_eq!(tale.world.shown_at(at(Alice), mirrored.id), Some(C2));
    assert_eq!(tale.world.shown_at(at(Bob), mirrored.id), None, "it does not name Bob's");
    for data_first in [true, false] {
        let pull = tale.contribution(&[at(Alice)], if data_first { D2 } else { R1 }, DAVES);
        let Says::Pull { tip, .. } = pull.says else { unreachable!() };
        if data_first {
            tale.push(at(Alice), Wants::Nostr(pull.id, tip));
            decided(tale.publish(&pull), Reply::Taken, Row::PullUploaded);
        } else {
            tale.publish(&pull);
            tale.push(at(Alice), Wants::Nostr(pull.id, tip));
        }
        assert_eq!((tale.world.is_served(pull.id), tale.contributed(&pull)), (true, None));
        decided(tale.contribute(DAVES, &pull, tip), Reply::Taken, Row::ContributedMatching);
        assert_eq!(tale.contributed(&pull), Some(tip));
    }
    let both = tale.contribution(&[at(Alice)], C3, DAVES);
    tale.push(at(Alice), Wants::Nostr(both.id, C3));
    tale.contribute(DAVES, &both, C3);
    decided(tale.publish(&both), Reply::Taken, Row::PullUploaded);
    assert_eq!((tale.world.shown_at(at(Alice), both.id), tale.contributed(&both)), (Some(C3), Some(C3)));
}

#[test]
fn deletion_takes_the_ref_away_below_prs_and_whether_its_objects_stay_is_open() {
    let mut tale = Tale::default();
    let pull = tale.contribution(&[at(Alice)], C2, DAVES);
    tale.publish(&pull);
    tale.contribute(DAVES, &pull, C2);
    let deletion = tale.deletion(Dave, &[&pull], &[]);
    decided(tale.publish(&deletion), Reply::Taken, Row::DeletedContribution);
    assert_eq!(tale.contributed(&pull), None);
    let next = tale.contribution(&[at(Alice)], C1, DAVES);
    let replies: BTreeSet<Reply> =
        tale.world.publish(&next).alternatives.iter().map(|way| way.reply).collect();
    assert_eq!(replies, BTreeSet::from([Reply::Taken, Reply::Waits]));
}

#[test]
fn what_was_pushed_where_the_event_names_nothing_stays_or_goes() {
    let mut tale = Tale::default();
    let elsewhere = Repo { owner: Alice, project: Project::Y };
    let announcement = tale.announcement(Alice, true, &[]);
    tale.publish(&announcement);
    let pull = tale.contribution(&[elsewhere], C2, Repo { owner: Dave, project: Project::Y });
    tale.push(at(Alice), Wants::Nostr(pull.id, C2));
    decided(tale.publish(&pull), Reply::Waits, Row::PullWaits);
    for seen in [BTreeMap::from([(pull.id, C2)]), BTreeMap::new()] {
        let shown = Shown { nostr: seen, ..Shown::default() };
        let repositories = BTreeMap::from([(at(Alice), Some(shown))]);
        let seen = Seen { repositories, ..Seen::default() };
        assert!(tale.world.clone().agrees_with(&seen).is_ok());
    }
}

#[test]
fn whether_data_of_a_hosted_repository_is_below_prs_too_is_open_where_nobody_has_to_show_it_there() {
    let mut tale = Tale::default();
    tale.founded(Alice, &[], D2);
    let elsewhere = Repo { owner: Alice, project: Project::Y };
    let to = Repo { owner: Dave, project: Project::Y };
    let waits = tale.contribution(&[elsewhere], D2, to);
    decided(tale.publish(&waits), Reply::Waits, Row::PullContributed);
    let both = tale.contribution(&[at(Alice), elsewhere], D2, to);
    let judgement = tale.world.publish(&both);
    let released = |way: &Alternative| (way.reply, way.world.is_served(waits.id));
    assert_eq!(
        judgement.alternatives.iter().map(released).collect::<BTreeSet<_>>(),
        BTreeSet::from([(Reply::Taken, false), (Reply::Taken, true)])
    );
}

#[test]
fn a_difference_below_prs_is_named() {
    let mut tale = Tale::default();
    let pull = tale.contribution(&[at(Alice)], C2, DAVES);
    tale.publish(&pull);
    tale.contribute(DAVES, &pull, C2);
    let carols = Repo { owner: Carol, project: X };
    let contributors = BTreeMap::from([(DAVES, Some(Shown::default())), (carols, None)]);
    let seen = Seen { contributors, ..Seen::default() };
    let missing = Difference::Contributed { repo: DAVES, id: pull.id, expected: Some(C2), seen: None };
    let differences = tale.world.agrees_with(&seen).unwrap_err();
    assert!(differences.contains(&missing) && differences.contains(&Difference::NoContributor(carols)));
    assert_eq!(differences.len(), 2);
}

#[test]
fn a_place_that_the_event_does_not_name_and_whose_repository_is_elsewhere_counts_or_not() {
    let mut tale = Tale::default();
    let (x, y) = (at(Alice), Repo { owner: Alice, project: Project::Y });
    let elsewhere = Repo { owner: Dave, project: Project::Y };
    let early = tale.contribution(&[x, y], C2, DAVES);
    tale.contribute(elsewhere, &early, C2);
    let ways = tale.world.publish(&early).alternatives;
    assert_eq!(ways.iter().map(|way| way.reply).collect::<Vec<_>>(), [Reply::Taken, Reply::Waits]);
    let late = tale.contribution(&[x, y], D2, DAVES);
    tale.publish(&late);
    let brings = Object::ALL.into_iter().collect();
    let push = Push { to: elsewhere, wants: Wants::Contribution(late.id, D2), brings };
    let ways = tale.world.push(&push).alternatives;
    assert_eq!(ways.iter().map(|way| way.reply).collect::<Vec<_>>(), [Reply::Taken, Reply::Refused]);
}
