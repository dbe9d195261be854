//! HTTP through the guard: one connection per request, redirects guarded like everything else, bodies bounded.

use ::http::header::{HOST, LOCATION, USER_AGENT};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{Destination, Outbound, OutboundError};

/// How many redirects are followed, one after the other.
pub const MAX_REDIRECTS: usize = 3;
/// The longest head of an answer, in bytes.
const MAX_HEAD: usize = 32 << 10;

/// How this server calls itself.
pub const AGENT: &str = concat!("grasp-server/", env!("CARGO_PKG_VERSION"));

/// An answer, and where it came from in the end.
#[derive(Debug)]
pub struct Answer {
    /// The destination that answered: after redirects another than the one that was asked.
    pub from: Destination,
    /// The status.
    pub status: StatusCode,
    /// The fields.
    pub headers: HeaderMap,
    body: Incoming,
    idle: std::time::Duration,
    left: u64,
    most: u64,
    // Ends the connection when the answer is dropped.
    _connection: AbortOnDropHandle<()>,
}

impl Answer {
    /// The next piece of the body; nothing at its end.
    ///
    /// # Errors
    /// When it breaks off, stalls, or is longer than asked for.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, OutboundError> {
        loop {
            let frame = timeout(self.idle, self.body.frame()).await;
            let frame = frame.map_err(|_| OutboundError::Slow("the next piece of the answer", self.idle))?;
            let Some(frame) = frame else { return Ok(None) };
            let frame =
                frame.map_err(|error| OutboundError::Http(self.from.authority(), error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            if data.is_empty() {
                continue;
            }
            self.left = self.left.checked_sub(data.len() as u64).ok_or(OutboundError::TooLong(self.most))?;
            return Ok(Some(data));
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// As [`Answer::chunk`].
    pub async fn whole(mut self) -> Result<Bytes, OutboundError> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }
}

/// What to ask.
#[derive(Debug, Clone)]
pub struct Question {
    method: Method,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    most: u64,
}

impl Question {
    /// A GET whose answer has at most so many bytes.
    #[must_use]
    pub const fn get(most: u64) -> Self {
        Self { method: Method::GET, headers: Vec::new(), body: Bytes::new(), most }
    }

    /// A POST whose answer has at most so many bytes. It follows no redirects.
    #[must_use]
    pub const fn post(body: Bytes, most: u64) -> Self {
        Self { method: Method::POST, headers: Vec::new(), body, most }
    }

    /// With one more field.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Outbound {
    /// Asks a web server. A GET follows redirects, each through the guard, none from https to http.
    ///
    /// # Errors
    /// When there is no connection or no answer; a status that is no success is an answer.
    pub async fn ask(&self, to: &Destination, question: &Question) -> Result<Answer, OutboundError> {
        let mut at = to.clone();
        let mut redirects = 0;
        loop {
            if at.is_relay() {
                return Err(OutboundError::Redirect(at.to_string(), "it is no web server".to_owned()));
            }
            let answer = self.ask_once(&at, question).await?;
            let is_redirect = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
            if !is_redirect || question.method != Method::GET {
                return Ok(answer);
            }
            if redirects == MAX_REDIRECTS {
                return Err(OutboundError::TooManyRedirects(MAX_REDIRECTS));
            }
            redirects += 1;
            at = redirected(&at, answer.headers.get(LOCATION))?;
        }
    }

    async fn ask_once(&self, to: &Destination, question: &Question) -> Result<Answer, OutboundError> {
        let unread = |error: &dyn std::fmt::Display| OutboundError::Http(to.authority(), error.to_string());
        let stream = TokioIo::new(self.connect(to).await?);
        let mut builder = hyper::client::conn::http1::Builder::new();
        builder.max_buf_size(MAX_HEAD);
        let (mut sender, connection) = builder.handshake(stream).await.map_err(|error| unread(&error))?;
        // When the connection fails, so does the answer, which tells it.
        let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
        let request = request(to, question).map_err(|error| unread(&error))?;
        let idle = self.patience.idle;
        let response: Response<Incoming> = timeout(idle, sender.send_request(request))
            .await
            .map_err(|_| OutboundError::Slow("the answer", idle))?
            .map_err(|error| unread(&error))?;
        let (head, body) = response.into_parts();
        Ok(Answer {
            from: to.clone(),
            status: head.status,
            headers: head.headers,
            body,
            idle,
            left: question.most,
            most: question.most,
            _connection: connection,
        })
    }
}

fn request(to: &Destination, question: &Question) -> Result<Request<Full<Bytes>>, ::http::Error> {
    let mut request = Request::builder()
        .method(question.method.clone())
        .uri(to.path_and_query())
        .header(HOST, to.authority())
        .header(USER_AGENT, AGENT);
    for (name, value) in &question.headers {
        request = request.header(name, value);
    }
    request.body(Full::new(question.body.clone()))
}

fn redirected(from: &Destination, location: Option<&HeaderValue>) -> Result<Destination, OutboundError> {
    let refused = |to: &str, why: String| OutboundError::Redirect(to.chars().take(200).collect(), why);
    let text = location.and_then(|location| location.to_str().ok());
    let text = text.ok_or_else(|| refused("nowhere", "the answer has no readable Location".to_owned()))?;
    let to = from.join(text).map_err(|why| refused(text, why.to_string()))?;
    if from.is_secure() && !to.is_secure() {
        return Err(refused(text, "it is not encrypted any more".to_owned()));
    }
    Ok(to)
}
