//! An HTTP/1.1 client with control over method, path bytes and headers, one connection per request.
//!
//! It follows no redirect, keeps no cookie, and adds only `Host`. When told 429 it waits and asks again, a few times.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::ANSWER_WITHIN;
use super::patience::Patience;
use super::stream::Dialer;
use super::transcript::Transcript;
use super::url::ServiceUrl;
use crate::check::Ending;

/// How much of a response body is read, in bytes.
const MAX_BODY: usize = 64 << 20;
/// How often a 429 is answered by waiting.
const MAX_BACKOFFS: u32 = 3;

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection.
    #[error("no connection: {0}")]
    Connect(#[source] std::io::Error),
    /// The request cannot be written down as HTTP.
    #[error("not a request: {0}")]
    Request(String),
    /// The connection ended, or what came is not HTTP.
    #[error("the connection ended without a whole HTTP response: {0}")]
    Broken(String),
    /// Nothing came in time.
    #[error("no response within {0:?}")]
    Late(Duration),
    /// Still 429 after several waits.
    #[error("the server limits requests (429), also after waiting")]
    Limited,
}

impl From<HttpError> for Ending {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::Limited => Self::Skip(error.to_string()),
            HttpError::Request(_) => Self::CannotRun(error.to_string()),
            other => crate::check::fail("an HTTP response", other),
        }
    }
}

/// A whole response.
#[derive(Debug, Clone)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields.
    pub headers: HeaderMap,
    /// Body; empty after an upgrade.
    pub body: Bytes,
    /// From the request's first byte to the body's last.
    pub elapsed: Duration,
}

impl Response {
    /// The values of a header field joined by `, `; empty when absent.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let values: Vec<_> =
            self.headers.get_all(name).iter().map(|v| String::from_utf8_lossy(v.as_bytes())).collect();
        values.join(", ")
    }

    /// Whether a comma-separated header field lists `item`, in any case.
    #[must_use]
    pub fn lists(&self, name: &str, item: &str) -> bool {
        self.header(name).split(',').any(|listed| listed.trim().eq_ignore_ascii_case(item))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, when it is.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Server's clock minus local clock in seconds, from the `Date` field.
    #[must_use]
    pub fn clock_offset(&self) -> Option<i64> {
        let server = super::limits::parse_http_date(&self.header("date"))?;
        let local = i64::try_from(nostr::types::Timestamp::now().as_secs()).ok()?;
        Some(server - local)
    }

    /// Status and header fields, for reports.
    #[must_use]
    pub fn head(&self) -> String {
        let mut text = format!("HTTP {}", self.status);
        for (name, value) in &self.headers {
            text.push_str(&format!("\n{name}: {}", String::from_utf8_lossy(value.as_bytes())));
        }
        text
    }
}

/// Sends requests to the service and records them.
#[derive(Debug, Clone)]
pub struct HttpClient {
    url: ServiceUrl,
    dialer: Dialer,
    transcript: Arc<Transcript>,
    patience: Patience,
}

impl HttpClient {
    /// A client for the service that records into `transcript`.
    #[must_use]
    pub fn new(url: ServiceUrl, dialer: Dialer, transcript: Arc<Transcript>) -> Self {
        Self { url, dialer, transcript, patience: Patience::default() }
    }

    /// The same client with this patience.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// `GET <path>`.
    ///
    /// # Errors
    /// When no whole response came.
    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Response, HttpError> {
        self.request("GET", path, headers, Bytes::new()).await
    }

    /// `POST <path>`.
    ///
    /// # Errors
    /// When no whole response came.
    pub async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Response, HttpError> {
        self.request("POST", path, headers, body.into()).await
    }

    /// `OPTIONS <path>`.
    ///
    /// # Errors
    /// When no whole response came.
    pub async fn options(&self, path: &str, headers: &[(&str, &str)]) -> Result<Response, HttpError> {
        self.request("OPTIONS", path, headers, Bytes::new()).await
    }

    /// Any request; the path goes out as it is, percent-encoding and all.
    ///
    /// # Errors
    /// When no whole response came, or it stays 429.
    pub async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response, HttpError> {
        let within = self.patience.of(ANSWER_WITHIN);
        for attempt in 0..=MAX_BACKOFFS {
            let exchange = self.exchange(method, path, headers, body.clone());
            let response = match tokio::time::timeout(within, exchange).await {
                Ok(response) => response,
                Err(_) => Err(HttpError::Late(within)),
            };
            match &response {
                Ok(response) => self.transcript.received("http", &describe(response)),
                Err(error) => self.transcript.note("http", &error.to_string()),
            }
            let response = response?;
            if response.status != StatusCode::TOO_MANY_REQUESTS.as_u16() {
                return Ok(response);
            }
            let asked = response.header("retry-after").parse().unwrap_or(1 << attempt);
            tokio::time::sleep(Duration::from_secs(asked.clamp(1, 10))).await;
        }
        Err(HttpError::Limited)
    }

    /// Sends bytes as they are on a fresh connection and returns what comes until the server ends it, or until
    /// nothing more comes for two seconds: for requests that no HTTP library would write.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn raw(&self, request: &[u8]) -> Result<Vec<u8>, HttpError> {
        self.transcript.sent("http", &String::from_utf8_lossy(request));
        let mut stream = self.dialer.dial().await.map_err(HttpError::Connect)?;
        stream.write_all(request).await.map_err(|error| HttpError::Broken(error.to_string()))?;
        let (mut answer, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
        while answer.len() < MAX_BODY {
            let quiet = if answer.is_empty() { ANSWER_WITHIN } else { Duration::from_secs(2) };
            match tokio::time::timeout(self.patience.of(quiet), stream.read(&mut buffer)).await {
                Ok(Ok(read)) if read > 0 => answer.extend_from_slice(&buffer[..read]),
                _ => break,
            }
        }
        self.transcript.received("http", &String::from_utf8_lossy(&answer));
        Ok(answer)
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Response, HttpError> {
        let bad = |error: &dyn std::fmt::Display| HttpError::Request(format!("{method} {path}: {error}"));
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| bad(&error))?;
        let mut request =
            Request::builder().method(method.clone()).uri(path).header("host", self.url.authority());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method == Method::POST || method == Method::PUT {
            request = request.header("content-length", body.len());
        }
        self.transcript.sent("http", &written(&method, path, headers, &body));
        let request = request.body(Full::new(body)).map_err(|error| bad(&error))?;
        let started = Instant::now();
        let stream = self.dialer.dial().await.map_err(HttpError::Connect)?;
        let broken = |error: hyper::Error| HttpError::Broken(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let driver = tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(request).await.map_err(broken);
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                driver.abort();
                return Err(error);
            }
        };
        let (head, body) = response.into_parts();
        let body = if head.status == StatusCode::SWITCHING_PROTOCOLS {
            Bytes::new()
        } else {
            let body = Limited::new(body, MAX_BODY).collect().await;
            body.map_err(|error| HttpError::Broken(error.to_string()))?.to_bytes()
        };
        driver.abort();
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body, elapsed: started.elapsed() })
    }
}

fn written(method: &Method, path: &str, headers: &[(&str, &str)], body: &Bytes) -> String {
    let mut text = format!("{method} {path}");
    for (name, value) in headers {
        text.push_str(&format!("\n{name}: {value}"));
    }
    if !body.is_empty() {
        text.push_str(&format!("\n\n{}", String::from_utf8_lossy(&body[..body.len().min(400)])));
    }
    text
}

fn describe(response: &Response) -> String {
    let shown = &response.body[..response.body.len().min(1_000)];
    format!("{}\n\n{}", response.head(), String::from_utf8_lossy(shown))
}
