//! Pushes with the real client.

use std::sync::Arc;
use std::time::Duration;

use grasp_server::git::GitLimits;
use tokio::sync::Semaphore;

use super::world::{World, noise, packet, packets, read, until};

const ZERO: &str = "0000000000000000000000000000000000000000";

#[test]
fn refs_are_created_updated_and_deleted() {
    let world = World::new();
    world.client("c", 2);
    world.git("c", &["tag", "-a", "v1", "-m", "one"]);
    world.git("c", &["push", "-q", "origin", "main", "main~1:refs/heads/old", "v1"]);
    world.commit("c", "more", b"more");
    world.git("c", &["push", "-q", "origin", "main", ":refs/heads/old"]);
    let head = world.git("c", &["rev-parse", "HEAD"]);
    let tag = world.git("c", &["rev-parse", "v1"]);
    assert_eq!(world.refs(), format!("{head} refs/heads/main\n{tag} refs/tags/v1"));
    world.git("c", &["push", "-q", "origin", ":refs/tags/v1"]);
    assert_eq!(world.refs(), format!("{head} refs/heads/main"));
    // Nothing to send: the objects are here already.
    world.git("c", &["push", "-q", "origin", "main~1:refs/heads/again"]);
    assert!(world.refs().contains("refs/heads/again"));
    world.git("thin.git", &["fsck", "--strict", "--connectivity-only"]);
    world.settle();
}

#[test]
fn options_progress_and_thin_packs_go_through() {
    let world = World::new();
    world.client("c", 0);
    let mut text = String::from_utf8(noise(40_000, 3).iter().map(|byte| b'a' + byte % 26).collect()).unwrap();
    world.commit("c", "text", text.as_bytes());
    world.git("c", &["push", "-q", "origin", "main"]);
    text.push_str("one more line");
    world.commit("c", "text", text.as_bytes());
    let output =
        world.try_git("c", &["push", "--thin", "--progress", "-o", "ci.skip", "-o", "x=y", "origin", "main"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("remote: Resolving deltas"), "{said}");
    world.git("", &["clone", "-q", &world.url(), "d"]);
    assert_eq!(std::fs::read_to_string(world.file("d/text")).unwrap(), text);
}

#[test]
fn a_refused_ref_says_why_and_the_others_land() {
    let world = World::new();
    world.client("c", 1);
    let long = "the waiting state lists refs/heads/dev too, and this push leaves it behind; to push all of it:\n  git push origin main dev";
    world.state().judged_no.insert("refs/heads/no".into(), "the signed state does not list it".into());
    world.state().judged_no.insert("refs/heads/long".into(), long.into());
    world.state().landed_no.insert("refs/heads/late".into(), "somebody was faster".into());
    let refs = ["main", "main:no", "main:long", "main:late"];
    let said = world.git_fails("c", &[&["push", "origin"][..], &refs].concat());
    assert!(said.contains("[remote rejected] main -> no (the signed state does not list it)"), "{said}");
    assert!(said.contains("main -> late (somebody was faster)"), "{said}");
    assert!(said.contains("main -> long (the waiting state lists"), "{said}");
    assert!(said.contains("remote: refs/heads/long refused:"), "{said}");
    assert!(said.contains("remote:     git push origin main dev"), "{said}");
    assert_eq!(world.refs().lines().count(), 1, "{}", world.refs());
    assert_eq!(world.state().landings.len(), 1);
    world.settle();
}

#[test]
fn an_atomic_push_is_refused_whole() {
    let world = World::new();
    world.client("c", 1);
    world.state().judged_no.insert("refs/heads/no".into(), "not this one".into());
    let said = world.git_fails("c", &["push", "--atomic", "origin", "main", "main:no"]);
    assert!(said.contains("main -> no (not this one)"), "{said}");
    assert!(said.contains("main -> main (atomic transaction failed)"), "{said}");
    world.state().judged_no.clear();
    world.state().landed_no.insert("refs/heads/no".into(), "not this one".into());
    world.git_fails("c", &["push", "--atomic", "origin", "main", "main:no"]);
    assert_eq!(world.refs(), "");
    world.state().landed_no.clear();
    world.git("c", &["push", "-q", "--atomic", "origin", "main", "main:no"]);
    assert_eq!(world.refs().lines().count(), 2);
}

#[test]
fn a_refused_push_is_read_to_its_end_so_that_the_reason_arrives() {
    let world = World::new();
    world.client("c", 0);
    world.commit("c", "noise", &noise(20 << 20, 4));
    world.state().judged_no.insert("refs/heads/main".into(), "no state waits for this".into());
    for buffer in ["http.postBuffer=65536", "http.postBuffer=100000000"] {
        let said = world.git_fails("c", &["-c", buffer, "push", "origin", "main"]);
        assert!(said.contains("(no state waits for this)"), "{said}");
    }
    assert!(world.state().landings.is_empty() && world.quarantine_is_empty());
}

#[test]
fn big_pushes_probe_and_then_come_in_chunks() {
    let world = World::new();
    world.client("c", 0);
    for n in 0..4 {
        world.commit("c", &format!("noise{n}"), &noise(8 << 20, 5 + n));
    }
    world.git("c", &["-c", "http.postBuffer=65536", "push", "-q", "origin", "main"]);
    world.git("", &["clone", "-q", &world.url(), "d"]);
    assert_eq!(world.git("d", &["rev-parse", "HEAD"]), world.git("c", &["rev-parse", "HEAD"]));
    // Packs only: nothing was unpacked into loose objects.
    let loose = world.git("thin.git", &["count-objects", "-v"]);
    assert!(loose.starts_with("count: 0"), "{loose}");
}

#[test]
fn a_thousand_refs_in_one_push() {
    let world = World::new();
    world.client("c", 1);
    let head = world.git("c", &["rev-parse", "HEAD"]);
    let packed: String = (0..1000).map(|n| format!("{head} refs/heads/b{n:04}\n")).collect();
    std::fs::write(world.file("c/.git/packed-refs"), packed).unwrap();
    world.git("c", &["push", "-q", "--all", "origin"]);
    assert_eq!(world.refs().lines().count(), 1001);
}

#[test]
fn a_probe_changes_nothing() {
    let world = World::new();
    for body in ["0000", ""] {
        let answer = world.http("POST", "git-receive-pack", &[], body.as_bytes());
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert!(answer.head.contains("content-type: application/x-git-receive-pack-result"));
    }
    assert!(world.state().landings.is_empty());
}

/// A push by hand, with what `pack` is.
fn push(world: &World, refs: &[(&str, &str)], capabilities: &str, pack: &[u8]) -> Vec<Vec<u8>> {
    let mut body = Vec::new();
    for (at, (name, new)) in refs.iter().enumerate() {
        let capabilities = if at == 0 { format!("\0{capabilities}") } else { String::new() };
        body.extend(packet(&format!("{ZERO} {new} {name}{capabilities}")));
    }
    body.extend(b"0000");
    body.extend(pack);
    let answer = world.http("POST", "git-receive-pack", &[], &body);
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    packets(&answer.body)
}

fn text(packets: &[Vec<u8>]) -> Vec<String> {
    packets.iter().map(|packet| String::from_utf8_lossy(packet).into_owned()).collect()
}

/// A pack of what `rev-list --objects` names.
pub(super) fn pack(world: &World, revisions: &str) -> Vec<u8> {
    let list = world.git("c", &["rev-list", "--objects", "--no-object-names", revisions]);
    let mut child = super::world::hermetic(std::process::Command::new("git"), world.folder.path())
        .current_dir(world.file("c"))
        .args(["pack-objects", "--stdout", "-q"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), list.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn packs_that_are_broken_or_lack_something_are_refused() {
    let world = World::new();
    world.client("c", 3);
    let head = world.git("c", &["rev-parse", "HEAD"]);
    let refs = [("refs/heads/main", head.as_str())];
    let whole = pack(&world, "HEAD");
    let mut corrupt = whole.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0xff;
    let cut = &whole[..whole.len() - 30];
    let lacking = pack(&world, "HEAD^!");
    for broken in [&corrupt[..], cut, &lacking, b"", b"no pack at all, but a text instead of it"] {
        let report = text(&push(&world, &refs, "report-status", broken));
        assert!(report[0].starts_with("unpack ") && report[0] != "unpack ok\n", "{report:?}");
        assert_eq!(report[1..], ["ng refs/heads/main unpacker error\n", "0000"]);
    }
    let other = [("refs/heads/main", "1111111111111111111111111111111111111111")];
    let report = text(&push(&world, &other, "report-status", &whole));
    assert_eq!(report[1], "ng refs/heads/main missing necessary objects\n");
    let blob = world.git("c", &["rev-parse", "HEAD:file1"]);
    let mixed = [
        ("refs/heads/blob", blob.as_str()),
        ("refs/tags/blob", &blob),
        ("HEAD", &head),
        ("refs/heads/x.lock", &head),
    ];
    let report = text(&push(&world, &mixed, "report-status-v2", &whole));
    assert_eq!(report[0], "unpack ok\n");
    assert!(report[1].starts_with("ng refs/heads/blob a branch names a commit"), "{report:?}");
    let rest =
        ["ok refs/tags/blob\n", "ng HEAD funny refname\n", "ng refs/heads/x.lock funny refname\n", "0000"];
    assert_eq!(report[2..], rest);
    assert_eq!(world.refs(), format!("{blob} refs/tags/blob"));
    world.settle();
}

#[test]
fn refusals_of_the_pack_travel_in_the_side_band() {
    let world = World::with(GitLimits { max_push_bytes: 100_000, ..GitLimits::default() });
    world.client("c", 0);
    let head = world.commit("c", "noise", &noise(3 << 20, 9));
    let report =
        text(&push(&world, &[("refs/heads/main", &head)], "report-status side-band-64k", b"garbage"));
    assert!(
        report.iter().all(|packet| packet.starts_with(['\x01', '\x02']) || packet == "0000"),
        "{report:?}"
    );
    let said = world.git_fails("c", &["push", "origin", "main"]);
    assert!(said.contains("main -> main (unpacker error)"), "{said}");
    assert!(said.contains("exceeds maximum allowed size"), "{said}");
    assert!(!said.contains("bad band"), "{said}");
    assert!(!said.contains(&*world.file("quarantine").to_string_lossy()), "{said}");
    assert_eq!(world.refs(), "");
    world.settle();
}

#[test]
fn histories_with_old_flaws_are_taken_and_dangerous_trees_are_not() {
    let world = World::new();
    world.client("c", 1);
    let tree = world.git("c", &["rev-parse", "HEAD^{tree}"]);
    let flawed = format!("tree {tree}\nauthor Old <> 1 +051800\ncommitter Old <> 1 +051800\n\nold\n");
    std::fs::write(world.file("flawed"), flawed).unwrap();
    let flawed = world.git("c", &["hash-object", "-t", "commit", "--literally", "-w", "../flawed"]);
    world.git("c", &["push", "-q", "origin", &format!("{flawed}:refs/heads/old")]);
    let blob = world.git("c", &["rev-parse", "HEAD:file0"]);
    let bytes: Vec<u8> =
        (0..40).step_by(2).map(|at| u8::from_str_radix(&blob[at..at + 2], 16).unwrap()).collect();
    std::fs::write(world.file("tree"), [b"100644 .git\0", &bytes[..]].concat()).unwrap();
    let tree = world.git("c", &["hash-object", "-t", "tree", "--literally", "-w", "../tree"]);
    let commit = world.git("c", &["commit-tree", "-m", "evil", &tree]);
    let said = world.git_fails("c", &["push", "origin", &format!("{commit}:refs/heads/evil")]);
    assert!(said.contains("hasDotgit"), "{said}");
}

#[test]
fn a_slow_landing_is_never_silent_and_outlives_its_client() {
    let world = World::with(GitLimits { keep_alive: Duration::from_millis(20), ..GitLimits::default() });
    world.client("c", 1);
    let head = world.git("c", &["rev-parse", "HEAD"]);
    let gate = Arc::new(Semaphore::new(0));
    world.state().landing = Some(gate.clone());
    let command = packet(&format!("{ZERO} {head} refs/heads/main\0report-status side-band-64k"));
    let body = [command, b"0000".to_vec(), pack(&world, "HEAD")].concat();
    let send = || {
        let mut stream = world.open("POST", "git-receive-pack", &[], Some(body.len()));
        std::io::Write::write_all(&mut stream, &body).unwrap();
        let mut seen = Vec::new();
        while seen.windows(10).filter(|window| window == b"0005\x010005\x01").count() < 3 {
            let mut byte = [0];
            std::io::Read::read_exact(&mut stream, &mut byte).unwrap();
            seen.push(byte[0]);
        }
        stream
    };
    drop(send());
    gate.add_permits(1);
    until("the push has landed without its client", || !world.refs().is_empty());
    world.git("thin.git", &["update-ref", "-d", "refs/heads/main"]);
    let stream = send();
    gate.add_permits(1);
    // The head of this answer was read already.
    let mut rest = Vec::new();
    let mut stream = stream;
    std::io::Read::read_to_end(&mut stream, &mut rest).unwrap();
    let rest = String::from_utf8_lossy(&rest).into_owned();
    assert!(rest.ends_with("000eunpack ok\n0017ok refs/heads/main\n00000000"), "{rest:?}");
    world.settle();
}

#[test]
fn expect_100_continue_is_answered_before_the_body() {
    use std::io::{Read, Write};
    let world = World::new();
    let mut stream = std::net::TcpStream::connect(world.address).unwrap();
    let path = world.path();
    write!(
        stream,
        "POST {path}/git-receive-pack HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\n\
         Transfer-Encoding: chunked\r\n\r\n"
    )
    .unwrap();
    let mut seen = [0; 25];
    stream.read_exact(&mut seen).unwrap();
    assert_eq!(&seen, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"4\r\n0000\r\n0\r\n\r\n").unwrap();
    assert_eq!(read(stream).status, 200);
}
