//! The `grasp-server` program; everything it does is in [`grasp_server::command`].

use std::process::ExitCode;

fn main() -> ExitCode {
    grasp_server::command::run()
}
