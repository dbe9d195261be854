//! Well-formed packs whose trees would hurt whoever checks them out. A state names each commit, so that nothing but what it
//! holds is wrong about it.

use grasp_fixtures::packs::{self, Kind, Pack};

use super::super::case::{Area, Case, Findings};
use super::super::ground::Ground;
use super::super::meter::Load;
use super::{MAIN, push_to};
use crate::check::CheckResult;
use crate::target::receive_pack::Command;

pub(super) fn cases() -> Vec<Case> {
    vec![Case::new(
        Area::Git,
        "hostile-trees",
        "signed states for commits whose trees hold `.git` in all its spellings, `..`, slashes, links and submodules that write or run elsewhere, and malformed entries",
        "refuses what could hurt a checkout, as git's fsck does",
        Load::new(1, 40, 200_000),
        trees,
    )]
}

/// What becomes of those who get a tree.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Harm {
    /// It hurts who checks it out.
    Hurts,
    /// It is malformed, and git's fsck refuses it.
    Malformed,
    /// It is malformed, and git's fsck lets it pass: old histories hold such ones.
    Odd,
}

/// A tree, and what becomes of those who get it.
struct Tree {
    what: &'static str,
    entries: Vec<(&'static str, Vec<u8>, String)>,
    blobs: Vec<Vec<u8>>,
    harm: Harm,
}

fn file(what: &'static str, mode: &'static str, name: &[u8], content: &[u8]) -> Tree {
    let id = packs::object_id(Kind::Blob, content);
    Tree { what, entries: vec![(mode, name.to_vec(), id)], blobs: vec![content.to_vec()], harm: Harm::Hurts }
}

fn all() -> Vec<Tree> {
    let names: [(&str, &[u8]); 11] = [
        ("`.git`", b".git"),
        ("`.GIT`", b".GIT"),
        ("`.git` with an ignorable code point (HFS+)", ".g\u{200c}it".as_bytes()),
        ("`git~1` (NTFS)", b"git~1"),
        ("`.git.` (NTFS)", b".git."),
        ("`.git::$INDEX_ALLOCATION` (NTFS)", b".git::$INDEX_ALLOCATION"),
        ("`..`", b".."),
        ("`.`", b"."),
        ("an empty name", b""),
        ("a path with slashes", b"a/../../b"),
        ("an absolute path", b"/etc/cron.d/x"),
    ];
    let mut trees: Vec<Tree> =
        names.into_iter().map(|(what, name)| file(what, "100644", name, b"hurts\n")).collect();
    let modules = |name: &str, path: &str, url: &str| {
        format!("[submodule \"{name}\"]\n\tpath = {path}\n\turl = {url}\n").into_bytes()
    };
    for (what, content) in [
        ("a submodule whose URL is an option", modules("x", "x", "--upload-pack=id")),
        ("a submodule whose path is an option", modules("x", "--evil", "https://a.example/x")),
        ("a submodule whose URL holds a line break", modules("x", "x", "https://a.example/%0ahost=b")),
        ("a submodule whose name leads outside", modules("../../x", "x", "https://a.example/x")),
    ] {
        trees.push(file(what, "100644", b".gitmodules", &content));
    }
    trees.push(file("`.gitmodules` as a link", "120000", b".gitmodules", b"../../x"));
    let blob = packs::object_id(Kind::Blob, b"twice\n");
    let twice = |first: &[u8], second: &[u8]| {
        vec![("100644", first.to_vec(), blob.clone()), ("100644", second.to_vec(), blob.clone())]
    };
    let wrong = |what, entries, harm| Tree { what, entries, blobs: vec![b"twice\n".to_vec()], harm };
    let malformed = |what, entries| wrong(what, entries, Harm::Malformed);
    trees.push(malformed("a name twice", twice(b"x", b"x")));
    trees.push(malformed("names out of order", twice(b"y", b"x")));
    trees.push(malformed("a name of 10 KB", vec![("100644", vec![b'n'; 10_000], blob.clone())]));
    trees.push(wrong("a mode that is none", vec![("777777", b"x".to_vec(), blob.clone())], Harm::Odd));
    trees.push(malformed("an entry of zeros", vec![("100644", b"x".to_vec(), "0".repeat(40))]));
    trees
}

async fn trees(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let ctx = &ground.ctx;
    ctx.announce().await?;
    let path = crate::target::url::repository_path(&ctx.owner.public_key(), &ctx.identifier);
    for Tree { what, entries, blobs, harm } in all() {
        let entries: Vec<(&str, &[u8], &str)> =
            entries.iter().map(|(mode, name, id)| (*mode, name.as_slice(), id.as_str())).collect();
        let tree = packs::tree(&entries);
        let commit = packs::commit(&packs::object_id(Kind::Tree, &tree), &ctx.other_identifier());
        let tip = packs::object_id(Kind::Commit, &commit);
        ctx.state_by(&ctx.owner, &ctx.state(&tip)).await?;
        let pack = blobs.iter().fold(Pack::new(), |pack, blob| pack.object(Kind::Blob, blob));
        let pack = pack.object(Kind::Tree, &tree).object(Kind::Commit, &commit).finish();
        let before = ctx.shown(&path).await?.refs.get(MAIN).cloned();
        let command =
            before.map_or_else(|| Command::create(MAIN, &tip), |old| Command::update(MAIN, &old, &tip));
        let heard = push_to(&ground, &path, &command, &pack).await?;
        let taken = heard.first().is_some_and(|reply| reply.text().contains(&format!("ok {MAIN}")));
        match harm {
            Harm::Odd if taken => findings.robust("taken, as git's fsck takes it"),
            Harm::Malformed if taken => {
                findings.tolerable(what, "taken; it hurts nobody, but no git writes such a tree");
            }
            _ => findings.refused_push(what, &heard),
        }
    }
    Ok(findings)
}
