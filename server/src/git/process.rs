//! The `git` program, told nothing by the environment or by anybody's configuration.

/// A `git` command without inherited environment and configuration, killed when it is dropped.
#[must_use]
pub(crate) fn git() -> tokio::process::Command {
    let mut command = tokio::process::Command::new("git");
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .args(["-c", "safe.directory=*"])
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    command
}
