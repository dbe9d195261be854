//! Reports and surfaces that are always the same.

use std::collections::BTreeMap;

use grasp_audit::Report;
use grasp_audit::attachment::Attachment;
use grasp_audit::catalogue::Level;
use grasp_audit::check::Verdict;
use grasp_audit::hardening::HardeningReport;
use grasp_audit::peer::timeline::{Kind, Moment, Timeline};
use grasp_audit::report::baseline::Baseline;
use grasp_audit::report::comparison::{self, Comparison, Examined};
use grasp_audit::report::{CheckReport, Cleanup, Totals};
use grasp_audit::surface::difference::{self, Difference};
use grasp_audit::surface::{Entry, Surface};
use grasp_audit::target::transcript::{Direction, Entry as Message, Traffic};
use serde_json::json;

/// 2026-11-24 09:30 UTC.
pub(crate) const BEGUN: u64 = 1_795_512_600;

pub(crate) fn check(id: &str, level: Level, title: &str, verdict: Verdict) -> CheckReport {
    CheckReport {
        id: id.to_owned(),
        requirement: id.rsplit_once('/').unwrap().0.to_owned(),
        level,
        title: title.to_owned(),
        verdict,
        duration_ms: 12,
        cleanup: Cleanup { published: 2, deleted: 1, left: 1 },
        traffic: BTreeMap::from([
            ("http".to_owned(), Traffic { sent: 1, received: 1 }),
            ("ws".to_owned(), Traffic { sent: 2, received: 3 }),
        ]),
        attachments: Vec::new(),
        peers: Vec::new(),
        transcript: Vec::new(),
    }
}

pub(crate) fn said(at_ms: u64, channel: &str, direction: Direction, text: &str) -> Message {
    Message { at_ms, channel: channel.to_owned(), direction, text: text.to_owned() }
}

fn failing() -> CheckReport {
    let verdict = Verdict::Fail {
        expected: "204 with the CORS fields".to_owned(),
        seen: "HTTP 501\nserver: Simple/0.6".to_owned(),
    };
    let mut failing = check("G01/cors/options/root", Level::Must, "`OPTIONS` of / is answered 204", verdict);
    failing.transcript = vec![
        said(0, "http", Direction::Sent, "OPTIONS /\norigin: https://client.example"),
        said(1, "http", Direction::Received, "HTTP 501\nserver: Simple/0.6"),
        said(2, "check", Direction::Note, "gave up"),
    ];
    failing
}

/// A server that was turned away twice, then came, asked, and fetched.
fn timeline() -> Timeline {
    let moment = |at_ms, kind| Moment {
        at_ms,
        kind,
        connection: Some(at_ms),
        subscription: None,
        filters: 0,
        status: None,
        text: String::new(),
    };
    let moments = vec![
        moment(100, Kind::TurnedAway),
        moment(1_100, Kind::TurnedAway),
        moment(3_000, Kind::Document),
        moment(3_100, Kind::Connect),
        Moment {
            connection: Some(3_100),
            subscription: Some("s".to_owned()),
            filters: 3,
            text: "{\"#d\":[\"x\"]}".to_owned(),
            ..moment(3_200, Kind::Req)
        },
        Moment {
            connection: None,
            status: Some(200),
            text: "/x.git/info/refs".to_owned(),
            ..moment(3_500, Kind::Git)
        },
    ];
    Timeline { name: "peer 1".to_owned(), took_ms: 4_000, events: 12, moments, left_out: 0 }
}

/// One check of every outcome, attachments of both kinds, and a baseline.
pub(crate) fn report() -> Report {
    let mut document =
        check("G01/nip11/document/is-json", Level::Must, "GET / yields a document", Verdict::Pass);
    document.attachments = vec![
        Attachment::text("the document as it came", "{\"name\": \"x\"}"),
        Attachment::svg("a drawing", "<svg xmlns=\"http://www.w3.org/2000/svg\"/>"),
    ];
    document.peers = vec![timeline()];
    let patient = Verdict::Skip { why: "takes up to 30 minutes; give --patient to run it".to_owned() };
    let limits = Verdict::Warn { text: "max_limit is 0".to_owned() };
    let broken = Verdict::Error { text: "git could not be started".to_owned() };
    let weak = Verdict::Fail { expected: "a page".to_owned(), seen: "nothing".to_owned() };
    let mut report = of(vec![
        check("G01/relay/nip01/ok", Level::Must, "an event is taken `OK true`", Verdict::Pass),
        check("G01/purgatory/expires/event", Level::Should, "a waiting event expires", patient),
        document,
        check("G01/nip11/limits/positive", Level::Should, "limits are positive", limits),
        check("G01/git/serves/clone", Level::Must, "a clone succeeds", broken),
        check("G01/git/web/page", Level::Should, "a page for people", weak),
        failing(),
        check("G01/cors/options/repository", Level::Must, "`OPTIONS` of a repository", Verdict::Pass),
        check("G99/later/thing/x", Level::Seed, "of another catalogue", Verdict::Pass),
    ]);
    let mut before = report.clone();
    before.checks.retain(|check| check.id != "G01/cors/options/root" && check.id != "G01/relay/nip01/ok");
    before.checks.push(check("G01/cors/options/root", Level::Must, "", Verdict::Pass));
    before.checks.push(check("G01/relay/nip01/ok", Level::Must, "", failing().verdict));
    before.started -= 86_400;
    report.baseline = Some(Baseline::between(&before, &report));
    report
}

/// A hardening run with a case of every grade; the last one was too much for the server.
pub(crate) fn hostile() -> HardeningReport {
    let case = |id: &str, area: &str, grade: serde_json::Value| {
        let mut case = json!({
            "id": id, "area": area, "sends": "`..` and worse", "robust": "answers 404", "did": "HTTP 404 (12)",
            "duration_ms": 1_250, "load": {"at_once": 1, "messages": 12, "bytes": 3_400},
            "meanwhile": {"nip11_ms": 3, "req_ms": 9, "info_refs_ms": 4},
            "cleanup": {"published": 2, "deleted": 2},
        });
        case.as_object_mut().unwrap().extend(grade.as_object().unwrap().clone());
        case
    };
    let wire = json!([said(0, "wire 1", Direction::Sent, "GET /%2e%2e/ HTTP/1.1")]);
    let cases = json!([
        case("H/http/path-traversal", "http", json!({"verdict": "robust"})),
        case("H/http/no-http", "http", json!({"verdict": "tolerable", "remarks": ["rubbish: HTTP 500"]})),
        case(
            "H/git/pack-bombs",
            "git",
            json!({"verdict": "skip", "why": "there is no repository to aim at"})
        ),
        case("H/relay/odd-json", "relay", json!({"verdict": "error", "text": "not over after 120 s"})),
        case(
            "H/relay/deep-json",
            "relay",
            json!({
                "verdict": "weak", "seen": ["arrays, 20000 deep: cut off", "meanwhile, others: unusable"],
                "remarks": ["unclosed arrays: closed without a code"], "transcript": wire,
            }),
        ),
    ]);
    serde_json::from_value(json!({
        "suite": "0.1.0", "catalogue": "2026-11", "url": "https://git.example.org", "duration_ms": 65_400,
        "baseline": {"nip11_ms": 1, "req_ms": 2, "info_refs_ms": 3},
        "totals": {"robust": 1, "tolerable": 1, "weak": 1, "skipped": 1, "errors": 1, "not_run": 3},
        "load": {"at_once": 200, "messages": 4_321, "bytes": 12_345_678},
        "stopped": {"case": "H/relay/deep-json", "why": "unusable: NIP-11: no connection"},
        "cases": cases,
    }))
    .unwrap()
}

/// The report of a run with `--hardening`.
pub(crate) fn with_hostile() -> Report {
    Report { hardening: Some(hostile()), baseline: None, ..other() }
}

/// The report of a run with `--hardening --filter H/`.
pub(crate) fn hostile_only() -> Report {
    let filter = Some("H/".to_owned());
    Report { checks: Vec::new(), totals: Totals::default(), filter, ..with_hostile() }
}

/// Another server, right in all that it was asked for.
pub(crate) fn other() -> Report {
    let passing = |id| check(id, Level::Must, "`OPTIONS` is answered 204", Verdict::Pass);
    let mut other = of(vec![passing("G01/cors/options/root"), passing("G01/cors/options/repository")]);
    other.url = "http://127.0.0.1:7334".to_owned();
    other.server = String::new();
    other
}

fn of(checks: Vec<CheckReport>) -> Report {
    let count = |word: &str| checks.iter().filter(|check| check.outcome().word() == word).count();
    let musts =
        checks.iter().filter(|check| check.outcome().word() == "fail" && check.level == Level::Must).count();
    Report {
        format: "grasp-audit/report".to_owned(),
        schema: 1,
        suite: "0.1.0".to_owned(),
        catalogue: "2026-09".to_owned(),
        url: "https://git.example.org".to_owned(),
        server: "Example grasp-server 0.1.0".to_owned(),
        started: BEGUN,
        duration_ms: 14_960,
        filter: None,
        totals: Totals {
            passed: count("pass"),
            failed_must: musts,
            failed_other: count("fail") - musts,
            skipped: count("skip"),
            warned: count("warn"),
            errors: count("error"),
        },
        baseline: None,
        checks,
        hardening: None,
    }
}

/// The check called `name`, ended with this outcome.
pub(crate) fn ended(name: &str, outcome: &str) -> CheckReport {
    let text = || "x".to_owned();
    let verdict = match outcome {
        "pass" => Verdict::Pass,
        "fail" => Verdict::Fail { expected: text(), seen: text() },
        "skip" => Verdict::Skip { why: text() },
        "warn" => Verdict::Warn { text: text() },
        "error" => Verdict::Error { text: text() },
        other => panic!("{other} is no outcome"),
    };
    check(&format!("G01/git/web/{name}"), Level::Should, name, verdict)
}

pub(crate) fn examined() -> Vec<Examined> {
    let error = "https://gone.example cannot be reached: no connection\n  Is the server running?".to_owned();
    vec![
        Examined::Report(Report { baseline: None, ..report() }),
        Examined::Report(other()),
        Examined::Unreachable { url: "https://gone.example".to_owned(), error },
    ]
}

pub(crate) fn compared_page() -> String {
    let comparison = Comparison::of(&examined(), BEGUN);
    let links =
        [Some("report.git.example.org.html".to_owned()), Some("report.127.0.0.1-7334.html".to_owned()), None];
    comparison::html::render(&comparison, &links)
}

fn entry(at: &str, requirements: &[&str], seen: serde_json::Value) -> Entry {
    let requirements = requirements.iter().map(|id| (*id).to_owned()).collect();
    Entry { at: at.to_owned(), requirements, seen }
}

pub(crate) fn surfaces() -> (Surface, Surface) {
    let of = |suite: &str, url: &str, entries| Surface {
        format: "grasp-audit/surface".to_owned(),
        schema: 1,
        suite: suite.to_owned(),
        catalogue: "2026-09".to_owned(),
        url: url.to_owned(),
        entries,
    };
    let fields = |kind: &str| json!({"status": 200, "fields": {"content-type": kind, "vary": "Accept"}});
    let a = vec![
        entry("nip11/name", &["G01/nip11/document"], json!("Example")),
        entry("http/GET /healthz", &[], fields("text/plain")),
        entry(
            "git/ls-refs",
            &["G01/git/serves"],
            json!({"lines": ["<tip> HEAD", "<tip> refs/heads/main", "0000"]}),
        ),
        entry(
            "event/note",
            &["G01/relay/rejects-unrelated"],
            json!({"ok": false, "message": "restricted: no"}),
        ),
        entry("close/a binary message", &["G01/relay/nip01"], json!("close 1003 text only")),
    ];
    let b = vec![
        entry("nip11/name", &["G01/nip11/document"], json!("Example")),
        entry("http/GET /healthz", &[], fields("text/html")),
        entry(
            "git/ls-refs",
            &["G01/git/serves"],
            json!({"lines": ["<tip> HEAD", "<tip> refs/heads/dev", "0000"]}),
        ),
        entry("event/note", &["G01/relay/rejects-unrelated"], json!({"ok": true, "message": ""})),
        entry("push/a tag", &["G01/git/push-unauthorised"], json!({"refused": true})),
    ];
    (of("0.1.0", "http://127.0.0.1:7334", a), of("0.2.0", "https://git.example.org", b))
}

pub(crate) fn difference_page() -> String {
    let (a, b) = surfaces();
    difference::html::render(&Difference::between(("before.json", &a), ("https://git.example.org", &b)))
}
