//! Clones and fetches with the real client.

use super::world::{World, noise, packet, until};

/// Everything a repository can be asked for.
fn hosted() -> World {
    let world = World::new();
    world.client("c", 3);
    world.git("c", &["tag", "-a", "v1", "-m", "one", "HEAD~1"]);
    world.git("c", &["branch", "side", "HEAD~2"]);
    world.git("c", &["push", "-q", "origin", "main", "side", "v1"]);
    world
}

#[test]
fn clones_are_identical_in_every_protocol() {
    let world = hosted();
    let expected = world.refs();
    assert_eq!(expected.lines().count(), 3);
    for version in ["0", "1", "2"] {
        let config = format!("protocol.version={version}");
        let name = format!("clone{version}");
        world.git("", &["-c", &config, "clone", "-q", "--mirror", &world.url(), &name]);
        let refs = world.git(&name, &["for-each-ref", "--format=%(objectname) %(refname)"]);
        assert_eq!(refs, expected, "version {version}");
        world.git(&name, &["fsck", "--strict"]);
    }
    world.settle();
}

#[test]
fn shallow_clones_and_their_deepening() {
    let world = hosted();
    for version in ["0", "2"] {
        let config = format!("protocol.version={version}");
        let name = format!("shallow{version}");
        world.git("", &["-c", &config, "clone", "-q", "--depth", "1", &world.url(), &name]);
        assert_eq!(world.git(&name, &["rev-list", "--count", "HEAD"]), "1");
        world.git(&name, &["-c", &config, "fetch", "-q", "--unshallow"]);
        assert_eq!(world.git(&name, &["rev-list", "--count", "HEAD"]), "3");
    }
}

#[test]
fn partial_clones_get_the_rest_by_id() {
    let world = hosted();
    for filter in ["blob:none", "tree:0"] {
        let name = filter.replace(':', "-");
        let option = format!("--filter={filter}");
        world.git("", &["clone", "-q", "--bare", &option, &world.url(), &name]);
        assert_eq!(world.git(&name, &["show", "main:file1"]), "content 1");
    }
    world.git("", &["init", "-q", "byid"]);
    let blob = world.git("c", &["rev-parse", "main:file2"]);
    for version in ["0", "2"] {
        let config = format!("protocol.version={version}");
        world.git("byid", &["-c", &config, "fetch", "-q", "--filter=blob:none", &world.url(), &blob]);
    }
    assert_eq!(world.git("byid", &["cat-file", "blob", &blob]), "content 2");
}

#[test]
fn an_unborn_head_is_told() {
    let world = World::new();
    std::fs::write(world.gate.thin.join("HEAD"), "ref: refs/heads/trunk\n").unwrap();
    world.git("", &["clone", "-q", &world.url(), "empty"]);
    assert_eq!(world.git("empty", &["symbolic-ref", "HEAD"]), "refs/heads/trunk");
}

#[test]
fn later_fetches_get_what_is_new_with_compressed_negotiations() {
    let world = World::new();
    world.client("c", 1);
    // Many tips make a negotiation that git compresses (from 1,024 bytes on).
    for n in 0..60 {
        world.git(
            "c",
            &[
                "branch",
                &format!("b{n}"),
                &world.git("c", &["commit-tree", "-m", &n.to_string(), "HEAD^{tree}"]),
            ],
        );
    }
    world.git("c", &["push", "-q", "--all", "origin"]);
    world.git("", &["clone", "-q", &world.url(), "d"]);
    world.commit("c", "new", b"new");
    world.git("c", &["push", "-q", "origin", "main"]);
    for version in ["0", "2"] {
        world.git("d", &["-c", &format!("protocol.version={version}"), "fetch", "-q"]);
        world.commit("c", &format!("new{version}"), b"new");
        world.git("c", &["push", "-q", "origin", "main"]);
    }
    world.git("d", &["pull", "-q"]);
    assert_eq!(world.git("d", &["rev-parse", "HEAD"]), world.git("c", &["rev-parse", "HEAD"]));
}

#[test]
fn unsigned_uploads_can_be_fetched_from_their_own_folder() {
    let world = World::new();
    world.client("c", 1);
    world.git("c", &["push", "-q", "origin", "main"]);
    let tip = world.commit("c", "pr", b"a pull request");
    let name = format!("refs/nostr/{}", "b".repeat(64));
    {
        let mut state = world.state();
        state.unsigned_objects = vec![world.file("c/.git/objects")];
        state.unsigned = vec![grasp_server::git::RefEntry {
            name: name.parse().unwrap(),
            oid: tip.parse().unwrap(),
            peeled: None,
        }];
    }
    world.git("", &["clone", "-q", &world.url(), "d"]);
    for version in ["0", "2"] {
        let target = format!("{name}:refs/pr/{version}");
        world.git("d", &["-c", &format!("protocol.version={version}"), "fetch", "-q", "origin", &target]);
        assert_eq!(world.git("d", &["rev-parse", &format!("refs/pr/{version}")]), tip);
    }
}

#[test]
fn probes_and_nonsense_are_answered_without_git() {
    let world = World::new();
    for version in ["version=0", "version=2"] {
        for body in ["", "0000"] {
            let answer = world.http("POST", "git-upload-pack", &[("Git-Protocol", version)], body.as_bytes());
            assert_eq!((answer.status, answer.body.len()), (200, 0), "{version} {body:?}");
        }
    }
    let cases = [
        (packet("command=frobnicate"), "ERR invalid command 'frobnicate'"),
        (packet("agent=x"), "ERR no command requested"),
        (packet("hello"), "ERR unknown capability 'hello'"),
        (
            [packet("command=ls-refs"), packet("object-format=sha256")].concat(),
            "ERR mismatched object format",
        ),
        (
            [packet("command=ls-refs"), b"0001".to_vec(), packet("what")].concat(),
            "ERR unexpected line: 'what'",
        ),
    ];
    for (mut body, expected) in cases {
        body.extend(b"0000");
        let answer = world.http("POST", "git-upload-pack", &[("Git-Protocol", "version=2")], &body);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(answer.status == 200 && text[4..].starts_with(expected), "{text}");
    }
    let answer = world.http("POST", "git-upload-pack", &[("Git-Protocol", "version=2")], b"zzzz");
    assert_eq!(answer.status, 400);
}

#[test]
fn what_is_not_here_is_said_so() {
    let world = hosted();
    for version in ["0", "2"] {
        let config = format!("protocol.version={version}");
        let said = world.git_fails("c", &["-c", &config, "fetch", "origin", &"1".repeat(40)]);
        assert!(said.contains("not our ref"), "{said}");
    }
}

#[test]
fn a_client_that_goes_away_takes_its_process_along() {
    let world = World::new();
    world.client("c", 0);
    let tip = world.commit("c", "noise", &noise(30 << 20, 1));
    world.git("c", &["push", "-q", "origin", "main"]);
    world.settle();
    let request =
        [packet(&format!("want {tip} side-band-64k\n")), b"0000".to_vec(), packet("done\n")].concat();
    let mut stream = world.open("POST", "git-upload-pack", &[], Some(request.len()));
    std::io::Write::write_all(&mut stream, &request).unwrap();
    std::io::Read::read_exact(&mut stream, &mut [0; 1000]).unwrap();
    until("git runs and waits for the client", || world.has_children());
    drop(stream);
    world.settle();
}

#[test]
fn shutdown_ends_what_runs_after_its_grace() {
    let limits =
        grasp_server::git::GitLimits { shutdown_grace: std::time::Duration::ZERO, ..Default::default() };
    let world = World::with(limits);
    world.client("c", 0);
    let tip = world.commit("c", "noise", &noise(30 << 20, 2));
    world.git("c", &["push", "-q", "origin", "main"]);
    let request =
        [packet(&format!("want {tip} side-band-64k\n")), b"0000".to_vec(), packet("done\n")].concat();
    let mut stream = world.open("POST", "git-upload-pack", &[], Some(request.len()));
    std::io::Write::write_all(&mut stream, &request).unwrap();
    std::io::Read::read_exact(&mut stream, &mut [0; 1000]).unwrap();
    world.service.shutdown.cancel();
    world.settle();
    assert_eq!(world.http("GET", "info/refs?service=git-upload-pack", &[], b"").status, 503);
    drop(stream);
}
