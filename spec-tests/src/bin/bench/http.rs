//! An HTTP/1.1 client over one kept-alive connection that costs little: requests are bytes made once, answers are
//! counted, and a thread waits in the read itself, as git does.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::Result;

/// How much is read at once, in bytes: more than an answer of these rows.
const READ: usize = 128 << 10;

/// A kept-alive connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; READ], filled: 0 })
    }

    /// Sends a request and gives the body of its answer, which must be a 200.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.filled = 0;
        self.stream.write_all(request)?;
        let (start, length) = loop {
            if let Some(head) = head(&self.buffer[..self.filled])? {
                break head;
            }
            self.read()?;
        };
        while self.filled < start + length {
            self.read()?;
        }
        Ok(&self.buffer[start..start + length])
    }

    fn read(&mut self) -> Result<()> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.filled + READ, 0);
        }
        match self.stream.read(&mut self.buffer[self.filled..])? {
            0 => Err("the server closed the connection".into()),
            read => {
                self.filled += read;
                Ok(())
            }
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
