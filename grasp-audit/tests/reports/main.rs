//! Every form of the reports, of a small report that is always the same; and of one in which every text that a server
//! may choose is hostile.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fixed;
mod hostile;

use grasp_audit::report::Totals;
use grasp_audit::report::baseline::{Baseline, Kind};
use grasp_audit::report::comparison::{self, Comparison, Examined};
use grasp_audit::report::{badge, html, junit, markdown, terminal};
use grasp_audit::surface::difference::{self, Difference};
use grasp_audit::{Report, Surface, document, hardening};

/// The page without its stylesheet, an element to a line.
fn readable(page: &str) -> String {
    let (before, rest) = page.split_once("<style>").unwrap();
    let (_, after) = rest.split_once("</style>").unwrap();
    format!("{before}{after}").replace("><", ">\n<")
}

#[test]
fn the_terminal_shows_it() {
    insta::assert_snapshot!(terminal::render(&fixed::report(), false));
}

#[test]
fn the_terminal_shows_it_in_brief() {
    let mut report = fixed::report();
    let skipped = |name| fixed::ended(name, "skip");
    report.checks.extend([skipped("a"), skipped("b")]);
    report.totals.skipped += 2;
    insta::assert_snapshot!(terminal::render_brief(&report, false));
}

#[test]
fn colours_are_all_that_colours_add() {
    let (plain, coloured) =
        (terminal::render(&fixed::report(), false), terminal::render(&fixed::report(), true));
    let bare: Vec<&str> =
        coloured.split("\x1b[").map(|part| part.split_once('m').map_or(part, |(_, text)| text)).collect();
    assert_ne!(plain, coloured);
    assert_eq!(plain, coloured.split("\x1b[").next().unwrap().to_owned() + &bare[1..].concat());
}

#[test]
fn json_has_it_all() {
    insta::assert_snapshot!(fixed::report().to_json().unwrap());
}

#[test]
fn json_is_read_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let json = fixed::report().to_json().unwrap();
    std::fs::write(&path, &json).unwrap();
    let report: Report = document::read(&path).unwrap();
    assert_eq!(report.to_json().unwrap(), json);
}

#[test]
fn fields_of_a_later_suite_are_no_obstacle() {
    let mut json: serde_json::Value = serde_json::from_str(&fixed::report().to_json().unwrap()).unwrap();
    json["of a later suite"] = serde_json::json!({"weak": 1});
    json["checks"][0]["mood"] = "good".into();
    let report: Report = serde_json::from_value(json).unwrap();
    assert_eq!(report.checks.len(), fixed::report().checks.len());
}

#[test]
fn junit_shows_it() {
    insta::assert_snapshot!(junit::render(&[&fixed::report()]).unwrap());
}

#[test]
fn the_tests_of_junit_have_the_same_names_in_every_run() {
    let (one, later) = (fixed::other(), Report { started: fixed::BEGUN + 86_400, ..fixed::other() });
    let (one, later) = (junit::render(&[&one]).unwrap(), junit::render(&[&later]).unwrap());
    assert!(one.contains(r#"<property name="url" value="http://127.0.0.1:7334"/>"#), "{one}");
    assert_ne!(one, later);
    assert_eq!(one, later.replace("2026-11-25T09:30", "2026-11-24T09:30"), "only the time is another");
    assert!(one.contains(r#"<testsuites name="grasp-audit" "#), "{one}");
}

#[test]
fn junit_of_several_servers_tells_them_apart() {
    let (one, other) = (fixed::report(), fixed::other());
    let xml = junit::render(&[&one, &other]).unwrap();
    assert!(xml.contains(r#"<testsuite name="https://git.example.org G01/cors""#), "{xml}");
    assert!(xml.contains(r#"<testsuite name="http://127.0.0.1:7334 G01/cors""#), "{xml}");
}

#[test]
fn markdown_shows_it() {
    insta::assert_snapshot!(markdown::render(&fixed::report()));
}

#[test]
fn the_page_shows_it() {
    insta::assert_snapshot!(readable(&html::render(&fixed::report())));
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    for page in [html::render(&fixed::report()), fixed::compared_page(), fixed::difference_page()] {
        assert!(!page.contains("<script") && !page.contains("<link") && !page.contains("@import"), "{page}");
        for (place, _) in page.match_indices("src=\"") {
            assert!(page[place..].starts_with("src=\"data:"), "{}", &page[place..place + 40]);
        }
        assert!(!page.contains("url("), "the style loads nothing");
    }
}

#[test]
fn hardening_stands_apart_in_every_form_that_people_read() {
    let report = fixed::with_hostile();
    insta::assert_snapshot!("hardening_terminal", hardening::terminal::render(&fixed::hostile(), false));
    let text = markdown::render(&report);
    let (conformance, apart) = text.split_once("## Hardening (not conformance)").unwrap();
    assert_eq!(conformance, markdown::render(&fixed::other()), "conformance is told as without it");
    insta::assert_snapshot!("hardening_markdown", apart);
    let page = readable(&html::render(&report));
    let at = page.find("<section class=\"hardening\"").unwrap();
    let (conformance, apart) = page.split_at(at);
    let link = "<div>\n<dt>Hardening, apart</dt>\n<dd>\n<a href=\"#hardening\">the server did not stand it</a>\n</dd>\n</div>\n";
    assert!(conformance.contains(link), "{conformance}");
    assert!(
        readable(&html::render(&fixed::other())).starts_with(&conformance.replace(link, "")),
        "conformance is shown as without it"
    );
    insta::assert_snapshot!("hardening_page", apart);
    let xml = junit::render(&[&report]).unwrap();
    assert_eq!(xml, junit::render(&[&fixed::other()]).unwrap(), "a pipeline's tests are about conformance");
    assert_eq!((report.exit_code(), badge::render(&report)), (0, badge::render(&fixed::other())));
}

#[test]
fn what_was_skipped_as_a_whole_is_no_verdict_in_any_form() {
    let skipped = |names: &[(&str, &str)]| {
        let report = ended(names);
        Report { totals: Totals { skipped: names.len(), ..Totals::default() }, baseline: None, ..report }
    };
    let report = skipped(&[("a", "skip"), ("b", "skip")]);
    let sentence = "nothing was examined: all 2 checks were skipped";
    assert_eq!((report.exit_code(), report.holds(), report.sentence().as_str()), (2, false, sentence));
    assert!(terminal::render(&report, true).ends_with(&format!("\x1b[31m{sentence}\x1b[0m\n")));
    let text = markdown::render(&report);
    assert!(text.contains(&format!("⚠️ **{sentence}**")) && !text.contains('✅'), "{text}");
    let page = html::render(&report);
    assert!(page.contains(r#"class="summary error""#) && page.contains(&sentence[1..]), "{page}");
    let compared = Comparison::of(&[Examined::Report(report.clone())], fixed::BEGUN);
    assert_eq!((compared.servers[0].exit_code, compared.exit_code()), (2, 2));
    let baseline = Some(Baseline::between(&report, &report));
    let beside = Report { baseline, ..report };
    assert_eq!((beside.exit_code(), beside.sentence().as_str()), (2, sentence));
    assert_eq!(skipped(&[("a", "skip")]).sentence(), "nothing was examined: the only check was skipped");
}

#[test]
fn hardening_alone_claims_nothing_about_conformance() {
    let report = fixed::hostile_only();
    assert_eq!((report.exit_code(), report.sentence().as_str()), (0, "conformance was not examined"));
    let page = html::render(&report);
    for text in [markdown::render(&report), page, report.to_string()] {
        assert!(!text.contains("every MUST") && !text.contains("Every MUST"), "{text}");
        assert!(text.contains("deep-json") && text.contains("2026-11"), "{text}");
    }
}

#[test]
fn hardening_is_read_back_from_json() {
    let text = fixed::with_hostile().to_json().unwrap();
    let read: Report = serde_json::from_str(&text).unwrap();
    assert_eq!(read.to_json().unwrap(), text);
    let hostile = &serde_json::from_str::<serde_json::Value>(&text).unwrap()["hardening"];
    assert_eq!((&hostile["suite"], &hostile["catalogue"]), (&"0.1.0".into(), &"2026-11".into()));
    assert_eq!(hostile["cases"][4]["verdict"], "weak");
}

#[test]
fn the_badge_counts_the_musts() {
    insta::assert_snapshot!(badge::render(&fixed::report()));
}

#[test]
fn the_badge_says_when_only_a_part_was_asked_for() {
    let part = Report { filter: Some("G01/cors".to_owned()), ..fixed::other() };
    assert!(
        badge::render(&part).contains(r#"aria-label="GRASP-01 (in part): 2/2 MUST""#),
        "{}",
        badge::render(&part)
    );
    let nothing = Report { checks: Vec::new(), ..fixed::other() };
    assert!(badge::render(&nothing).contains("GRASP: nothing examined"));
}

#[test]
fn several_servers_are_compared() {
    let comparison = Comparison::of(&fixed::examined(), fixed::BEGUN);
    insta::assert_snapshot!("compared_terminal", comparison::terminal::render(&comparison, false));
    insta::assert_snapshot!("compared_markdown", comparison::markdown::render(&comparison));
    insta::assert_snapshot!("compared_json", comparison.to_json().unwrap());
    insta::assert_snapshot!("compared_page", readable(&fixed::compared_page()));
    assert_eq!(comparison.exit_code(), 2, "the worst: one could not be reached");
    assert_eq!(Comparison::of(&fixed::examined()[..2], fixed::BEGUN).exit_code(), 1);
    assert_eq!(Comparison::of(&fixed::examined()[1..2], fixed::BEGUN).exit_code(), 0);
}

#[test]
fn two_surfaces_are_compared() {
    let (a, b) = fixed::surfaces();
    let difference = Difference::between(("before.json", &a), ("https://git.example.org", &b));
    insta::assert_snapshot!("difference_terminal", difference::terminal::render(&difference, false));
    insta::assert_snapshot!("difference_markdown", difference::markdown::render(&difference));
    insta::assert_snapshot!("difference_json", difference.to_json().unwrap());
    insta::assert_snapshot!("difference_page", readable(&fixed::difference_page()));
}

#[test]
fn a_surface_is_read_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("surface.json");
    let (surface, _) = fixed::surfaces();
    std::fs::write(&path, surface.to_json().unwrap()).unwrap();
    assert_eq!(document::read::<Surface>(&path).unwrap(), surface);
}

/// A report in which the checks named by a letter ended as given.
fn ended(outcomes: &[(&str, &str)]) -> Report {
    let mut report = fixed::report();
    report.checks = outcomes.iter().map(|(name, outcome)| fixed::ended(name, outcome)).collect();
    report
}

#[test]
fn only_what_got_worse_fails_beside_a_baseline() {
    let before = ended(&[
        ("a", "pass"),
        ("b", "fail"),
        ("c", "fail"),
        ("d", "skip"),
        ("e", "warn"),
        ("f", "pass"),
        ("g", "pass"),
        ("i", "error"),
        ("j", "error"),
        ("k", "fail"),
        ("l", "pass"),
    ]);
    let mut now = ended(&[
        ("a", "fail"),
        ("b", "fail"),
        ("c", "pass"),
        ("d", "fail"),
        ("e", "pass"),
        ("f", "skip"),
        ("h", "fail"),
        ("i", "error"),
        ("j", "pass"),
        ("k", "skip"),
        ("l", "warn"),
    ]);
    let baseline = Baseline::between(&before, &now);
    let of = |kind: Kind| {
        let names: Vec<&str> =
            baseline.of(kind).map(|change| change.id.rsplit('/').next().unwrap()).collect();
        names.concat()
    };
    assert_eq!(of(Kind::Worse), "a");
    assert_eq!(of(Kind::StillFails), "b");
    assert_eq!(of(Kind::Better), "c");
    assert_eq!(of(Kind::New), "dhj", "what was not proved before is new, and fails nobody");
    assert_eq!(of(Kind::Unproved), "fk");
    assert_eq!(of(Kind::Gone), "g");
    assert_eq!(of(Kind::Broken), "", "what could not be carried out before either");
    now.baseline = Some(baseline);
    assert_eq!((now.exit_code(), now.sentence().as_str()), (1, "1 check got worse than in the baseline"));
}

#[test]
fn what_failed_before_does_not_fail_again_and_what_broke_is_no_verdict() {
    let before = ended(&[("a", "pass"), ("b", "fail")]);
    let against = |now: Report| {
        let baseline = Some(Baseline::between(&before, &now));
        let now = Report { baseline, ..now };
        (now.exit_code(), now.sentence())
    };
    assert_eq!(
        against(ended(&[("a", "pass"), ("b", "fail")])),
        (0, "nothing got worse than in the baseline".to_owned())
    );
    assert_eq!(against(ended(&[("a", "error"), ("b", "fail")])).0, 2);
    assert_eq!(against(ended(&[("a", "error"), ("b", "error")])).0, 2);
    assert_eq!(against(ended(&[])).0, 2, "no check is no verdict");
}

#[test]
fn a_filter_makes_nothing_gone() {
    let before = ended(&[("a", "pass"), ("b", "pass")]);
    let now = Report { filter: Some("*/a".to_owned()), ..ended(&[("a", "pass")]) };
    let baseline = Baseline::between(&before, &now);
    assert_eq!((baseline.changes.len(), baseline.not_asked), (0, 1));
}

#[test]
fn another_suite_or_server_is_said() {
    let before = Report {
        suite: "0.0.1".to_owned(),
        catalogue: "2025-12".to_owned(),
        url: "https://elsewhere.example".to_owned(),
        filter: Some("G01/cors".to_owned()),
        ..fixed::report()
    };
    insta::assert_snapshot!(Baseline::between(&before, &fixed::report()).remarks.join("\n"));
}
