//! The server as its users run it, built with the crash points that the crash tests need.
//!
//! It does not outlive the test that started it: when `GRASP_TEST_FOLDER` names the test's temporary folder, standard
//! input is a pipe that the test holds open, and its end is the end of the server and of the folder.

use std::io::Read as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(folder) = std::env::var_os("GRASP_TEST_FOLDER") {
        std::thread::spawn(move || {
            let mut nothing = Vec::new();
            // An error says the same as the end: nobody is there any more.
            let _ = std::io::stdin().read_to_end(&mut nothing);
            // The server still runs and may write while its folder is removed.
            let gone =
                |_: &u32| std::fs::remove_dir_all(&folder).is_ok() || !std::path::Path::new(&folder).exists();
            let _ = (0..10).find(gone);
            std::process::abort();
        });
    }
    grasp_server::command::run()
}
