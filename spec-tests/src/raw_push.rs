//! A push made of bytes, so that a test decides what is sent when.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot send cannot go on

use grasp_audit::target::smart_http::line;
use grasp_audit::target::url::ServiceUrl;
use grasp_fixtures::Repository;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ZERO: &str = "0000000000000000000000000000000000000000";

/// `POST <path>/git-receive-pack` that creates one ref, not sent yet.
#[derive(Debug, Clone)]
pub struct RawPush {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl RawPush {
    /// The push of `oid`, with everything it reaches, to a ref that is not there yet.
    ///
    /// # Panics
    /// When git cannot make the pack.
    pub async fn new(url: &ServiceUrl, path: &str, repository: &Repository, name: &str, oid: &str) -> Self {
        let args = ["pack-objects", "--stdout", "--revs", "-q"];
        let pack = repository.run_with_input(&args, format!("{oid}\n").as_bytes()).await.unwrap();
        let pack = pack.success().unwrap().stdout;
        let mut body = line(&format!("{ZERO} {oid} {name}\0report-status side-band-64k agent=raw"));
        body.extend_from_slice(b"0000");
        body.extend(pack);
        let head = format!(
            "POST {path}/git-receive-pack HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-git-receive-pack-request\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            url.authority(),
            body.len()
        );
        Self { head: head.into_bytes(), body }
    }

    /// Connects and sends the head and the first half of the body.
    ///
    /// # Panics
    /// When there is no connection.
    pub async fn begin(&self, url: &ServiceUrl) -> Begun {
        let mut stream = TcpStream::connect(url.authority()).await.expect("the server listens");
        let (first, rest) = self.body.split_at(self.body.len() / 2);
        stream.write_all(&self.head).await.unwrap();
        stream.write_all(first).await.unwrap();
        stream.flush().await.unwrap();
        Begun { stream, rest: rest.to_vec() }
    }
}

/// A push of which half was sent. Dropped, the connection ends.
#[derive(Debug)]
pub struct Begun {
    stream: TcpStream,
    rest: Vec<u8>,
}

impl Begun {
    /// Sends the rest and returns the whole response, head included, as text.
    ///
    /// # Panics
    /// When the connection breaks.
    pub async fn finish(mut self) -> String {
        self.stream.write_all(&self.rest).await.expect("the server reads on");
        let mut response = Vec::new();
        self.stream.read_to_end(&mut response).await.expect("the server answers");
        String::from_utf8_lossy(&response).into_owned()
    }
}
