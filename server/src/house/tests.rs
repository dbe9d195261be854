#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use futures_util::FutureExt as _;
use nostr::event::{EventBuilder, FinalizeEvent as _, Tag};
use nostr::key::Keys;

use super::*;
use crate::intake::{Funnel, Intake as _, Source};
use crate::nip34::PULL_REQUEST;
use crate::purgatory::unsigned::Upload;
use crate::relay::feed::Feed;

async fn house(folder: &std::path::Path) -> Arc<House> {
    let plan = Plan {
        service: "git.example.org".parse().unwrap(),
        git_data: folder.to_owned(),
        curation: Curation::default(),
        patience: Patience::default(),
        bounds: Bounds::default(),
        contributions: true,
        clock: Clock::system(),
    };
    let feed = Arc::new(Feed::new(plan.clock.clone()));
    House::open(plan, EventStore::memory(), Tables::memory(), feed).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_busy_identifier_does_not_keep_others_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    let on = |identifier: &str| BTreeSet::from([Identifier::new(identifier).unwrap()]);
    let busy = house.locks.lock(&on("busy")).await;
    let waiting: Vec<_> = (0..2 * OPERATIONS)
        .map(|_| {
            let (house, busy) = (Arc::clone(&house), on("busy"));
            tokio::spawn(async move { house.operate_on(busy, |_| async { Ok(()) }).await })
        })
        .collect();
    // They have all come as far as they can when one more on the same identifier would have to wait, too.
    tokio::task::yield_now().await;
    for _ in 0..100 {
        let free = house.operate_on(on("free"), |_| async { Ok(()) });
        tokio::time::timeout(Duration::from_secs(10), free).await.expect("not kept waiting").unwrap();
    }
    drop(busy);
    for ended in waiting {
        ended.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_waits_for_the_locks_of_uploads_for_it_to_other_identifiers() {
    let folder = tempfile::tempdir().unwrap();
    let house = house(folder.path()).await;
    let (author, victim) = (Keys::generate(), Keys::generate());
    let named =
        |keys: &Keys, identifier| Coordinate::new(keys.public_key(), Identifier::new(identifier).unwrap());
    let own = named(&author, "project");
    let tags = [
        vec!["a".to_owned(), named(&victim, "project").to_string()],
        vec!["c".to_owned(), "1".repeat(40)],
        vec!["clone".to_owned(), format!("https://git.example.org/prs{}", own.url_path())],
    ];
    let tags = tags.into_iter().map(|tag| Tag::parse(tag).unwrap());
    let pull = EventBuilder::new(PULL_REQUEST, "").tags(tags).finalize(&author).unwrap();
    let upload = Upload {
        place: Place::Contributed,
        repository: named(&victim, "other"),
        id: pull.id,
        tip: "1".repeat(40).parse().unwrap(),
        deadline: u64::MAX,
        folder: None,
        bytes: 0,
    };
    house.unsigned.lock().insert(upload.clone());

    let busy = house.locks.lock(&BTreeSet::from([upload.repository.identifier.clone()])).await;
    let (funnel, event) = (Funnel(Arc::clone(&house)), pull.clone());
    let source = Source::Client { address: [127, 0, 0, 1].into(), authenticated: Arc::new([]) };
    let mut submitted = Box::pin(async move { funnel.submit(event, &source).await.await });
    assert!((&mut submitted).now_or_never().is_none());
    // Were it under way already, this would come after it.
    let project = BTreeSet::from([own.identifier.clone()]);
    house.operate_on(project, |_| async { Ok(()) }).await.unwrap();
    assert!(house.purgatory.lock().get(&pull.id).is_none(), "it has not waited");
    assert_eq!(house.unsigned.lock().for_event(&pull.id), std::slice::from_ref(&upload));

    drop(busy);
    assert!(submitted.await.accepted);
    assert!(house.purgatory.lock().get(&pull.id).is_some());
    assert_eq!(house.unsigned.lock().for_event(&pull.id), [], "the identifier is none that it names");
}
