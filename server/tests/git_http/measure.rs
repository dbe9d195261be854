//! Figures. They need the machine, and the process, for themselves: `--ignored --test-threads=1 --nocapture`.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gate::snapshot;
use super::world::{World, hermetic, noise, packet};

/// The highest resident memory of this process so far, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[test]
#[ignore = "measures the memory of the whole process, and takes a minute"]
fn big_bodies_cost_no_memory() {
    let world = World::new();
    world.client("c", 1);
    world.git("c", &["push", "-q", "origin", "main:refs/heads/first"]);
    let mut file = std::fs::File::create(world.file("c/noise")).unwrap();
    for part in 0..300 {
        file.write_all(&noise(1 << 20, part + 1)).unwrap();
    }
    world.git("c", &["add", "."]);
    world.git("c", &["commit", "-q", "-m", "noise"]);
    let before = peak();
    world.git("c", &["push", "-q", "origin", "main"]);
    let pushed = peak();
    world.git("", &["clone", "-q", "--bare", &world.url(), "d"]);
    let cloned = peak();
    println!("peak memory: {before} MiB, after a push of 300 MiB {pushed} MiB, after its clone {cloned} MiB");
    assert!(cloned - before < 64);
}

/// One request over a connection that stays; returns the answer's length.
fn ask(stream: &mut std::net::TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> usize {
    stream.write_all(request).unwrap();
    buffer.clear();
    let mut chunk = [0; 65_536];
    loop {
        let read = stream.read(&mut chunk).unwrap();
        buffer.extend_from_slice(&chunk[..read]);
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
        let (_, length) = head.split_once("content-length: ").unwrap();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        while buffer.len() < end + 4 + length {
            let read = stream.read(&mut chunk).unwrap();
            buffer.extend_from_slice(&chunk[..read]);
        }
        return length;
    }
}

#[test]
#[ignore = "needs the machine for itself"]
fn advertisements_are_much_faster_than_starting_git() {
    let world = World::new();
    world.client("c", 1);
    let head = world.git("c", &["rev-parse", "HEAD"]);
    world.git("c", &["push", "-q", "origin", "main"]);
    let packed: String = (0..1000).map(|n| format!("{head} refs/heads/b{n:04}\n")).collect();
    std::fs::write(world.file("thin.git/packed-refs"), packed).unwrap();
    world.state().shown = Some(Arc::new(snapshot(&world.gate.thin, vec![])));
    let mut body =
        [packet("command=ls-refs\n"), b"0001".to_vec(), packet("peel\n"), packet("symrefs\n")].concat();
    for prefix in ["HEAD", "refs/heads/", "refs/tags/"] {
        body.extend(packet(&format!("ref-prefix {prefix}\n")));
    }
    body.extend(b"0000");
    let path = world.path();
    let get = format!(
        "GET {path}/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\nGit-Protocol: version=2\r\n\r\n"
    );
    let head = format!(
        "POST {path}/git-upload-pack HTTP/1.1\r\nHost: x\r\nGit-Protocol: version=2\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let post = [head.as_bytes(), &body].concat();
    let mut stream = std::net::TcpStream::connect(world.address).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    let ours = rate(|| {
        ask(&mut stream, get.as_bytes(), &mut buffer);
        assert!(ask(&mut stream, &post, &mut buffer) > 50_000);
    });
    let git = |args: &[&str], input: &[u8]| {
        let mut child = hermetic(Command::new("git"), world.folder.path())
            .env("GIT_PROTOCOL", "version=2")
            .args(args)
            .arg(&world.gate.thin)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        assert!(child.wait_with_output().unwrap().status.success());
    };
    let theirs = rate(|| {
        git(&["upload-pack", "--http-backend-info-refs"], b"");
        git(&["upload-pack", "--stateless-rpc"], &body);
    });
    println!("pairs of info/refs and ls-refs: {ours:.0}/s, by git {theirs:.0}/s, ratio {:.1}", ours / theirs);
    assert!(ours > 20.0 * theirs);
}

fn rate(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut times = 0;
    while start.elapsed() < Duration::from_secs(3) {
        work();
        times += 1;
    }
    f64::from(times) / start.elapsed().as_secs_f64()
}
