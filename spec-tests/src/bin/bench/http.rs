//! An HTTP/1.1 client over one kept-alive connection that costs little: requests are bytes made once, answers are
//! counted.

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

/// How much is read at once, in bytes.
const READ: usize = 128 << 10;

/// A kept-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: BytesMut::new() })
    }

    /// Sends a request and shows the body of its answer, which must be a 200.
    pub(crate) async fn ask<T>(&mut self, request: &[u8], look: impl FnOnce(&[u8]) -> T) -> Result<T> {
        self.stream.write_all(request).await?;
        let (start, length) = loop {
            if let Some(head) = head(&self.buffer)? {
                break head;
            }
            self.read().await?;
        };
        while self.buffer.len() < start + length {
            self.read().await?;
        }
        let seen = look(&self.buffer[start..start + length]);
        self.buffer.advance(start + length);
        Ok(seen)
    }

    async fn read(&mut self) -> Result<()> {
        self.buffer.reserve(READ);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}

/// Where the body begins and how long it is, once the head is here.
fn head(buffer: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        return Err(format!("the server answered: {head}").into());
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.ok_or("an answer without a length")?.trim().parse()?;
    Ok(Some((end + 4, length)))
}

/// A GET as git sends it.
pub(crate) fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: git/2.47\r\nAccept: */*\r\n\
         Git-Protocol: version=2\r\n\r\n"
    );
    head.into_bytes()
}

/// A POST as git sends it.
pub(crate) fn post(address: SocketAddr, path: &str, service: &str, length: u64) -> Vec<u8> {
    let head = format!(
        "POST {path}/{service} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: git/2.47\r\n\
         Content-Type: application/x-{service}-request\r\nAccept: application/x-{service}-result\r\n\
         Git-Protocol: version=2\r\nContent-Length: {length}\r\n\r\n"
    );
    head.into_bytes()
}
