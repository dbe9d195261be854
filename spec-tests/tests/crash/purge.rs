//! The process aborts, or is killed, while the data of a retired repository goes.

use std::path::Path;

use grasp_audit::Context;
use grasp_fixtures::events;
use rstest::rstest;
use spec_tests::instance::eventually;
use spec_tests::{Instance, disk, instance, view};

use crate::act::{Act, Outcome};
use crate::points::{CRASH_AT, holds};
use crate::setup;

/// Two owners of one identifier, of whom one deletes its repository, which is held for no time at all.
struct Scene {
    server: Instance,
    ctx: Context,
    /// The only commit of the one that is deleted.
    lost: String,
    /// The repository that stays.
    kept: grasp_audit::context::Hosted,
    deletion: Act,
}

impl Scene {
    async fn new() -> Self {
        let server = setup().set("NGIT_DELETION_RETENTION_DAYS", 0).start().await;
        let ctx = server.context("purge").await;
        let gone = ctx.hosted_repository().await.unwrap();
        let kept = ctx.hosted_repository_of(&ctx.someone(), &ctx.identifier).await.unwrap();
        let deletion = Act::Publish(ctx.sign(&ctx.owner, events::delete_address(&gone.coordinate)));
        Self { server, ctx, lost: gone.tip, kept, deletion }
    }

    fn family(&self) -> std::path::PathBuf {
        disk::families(&self.server.git_data()).remove(0)
    }

    /// Nothing of the deleted repository is on disk any more, and nobody is at work on it.
    fn is_over(&self) -> bool {
        let retired = disk::files(&self.server.git_data().join(".grasp/retired"));
        retired.is_empty() && !has(&self.family(), &self.lost) && self.server.log().contains("family shrunk")
    }

    async fn deletes(&self) {
        match self.deletion.carry_out(&self.ctx.target).await {
            Outcome::Acknowledged(_) | Outcome::Lost => {}
            Outcome::Refused(words) => panic!("the deletion was refused: {words}"),
        }
    }

    /// What was interrupted is done in the end, and the repository that stays is whole.
    async fn ends_well(&mut self) {
        self.server.restart_with(CRASH_AT, "").await;
        self.deletion.succeeds(&self.ctx.target).await;
        eventually("the data of the deleted repository is gone", || async { self.is_over() }).await;
        holds(&self.server, &self.ctx, &[]).await;
        assert!(has(&self.family(), &self.kept.tip));
        self.ctx.shows(&self.kept.path, &self.kept.main_at(&self.kept.tip)).await.unwrap();
        let relay = instance::relay(&self.ctx.target).await.unwrap();
        let served = [self.kept.announcement.id.to_hex(), self.kept.state.id.to_hex()].into();
        assert_eq!(view::served_ids(&relay, &served).await, served);
    }
}

fn has(family: &Path, oid: &str) -> bool {
    let family = git2::Repository::open(family).unwrap();
    let odb = family.odb().unwrap();
    odb.exists(git2::Oid::from_str(oid).unwrap())
}

#[rstest]
#[tokio::test]
async fn at_every_point(
    #[values(
        "put-aside-removed",
        "tips-forgotten",
        "family-shrunk",
        "record-written",
        "before-serve",
        "served",
        "record-closed"
    )]
    point: &str,
) {
    assert_eq!(grasp_server::promotion::crash::PURGE_POINTS.len(), 3, "every point is listed above");
    let mut crashes = 0;
    loop {
        let mut scene = Scene::new().await;
        scene.server.restart_with(CRASH_AT, &format!("{point}:{}", crashes + 1)).await;
        scene.deletes().await;
        let mut crashed = false;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !scene.is_over() && !crashed {
            assert!(std::time::Instant::now() < deadline, "neither a crash nor the end");
            crashed = !scene.server.is_running();
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        crashed |= !scene.server.is_running();
        scene.ends_well().await;
        if !crashed {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 0, "the point is never reached");
}

#[tokio::test]
async fn killed_at_any_moment() {
    for milliseconds in [0, 100, 300, 500, 520, 550, 600, 700] {
        let mut scene = Scene::new().await;
        scene.deletes().await;
        // Not waiting for anything: this is the instant.
        tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
        scene.server.kill();
        scene.ends_well().await;
    }
}
