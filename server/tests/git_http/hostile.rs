//! Clients that lie, vanish or send too much.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use grasp_server::git::GitLimits;

use super::world::{World, noise, packet, until};

const ZERO: &str = "0000000000000000000000000000000000000000";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_gzip_bomb_is_told_so() {
    let world = World::new();
    world.client("c", 1);
    let bomb = gzip(&vec![b'0'; 100 << 20]);
    let headers = [("Content-Encoding", "gzip"), ("Git-Protocol", "version=2")];
    for path in ["git-upload-pack", "git-receive-pack"] {
        let answer = world.http("POST", path, &headers[..1], &[&gzip(b"0009want "), &bomb[..]].concat());
        assert!(matches!(answer.status, 400 | 413), "{path}: {}", answer.status);
    }
    // A fetch whose arguments never end.
    let want = packet(&format!("want {}\n", world.git("c", &["rev-parse", "HEAD"])));
    let head = [packet("command=fetch"), b"0001".to_vec()].concat();
    let many = [head, want.repeat(1 << 20)].concat();
    let answer = world.http("POST", "git-upload-pack", &headers, &gzip(&many));
    assert_eq!(answer.status, 413);
    assert!(String::from_utf8_lossy(&answer.body).contains("expands more than"), "{:?}", answer.head);
    // The same without compression ends at the bound.
    let answer = world.http("POST", "git-upload-pack", &headers[1..], &many);
    assert_eq!(answer.status, 413);
    world.settle();
}

#[test]
fn a_long_negotiation_is_spilled_and_answered() {
    let world = World::with(GitLimits { negotiation_memory_bytes: 1000, ..GitLimits::default() });
    world.client("c", 1);
    world.git("c", &["push", "-q", "origin", "main"]);
    let head = world.git("c", &["rev-parse", "HEAD"]);
    let mut request = [packet("command=fetch"), b"0001".to_vec(), packet(&format!("want {head}\n"))].concat();
    for n in 0..5000 {
        request.extend(packet(&format!("have {n:040x}\n")));
    }
    request.extend([packet("done\n"), b"0000".to_vec()].concat());
    let answer = world.http("POST", "git-upload-pack", &[("Git-Protocol", "version=2")], &request);
    assert!(answer.body.starts_with(b"000dpackfile\n"), "{:?}", String::from_utf8_lossy(&answer.body));
}

#[test]
fn an_unknown_repository_is_refused_before_its_body_is_read() {
    let world = World::new();
    let path = "git-receive-pack";
    let url = world.path().replace("project", "other");
    let mut stream = std::net::TcpStream::connect(world.address).unwrap();
    write!(stream, "POST {url}/{path} HTTP/1.0\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n").unwrap();
    let answer = super::world::read(stream);
    assert_eq!(answer.status, 404);
    assert!(String::from_utf8_lossy(&answer.body).contains("announce it"));
    let said = world.git_fails("", &["ls-remote", &format!("http://{}{url}", world.address)]);
    assert!(said.contains("announce it"), "{said}");
}

#[test]
fn a_pusher_that_vanishes_leaves_no_process_and_no_folder() {
    let world = World::new();
    world.client("c", 0);
    let head = world.commit("c", "noise", &noise(2 << 20, 1));
    let pack = super::push::pack(&world, "HEAD");
    let command = packet(&format!("{ZERO} {head} refs/heads/main\0report-status"));
    let cut = [&command[..], b"0000", &pack[..1 << 20]].concat();
    for part in [command[..20].to_vec(), command.clone(), cut] {
        let has_pack = part.len() > command.len();
        let mut stream = world.open("POST", "git-receive-pack", &[], Some(1 << 30));
        stream.write_all(&part).unwrap();
        until("the push has begun", || {
            !world.service.tasks.is_empty()
                && (!has_pack || !world.quarantine_is_empty() && world.has_children())
        });
        drop(stream);
        world.settle();
    }
    assert_eq!(world.refs(), "");
    assert!(world.state().landings.is_empty());
}

#[test]
fn commands_without_end_are_refused() {
    let world = World::with(GitLimits { max_commands: 100, ..GitLimits::default() });
    let line = |n: u32| packet(&format!("{ZERO} {} refs/heads/b{n}", "1".repeat(40)));
    let body: Vec<u8> = (0..101).flat_map(line).chain(*b"0000").collect();
    let answer = world.http("POST", "git-receive-pack", &[], &body);
    assert_eq!(answer.status, 413);
    let answer = world.http("POST", "git-receive-pack", &[], b"0009hello0000");
    assert_eq!(answer.status, 400);
    assert!(String::from_utf8_lossy(&answer.body).contains("expected old/new/ref"));
}

#[test]
fn a_client_that_falls_silent_is_let_go() {
    let world =
        World::with(GitLimits { idle: std::time::Duration::from_millis(100), ..GitLimits::default() });
    let mut stream = world.open("POST", "git-receive-pack", &[], Some(1000));
    stream.write_all(b"00").unwrap();
    assert_eq!(super::world::read(stream).status, 408);
    world.client("c", 0);
    let head = world.commit("c", "noise", &noise(1 << 20, 1));
    let pack = super::push::pack(&world, "HEAD");
    let command = packet(&format!("{ZERO} {head} refs/heads/main\0report-status"));
    let mut stream = world.open("POST", "git-receive-pack", &[], Some(2 << 20));
    stream.write_all(&[&command[..], b"0000", &pack[..pack.len() / 2]].concat()).unwrap();
    assert_eq!(super::world::read(stream).status, 408);
    world.settle();
}
