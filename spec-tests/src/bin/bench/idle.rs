//! Memory of a server that nobody uses, and of connections that say nothing.

use crate::figure::{Figure, Line, Target};
use crate::server::Server;
use crate::socket::Socket;
use crate::{Bench, Result};

const CONNECTIONS: usize = 1_000;

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let server = Server::start(bench).await?;
    let process = server.process();
    let (resident, proportional) = (process.resident()?, process.proportional()?);
    let mut sockets = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut socket = Socket::open(server.address).await?;
        // Its first word: from then on it is idle.
        socket.receive(|_| ()).await?;
        sockets.push(socket);
    }
    let each = (process.resident()? - resident) * 1024.0 / CONNECTIONS as f64;
    let stated = |work: &str, value, unit| Line::alone(work, Figure::new(value, unit), Target::Stated);
    Ok(vec![
        stated("idle memory, resident", resident, "MiB"),
        stated("idle memory, shared pages in part", proportional, "MiB"),
        stated("memory of an idle relay connection, of 1,000", each, "KiB"),
    ])
}
