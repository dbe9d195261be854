//! Large pushes and clones: what they cost the server in memory, and how fast a clone is right after its push.

use crate::figure::{Figure, Line, Target, median};
use crate::history::{Local, file_url};
use crate::server::Server;
use crate::{Bench, Result};

const MIB: usize = 1 << 20;
/// What one blob is, in bytes.
const BLOB: usize = 10 * MIB;
/// How much more memory a larger push may take and still be as much, in MiB: noise of the allocator.
const TOLERANCE: f64 = 16.0;

/// Growth of the peak while so many blobs are pushed, and while they are cloned, in MiB.
async fn growth(bench: &Bench, blobs: usize) -> Result<(f64, f64)> {
    let local = Local::init(bench).await?;
    local.blobs(blobs, BLOB).await?;
    let server = Server::start(bench).await?;
    let repository = server.announce(&local.refs().await?, "main").await?;
    let process = server.process();
    let before = process.reset_peak()?;
    local.push(&repository.url()).await?;
    let pushed = process.peak()? - before;
    let before = process.reset_peak()?;
    local.clone_of(&repository.url()).await?;
    Ok((pushed, process.peak()? - before))
}

/// Peak memory with 300 MiB and with 1 GiB.
pub(crate) async fn memory(bench: &Bench) -> Result<Vec<Line>> {
    let (pushed, cloned) = growth(bench, 30).await?;
    let (pushed_more, cloned_more) = growth(bench, 103).await?;
    let line = |work: &str, ours, more| Line {
        beside: Some(("1 GiB of the same".to_owned(), Figure::new(more, "MiB"))),
        ..Line::alone(work, Figure::new(ours, "MiB"), Target::BothAtMostAndFlat(64.0, TOLERANCE))
    };
    Ok(vec![
        line("push of 300 MiB: growth of the server's peak memory", pushed, pushed_more),
        line("clone of 300 MiB: growth of the server's peak memory", cloned, cloned_more),
    ])
}

/// Ten blobs of 10 MiB, pushed and at once cloned.
pub(crate) async fn clone(bench: &Bench) -> Result<Vec<Line>> {
    let (mut ours, mut theirs, mut pushes) = (Vec::new(), Vec::new(), Vec::new());
    let server = Server::start(bench).await?;
    for round in 0..bench.rounds(5) {
        let local = Local::init(bench).await?;
        local.blobs(10, BLOB).await?;
        let repository = server.announce(&local.refs().await?, "main").await?;
        local.run(&["repack", "-adq"], &[]).await?;
        let here = async || {
            let pushed = local.push(&repository.url()).await?.as_secs_f64();
            Result::Ok((pushed, local.clone_of(&repository.url()).await?.as_secs_f64()))
        };
        let there = async || Result::Ok(local.clone_of(&file_url(&local.path())).await?.as_secs_f64());
        let (mut before, mut after) = (None, None);
        if round % 2 == 0 {
            before = Some(there().await?);
        }
        let (pushed, cloned) = here().await?;
        if before.is_none() {
            after = Some(there().await?);
        }
        pushes.push(pushed);
        ours.push(cloned);
        theirs.extend(before.or(after));
    }
    let work = "clone of ten 10 MiB blobs right after their push";
    let beside = "clone from a freshly repacked local repository";
    Ok(vec![
        Line::rounds(work, "s", &ours, beside, &theirs, Target::RatioAtMost(1.3)),
        Line::alone("the push before it", Figure::new(median(&pushes), "s"), Target::Stated),
    ])
}
