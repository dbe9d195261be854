//! Puts CORS headers on the answers that hyper writes by itself.
//!
//! When a request's head cannot be parsed, hyper answers 400, 414 or 431 without asking anybody. As long as no request
//! of a connection has been handed out, everything that is written on it is such an answer: then, and only then, this
//! wrapper adds the lines after the status line. From the first request on it passes everything through untouched, so
//! it can never mistake a body for a head.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::cors;

/// A connection whose first bytes out are looked at.
pub(super) struct EarlyAnswer<S> {
    inner: S,
    /// Set when the first request is handed to the service.
    asked: Arc<AtomicBool>,
    /// An answer with the lines added, on its way out.
    pending: BytesMut,
}

impl<S: AsyncWrite + Unpin> EarlyAnswer<S> {
    pub(super) fn new(inner: S, asked: Arc<AtomicBool>) -> Self {
        Self { inner, asked, pending: BytesMut::new() }
    }

    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.pending))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes all of `bytes`, with the lines in their place.
    fn add_lines(&mut self, bytes: &[u8]) {
        let end_of_status = bytes.windows(2).position(|pair| pair == b"\r\n").map(|at| at + 2);
        match end_of_status.filter(|_| bytes.starts_with(b"HTTP/1.")) {
            Some(end) => {
                self.pending.extend_from_slice(&bytes[..end]);
                self.pending.extend_from_slice(cors::lines().as_bytes());
                self.pending.extend_from_slice(&bytes[end..]);
            }
            None => self.pending.extend_from_slice(bytes),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for EarlyAnswer<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for EarlyAnswer<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.drain(cx))?;
        if self.asked.load(Ordering::Relaxed) {
            return Pin::new(&mut self.inner).poll_write(cx, bytes);
        }
        self.add_lines(bytes);
        // What is taken is written by the flush that follows, if not now.
        if let Poll::Ready(Err(failed)) = self.drain(cx) {
            return Poll::Ready(Err(failed));
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.pending.is_empty() && self.asked.load(Ordering::Relaxed) {
            return Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(cx, first.map_or(&[][..], |slice| slice))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
