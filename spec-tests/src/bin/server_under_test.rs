//! The server as its users run it, built with the crash points that the crash tests need.

use std::process::ExitCode;

fn main() -> ExitCode {
    grasp_server::command::run()
}
