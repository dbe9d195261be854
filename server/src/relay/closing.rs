//! How a connection ends: the last answers, a close code with a reason, and time for the peer to read both.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::connection::Connection;
use super::outbox::Outbox;

/// Why a session ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer said goodbye.
    ByPeer,
    /// The peer is not there any more; there is nobody to tell.
    Gone,
    /// We end it, and say why.
    ByUs(CloseCode, &'static str),
}

impl End {
    /// What to make of an error while reading.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Capacity(_) => Self::ByUs(
                CloseCode::Size,
                "message too long; see max_message_length in the relay information document",
            ),
            Error::Utf8(_) => Self::ByUs(CloseCode::Invalid, "text message is not valid UTF-8"),
            Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => Self::Gone,
            Error::Protocol(_) => Self::ByUs(CloseCode::Protocol, "WebSocket protocol error"),
            _ => Self::Gone,
        }
    }
}

/// Ends the connection.
pub(crate) async fn close<S>(mut connection: Connection<S>, end: End, outbox: &Outbox, within: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let farewell = async {
        match end {
            End::Gone => return Ok(()),
            End::ByPeer => connection.answer_close(outbox).await?,
            End::ByUs(code, reason) => {
                connection.say_goodbye(CloseFrame { code, reason: reason.into() }, outbox).await?;
            }
        }
        // Closing a socket with unread input resets it, and the peer may never see the reason: read on for a moment.
        let io = connection.io();
        io.shutdown().await?;
        let mut ignored = vec![0; 4096];
        while io.read(&mut ignored).await? > 0 {}
        Ok::<(), Error>(())
    };
    // Nobody is left to be told about a failure, and nobody waits for longer.
    let _ = tokio::time::timeout(within, farewell).await;
}
