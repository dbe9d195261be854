//! Ref names at the edge of git-check-ref-format(1), in pushes and in states.

use grasp_fixtures::{Draft, events};

use super::super::case::{Area, Case, Findings};
use super::super::ground::Ground;
use super::super::meter::Load;
use super::push_to;
use crate::check::CheckResult;
use crate::target::receive_pack::Command;

/// Names that are no names of refs, and ones that are and mean something else on disk or in a shell.
const NAMES: [&str; 44] = [
    "HEAD",
    "main",
    "refs",
    "refs/",
    "refs/heads",
    "refs/heads/",
    "refs/heads//x",
    "/refs/heads/x",
    "refs/heads/x/",
    "refs/heads/.x",
    "refs/heads/x/.y",
    "refs/heads/x..y",
    "refs/heads/x.",
    "refs/heads/x.lock",
    "refs/heads/x.lock/y",
    "refs/heads/x y",
    "refs/heads/x~y",
    "refs/heads/x^y",
    "refs/heads/x:y",
    "refs/heads/x?y",
    "refs/heads/x*y",
    "refs/heads/x[y",
    "refs/heads/x\\y",
    "refs/heads/x@{y",
    "@",
    "refs/heads/x\u{7f}",
    "refs/heads/x\ty",
    "refs/heads/x\ny",
    "refs/heads/x\u{1}y",
    "refs/heads/../heads/x",
    "refs/heads/../../config",
    "refs/heads/../../HEAD",
    "../config",
    "config",
    "refs/heads/-x",
    "refs/heads/$(id)",
    "refs/heads/;id",
    "refs/heads/\u{202e}niam",
    "refs/heads/main\u{200b}",
    "refs/heads/mai\u{f1}",
    "refs/keep/x",
    "refs/worktree/x",
    "refs/replace/x",
    "refs/notes/x",
];

/// Names below `refs/nostr/` that are no event ids.
const NOSTR_NAMES: [&str; 9] = [
    "refs/nostr/",
    "refs/nostr/x",
    "refs/nostr/../heads/main",
    "refs/nostr/0000000000000000000000000000000000000000000000000000000000000000/x",
    "refs/nostr/000000000000000000000000000000000000000000000000000000000000000",
    "refs/nostr/00000000000000000000000000000000000000000000000000000000000000000",
    "refs/nostr/ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD",
    "refs/nostr/g000000000000000000000000000000000000000000000000000000000000000",
    "refs/nostr/\u{0660}000000000000000000000000000000000000000000000000000000000000000",
];

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            Area::Git,
            "ref-names",
            "pushes to names that git forbids, that lead out of the repository, that mean something to a shell or look like others, of 4 KB and 60 KB, and to refs/nostr/ without an event id",
            "refuses every one, and creates none",
            Load::new(1, 80, 500_000),
            names,
        ),
        Case::new(
            Area::Git,
            "state-ref-names",
            "states whose refs have such names, values that are no object ids, and a HEAD that leads elsewhere",
            "answers OK false with `invalid:` (what no push could ever fulfil must not wait)",
            Load::new(1, 160, 300_000),
            states,
        ),
    ]
}

async fn names(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let victim = ground.victim()?;
    let (path, tip) = (victim.hosted.path.clone(), victim.hosted.tip.clone());
    let long = [format!("refs/heads/{}", "x".repeat(4_096)), format!("refs/heads/{}", "x/".repeat(30_000))];
    let names = NAMES.iter().chain(&NOSTR_NAMES).copied().chain(long.iter().map(String::as_str));
    let pack = grasp_fixtures::packs::Pack::new().finish();
    for name in names {
        let heard = push_to(&ground, &path, &Command::create(name, &tip), &pack).await?;
        let shown: String = name.chars().take(60).collect();
        findings.refused_push(&format!("{shown:?}"), &heard);
    }
    let shown = ground.ctx.shown(&path).await?;
    if shown.is(&victim.hosted.main_at(&tip)) && shown.refs.keys().all(|name| name == super::MAIN) {
        findings.robust("no ref was created");
    } else {
        findings.weak("afterwards", format!("the repository shows {:?}, HEAD {:?}", shown.refs, shown.head));
    }
    Ok(findings)
}

async fn states(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let ctx = &ground.ctx;
    ctx.announce().await?;
    let oid = "1".repeat(40);
    let state = |tags: Vec<[String; 2]>| {
        let draft = Draft::new(events::STATE, "").tag(["d", &ctx.identifier]);
        tags.into_iter().fold(draft, Draft::tag)
    };
    let mut drafts: Vec<(String, Draft)> = NAMES
        .iter()
        // Others are refs, or names that a state may have beside its refs, and are ignored.
        .filter(|name| name.starts_with("refs/heads/") && !is_allowed(name))
        .map(|name| (format!("{name:?}"), state(vec![[(*name).to_owned(), oid.clone()]])))
        .collect();
    for value in ["", "1", "z", &"z".repeat(40), &"1".repeat(39), &"1".repeat(41), &"1".repeat(64), "../../x"]
    {
        drafts.push((
            format!("main at {value:?}"),
            state(vec![["refs/heads/main".to_owned(), value.to_owned()]]),
        ));
    }
    let mut socket = ground.socket().await?;
    for (input, draft) in drafts {
        let event = ctx.sign(&ctx.owner, draft);
        let id = event.id.to_hex();
        socket.json(&serde_json::json!(["EVENT", event])).await?;
        let reaction = socket
            .reaction_to(|message| {
                matches!(message, crate::target::message::RelayMessage::Ok { id: of, .. } if *of == id)
            })
            .await?;
        if matches!(
            &reaction,
            super::super::frames::Reaction::Answered(crate::target::message::RelayMessage::Ok {
                accepted: true,
                ..
            })
        ) {
            ctx.keeps(&event);
        }
        findings.message(&input, &reaction);
    }
    Ok(findings)
}

/// Names that git allows, whatever else one may think of them.
fn is_allowed(name: &str) -> bool {
    let after = name.trim_start_matches("refs/heads/");
    after.starts_with(['-', '$', ';']) || name.contains(['\u{202e}', '\u{200b}', '\u{f1}'])
}
