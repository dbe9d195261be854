//! The socket of one session. Messages come in through tungstenite; frames go out as they wait in the outbox, many with
//! one system call and without a copy. Reading and writing are two steps of one task: nothing has to be shared.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::Error;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::limits::Limits;
use super::outbox::Outbox;
use super::pulse::Activity;
use super::wire::Wire;

/// Bytes that tungstenite reads at once; every idle connection holds as many.
const READ_BUFFER: usize = 4 << 10;
/// How many pieces are written with one system call.
const SLICES: usize = 32;

/// What comes next.
#[derive(Debug)]
pub(crate) enum Input {
    Message(Message),
    /// Nothing more has come so far.
    Pause,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    socket: WebSocketStream<Wire<S>>,
    /// What was taken from the outbox and is not written yet.
    batch: VecDeque<Bytes>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) async fn new(io: S, limits: &Limits, activity: Arc<Activity>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(limits.max_message_length))
            .max_frame_size(Some(limits.max_message_length));
        let wire = Wire::new(io, activity);
        let socket = WebSocketStream::from_raw_socket(wire, Role::Server, Some(config)).await;
        Self { socket, batch: VecDeque::new() }
    }

    /// The next message, if `reading`. When nothing is left to be read, what waits in the outbox is sent, or, with
    /// `tell_pause`, that is told first; when much waits, it is sent before more is read. Safe to cancel.
    ///
    /// `None` at the end of the connection.
    pub(crate) async fn next(
        &mut self,
        outbox: &Outbox,
        reading: bool,
        tell_pause: bool,
    ) -> Option<Result<Input, Error>> {
        poll_fn(|context| self.poll_next(context, outbox, reading, tell_pause)).await
    }

    fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        outbox: &Outbox,
        reading: bool,
        tell_pause: bool,
    ) -> Poll<Option<Result<Input, Error>>> {
        if (!self.batch.is_empty() || self.is_crowded() || outbox.is_pressing())
            && let Poll::Ready(Err(error)) = self.poll_send_all(context, outbox)
        {
            return Poll::Ready(Some(Err(error.into())));
        }
        // Answers to pings wait for the peer to read them, and so do its next pings.
        if reading
            && !self.is_crowded()
            && let Poll::Ready(message) = self.socket.poll_next_unpin(context)
        {
            return Poll::Ready(message.map(|message| message.map(Input::Message)));
        }
        if tell_pause {
            return Poll::Ready(Some(Ok(Input::Pause)));
        }
        self.poll_rest(context, outbox).map(|error| Some(Err(error.into())))
    }

    /// Sends what waits, and rests: more in the outbox wakes the task.
    fn poll_rest(&mut self, context: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Error> {
        loop {
            if let Err(error) = ready!(self.poll_send_all(context, outbox)) {
                return Poll::Ready(error);
            }
            if outbox.rest(context.waker()) {
                return Poll::Pending;
            }
        }
    }

    fn is_crowded(&self) -> bool {
        self.socket.get_ref().is_crowded()
    }

    /// Sends what waits in the outbox and what tungstenite has put aside.
    pub(crate) async fn send_all(&mut self, outbox: &Outbox) -> io::Result<()> {
        poll_fn(|context| self.poll_send_all(context, outbox)).await
    }

    fn poll_send_all(&mut self, context: &mut Context<'_>, outbox: &Outbox) -> Poll<io::Result<()>> {
        loop {
            if self.batch.is_empty() {
                // Between whole frames.
                self.batch.extend(self.socket.get_mut().take_aside());
                outbox.take(&mut self.batch);
            }
            if self.batch.is_empty() {
                // A burst must not hold its memory for as long as the connection idles.
                self.batch = VecDeque::new();
                return self.socket.get_mut().poll_sent(context);
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let filled = slices.iter_mut().zip(&self.batch);
            let count = filled.map(|(slice, piece)| *slice = IoSlice::new(piece)).count();
            let mut sent = ready!(self.socket.get_mut().poll_send(context, &slices[..count]))?;
            while let Some(first) = self.batch.front_mut() {
                let part = sent.min(first.len());
                first.advance(part);
                sent -= part;
                if first.has_remaining() {
                    break;
                }
                self.batch.pop_front();
            }
        }
    }

    /// Sends the answer to the peer's goodbye.
    pub(crate) async fn answer_close(&mut self, outbox: &Outbox) -> Result<(), Error> {
        futures_util::SinkExt::flush(&mut self.socket).await?;
        Ok(self.send_all(outbox).await?)
    }

    /// Sends all that waits, and then goodbye.
    pub(crate) async fn say_goodbye(&mut self, reason: CloseFrame, outbox: &Outbox) -> Result<(), Error> {
        self.send_all(outbox).await?;
        self.socket.close(Some(reason)).await?;
        Ok(self.send_all(outbox).await?)
    }

    /// The stream itself, for when no more frames are sent.
    pub(crate) fn io(&mut self) -> &mut S {
        self.socket.get_mut().io()
    }
}
