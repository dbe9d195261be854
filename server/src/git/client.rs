//! Who pushes, first as somebody who sends and then as somebody who reads.

use bytes::Bytes;
use http::Response;
use tokio::sync::oneshot;

use super::answer::{self, BodySender, GitBody};

/// The content type of every answer to a push.
pub(crate) const RESULT: &str = "application/x-git-receive-pack-result";

/// Who is told what becomes of a push.
pub(crate) enum Client {
    /// Still sends, or waits for the first byte.
    Waits(oneshot::Sender<Response<GitBody>>),
    /// Reads what we write.
    Reads(BodySender),
}

impl Client {
    /// Ends when nobody is there any more.
    pub(crate) async fn gone(&mut self) {
        match self {
            Self::Waits(client) => client.closed().await,
            Self::Reads(client) => client.closed().await,
        }
    }

    /// Sends the head of the answer.
    pub(crate) fn begin(&mut self) {
        if let Self::Waits(_) = self {
            let (sender, response) = answer::streamed(RESULT);
            if let Self::Waits(client) = std::mem::replace(self, Self::Reads(sender)) {
                // When nobody is there, the body's end is dropped with the response, and `gone` tells.
                let _ = client.send(response);
            }
        }
    }

    /// Writes something that may be left out when the client does not keep up.
    pub(crate) fn offer(&self, bytes: Bytes) {
        if let Self::Reads(sender) = self {
            let _ = sender.try_send(Ok(bytes));
        }
    }
}
