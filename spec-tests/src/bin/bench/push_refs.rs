//! A push that creates 1,000 refs, beside the same push to a bare repository on the same disk.

use crate::figure::{Line, Target};
use crate::history::Local;
use crate::server::Server;
use crate::{Bench, Result};

const REFS: usize = 1_000;

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let local = Local::init(bench).await?;
    local.branches(REFS).await?;
    let refs = local.refs().await?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds(7) {
        // Fresh each time: a family that has the objects already would be told nothing new.
        let server = Server::start(bench).await?;
        let repository = server.announce(&refs, "branch-0000").await?;
        let bare = local.empty(&format!("bare-{round}")).await?;
        let here = async || Result::Ok(local.push(&repository.url()).await?.as_secs_f64());
        let there = async || Result::Ok(local.push(&bare.to_string_lossy()).await?.as_secs_f64());
        if round % 2 == 0 {
            ours.push(here().await?);
            theirs.push(there().await?);
        } else {
            theirs.push(there().await?);
            ours.push(here().await?);
        }
        std::fs::remove_dir_all(bare)?;
    }
    let beside = "git push to a local bare repository";
    let target = Target::RatioAtMost(1.8);
    Ok(vec![Line::rounds("push that creates 1,000 refs", "s", &ours, beside, &theirs, target)])
}
