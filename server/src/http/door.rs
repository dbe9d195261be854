//! The shell around everything: accepts connections, speaks HTTP/1.1 on them, and closes in good order.
//!
//! Closing: from the first moment nothing new begins. Whatever runs may finish within the grace; whoever comes
//! meanwhile is told 503, `/healthz` too, so that a load balancer sees it. What is not done by then is dropped.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answers::{self, Refusal};
use super::connections::{Connections, Full, Place};
use super::early_answer::EarlyAnswer;
use super::pages::Pages;
use super::turn::in_turn;
use super::{Services, client_ip};

/// A request's head may be this long, in bytes. Also the size of the largest read from a connection.
const MAX_HEAD: usize = 64 * 1024;

/// A request's head may have this many lines.
const MAX_HEADERS: usize = 100;

/// Connections that are told at the same time why they cannot be served; more are just closed.
const TURNED_AWAY_AT_ONCE: usize = 64;

/// How long to wait before accepting again when the system has no more files or memory.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// After the grace, how long dropped work may take to be gone.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// What is bounded at the door.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Open connections, all clients together.
    pub connections: usize,
    /// Open connections of one address (of one /64 with IPv6).
    pub connections_per_address: usize,
    /// How long a request's head may take, and how long a connection may be idle between requests.
    pub head_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 4096, connections_per_address: 1024, head_timeout: Duration::from_secs(30) }
    }
}

/// An open door. Dropping it without [`Door::close`] leaves it open.
#[derive(Debug)]
pub struct Door {
    address: SocketAddr,
    stopping: CancellationToken,
    abandon: CancellationToken,
    closed: CancellationToken,
    work: TaskTracker,
    accepting: JoinHandle<()>,
}

/// What every connection shares.
pub(super) struct Shared {
    pub(super) services: Services,
    pub(super) pages: Pages,
    pub(super) connections: Arc<Connections>,
    pub(super) stopping: CancellationToken,
    /// Cancelled when the grace is over.
    pub(super) abandon: CancellationToken,
    /// Whatever may finish within the grace: requests and relay sessions.
    pub(super) work: TaskTracker,
    head_timeout: Duration,
    turned_away: Arc<Semaphore>,
}

impl Door {
    /// Begins to serve on a bound socket.
    ///
    /// # Errors
    /// When the socket's address cannot be asked for.
    pub fn open(listener: TcpListener, services: Services, limits: Limits) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            pages: Pages::new(services.about.clone()),
            services,
            connections: Connections::new(limits.connections, limits.connections_per_address),
            stopping: CancellationToken::new(),
            abandon: CancellationToken::new(),
            work: TaskTracker::new(),
            head_timeout: limits.head_timeout,
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY_AT_ONCE)),
        });
        let closed = CancellationToken::new();
        Ok(Self {
            address,
            stopping: shared.stopping.clone(),
            abandon: shared.abandon.clone(),
            work: shared.work.clone(),
            accepting: tokio::spawn(accept(listener, shared, closed.clone())),
            closed,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cancelled when the door begins to close.
    #[must_use]
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// Closes: nothing new begins, what runs may finish within `grace`, the rest is dropped.
    /// Returns whether everything finished.
    pub async fn close(self, grace: Duration) -> bool {
        self.stopping.cancel();
        self.work.close();
        let finished = tokio::time::timeout(grace, self.work.wait()).await.is_ok();
        self.abandon.cancel();
        self.closed.cancel();
        if tokio::time::timeout(LAST_MOMENT, self.work.wait()).await.is_err() {
            tracing::warn!(tasks = self.work.len(), "some connections do not end; leaving them behind");
        }
        if self.accepting.await.is_err() {
            tracing::error!("the task that accepts connections had ended before");
        }
        finished
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, closed: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = closed.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => welcome(stream, peer, &shared, &closed),
            Err(failed) if is_of_one_connection(&failed) => {}
            Err(failed) => {
                tracing::warn!(%failed, "no connection can be accepted now");
                tokio::time::sleep(AFTER_FAILED_ACCEPT).await;
            }
        }
    }
}

/// A client that went away before it was accepted is no reason to pause.
fn is_of_one_connection(failed: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(failed.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn welcome(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>, closed: &CancellationToken) {
    if let Err(failed) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %failed, "TCP_NODELAY refused");
    }
    let is_proxy = client_ip::is_trusted(peer.ip(), &shared.services.trusted_proxies);
    let place = if shared.stopping.is_cancelled() {
        Err(Refusal::Stopping)
    } else {
        shared.connections.enter(peer.ip(), is_proxy).map_err(|full| match full {
            Full::Server => Refusal::ServerFull,
            Full::Address => Refusal::AddressFull,
        })
    };
    match place {
        Ok(place) => drop(shared.work.spawn(serve(stream, peer, Arc::clone(shared), place))),
        Err(refusal) => {
            let Ok(turn) = Arc::clone(&shared.turned_away).try_acquire_owned() else { return };
            let (shared, closed) = (Arc::clone(shared), closed.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = closed.cancelled() => {}
                    () = turn_away(stream, &shared, refusal) => {}
                }
                drop(turn);
            });
        }
    }
}

fn protocol(shared: &Shared) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(shared.head_timeout)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS);
    protocol
}

async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, place: Place) {
    let asked = Arc::new(AtomicBool::new(false));
    let io = TokioIo::new(EarlyAnswer::new(stream, Arc::clone(&asked)));
    let place = Arc::new(place);
    let service = service_fn(|request| {
        asked.store(true, Ordering::Relaxed);
        let (shared, place) = (Arc::clone(&shared), Arc::clone(&place));
        async move { Ok::<_, Infallible>(answers::answer(&shared, peer.ip(), place, request).await) }
    });
    let mut connection = pin!(protocol(&shared).serve_connection(io, service).with_upgrades());
    let outcome = tokio::select! {
        outcome = in_turn(connection.as_mut()) => outcome,
        () = shared.stopping.cancelled() => {
            // Nobody has asked for anything yet: there is nothing to finish.
            if !asked.load(Ordering::Relaxed) {
                return;
            }
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = connection.as_mut() => outcome,
                () = shared.abandon.cancelled() => return,
            }
        }
    };
    if let Err(failed) = outcome {
        tracing::debug!(%peer, %failed, "connection ended");
    }
}

/// Answers one request with the reason why no more are taken.
async fn turn_away(stream: TcpStream, shared: &Shared, refusal: Refusal) {
    let asked = Arc::new(AtomicBool::new(false));
    let io = TokioIo::new(EarlyAnswer::new(stream, Arc::clone(&asked)));
    let service = service_fn(|_| {
        asked.store(true, Ordering::Relaxed);
        async move { Ok::<_, Infallible>(answers::refuse(refusal)) }
    });
    // Whoever is turned away gets no chance to hold a place by being slow, and nothing is lost when this fails.
    let connection = protocol(shared).keep_alive(false).serve_connection(io, service);
    let _ = tokio::time::timeout(Duration::from_secs(5), connection).await;
}
