//! The byte stream of one connection as tungstenite sees it: it reads what the peer sends; what it writes by itself
//! (pongs, the answer to a close) is put aside, to go out between our own frames, which we write directly.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pulse::Activity;

/// When so many bytes are put aside, nothing more is read until they are sent.
const MAX_ASIDE: usize = 4 << 10;

/// See the module.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    io: S,
    aside: Vec<u8>,
    activity: Arc<Activity>,
}

impl<S> Wire<S> {
    pub(crate) fn new(io: S, activity: Arc<Activity>) -> Self {
        Self { io, aside: Vec::new(), activity }
    }

    /// Whole frames that tungstenite has written by itself.
    pub(crate) fn take_aside(&mut self) -> Option<Bytes> {
        (!self.aside.is_empty()).then(|| std::mem::take(&mut self.aside).into())
    }

    /// Whether a peer has caused so many answers that it should read some first.
    pub(crate) fn is_crowded(&self) -> bool {
        self.aside.len() >= MAX_ASIDE
    }

    /// The stream itself, for when no more frames are written.
    pub(crate) fn io(&mut self) -> &mut S {
        &mut self.io
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Writes to the peer.
    pub(crate) fn poll_send(
        &mut self,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.activity.writing.store(true, Ordering::Relaxed);
        let result = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        match result {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(count)) => {
                self.activity.written.fetch_add(count as u64, Ordering::Relaxed);
                result
            }
            Poll::Ready(Err(_)) | Poll::Pending => result,
        }
    }

    /// All that was written is on its way when this is done.
    pub(crate) fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(context);
        if flushed.is_ready() {
            self.activity.writing.store(false, Ordering::Relaxed);
        }
        flushed
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.io).poll_read(context, buffer);
        let count = buffer.filled().len() - before;
        self.activity.read.fetch_add(count as u64, Ordering::Relaxed);
        result
    }
}

impl<S: Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.aside.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
