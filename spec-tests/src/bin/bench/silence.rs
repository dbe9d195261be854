//! The longest time in which a pushing client sees nothing happen: neither a byte of its push taken nor one of the
//! answer given. Clients built on libgit2 give up after 15 s.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::figure::{Figure, Line, Target};
use crate::history::Local;
use crate::http;
use crate::server::{Repository, Server};
use crate::{Bench, Result};

/// Longer than any push here takes.
const TIME_LIMIT: Duration = Duration::from_secs(300);
/// How much is sent at once, in bytes.
const CHUNK: usize = 64 << 10;

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let deltas = Local::init(bench).await?;
    deltas.versions(12_000, 256 << 10).await?;
    let blobs = Local::init(bench).await?;
    blobs.blobs(30, 10 << 20).await?;
    let mut lines = Vec::new();
    for (local, what) in [(&deltas, "12,000 versions of a text of 256 KiB"), (&blobs, "300 MiB")] {
        let server = Server::start(bench).await?;
        let refs = local.refs().await?;
        let repository = server.announce(&refs, "main").await?;
        let tip = refs.first().map(|(_, oid)| oid.as_str()).ok_or("no ref")?;
        let pack = local.pack().await?;
        let seen = tokio::time::timeout(TIME_LIMIT, push(&server, &repository, tip, &pack)).await??;
        let work = format!("longest silence, push of {what}");
        lines.push(Line::alone(work, Figure::new(seen.longest.as_secs_f64(), "s"), Target::AtMost(5.0)));
        let answered = Figure::new(seen.answering.as_secs_f64(), "s");
        lines.push(Line::alone("  … from the end of that push to its report", answered, Target::Stated));
    }
    Ok(lines)
}

/// What a pushing client has seen.
struct Seen {
    /// The longest time without a byte taken or given.
    longest: Duration,
    /// From the last byte sent to the last received.
    answering: Duration,
}

/// When something last happened, and the longest time between two such moments.
struct Watch(Mutex<(Instant, Duration)>);

impl Watch {
    fn happened(&self) {
        let mut watch = self.0.lock();
        watch.1 = watch.1.max(watch.0.elapsed());
        watch.0 = Instant::now();
    }
}

async fn push(server: &Server, repository: &Repository, tip: &str, pack: &Path) -> Result<Seen> {
    let mut file = tokio::fs::File::open(pack).await?;
    let zero = "0".repeat(40);
    let capabilities = "report-status side-band-64k object-format=sha1 agent=git/2.47-bench";
    let command = format!("{zero} {tip} refs/heads/main\0 {capabilities}");
    let command = format!("{:04x}{command}0000", command.len() + 4);
    let length = command.len() as u64 + file.metadata().await?.len();
    let mut request = http::post(server.address, &repository.path(), "git-receive-pack", length);
    // So that the answer's end is the connection's.
    request.splice(request.len() - 2.., *b"Connection: close\r\n\r\n");
    request.extend(command.bytes());

    let watch = Arc::new(Watch(Mutex::new((Instant::now(), Duration::ZERO))));
    let (mut from, mut to) = TcpStream::connect(server.address).await?.into_split();
    let sending = async {
        to.write_all(&request).await?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = file.read(&mut chunk).await?;
            if read == 0 {
                return Result::Ok(Instant::now());
            }
            to.write_all(&chunk[..read]).await?;
            watch.happened();
        }
    };
    let receiving = async {
        let mut answer = Vec::new();
        while from.read_buf(&mut answer).await? > 0 {
            watch.happened();
        }
        Result::Ok(answer)
    };
    let (sent, answer) = tokio::try_join!(sending, receiving)?;
    let answering = sent.elapsed();
    let says = |text: &[u8]| answer.windows(text.len()).any(|part| part == text);
    if !(says(b"unpack ok") && says(b"ok refs/heads/main")) {
        let tail = &answer[answer.len().saturating_sub(2000)..];
        return Err(format!("the push was refused: {}", String::from_utf8_lossy(tail)).into());
    }
    let longest = watch.0.lock().1;
    Ok(Seen { longest, answering })
}
