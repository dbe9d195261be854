//! The question asked most often of a git host, `info/refs` and `ls-refs` of protocol v2, beside `git upload-pack`
//! started for each request, as a host does that answers through `git http-backend`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::figure::{Line, Target};
use crate::history::{Local, file_url};
use crate::http::{self, Connection};
use crate::server::Server;
use crate::{Bench, Result};

const REFS: usize = 1_000;
/// How long each side is asked in a round.
const ROUND: Duration = Duration::from_secs(2);
/// What a clone asks for.
const LS_REFS: &[u8] = b"0014command=ls-refs\n0018agent=git/2.47-bench0016object-format=sha100010009peel\n\
    000csymrefs\n000bunborn\n0014ref-prefix HEAD\n001bref-prefix refs/heads/\n001aref-prefix refs/tags/\n0000";

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let local = Local::init(bench).await?;
    local.branches(REFS).await?;
    let server = Server::start(bench).await?;
    let repository = server.announce(&local.refs().await?, "branch-0000").await?;
    local.push(&repository.url()).await?;
    // A mirror is as its maintenance leaves it: its refs are packed.
    local
        .git
        .run(&local.path(), &["clone", "--quiet", "--mirror", &file_url(&local.path()), "../equal"])
        .await?;
    let equal = local.path().with_file_name("equal");
    let (address, path) = (server.address, repository.path());
    let info_refs: Arc<[u8]> =
        http::get(address, &format!("{path}/info/refs?service=git-upload-pack")).into();
    let mut ls_refs = http::post(address, &path, "git-upload-pack", LS_REFS.len() as u64);
    ls_refs.extend_from_slice(LS_REFS);
    let ls_refs: Arc<[u8]> = ls_refs.into();
    let ours = tokio::task::spawn_blocking({
        let ls_refs = ls_refs.clone();
        move || Result::Ok(Connection::open(address)?.ask(&ls_refs)?.to_vec())
    });
    check_equal(&ours.await??, &upload_pack(&equal, "--stateless-rpc", LS_REFS)?)?;

    let mut lines = Vec::new();
    for connections in [1, 4] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..bench.rounds(5) {
            let asking = (0..connections).map(|_| {
                let (info_refs, ls_refs) = (info_refs.clone(), ls_refs.clone());
                per_second(move || {
                    let mut connection = Connection::open(address)?;
                    Ok(move || {
                        connection.ask(&info_refs)?;
                        connection.ask(&ls_refs)?;
                        Ok(())
                    })
                })
            });
            ours.push(try_join_all(asking).await?.iter().sum());
            let starting = (0..connections).map(|_| {
                let equal = equal.clone();
                per_second(move || {
                    Ok(move || {
                        upload_pack(&equal, "--http-backend-info-refs", &[])?;
                        upload_pack(&equal, "--stateless-rpc", LS_REFS)?;
                        Ok(())
                    })
                })
            });
            theirs.push(try_join_all(starting).await?.iter().sum());
        }
        let work = format!("info/refs + ls-refs, 1,000 refs, {connections} kept-alive connection(s)");
        let beside = "git upload-pack started per request";
        lines.push(Line::rounds(work, "pairs/s", &ours, beside, &theirs, Target::RatioAtLeast(20.0)));
    }
    Ok(lines)
}

fn upload_pack(repository: &Path, mode: &str, input: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("git")
        .env("GIT_PROTOCOL", "version=2")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .args(["upload-pack", "--strict", mode])
        .arg(repository)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input)?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() && !output.stdout.is_empty() {
        return Ok(output.stdout);
    }
    Err(format!("git upload-pack: {}", output.status).into())
}

/// How often a second a thread gets this done, for a round.
async fn per_second<T: FnMut() -> Result<()>>(
    begin: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<f64> {
    let working = tokio::task::spawn_blocking(move || {
        let mut work = begin()?;
        let (begun, mut done) = (Instant::now(), 0_u32);
        while begun.elapsed() < ROUND {
            work()?;
            done += 1;
        }
        Ok(f64::from(done) / begun.elapsed().as_secs_f64())
    });
    working.await?
}

/// Both sides must have given the same answer, or the figures mean nothing.
fn check_equal(ours: &[u8], theirs: &[u8]) -> Result<()> {
    let refs = |answer: &[u8]| answer.windows(11).filter(|name| name == b"refs/heads/").count();
    match (refs(ours), refs(theirs)) {
        (ours, theirs) if ours >= REFS && theirs >= REFS => Ok(()),
        (ours, theirs) => Err(format!("{ours} refs here, {theirs} there").into()),
    }
}
