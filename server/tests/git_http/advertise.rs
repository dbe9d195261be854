//! What is answered in-process, held against what `git upload-pack` answers for the same repository.

use std::io::Write;
use std::process::{Command, Stdio};

use git2::{ObjectType, Oid, Repository, Signature, Time};
use proptest::prelude::*;

use super::world::{World, hermetic, packet, packets};

/// A ref of a generated repository.
#[derive(Debug, Clone)]
struct Ref {
    name: String,
    commit: usize,
    /// How many annotated tags lie between the ref and the commit.
    tags: usize,
}

#[derive(Debug, Clone)]
struct Generated {
    head: String,
    refs: Vec<Ref>,
    peel: bool,
    symrefs: bool,
    unborn: bool,
    prefixes: Vec<String>,
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "refs/heads/(main|a|b|a-b|x/y|x-y|ä)",
        "refs/tags/(v1|v2|v1-rc|n/1)",
        "refs/nostr/[ab]{3}",
        Just("refs/notes/commits".into()),
    ]
}

fn prefix() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("HEAD".to_owned()),
        Just("refs/heads/".into()),
        Just("refs/tags/".into()),
        Just("refs/".into()),
        Just(String::new()),
        Just("H".into()),
        name(),
        name().prop_map(|name| name.chars().take(name.chars().count() - 1).collect()),
    ]
}

fn generated() -> impl Strategy<Value = Generated> {
    let reference = (name(), 0..4_usize, 0..3_usize).prop_map(|(name, commit, tags)| {
        let tags = if name.starts_with("refs/heads/") { 0 } else { tags };
        Ref { name, commit, tags }
    });
    let refs = prop::collection::vec(reference, 0..10);
    (refs, "refs/heads/(main|a|gone)", any::<[bool; 3]>(), prop::collection::vec(prefix(), 0..5)).prop_map(
        |(refs, head, [peel, symrefs, unborn], prefixes)| Generated {
            head,
            refs,
            peel,
            symrefs,
            unborn,
            prefixes,
        },
    )
}

fn build(world: &World, generated: &Generated) {
    let repository = Repository::open_bare(&world.gate.thin).unwrap();
    let somebody = Signature::new("S", "s@example.com", &Time::new(1_700_000_000, 0)).unwrap();
    let tree = repository.treebuilder(None).unwrap().write().unwrap();
    let tree = repository.find_tree(tree).unwrap();
    for wanted in &generated.refs {
        let message = format!("commit {}", wanted.commit);
        let mut target: Oid = repository.commit(None, &somebody, &somebody, &message, &tree, &[]).unwrap();
        for depth in 0..wanted.tags {
            let object = repository.find_object(target, None).unwrap();
            target =
                repository.tag_annotation_create(&format!("t{depth}"), &object, &somebody, "tag").unwrap();
        }
        assert_eq!(
            repository.find_object(target, None).unwrap().kind() == Some(ObjectType::Tag),
            wanted.tags > 0
        );
        // A name may clash with a folder of the same name; then there is one ref less.
        let _ = repository.reference(&wanted.name, target, true, "");
    }
    std::fs::write(world.gate.thin.join("HEAD"), format!("ref: {}\n", generated.head)).unwrap();
}

/// What git itself answers.
fn real(world: &World, version: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = hermetic(Command::new("git"), world.folder.path())
        .env("GIT_PROTOCOL", format!("version={version}"))
        .args([
            "-c",
            "uploadpack.allowFilter=true",
            "-c",
            "uploadpack.allowAnySHA1InWant=true",
            "upload-pack",
        ])
        .args(args)
        .arg(&world.gate.thin)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap().stdout
}

/// Packets with every agent called the same.
fn comparable(bytes: &[u8]) -> Vec<String> {
    let same = |packet: Vec<u8>| {
        let text = String::from_utf8(packet).unwrap();
        match text.split_once("agent=") {
            Some((before, agent)) => {
                let after = agent.find([' ', '\n']).map_or("", |end| &agent[end..]);
                format!("{before}agent=X{after}")
            }
            None => text,
        }
    };
    packets(bytes).into_iter().map(same).collect()
}

fn ls_refs_request(generated: &Generated) -> Vec<u8> {
    let mut request =
        [packet("command=ls-refs\n"), packet("agent=git/2.0"), packet("object-format=sha1")].concat();
    request.extend(b"0001");
    for (wanted, argument) in
        [(generated.peel, "peel\n"), (generated.symrefs, "symrefs\n"), (generated.unborn, "unborn\n")]
    {
        request.extend(if wanted { packet(argument) } else { Vec::new() });
    }
    for prefix in &generated.prefixes {
        request.extend(packet(&format!("ref-prefix {prefix}\n")));
    }
    request.extend(b"0000");
    request
}

fn compare(generated: &Generated) {
    let world = World::new();
    build(&world, generated);
    for version in ["0", "1", "2"] {
        let header = format!("version={version}");
        let ours = world.http("GET", "info/refs?service=git-upload-pack", &[("Git-Protocol", &header)], b"");
        assert_eq!(ours.status, 200);
        let mut expected = comparable(&real(&world, version, &["--http-backend-info-refs"], b""));
        if version != "2" {
            expected.splice(0..0, ["# service=git-upload-pack\n".to_owned(), "0000".to_owned()]);
        }
        assert_eq!(comparable(&ours.body), expected, "version {version}");
    }
    let request = ls_refs_request(generated);
    let ours = world.http("POST", "git-upload-pack", &[("Git-Protocol", "version=2")], &request);
    let expected = real(&world, "2", &["--stateless-rpc"], &request);
    assert_eq!(comparable(&ours.body), comparable(&expected));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn advertisements_and_ls_refs_are_those_of_git(generated in generated()) {
        compare(&generated);
    }
}

#[test]
fn prefixes_beyond_65535_are_ignored_as_git_ignores_them() {
    let reference = Ref { name: "refs/tags/v1".into(), commit: 0, tags: 2 };
    for count in [65_535, 65_536] {
        compare(&Generated {
            head: "refs/heads/main".into(),
            refs: vec![reference.clone(), Ref { name: "refs/heads/main".into(), ..reference.clone() }],
            peel: true,
            symrefs: true,
            unborn: false,
            prefixes: (0..count).map(|n| format!("{n}")).collect(),
        });
    }
}

#[test]
fn unsigned_uploads_are_shown_to_fetchers_in_order_and_not_to_pushers() {
    let world = World::new();
    world.client("c", 1);
    world.git("c", &["push", "-q", "origin", "main", "main:refs/tags/z"]);
    let oid = world.git("c", &["rev-parse", "HEAD"]);
    let name = format!("refs/nostr/{}", "a".repeat(64));
    world.state().unsigned = vec![grasp_server::git::RefEntry {
        name: name.parse().unwrap(),
        oid: oid.parse().unwrap(),
        peeled: None,
    }];
    let seen = world.git("c", &["ls-remote", "origin"]);
    let names: Vec<_> = seen.lines().map(|line| line.split('\t').nth(1).unwrap()).collect();
    assert_eq!(names, ["HEAD", "refs/heads/main", &name, "refs/tags/z"]);
    let push = world.http("GET", "info/refs?service=git-receive-pack", &[], b"");
    assert!(!String::from_utf8_lossy(&push.body).contains("refs/nostr"));
}

#[test]
fn pushers_see_refs_and_haves_once() {
    let world = World::new();
    world.client("c", 2);
    let empty =
        world.http("GET", "info/refs?service=git-receive-pack", &[("Git-Protocol", "version=2")], b"");
    let text = String::from_utf8_lossy(&empty.body).into_owned();
    assert!(text.starts_with("001f# service=git-receive-pack\n0000"), "{text}");
    assert!(
        text.contains(
            "capabilities^{}\0report-status report-status-v2 delete-refs side-band-64k quiet atomic"
        )
    );
    world.git("c", &["push", "-q", "origin", "main"]);
    let (head, parent) = (world.git("c", &["rev-parse", "HEAD"]), world.git("c", &["rev-parse", "HEAD^"]));
    world.state().haves = [&head, &parent, &parent].map(|oid| oid.parse().unwrap()).to_vec();
    let full = world.http("GET", "info/refs?service=git-receive-pack", &[("Git-Protocol", "version=1")], b"");
    let lines = comparable(&full.body);
    assert_eq!(lines[2], "version 1\n");
    assert!(lines[3].starts_with(&format!("{head} refs/heads/main\0")));
    assert_eq!(lines[4..], [format!("{parent} .have\n"), "0000".to_owned()]);
}

#[test]
fn the_head_of_every_answer_is_that_of_git_http_backend() {
    let world = World::new();
    for method in ["GET", "HEAD"] {
        let answer = world.http(method, "info/refs?service=git-upload-pack", &[], b"");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body.is_empty(), method == "HEAD");
        assert!(
            answer.head.contains("cache-control: no-cache, max-age=0, must-revalidate"),
            "{}",
            answer.head
        );
        assert!(answer.head.contains("content-type: application/x-git-upload-pack-advertisement"));
    }
    let cases = [
        ("GET", "info/refs?service=git-upload-archive", 403),
        ("GET", "info/refs", 403),
        ("GET", "HEAD", 404),
        ("GET", "objects/info/packs", 404),
        ("GET", "git-upload-pack", 405),
        ("POST", "info/refs", 405),
    ];
    for (method, path, status) in cases {
        let answer = world.http(method, path, &[], b"");
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.head.contains("content-type: text/plain"), "{method} {path}");
    }
    let answer = world.http("POST", "git-upload-pack", &[("Content-Type", "text/html")], b"0000");
    assert_eq!(answer.status, 415);
}
