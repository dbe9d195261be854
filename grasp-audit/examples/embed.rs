//! A test harness of somebody else's server: starts it, lets the suite examine it, and stops it.
//!
//! ```sh
//! cargo run -p grasp-audit --example embed -- http://127.0.0.1:8080              # a server that runs
//! cargo run -p grasp-audit --example embed -- ./my-server --listen 127.0.0.1:0   # one to start
//! ```

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use grasp_audit::{Report, Suite, TargetError};

/// Your server: runs for as long as this is kept.
pub(crate) struct Server {
    process: Child,
    /// Where it answers. It has to know itself by this name, or it will refuse every announcement.
    pub(crate) url: String,
}

impl Server {
    /// Starts it, and waits until it says where it listens. This one says `… listening … 127.0.0.1:7334` on standard error;
    /// yours has its own way, or always the same port.
    pub(crate) fn start(command: &mut Command) -> Result<Self, Box<dyn Error>> {
        let mut process = command.stderr(Stdio::piped()).spawn()?;
        let log = process.stderr.take().map(BufReader::new).ok_or("no standard error")?;
        let (said, hears) = mpsc::channel();
        // reads to the end, or a server that logs more than a pipe holds would stand still
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok).filter(|line| line.contains("listening")) {
                let _ = said.send(line.rsplit([' ', '=', '/']).next().unwrap_or_default().to_owned());
            }
        });
        let mut server = Self { process, url: String::new() };
        let address =
            hears.recv_timeout(Duration::from_secs(60)).map_err(|_| "it does not say where it listens")?;
        server.url = format!("http://{address}");
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // one that has ended by itself need not be killed
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the suite, and tells of each check when it has ended.
pub(crate) fn examine(suite: Suite, url: &str) -> Result<Report, TargetError> {
    suite.on_check(|check| eprintln!("{:<5} {}", check.outcome().mark(), check.id)).run_blocking(url)
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next().ok_or("usage: embed URL, or: embed PROGRAM [ARGUMENT …]")?;
    let suite = Suite::default().jobs(4);
    let report = if first.contains("://") {
        examine(suite, &first)?
    } else {
        let server = Server::start(Command::new(first).args(arguments))?;
        examine(suite, &server.url)?
    };
    // The report is data: what did not hold, and why.
    for check in report.failures() {
        println!("{} ({}): {:?}", check.id, check.level, check.verdict);
    }
    println!("{}, {}: {}", report.suite, report.catalogue, report.sentence());
    Ok(ExitCode::from(report.exit_code()))
}
