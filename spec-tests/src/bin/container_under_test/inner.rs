//! The container itself, through testcontainers.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::time::Duration;

use grasp_audit::target::Target;
use serde_json::{Value, json};
use spec_tests::container::Wanted;
use spec_tests::engine::LABEL;
use testcontainers::bollard::models::{HostConfig, Mount, MountType, MountVolumeOptions, PortBinding};
use testcontainers::core::client::ClientError;
use testcontainers::core::ports::IntoContainerPort as _;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt as _, TestcontainersError};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::time::Instant;

/// Where containers are reached from here.
const HOST: &str = "127.0.0.1";
/// How long a graceful stop may take, in seconds.
const GRACE: i32 = 60;
/// How often another port is tried when somebody has taken the one that was free.
const TRIES: usize = 5;

/// Starts the container, says where it is, and does what standard input says until it ends.
pub(crate) fn run(wanted: &Wanted) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return code(tell_failure(&error.to_string())),
    };
    let done = runtime.block_on(serve(wanted));
    code(done.map_or_else(|why| tell_failure(&why), |()| true))
}

/// Tells the test why there is no server; false, as it has failed.
pub(crate) fn tell_failure(why: &str) -> bool {
    tell(&json!({ "failed": why }));
    false
}

fn code(succeeded: bool) -> ExitCode {
    if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Tells the test something.
pub(crate) fn tell(what: &Value) {
    // When nobody listens any more, standard input has ended too, and that is acted on.
    let _ = writeln!(std::io::stdout(), "{what}");
}

async fn serve(wanted: &Wanted) -> Result<(), String> {
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    let mut port = None;
    loop {
        let starting = start(wanted, port);
        // The test may go while the container comes up.
        let (container, at) = tokio::select! {
            started = starting => started?,
            _ = commands.next_line(), if port.is_none() => return Ok(()),
        };
        port = Some(at);
        tell(&json!({ "authority": format!("{HOST}:{at}"), "id": container.id() }));
        let command = commands.next_line().await.map_err(|error| error.to_string())?;
        if command.as_deref() == Some("replace") {
            container.stop_with_timeout(Some(GRACE)).await.map_err(|error| error.to_string())?;
        }
        container.rm().await.map_err(|error| error.to_string())?;
        if command.is_none() {
            return Ok(());
        }
    }
}

/// Starts it at `port`, or at one that is free, and waits until it answers.
async fn start(wanted: &Wanted, port: Option<u16>) -> Result<(ContainerAsync<GenericImage>, u16), String> {
    let mut tries = 0;
    let (container, port) = loop {
        tries += 1;
        let at = port.map_or_else(free_port, Ok).map_err(|error| error.to_string())?;
        match request(wanted, at).start().await {
            Ok(container) => break (container, at),
            Err(error) if tries < TRIES && is_taken(&error) => {}
            Err(error) => return Err(format!("{} cannot be started: {error}", wanted.image)),
        }
    };
    answers(wanted, &container, port).await?;
    Ok((container, port))
}

/// A port that is free now. The server has to be told its name before it starts, so the engine cannot choose.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn is_taken(error: &TestcontainersError) -> bool {
    let TestcontainersError::Client(ClientError::StartContainer(error)) = error else { return false };
    let said = error.to_string();
    said.contains("address already in use") || said.contains("port is already allocated")
}

fn request(wanted: &Wanted, port: u16) -> ContainerRequest<GenericImage> {
    let (name, tag) = name_and_tag(&wanted.image);
    let (inside, volume, run) = (wanted.port.tcp(), wanted.volume.clone(), wanted.run.clone());
    let (hardened, in_memory) = (wanted.hardened, wanted.in_memory.clone());
    let mut request = GenericImage::new(name, tag)
        .with_exposed_port(inside)
        .with_label(LABEL, &wanted.run)
        .with_startup_timeout(Duration::from_secs(wanted.answers_within))
        .with_host_config_modifier(move |host| {
            publish(host, port, &inside.to_string());
            // A name that no other container has is looked for elsewhere, where there may be no way to.
            host.dns_options = Some(["timeout:1", "attempts:1"].map(str::to_owned).to_vec());
            if let Some(folder) = &volume {
                mount(host, &run, folder);
            }
            host.tmpfs.get_or_insert_default().extend(in_memory.clone());
            if hardened {
                harden(host);
            }
        });
    for (variable, value) in wanted.environment_at(HOST, port) {
        request = request.with_env_var(variable, value);
    }
    request
}

/// On loopback only: nobody else is meant to reach it.
fn publish(host: &mut HostConfig, port: u16, inside: &str) {
    let binding = PortBinding { host_ip: Some(HOST.to_owned()), host_port: Some(port.to_string()) };
    host.publish_all_ports = Some(false);
    host.port_bindings = Some(HashMap::from([(inside.to_owned(), Some(vec![binding]))]));
}

/// A volume that is found, and removed, by the run's label.
fn mount(host: &mut HostConfig, run: &str, folder: &str) {
    let labels = HashMap::from([(LABEL.to_owned(), run.to_owned())]);
    host.mounts.get_or_insert_default().push(Mount {
        target: Some(folder.to_owned()),
        source: Some(format!("grasp-gate-{run}")),
        typ: Some(MountType::VOLUME),
        volume_options: Some(MountVolumeOptions { labels: Some(labels), ..MountVolumeOptions::default() }),
        ..Mount::default()
    });
}

fn harden(host: &mut HostConfig) {
    host.readonly_rootfs = Some(true);
    host.tmpfs.get_or_insert_default().insert("/tmp".to_owned(), String::new());
    host.cap_drop = Some(vec!["ALL".to_owned()]);
    host.security_opt = Some(vec!["no-new-privileges".to_owned()]);
}

/// `registry:5000/name:tag` in two; without a tag it is the latest.
fn name_and_tag(image: &str) -> (&str, &str) {
    let file = image.rfind('/').map_or(0, |slash| slash + 1);
    match image[file..].rfind(':') {
        Some(colon) => (&image[..file + colon], &image[file + colon + 1..]),
        None => (image, "latest"),
    }
}

/// Waits until something answers HTTP at its port: a published port takes connections long before the server does.
async fn answers(wanted: &Wanted, container: &ContainerAsync<GenericImage>, port: u16) -> Result<(), String> {
    let deadline = Instant::now() + Duration::from_secs(wanted.answers_within);
    loop {
        if Target::discover(&format!("http://{HOST}:{port}"), None).await.is_ok() {
            return Ok(());
        }
        let why = match container.is_running().await {
            Ok(true) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            Ok(true) => format!("does not answer at port {} within {} s", wanted.port, wanted.answers_within),
            Ok(false) => "has ended before it answered".to_owned(),
            Err(error) => format!("cannot be asked about: {error}"),
        };
        return Err(format!("the container of {} {why}; its log:\n{}", wanted.image, log(container).await));
    }
}

async fn log(container: &ContainerAsync<GenericImage>) -> String {
    let (out, err) = tokio::join!(container.stdout_to_vec(), container.stderr_to_vec());
    [out, err].into_iter().flatten().map(|log| String::from_utf8_lossy(&log).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_may_be_named_with_or_without_registry_tag_and_digest() {
        assert_eq!(name_and_tag("grasp"), ("grasp", "latest"));
        assert_eq!(name_and_tag("grasp:1.2"), ("grasp", "1.2"));
        assert_eq!(name_and_tag("host:5000/a/grasp"), ("host:5000/a/grasp", "latest"));
        assert_eq!(name_and_tag("host:5000/a/grasp:1"), ("host:5000/a/grasp", "1"));
        assert_eq!(name_and_tag("grasp@sha256:0a"), ("grasp@sha256", "0a"));
    }
}
