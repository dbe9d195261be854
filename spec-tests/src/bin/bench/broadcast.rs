//! What live delivery is held against: a bare tokio-tungstenite server that sends every event it gets to everybody who
//! has subscribed. Each connection has a queue and one task that sends what is in it, in one of three manners.
//!
//! It runs as a process of its own, as the server does, and speaks just enough of NIP-01 that the same clients can
//! measure both: a REQ is answered by EOSE, an EVENT by OK.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use nostr::event::Event;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::Result;
use crate::server::Running;

/// The first argument that makes this program the server of this module.
pub(crate) const COMMAND: &str = "broadcast-server";

/// How it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As such a server is usually written: `send` for each message, which flushes it.
    Each,
    /// A writer that feeds all that its queue holds, and flushes then.
    Gathered,
    /// The same, and each event is read and its id and signature verified before it is sent on, as a relay must.
    Verified,
}

impl Manner {
    const ALL: [Self; 3] = [Self::Each, Self::Gathered, Self::Verified];

    /// The argument after [`COMMAND`].
    const fn name(self) -> &'static str {
        match self {
            Self::Each => "each",
            Self::Gathered => "gathered",
            Self::Verified => "verified",
        }
    }
}

/// Starts it as a child; returns where it listens.
pub(crate) fn start(manner: Manner) -> Result<(Running, SocketAddr)> {
    let child = Command::new(std::env::current_exe()?)
        .args([COMMAND, manner.name()])
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
    let named = |manner: &Manner| Some(manner.name()) == argument;
    let manner = Manner::ALL.into_iter().find(named).ok_or("the manner of sending is missing")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    let subscribers = Subscribers::default();
    loop {
        let (stream, _) = listener.accept().await?;
        let subscribers = subscribers.clone();
        tokio::spawn(async move {
            if let Err(error) = connection(stream, subscribers, manner).await {
                let _ = writeln!(std::io::stderr(), "broadcast: {error}");
            }
        });
    }
}

async fn connection(stream: TcpStream, subscribers: Subscribers, manner: Manner) -> Result<()> {
    stream.set_nodelay(true)?;
    let (mut sink, mut stream) = tokio_tungstenite::accept_async(stream).await?.split();
    let (queue, mut queued) = unbounded_channel::<Utf8Bytes>();
    tokio::spawn(async move {
        while let Some(text) = queued.recv().await {
            sink.feed(Message::Text(text)).await?;
            while manner != Manner::Each
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
            if manner == Manner::Verified {
                let event: Event = serde_json::from_str(event.strip_suffix(']').unwrap_or(event))?;
                event.verify()?;
            }
            let delivered = Utf8Bytes::from(format!("[\"EVENT\",\"s\",{event}"));
            subscribers.lock().retain(|subscriber| subscriber.send(delivered.clone()).is_ok());
            queue.send("[\"OK\",\"\",true,\"\"]".into())?;
        }
    }
    Ok(())
}
