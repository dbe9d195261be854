//! What people do to a server, and whether it was acknowledged.

use grasp_audit::target::Target;
use grasp_fixtures::Repository;
use nostr::event::Event;
use spec_tests::instance::relay;
use spec_tests::view::as_json;

/// One thing that somebody does.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Publishes an event.
    Publish(Event),
    /// `git push <url> <refspecs>`
    Push { repository: Repository, url: String, refspecs: Vec<String> },
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server said yes, in these words.
    Acknowledged(String),
    /// The server said no, in these words.
    Refused(String),
    /// The server said nothing any more.
    Lost,
}

impl Act {
    pub(crate) fn push(repository: &Repository, url: &str, refspecs: &[&str]) -> Self {
        let refspecs = refspecs.iter().map(|refspec| (*refspec).to_owned()).collect();
        Self::Push { repository: repository.clone(), url: url.to_owned(), refspecs }
    }

    pub(crate) async fn carry_out(&self, target: &Target) -> Outcome {
        match self {
            Self::Publish(event) => {
                let Ok(relay) = relay(target).await else { return Outcome::Lost };
                match relay.publish(&as_json(event)).await {
                    Ok(reply) if reply.accepted => Outcome::Acknowledged(reply.message),
                    Ok(reply) => Outcome::Refused(reply.message),
                    Err(_) => Outcome::Lost,
                }
            }
            Self::Push { repository, url, refspecs } => {
                let refspecs: Vec<&str> = refspecs.iter().map(String::as_str).collect();
                let output = repository.push(url, &refspecs).await.unwrap();
                let text = output.terminal();
                match output.ok() {
                    true => Outcome::Acknowledged(text),
                    false if text.contains("[remote rejected]") => Outcome::Refused(text),
                    false => Outcome::Lost,
                }
            }
        }
    }

    /// It must be acknowledged; in which words.
    pub(crate) async fn succeeds(&self, target: &Target) -> String {
        match self.carry_out(target).await {
            Outcome::Acknowledged(words) => words,
            other => panic!("{self:?} has to succeed: {other:?}"),
        }
    }
}
