//! The ceiling of live delivery: a bare tokio-tungstenite server that sends every event it gets to everybody who has
//! subscribed, without looking at it. Each connection has a queue and one task that writes all that is in it, then
//! flushes; or, as the simplest of such servers do, flushes after each.
//!
//! It runs as a process of its own, as the server does, and speaks just enough of NIP-01 that the same clients can
//! measure both: a REQ is answered by EOSE, an EVENT by OK.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::Result;
use crate::server::Running;

/// The first argument that makes this program the server of this module.
pub(crate) const COMMAND: &str = "broadcast-server";

/// When a connection's writer flushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// When its queue is empty.
    Gathered,
    /// After each message.
    Each,
}

/// The argument after [`COMMAND`] that means [`Flush::Each`].
const EACH: &str = "flush-each";

/// Starts it as a child; returns where it listens.
pub(crate) fn start(flush: Flush) -> Result<(Running, SocketAddr)> {
    let child = Command::new(std::env::current_exe()?)
        .arg(COMMAND)
        .args((flush == Flush::Each).then_some(EACH))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut running = Running(child);
    let stdout = running.0.stdout.take().ok_or("no pipe")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok((running, line.trim().parse()?))
}

type Subscribers = Arc<Mutex<Vec<UnboundedSender<Utf8Bytes>>>>;

/// Says where it listens, and serves until it is ended.
pub(crate) async fn serve(argument: Option<&str>) -> Result<()> {
    let flush = if argument == Some(EACH) { Flush::Each } else { Flush::Gathered };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let subscribers = Subscribers::default();
    loop {
        let (stream, _) = listener.accept().await?;
        let subscribers = subscribers.clone();
        tokio::spawn(async move {
            if let Err(error) = connection(stream, subscribers, flush).await {
                let _ = writeln!(std::io::stderr(), "broadcast: {error}");
            }
        });
    }
}

async fn connection(stream: TcpStream, subscribers: Subscribers, flush: Flush) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut sink, mut stream) = tokio_tungstenite::accept_async(stream).await?.split();
    let (queue, mut queued) = unbounded_channel::<Utf8Bytes>();
    tokio::spawn(async move {
        while let Some(text) = queued.recv().await {
            sink.feed(Message::Text(text)).await?;
            while flush == Flush::Gathered
                && let Ok(text) = queued.try_recv()
            {
                sink.feed(Message::Text(text)).await?;
            }
            sink.flush().await?;
        }
        Result::Ok(())
    });
    while let Some(Ok(message)) = stream.next().await {
        let Message::Text(text) = message else { continue };
        if text.starts_with("[\"REQ\"") {
            subscribers.lock().push(queue.clone());
            queue.send("[\"EOSE\",\"s\"]".into())?;
        } else if let Some(event) = text.strip_prefix("[\"EVENT\",") {
            let delivered = Utf8Bytes::from(format!("[\"EVENT\",\"s\",{event}"));
            subscribers.lock().retain(|subscriber| subscriber.send(delivered.clone()).is_ok());
            queue.send("[\"OK\",\"\",true,\"\"]".into())?;
        }
    }
    Ok(())
}
