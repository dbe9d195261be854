//! Events that are forged, have thousands of tags, or names that look like others.

use grasp_fixtures::{Announcement, Draft, State, events, forged, keys};
use nostr::event::Event;
use serde_json::{Value, json};

use super::super::case::{Area, Case, Findings};
use super::super::frames::{Reaction, Socket};
use super::super::ground::Ground;
use super::super::meter::Load;
use crate::check::CheckResult;
use crate::target::message::RelayMessage;

/// Tags of the largest events.
const MANY: usize = 5_000;
/// Announcements that list each other as maintainers.
const CIRCLE: usize = 40;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            Area::Relay,
            "forged-events",
            "announcements and states with ids, keys and signatures that are others', altered, truncated, zero or in another case; the genuine ones follow",
            "answers OK false to each forgery, and takes the genuine event afterwards",
            Load::new(2, 160, 300_000),
            forgeries,
        ),
        Case::new(
            Area::Relay,
            "many-tags",
            "announcements and states with 5,000 tags, tags of 5,000 values, and values of 100 KB",
            "answers each with OK, true or false, within seconds",
            Load::new(2, 80, 16_000_000),
            many_tags,
        ),
        Case::new(
            Area::Relay,
            "maintainer-circle",
            "40 announcements of one identifier, each listing all the others as maintainers, and a state by the last",
            "answers each within seconds: the set of maintainers is bounded and its circles end",
            Load::new(1, 150, 2_000_000),
            circle,
        ),
        Case::new(
            Area::Relay,
            "strange-identifiers",
            "identifiers with control characters, bidirectional and invisible ones, look-alikes, composed and decomposed twins, slashes, dots and 10 KB of text",
            "refuses what is not one safe path segment, answers everything, and keeps twins apart",
            Load::new(2, 140, 400_000),
            identifiers,
        ),
        Case::new(
            Area::Relay,
            "extreme-values",
            "times at both ends of 64 bits, kinds at both ends of 16, empty tags, tags without values, and tags of a hundred values with a hundred quotes",
            "answers each with OK, true or false",
            Load::new(2, 160, 600_000),
            extremes,
        ),
    ]
}

/// Sends an EVENT, whatever it holds, and says how the server took it.
async fn submit(socket: &mut Socket, event: &Value) -> CheckResult<Reaction> {
    let id = event["id"].as_str().unwrap_or_default().to_lowercase();
    socket.json(&json!(["EVENT", event])).await?;
    socket
        .reaction_to(|message| match message {
            RelayMessage::Ok { id: of, .. } => of.to_lowercase() == id,
            other => matches!(other, RelayMessage::Notice(_)),
        })
        .await
}

fn was_taken(reaction: &Reaction) -> bool {
    matches!(reaction, Reaction::Answered(RelayMessage::Ok { accepted: true, .. }))
}

/// Submits an event that may be taken; what was taken is deleted at the end.
async fn offer(ground: &Ground, socket: &mut Socket, event: &Event) -> CheckResult<Reaction> {
    let value = serde_json::to_value(event).unwrap_or_default();
    let reaction = submit(socket, &value).await?;
    if was_taken(&reaction) {
        ground.ctx.keeps(event);
    }
    Ok(reaction)
}

/// Grades the answer to an event that may be taken or refused, but must be answered.
fn judged(findings: &mut Findings, input: &str, reaction: &Reaction) {
    match reaction {
        Reaction::Answered(RelayMessage::Ok { accepted: true, .. }) => findings.robust("OK true"),
        _ => findings.message(input, reaction),
    }
}

async fn forgeries(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let ctx = &ground.ctx;
    let (repository, tip) = ctx.local_repository().await?;
    drop(repository);
    let announcement = ctx.sign(&ctx.owner, ctx.announcement().draft());
    let state = ctx.sign(&ctx.owner, ctx.state(&tip).draft());
    let other = ctx.sign(&ctx.someone(), events::note("somebody else's"));
    let mut socket = ground.socket().await?;
    for genuine in [&announcement, &state] {
        let json = serde_json::to_value(genuine).unwrap_or_default();
        let with = |field: &str, value: Value| {
            let mut json = json.clone();
            json[field] = value;
            json
        };
        let signature = genuine.sig.to_string();
        let flipped = format!("{}{}", &signature[..126], if signature.ends_with("00") { "01" } else { "00" });
        for (what, forgery) in [
            ("another's signature of the same id", forged::bad_signature(genuine)),
            ("an id that is not its hash", forged::bad_id(genuine)),
            ("an altered content", forged::altered_content(genuine)),
            ("another's name", forged::stolen_name(genuine, &keys::fresh().public_key())),
            ("the id of another event", with("id", json!(other.id.to_hex()))),
            ("the signature of another event", with("sig", json!(other.sig.to_string()))),
            ("a signature of zeros", with("sig", json!("0".repeat(128)))),
            ("a signature of ones", with("sig", json!("f".repeat(128)))),
            ("a signature with another last byte", with("sig", json!(flipped))),
            ("half a signature", with("sig", json!(&signature[..64]))),
            ("an id in upper case", with("id", json!(genuine.id.to_hex().to_uppercase()))),
            ("another time", with("created_at", json!(genuine.created_at.as_secs() - 1))),
            ("another kind", with("kind", json!(30_023))),
            ("a tag more", {
                let mut tags = json["tags"].clone();
                if let Some(tags) = tags.as_array_mut() {
                    tags.push(json!(["maintainers", keys::fresh().public_key().to_hex()]));
                }
                with("tags", tags)
            }),
        ] {
            let reaction = submit(&mut socket, &forgery).await?;
            findings.message(&format!("kind {}, {what}", genuine.kind.as_u16()), &reaction);
            if !matches!(reaction, Reaction::Answered(_) | Reaction::Ignored) {
                socket = ground.socket().await?;
            }
        }
        let reaction = offer(&ground, &mut socket, genuine).await?;
        if was_taken(&reaction) {
            findings.robust("the genuine event: OK true");
        } else {
            findings.weak("the genuine event after its forgeries", reaction);
        }
    }
    Ok(findings)
}

async fn many_tags(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let ctx = &ground.ctx;
    let announcement = |number: usize| {
        let identifier = format!("{}-{number}", ctx.identifier);
        (ctx.announcement_of(&ctx.owner, &identifier), identifier)
    };
    let announced = |number: usize, tags: &dyn Fn(Draft) -> Draft| tags(announcement(number).0.draft());
    let many = |name: &'static str, value: &'static dyn Fn(usize) -> String| {
        move |draft: Draft| (0..MANY).fold(draft, |draft, number| draft.tag([name.to_owned(), value(number)]))
    };
    let key = |_: usize| keys::fresh().public_key().to_hex();
    let keys: Vec<String> = (0..MANY / 10).map(key).collect();
    let maintainers =
        |draft: Draft| draft.tag(std::iter::once("maintainers".to_owned()).chain(keys.iter().cloned()));
    let state = |draft: &dyn Fn(State) -> State| draft(State::new(&ctx.identifier)).draft();
    let oid = "1".repeat(40);
    let refs = |state: State| {
        state.references((0..MANY).map(|number| (format!("refs/heads/many-{number}"), oid.clone())))
    };
    let deep = |state: State| state.reference(format!("refs/heads/{}x", "a/".repeat(1_500)), oid.clone());
    let same = |state: State| state.references(vec![("refs/heads/main".to_owned(), oid.clone()); MANY]);
    let drafts: Vec<(&str, Draft)> = vec![
        (
            "5,000 clone tags",
            announced(1, &many("clone", &|number| format!("https://a.example/{number}.git"))),
        ),
        ("5,000 relays tags", announced(2, &many("relays", &|number| format!("wss://r{number}.example")))),
        ("5,000 topics", announced(3, &many("t", &|number| format!("topic-{number}")))),
        ("500 maintainers in one tag", announced(4, &maintainers)),
        ("5,000 empty tags", announced(5, &many("", &|_| String::new()))),
        (
            "a tag of 5,000 values",
            announced(6, &|draft| draft.tag((0..MANY).map(|number| number.to_string()))),
        ),
        ("a description of 100 KB", announced(7, &|draft| draft.tag(["description", &"d".repeat(100_000)]))),
        ("a tag name of 100 KB", announced(8, &|draft| draft.tag([&"n".repeat(100_000), "v"]))),
        (
            "a URL of 100 KB",
            announced(9, &|draft| draft.tag(["clone", &format!("https://{}", "a/".repeat(50_000))])),
        ),
        ("5,000 d tags", announced(10, &many("d", &|number| format!("d-{number}")))),
        ("a state of 5,000 refs", state(&refs)),
        ("a state that names one ref 5,000 times", state(&same)),
        ("a state with a ref 1,500 folders deep", state(&deep)),
    ];
    ctx.announce().await?;
    let mut socket = ground.socket().await?;
    for (what, draft) in drafts {
        let event = ctx.sign(&ctx.owner, draft);
        let reaction = offer(&ground, &mut socket, &event).await?;
        judged(&mut findings, what, &reaction);
        if !matches!(reaction, Reaction::Answered(_) | Reaction::Ignored) {
            socket = ground.socket().await?;
        }
    }
    Ok(findings)
}

async fn circle(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let ctx = &ground.ctx;
    let people: Vec<_> = (0..CIRCLE).map(|_| ctx.someone()).collect();
    let mut socket = ground.socket().await?;
    for person in &people {
        let mut announcement: Announcement = ctx.announcement_of(person, &ctx.identifier);
        for other in people.iter().filter(|other| other.public_key() != person.public_key()) {
            announcement = announcement.maintainer(other.public_key());
        }
        let event = ctx.sign(person, announcement.draft());
        judged(&mut findings, "an announcement of the circle", &offer(&ground, &mut socket, &event).await?);
    }
    if let Some(last) = people.last() {
        let event = ctx.sign(last, ctx.state(&"1".repeat(40)).draft());
        judged(&mut findings, "a state by the last of them", &offer(&ground, &mut socket, &event).await?);
    }
    Ok(findings)
}

/// Identifiers, and whether they must be refused: what holds a slash, a control character or nothing but dots, or is longer
/// than a name in a folder may be, is not one safe path segment.
fn strange(prefix: &str) -> Vec<(&'static str, String, bool)> {
    let with = |text: &str| format!("{prefix}{text}");
    vec![
        ("a slash", with("/x"), true),
        ("a way up", format!("../{prefix}"), true),
        ("two dots", "..".to_owned(), true),
        ("a dot", ".".to_owned(), true),
        ("nothing", String::new(), true),
        ("a NUL", with("\0x"), true),
        ("a line break", with("\nx"), true),
        ("an escape sequence", with("\u{1b}[31m"), true),
        ("DEL", with("\u{7f}"), true),
        ("10 KB", with(&"x".repeat(10_000)), true),
        ("an encoded slash", with("%2fx"), false),
        ("a backslash", with("\\x"), false),
        ("right-to-left override", with("\u{202e}tig.x"), false),
        ("zero-width characters", with("\u{200b}\u{200d}\u{feff}"), false),
        ("50 combining marks", with(&format!("a{}", "\u{301}".repeat(50))), false),
        ("an emoji of seven code points", with("👨\u{200d}👩\u{200d}👧\u{200d}👦"), false),
        ("a Cyrillic look-alike", with("\u{430}"), false),
        ("full-width dots and slash", with("\u{ff0e}\u{ff0e}\u{ff0f}"), false),
        ("noncharacters", with("\u{ffff}"), false),
        ("a private-use character", with("\u{e000}"), false),
        ("spaces around", format!(" {prefix} "), false),
        ("a shell's characters", with("$(id)`id`;|&"), false),
        ("a URL's characters", with("?a=b#c"), false),
        ("markup", with("<script>alert(1)</script>"), false),
        ("the ending .lock", with(".lock"), false),
        ("the ending .git.git", with(".git.git"), false),
    ]
}

async fn identifiers(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let ctx = &ground.ctx;
    let mut socket = ground.socket().await?;
    for (what, identifier, must_be_refused) in strange(&ctx.identifier) {
        let event = ctx.sign(&ctx.owner, ctx.announcement_of(&ctx.owner, &identifier).draft());
        let reaction = offer(&ground, &mut socket, &event).await?;
        if must_be_refused {
            findings.message(what, &reaction);
        } else {
            judged(&mut findings, what, &reaction);
        }
        if !matches!(reaction, Reaction::Answered(_) | Reaction::Ignored) {
            socket = ground.socket().await?;
        }
    }
    twins(&ground, &mut findings).await?;
    Ok(findings)
}

/// The same letter as one code point and as two: other bytes are another repository, on every file system.
async fn twins(ground: &Ground, findings: &mut Findings) -> CheckResult {
    let ctx = &ground.ctx;
    let (composed, decomposed) =
        (format!("{}-\u{fc}", ctx.identifier), format!("{}-u\u{308}", ctx.identifier));
    let announced = ctx.sign(&ctx.owner, ctx.announcement_of(&ctx.owner, &composed).draft());
    if !ctx.publish(&announced).await?.accepted {
        findings.robust("composed letters are refused");
        return Ok(());
    }
    let path = crate::target::url::repository_path(&ctx.owner.public_key(), &decomposed);
    let response = ctx.http.get(&format!("{path}/info/refs?service=git-upload-pack"), &[]).await?;
    if response.status == 200 {
        findings.weak("the decomposed twin of an identifier", "leads to the composed one's repository");
    } else {
        findings.robust("twins are kept apart");
    }
    Ok(())
}

async fn extremes(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let ctx = &ground.ctx;
    let announcement =
        |suffix: &str| ctx.announcement_of(&ctx.owner, &format!("{}-{suffix}", ctx.identifier)).draft();
    let now = ctx.now();
    let mut drafts = vec![
        ("the year 1970".to_owned(), announcement("zero").at(0)),
        ("a time beyond 32 bits".to_owned(), announcement("u32").at(1 << 33)),
        ("the end of i64".to_owned(), announcement("i64").at(i64::MAX as u64)),
        ("the end of u64".to_owned(), announcement("u64").at(u64::MAX)),
        ("a day ahead".to_owned(), announcement("ahead").at(now + 86_400)),
        ("an expiration in the past".to_owned(), announcement("expired").tag(["expiration", "1"])),
        ("an expiration that is no time".to_owned(), announcement("never").tag(["expiration", "never"])),
        ("a tag without a value".to_owned(), announcement("bare").tag(["clone"])),
        ("an empty tag".to_owned(), announcement("empty").tag(Vec::<String>::new())),
        ("a maintainer that is no key".to_owned(), announcement("nokey").tag(["maintainers", "nobody"])),
        (
            "a role with times out of order".to_owned(),
            announcement("role").tag(["M", "x", "9", "1", "-5", "z"]),
        ),
        ("a nonce that lies".to_owned(), announcement("nonce").tag(["nonce", "1", "256"])),
        ("a protected event".to_owned(), announcement("protected").tag(["-"])),
        ("a delegation".to_owned(), announcement("delegated").tag(["delegation", "x", "kind=1", "y"])),
        (
            "a hundred quotes".to_owned(),
            (0..100).fold(announcement("quotes"), |draft, number| {
                draft.tag(["q".to_owned(), format!("{number:064x}")])
            }),
        ),
        (
            "a deletion of everything".to_owned(),
            (0..500).fold(Draft::new(events::DELETION, ""), |draft, number| {
                draft.tag(["e".to_owned(), format!("{number:064x}")])
            }),
        ),
        ("a deletion of a wild address".to_owned(), Draft::new(events::DELETION, "").tag(["a", "30617:*:*"])),
    ];
    for kind in [0, 2, 4, 1_059, 9_999, 19_999, 20_000, 22_242, 29_999, 39_999, 65_535] {
        drafts.push((format!("kind {kind}"), Draft::new(kind, "x").tag(["a", &ctx.coordinate()])));
    }
    let mut socket = ground.socket().await?;
    for (what, draft) in drafts {
        let event = ctx.sign(&ctx.owner, draft);
        let reaction = offer(&ground, &mut socket, &event).await?;
        judged(&mut findings, &what, &reaction);
        if !matches!(reaction, Reaction::Answered(_) | Reaction::Ignored) {
            socket = ground.socket().await?;
        }
    }
    Ok(findings)
}
