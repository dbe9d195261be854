#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use super::*;
use crate::relay::feed::Feed;

async fn house(folder: &std::path::Path) -> Arc<House> {
    let plan = Plan {
        service: "git.example.org".parse().unwrap(),
        git_data: folder.to_owned(),
        curation: Curation::default(),
        patience: Patience::default(),
        bounds: Bounds::default(),
        contributions: false,
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
