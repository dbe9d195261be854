//! A repository that is here and elsewhere: the sentences that the checks of sync share.

use std::future::Future;
use std::time::Duration;

use grasp_fixtures::{Announcement, State, events};
use nostr::event::Event;
use serde_json::Value;

use crate::check::{Check, CheckResult};
use crate::context::{Context, Hosted};
use crate::peer::Peer;
use crate::peer::visits::{Visit, ended_histories, histories};

/// How long one check may take: several things come one after the other, each within a minute.
const BOUND: Duration = Duration::from_secs(240);
/// How long the end of a history is waited for that may have none.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// A check that runs where NIP-11 lists GRASP-02.
pub(super) fn check<F, Fut>(requirement: &'static str, name: &str, title: &str, run: F) -> Check
where
    F: Fn(Context) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = CheckResult> + Send + 'static,
{
    Check::new(requirement, name, title, run).only_with("GRASP-02").bound(BOUND)
}

/// The histories that were asked for at a peer, once they have all been read to their end, a repository's among them.
pub(super) fn read_histories(visits: &[Visit], coordinate: &str) -> Option<Vec<Value>> {
    let ended = ended_histories(visits);
    let all = histories(visits, Duration::ZERO).len() == ended.len();
    (all && ended.iter().any(|filter| filter.to_string().contains(coordinate))).then_some(ended)
}

impl Context {
    /// An announcement of the owner's repository that lists this service and these peers, relay and git host.
    pub(super) fn announcement_naming(&self, peers: &[&Peer]) -> Announcement {
        let owner = self.owner.public_key();
        peers.iter().fold(self.announcement(), |announcement, peer| {
            announcement.relay(peer.relay()).clone_url(peer.clone_url(&owner, &self.identifier))
        })
    }

    /// A repository that is served here, data included, and whose announcement names these peers.
    pub(super) async fn hosted_naming(&self, peers: &[&Peer]) -> CheckResult<Hosted> {
        self.hosted_repository_as(&self.owner, &self.announcement_naming(peers)).await
    }

    /// Waits until what the server has asked for since `from` of the repository's history is read. Not for long: who asks
    /// for history and news by one subscription has nothing to end here.
    pub(super) async fn reads_histories(&self, peer: &Peer, from: Duration) {
        let (coordinate, within) = (self.coordinate(), self.target.patience.of(READ_WITHIN));
        let are_read = |visits: &[Visit]| {
            let since = visits.partition_point(|visit| visit.at < from);
            read_histories(&visits[since..], &coordinate).map(drop)
        };
        if peer.visits().until(within, are_read).await.is_none() {
            self.note("the history has not come to an end");
        }
    }

    /// An issue by somebody for the owner's repository, signed and published nowhere.
    pub(super) fn issue(&self, subject: &str) -> Event {
        self.sign(&self.someone(), events::issue(&self.coordinate(), subject, ""))
    }

    /// So many issues by one person for the owner's repository, a second apart and in the past; published nowhere.
    pub(super) fn issues(&self, count: u64) -> Vec<Event> {
        let (author, first) = (self.someone(), self.now() - 10 * count - 3_600);
        let issue = |number: u64| {
            let draft = events::issue(&self.coordinate(), &format!("issue {number}"), "");
            self.sign(&author, draft.at(first + 10 * number))
        };
        (0..count).map(issue).collect()
    }

    /// Another commit of a hosted repository, and the state that has `main` there: signed by the owner, published nowhere.
    pub(super) async fn next_state(&self, hosted: &Hosted) -> CheckResult<(String, State, Event)> {
        let tip = hosted.commit("next.txt").await?;
        let state = hosted.main_at(&tip);
        let event = self.sign(&hosted.owner, state.draft());
        Ok((tip, state, event))
    }
}
