//! `git-receive-pack`, in-process: commands, judgement, quarantine, landing, report.
//!
//! A push runs in a task of its own. Until it lands it ends with its client, and leaves no process and no folder
//! behind; from then on it is carried through whoever listens. The answer begins when the request has been read to
//! its end: many clients do not look at it earlier. From then on no client sees silence: side-band keep-alives
//! flow while the pack is indexed and the push lands.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::answer::{self, GitBody};
use super::body::{BodyError, RequestBody};
use super::client::{self, Client};
use super::commands::{Capabilities, Line, PushHead};
use super::gate::{CommandResult, Gate, Quarantine, RefCommand};
use super::index_pack::{Base, EMPTY_PACK, IndexPack};
use super::pkt_line::{MAX_BAND_DATA, Writer};
use super::report::Report;
use super::service::GitService;
use super::tips;
use crate::fault;
use crate::nip34::Coordinate;

/// What git says of the other refs of an atomic push.
const ATOMIC_FAILED: &str = "atomic transaction failed";
/// What git says of refs whose objects did not get in.
const UNPACKER_ERROR: &str = "unpacker error";

/// Answers `POST …/git-receive-pack`.
pub(crate) async fn post(
    service: &Arc<GitService>,
    repository: Coordinate,
    gate: Gate,
    body: RequestBody,
) -> Response<GitBody> {
    let Some(permit) = service.turn(&service.pushes).await else {
        service.meters.git.pushes.busy.inc();
        return GitService::busy();
    };
    let (waiting, response) = oneshot::channel();
    let push = Push {
        service: service.clone(),
        repository,
        gate,
        body: body.counted(service.meters.git.received.clone()),
        client: Client::Waits(waiting),
        begun: Instant::now(),
        _permit: permit,
    };
    service.tasks.spawn(push.run());
    response.await.unwrap_or_else(|_| {
        answer::text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the push failed inside this server; please try again",
        )
    })
}

/// One push on its way.
struct Push {
    service: Arc<GitService>,
    repository: Coordinate,
    gate: Gate,
    body: RequestBody,
    client: Client,
    begun: Instant,
    _permit: OwnedSemaphorePermit,
}

/// What became of the objects of a push.
enum Objects {
    /// In quarantine; none when there was nothing to store.
    Checked(Option<Quarantine>),
    /// Not taken, for this reason.
    Refused(String),
    /// There is no one left to tell.
    Abandoned,
}

impl Push {
    async fn run(mut self) {
        let head = tokio::select! {
            head = PushHead::read(&mut self.body, &self.service.limits) => head,
            () = self.client.gone() => return self.aborted(),
            () = self.service.shutdown_bound() => {
                self.aborted();
                return self.respond(GitService::busy());
            }
        };
        match head {
            Ok(head) if head.lines.is_empty() => self.respond(answer::whole(client::RESULT, Bytes::new())),
            Ok(head) => self.carry_out(head).await,
            Err(error) => {
                tracing::info!(repository = %self.repository, %error, "push refused");
                self.aborted();
                self.drain().await;
                self.respond(error.response());
            }
        }
    }

    async fn carry_out(mut self, head: PushHead) {
        let PushHead { lines, capabilities, options } = head;
        if !options.is_empty() {
            tracing::debug!(repository = %self.repository, ?options, "push options");
        }
        let (mut results, _hold) = self.judge(&lines).await;
        fail_together(&mut results, capabilities.atomic);
        let mut commands = allowed(&lines, &results);
        if fault::is("refused-objects-kept") {
            commands = lines.iter().filter_map(|line| line.command.clone().ok()).collect();
        }
        if commands.is_empty() {
            self.drain().await;
            self.client.begin();
            return self.tell(&lines, Ok(()), results, &capabilities).await;
        }
        let objects = match self.objects(&commands, &capabilities).await {
            Objects::Checked(objects) => objects,
            Objects::Abandoned => {
                tracing::info!(repository = %self.repository, "the client of a push went away; nothing was kept");
                self.aborted();
                let text = "the push did not arrive whole and nothing of it was kept; please push again";
                return self.respond(answer::text(StatusCode::REQUEST_TIMEOUT, text));
            }
            Objects::Refused(reason) => {
                self.client.begin();
                results
                    .iter_mut()
                    .filter(|result| result.is_ok())
                    .for_each(|ok| *ok = Err(UNPACKER_ERROR.into()));
                return self.tell(&lines, Err(reason), results, &capabilities).await;
            }
        };
        self.client.begin();
        self.check_tips(&commands, objects.as_ref(), &mut results).await;
        fail_together(&mut results, capabilities.atomic);
        if !fault::is("refused-objects-kept") {
            commands = allowed(&lines, &results);
        }
        if !commands.is_empty() {
            let landed = self.land(&commands, objects, &capabilities).await;
            merge(&mut results, landed);
        }
        self.tell(&lines, Ok(()), results, &capabilities).await;
    }

    /// It has not come so far that its refs could be answered.
    fn aborted(&self) {
        self.service.meters.git.pushes.aborted.inc();
    }

    /// One result per line.
    async fn judge(&mut self, lines: &[Line]) -> (Vec<CommandResult>, super::gate::Hold) {
        let commands: Vec<RefCommand> = lines.iter().filter_map(|line| line.command.clone().ok()).collect();
        let mut results: Vec<CommandResult> = lines
            .iter()
            .map(|line| line.command.as_ref().map(drop).map_err(|reason| (*reason).to_owned()))
            .collect();
        if commands.is_empty() {
            return (results, super::gate::Hold::default());
        }
        let (judged, hold) = self.service.gate.judge(&self.repository, &commands).await;
        merge(&mut results, judged);
        (results, hold)
    }

    /// Takes the pack, if there is one, into quarantine.
    async fn objects(&mut self, commands: &[RefCommand], capabilities: &Capabilities) -> Objects {
        if commands.iter().all(|command| command.new.is_zero()) {
            self.drain().await;
            return Objects::Checked(None);
        }
        let empty = tokio::select! {
            head = self.body.peek(EMPTY_PACK.len() + 1) => head.map(|head| (head == EMPTY_PACK, head.is_empty())),
            () = self.client.gone() => return Objects::Abandoned,
            () = self.service.shutdown_bound() => return Objects::Abandoned,
        };
        match empty {
            Ok((true, _)) => return Objects::Checked(None),
            Ok((_, true)) => return Objects::Refused("no pack was sent".into()),
            Ok(_) => {}
            Err(error) => return self.unread(&error).await,
        }
        let started = self.service.gate.quarantine().and_then(|quarantine| {
            let onto = Base { repository: &self.gate.path, objects: &self.gate.family_objects };
            IndexPack::start(onto, quarantine, self.service.limits.max_push_bytes, capabilities.quiet)
        });
        match started {
            Ok(indexing) => self.index(indexing, capabilities).await,
            Err(error) => {
                tracing::error!(%error, "git index-pack cannot be started");
                self.drain().await;
                Objects::Refused("this server cannot store anything at the moment; please try again".into())
            }
        }
    }

    async fn index(&mut self, mut indexing: IndexPack, capabilities: &Capabilities) -> Objects {
        let fed = tokio::select! {
            fed = indexing.feed(&mut self.body) => fed,
            () = self.client.gone() => { indexing.abort().await; return Objects::Abandoned }
            () = self.service.shutdown_bound() => { indexing.abort().await; return Objects::Abandoned }
        };
        match fed {
            Ok(true) => {}
            Ok(false) => self.drain().await,
            Err(error) => {
                indexing.abort().await;
                return self.unread(&error).await;
            }
        }
        self.client.begin();
        let mut complaints = Vec::new();
        let overtime = tokio::time::sleep(self.service.limits.indexing);
        let mut overtime = pin!(overtime);
        loop {
            let keep_alive = tokio::time::sleep(self.service.limits.keep_alive);
            tokio::select! {
                line = indexing.line() => match line {
                    // Progress may be left out when the client is slow; complaints may not.
                    Some(line) if is_complaint(&line) => complaints.push(line.trim_end().to_owned()),
                    Some(line) => self.say(line.as_bytes(), capabilities),
                    None => break,
                },
                () = keep_alive => self.keep_alive(capabilities),
                () = self.client.gone() => { indexing.abort().await; return Objects::Abandoned }
                () = self.service.shutdown_bound() => {
                    indexing.abort().await;
                    return Objects::Refused("the server stops; please push again in a minute".into());
                }
                () = &mut overtime => {
                    indexing.abort().await;
                    return Objects::Refused("indexing the pack took too long".into());
                }
            }
        }
        match indexing.finish().await {
            Ok(quarantine) => Objects::Checked(Some(quarantine)),
            Err(()) => {
                let reason = first_reason(complaints);
                tracing::info!(repository = %self.repository, reason, "pack refused");
                Objects::Refused(reason)
            }
        }
    }

    /// The body broke off or is not what it says.
    async fn unread(&mut self, error: &BodyError) -> Objects {
        match error {
            BodyError::Gone(_) | BodyError::Idle(_) => Objects::Abandoned,
            _ => {
                self.drain().await;
                Objects::Refused(error.to_string())
            }
        }
    }

    async fn check_tips(
        &mut self,
        commands: &[RefCommand],
        objects: Option<&Quarantine>,
        results: &mut [CommandResult],
    ) {
        let quarantine = objects.map(|quarantine| quarantine.objects().to_owned());
        let family = self.gate.family_objects.clone();
        let asked = commands.to_vec();
        let checked = tokio::task::spawn_blocking(move || {
            let folders: Vec<_> = quarantine.as_deref().into_iter().chain([family.as_path()]).collect();
            tips::check(&folders, &asked)
        });
        let failed =
            |_| vec![Err("the objects could not be checked; please try again".into()); commands.len()];
        merge(results, checked.await.unwrap_or_else(failed));
    }

    /// From here on the push is carried through, whether the client waits or not.
    async fn land(
        &mut self,
        commands: &[RefCommand],
        objects: Option<Quarantine>,
        capabilities: &Capabilities,
    ) -> Vec<CommandResult> {
        let gate = self.service.gate.clone();
        let repository = self.repository.clone();
        let mut landing = pin!(gate.land(&repository, commands, capabilities.atomic, objects));
        loop {
            tokio::select! {
                landed = &mut landing => return landed,
                () = tokio::time::sleep(self.service.limits.keep_alive) => self.keep_alive(capabilities),
            }
        }
    }

    /// Reads what the client still sends, so that it reads what we say.
    async fn drain(&mut self) {
        tokio::select! {
            () = self.body.drain(self.service.limits.max_drain_bytes) => {}
            () = self.client.gone() => {}
            () = self.service.shutdown_bound() => {}
        }
    }

    fn say(&self, text: &[u8], capabilities: &Capabilities) {
        if capabilities.side_band {
            let text = &text[..text.len().min(MAX_BAND_DATA)];
            self.client.offer(Writer::default().band(2, text).finish());
        }
    }

    fn keep_alive(&self, capabilities: &Capabilities) {
        if capabilities.side_band {
            self.client.offer(Writer::default().data(&[b"\x01"]).finish());
        }
    }

    fn respond(self, response: Response<GitBody>) {
        if let Client::Waits(client) = self.client {
            let _ = client.send(response);
        }
    }

    async fn tell(
        self,
        lines: &[Line],
        unpack: Result<(), String>,
        results: Vec<CommandResult>,
        capabilities: &Capabilities,
    ) {
        let refused = results.iter().filter(|result| result.is_err()).count();
        tracing::info!(repository = %self.repository, refs = lines.len(), refused, ?unpack, "push answered");
        let meters = &self.service.meters.git;
        meters.pushed(results.len() - refused, refused);
        meters.push_took(self.begun.elapsed());
        let refs = lines.iter().map(|line| line.name.clone()).zip(results).collect();
        let report = Report { unpack, refs }.render(capabilities);
        if let Client::Reads(client) = self.client {
            let _ = tokio::time::timeout(self.service.limits.idle, client.send(Ok(report))).await;
        }
    }
}

/// The commands nobody has refused so far.
fn allowed(lines: &[Line], results: &[CommandResult]) -> Vec<RefCommand> {
    let asked = lines.iter().zip(results).filter(|(_, result)| result.is_ok());
    asked.filter_map(|(line, _)| line.command.clone().ok()).collect()
}

/// Puts the answers to the commands that were allowed so far in their places.
fn merge(results: &mut [CommandResult], later: Vec<CommandResult>) {
    let open = results.iter_mut().filter(|result| result.is_ok());
    let mut later = later.into_iter();
    for result in open {
        // A gate that answers too little has not said yes.
        *result = later.next().unwrap_or_else(|| Err("internal error: no answer".into()));
    }
}

/// Atomic: one refusal refuses all.
fn fail_together(results: &mut [CommandResult], atomic: bool) {
    if atomic && (results.iter().any(Result::is_err) || fault::is("atomic-pushes-refused")) {
        results.iter_mut().filter(|result| result.is_ok()).for_each(|ok| *ok = Err(ATOMIC_FAILED.into()));
    }
}

fn is_complaint(line: &str) -> bool {
    line.starts_with("fatal: ") || line.starts_with("error: ")
}

/// What index-pack said in the end comes first: it is the reason. The rest, some lines of it, explains.
fn first_reason(mut complaints: Vec<String>) -> String {
    const EXPLAINED: usize = 10;
    let last = complaints.pop().unwrap_or_else(|| "index-pack abnormal exit".into());
    complaints.truncate(EXPLAINED);
    complaints.insert(0, last);
    complaints.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_find_their_places() {
        let mut results = vec![Ok(()), Err("first".into()), Ok(())];
        merge(&mut results, vec![Err("second".into()), Ok(())]);
        assert_eq!(results, [Err("second".into()), Err("first".into()), Ok(())]);
        merge(&mut results, vec![]);
        assert_eq!(results[2], Err("internal error: no answer".into()));
    }

    #[test]
    fn one_refusal_refuses_an_atomic_push() {
        let mut results = vec![Ok(()), Err("no".into())];
        fail_together(&mut results, false);
        assert_eq!(results[0], Ok(()));
        fail_together(&mut results, true);
        assert_eq!(results, [Err(ATOMIC_FAILED.into()), Err("no".into())]);
    }
}
