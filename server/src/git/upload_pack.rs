//! `git-upload-pack`: `ls-refs` is answered here, everything else streams through git's own `upload-pack`.

use std::io::{self, Seek, SeekFrom, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout};
use tokio::sync::OwnedSemaphorePermit;

use super::advertise::Version;
use super::answer::{self, BodySender, GitBody};
use super::body::{BodyError, RequestBody};
use super::gate::Gate;
use super::limits::GitLimits;
use super::ls_refs::Query;
use super::pkt_line::{Packet, Writer};
use super::process::{Lines, Process, absolute, alternates, git};
use super::rendered::View;
use super::service::GitService;

const RESULT: &str = "application/x-git-upload-pack-result";
/// The most that is read from git at once, in bytes: what a pipe holds.
const CHUNK: usize = 64 << 10;
/// The capability lines of a v2 request may be this long, in bytes.
const MAX_HEAD: usize = 64 << 10;

/// Answers `POST …/git-upload-pack`.
pub(crate) async fn post(
    service: &Arc<GitService>,
    gate: Gate,
    version: Version,
    mut body: RequestBody,
) -> Response<GitBody> {
    match ask(&mut body, version).await {
        Ok(Asked::Nothing) => answer::whole(RESULT, Bytes::new()),
        Ok(Asked::Refused(reason)) => {
            body.drain(service.limits.max_negotiation_bytes).await;
            answer::whole(RESULT, error_packet(&reason))
        }
        Ok(Asked::Refs(query)) => {
            service.meters.git.listings.inc();
            let refs = &gate.refs;
            answer::whole(
                RESULT,
                service.rendered.get(refs, View::Refs(query.clone()), || query.answer(refs)),
            )
        }
        Ok(Asked::Pack(head)) => match Negotiation::read(head, &mut body, &service.limits).await {
            Ok(negotiation) => fetch(service, gate, version, negotiation).await,
            Err(error) => refuse(service, body, &error).await,
        },
        Err(error) => refuse(service, body, &error).await,
    }
}

async fn refuse(service: &GitService, mut body: RequestBody, error: &BodyError) -> Response<GitBody> {
    body.drain(service.limits.max_negotiation_bytes).await;
    error.response()
}

/// What a request asks for.
enum Asked {
    /// A probe.
    Nothing,
    /// The v2 command `ls-refs`.
    Refs(Query),
    /// Something for git; this much of it was read already.
    Pack(Bytes),
    /// Something that is none of the protocol's commands.
    Refused(String),
}

async fn ask(body: &mut RequestBody, version: Version) -> Result<Asked, BodyError> {
    if version != Version::V2 {
        return match body.peek(5).await? {
            b"" | b"0000" => Ok(Asked::Nothing),
            _ => Ok(Asked::Pack(Bytes::new())),
        };
    }
    let mut head = Writer::default();
    let mut length = 0;
    let mut command = None;
    let has_arguments = loop {
        let packet = body.packet().await?;
        match &packet {
            None | Some(Packet::Flush) if length == 0 => return Ok(Asked::Nothing),
            None => return Err(BodyError::Malformed("it ends before its command does".into())),
            Some(Packet::Flush) => break false,
            Some(Packet::Delim) => break true,
            Some(Packet::ResponseEnd) => return Err(BodyError::Malformed("an end of a response".into())),
            Some(Packet::Data(data)) => {
                length += data.len() + 4;
                if length > MAX_HEAD {
                    return Err(BodyError::TooLong(MAX_HEAD as u64));
                }
                head.data(&[data]);
            }
        }
        let line =
            String::from_utf8_lossy(packet.as_ref().and_then(Packet::line).unwrap_or_default()).into_owned();
        match line.split_once('=').unwrap_or((&line, "")) {
            ("command", name) => command = Some(name.to_owned()),
            ("agent" | "server-option", _) | ("object-format", "sha1") => {}
            ("object-format", other) => {
                let reason = format!("mismatched object format: server sha1; client {other}");
                return Ok(Asked::Refused(reason));
            }
            _ => return Ok(Asked::Refused(format!("unknown capability '{line}'"))),
        }
    };
    match command.as_deref() {
        Some("ls-refs") => ls_refs(body, has_arguments).await,
        Some("fetch") if has_arguments => Ok(Asked::Pack(head.delim().finish())),
        Some("fetch") => Ok(Asked::Pack(head.flush().finish())),
        Some(other) => Ok(Asked::Refused(format!("invalid command '{other}'"))),
        None => Ok(Asked::Refused("no command requested".into())),
    }
}

async fn ls_refs(body: &mut RequestBody, has_arguments: bool) -> Result<Asked, BodyError> {
    let mut query = Query::default();
    loop {
        if !has_arguments {
            break;
        }
        let packet = body.packet().await?;
        match packet.as_ref().and_then(Packet::line) {
            Some(line) => {
                if let Err(unexpected) = query.argument(line) {
                    return Ok(Asked::Refused(unexpected.to_string()));
                }
            }
            None if packet == Some(Packet::Flush) => break,
            None => return Ok(Asked::Refused("expected flush after ls-refs arguments".into())),
        }
    }
    query.close();
    Ok(Asked::Refs(query))
}

/// Wants and haves, read to their end before git is started: a slow client keeps no process waiting, and one that
/// sends too much gets an answer that says so.
enum Negotiation {
    Memory(Bytes),
    /// An unnamed temporary file.
    Spilled(std::fs::File),
}

impl Negotiation {
    async fn read(head: Bytes, body: &mut RequestBody, limits: &GitLimits) -> Result<Self, BodyError> {
        let mut memory = BytesMut::from(head);
        let mut file = None;
        while let Some(chunk) = body.chunk().await? {
            memory.extend_from_slice(&chunk);
            if memory.len() > limits.negotiation_memory_bytes {
                file = Some(spill(file, &memory).map_err(BodyError::Gone)?);
                memory.clear();
            }
        }
        match file {
            None => Ok(Self::Memory(memory.freeze())),
            Some(file) => {
                let mut file = spill(Some(file), &memory).map_err(BodyError::Gone)?;
                file.seek(SeekFrom::Start(0)).map_err(BodyError::Gone)?;
                Ok(Self::Spilled(file))
            }
        }
    }
}

/// Into the page cache, which is as quick as memory: not worth a thread.
fn spill(file: Option<std::fs::File>, bytes: &[u8]) -> io::Result<std::fs::File> {
    let mut file = file.map_or_else(tempfile::tempfile, Ok)?;
    file.write_all(bytes)?;
    Ok(file)
}

async fn fetch(
    service: &Arc<GitService>,
    gate: Gate,
    version: Version,
    negotiation: Negotiation,
) -> Response<GitBody> {
    let meters = &service.meters.git;
    let Some(permit) = service.turn(&service.fetches).await else {
        meters.fetches.busy.inc();
        return GitService::busy();
    };
    let begun = Instant::now();
    let (stdin, input) = match negotiation {
        Negotiation::Memory(bytes) => (Stdio::piped(), bytes),
        Negotiation::Spilled(file) => (Stdio::from(file), Bytes::new()),
    };
    let mut command = git();
    command
        .env("GIT_PROTOCOL", version.environment())
        .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", alternates(gate.unsigned_objects.iter().map(AsRef::as_ref)))
        .args(["-c", "uploadpack.allowFilter=true", "-c", "uploadpack.allowAnySHA1InWant=true"])
        .args(["-c", "uploadpack.keepAlive=3", "upload-pack", "--strict", "--stateless-rpc", "--"])
        .arg(absolute(&gate.path))
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let process = match Process::spawn(&mut command) {
        Ok(process) => process,
        Err(error) => {
            tracing::error!(%error, "git upload-pack cannot be started");
            meters.fetches.failed.inc();
            return answer::text(StatusCode::INTERNAL_SERVER_ERROR, "git cannot be started on this server");
        }
    };
    let (sender, response) = answer::streamed(RESULT);
    let fetch = Fetch { service: service.clone(), process, input, sender, _permit: permit };
    let service = service.clone();
    service.tasks.clone().spawn(async move {
        let meters = &service.meters.git;
        match fetch.run().await {
            End::Served => {
                meters.fetches.served.inc();
                meters.fetch_took(begun.elapsed());
            }
            End::Failed => meters.fetches.failed.inc(),
            End::Aborted => meters.fetches.aborted.inc(),
        }
    });
    response
}

/// How a fetch has ended.
enum End {
    Served,
    Failed,
    /// Nobody reads any more, or the server stops.
    Aborted,
}

/// A running `git upload-pack` and the client it works for.
struct Fetch {
    service: Arc<GitService>,
    process: Process,
    input: Bytes,
    sender: BodySender,
    _permit: OwnedSemaphorePermit,
}

impl Fetch {
    async fn run(mut self) -> End {
        let child = self.process.child();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let input = std::mem::take(&mut self.input);
        let (sender, service) = (&self.sender, &self.service);
        // All three at once: git writes before it has read everything, and blocks when nobody reads.
        let work = async { tokio::join!(feed(stdin, input), copy(stdout, sender, service), listen(stderr)) };
        let (sent, said) = tokio::select! {
            ((), sent, said) = work => (sent, said),
            () = sender.closed() => {
                self.process.kill().await;
                return End::Aborted;
            }
            () = self.service.shutdown_bound() => {
                self.process.kill().await;
                let _ = self.sender.try_send(Err(io::Error::other("the server stops")));
                return End::Aborted;
            }
        };
        let Ok(sent) = sent else {
            // The client does not read any more, or git's output cannot be read.
            self.process.kill().await;
            let _ = self.sender.try_send(Err(io::Error::from(io::ErrorKind::TimedOut)));
            return End::Aborted;
        };
        match self.process.wait().await {
            Ok(status) if status.success() => {
                tracing::debug!(sent, "fetch served");
                End::Served
            }
            result => {
                tracing::info!(?result, sent, ?said, "git upload-pack failed");
                if sent == 0 {
                    let reason = said.last().map_or("git failed", |line| line.trim_start_matches("fatal: "));
                    let _ = self.sender.send(Ok(error_packet(&format!("upload-pack: {reason}")))).await;
                }
                End::Failed
            }
        }
    }
}

async fn feed(stdin: Option<ChildStdin>, input: Bytes) {
    if let Some(mut stdin) = stdin {
        // It may have seen enough and closed its end; its output tells.
        let _ = stdin.write_all(&input).await;
    }
}

/// Copies git's output to the client, no faster than the client reads. Returns how much.
async fn copy(stdout: Option<ChildStdout>, sender: &BodySender, service: &GitService) -> Result<u64, ()> {
    let Some(mut stdout) = stdout else { return Ok(0) };
    let mut buffer = BytesMut::new();
    let mut sent = 0;
    loop {
        buffer.reserve(CHUNK);
        let read = stdout.read_buf(&mut buffer).await.map_err(|_| ())?;
        if read == 0 {
            return Ok(sent);
        }
        sent += read as u64;
        service.meters.git.sent.inc_by(read as u64);
        let send = sender.send(Ok(buffer.split().freeze()));
        tokio::time::timeout(service.limits.idle, send).await.map_err(|_| ())?.map_err(|_| ())?;
    }
}

async fn listen(stderr: Option<ChildStderr>) -> Vec<String> {
    match stderr {
        Some(stderr) => Lines::new(stderr).last(5).await,
        None => Vec::new(),
    }
}

/// An error as git's client shows it, allowed where no side band has begun.
fn error_packet(reason: &str) -> Bytes {
    Writer::default().data(&[b"ERR ", reason.as_bytes()]).finish()
}
