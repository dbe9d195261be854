//! The HTTP side of answers: bodies, headers as git-http-backend sends them, refusals as text.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, EXPIRES, HeaderValue, PRAGMA};
use http::{Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;

/// The body of every answer of the git shells.
pub type GitBody = BoxBody<Bytes, io::Error>;

/// Where a task writes the body of an answer to. The few chunks in flight are what a slow client costs.
pub(crate) type BodySender = mpsc::Sender<io::Result<Bytes>>;

/// Chunks in flight between a task and the connection.
const IN_FLIGHT: usize = 4;

/// The receiving end as a body.
struct Streamed(mpsc::Receiver<io::Result<Bytes>>);

impl Body for Streamed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: GitBody) -> Response<GitBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(EXPIRES, HeaderValue::from_static("Fri, 01 Jan 1980 00:00:00 GMT"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, max-age=0, must-revalidate"));
    response
}

/// A whole answer of the git protocol.
pub(crate) fn whole(content_type: &'static str, body: Bytes) -> Response<GitBody> {
    respond(StatusCode::OK, content_type, Full::new(body).map_err(|never| match never {}).boxed())
}

/// An answer of the git protocol that a task writes bit by bit.
pub(crate) fn streamed(content_type: &'static str) -> (BodySender, Response<GitBody>) {
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    (sender, respond(StatusCode::OK, content_type, BodyExt::boxed(Streamed(receiver))))
}

/// A refusal outside the git protocol; git shows the text as `remote: …`.
pub(crate) fn text(status: StatusCode, text: &str) -> Response<GitBody> {
    let body = Full::new(Bytes::from(format!("{text}\n"))).map_err(|never| match never {}).boxed();
    respond(status, "text/plain; charset=utf-8", body)
}
