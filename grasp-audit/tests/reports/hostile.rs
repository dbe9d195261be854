//! Nothing that a server says gets out of the place where it is shown.

use grasp_audit::catalogue::Level;
use grasp_audit::check::Verdict;
use grasp_audit::escape::{code, fenced, markdown as inline, visible};
use grasp_audit::hardening::{self, Grade, HardeningReport};
use grasp_audit::report::comparison::{self, Comparison, Examined};
use grasp_audit::report::{html, junit, markdown, terminal};
use grasp_audit::surface::difference::{self, Difference};
use grasp_audit::target::transcript::Direction;
use grasp_audit::{Report, Surface};
use proptest::prelude::*;
use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::fixed;

/// What would be seen if it got out: as an element, as an attribute, as Markdown, as an order to a terminal.
const EVIL: &str = "</pre></details></style><evil onload='x'>\" evil='1' \n```\n<evil>\n~~~\n# evil\n| evil | x |\n\
    [evil](javascript:evil) ![evil](https://evil.example/x.png) https://evil.example <!-- evil --> `evil` **evil** \
    \u{1b}]0;evil\u{7} \u{1b}[2J \u{202e}live\u{2066} &lt;evil&gt; ]]> \u{0}";

fn report() -> Report {
    let mut report = fixed::report();
    report.server = EVIL.to_owned();
    report.filter = Some(EVIL.to_owned());
    if let Some(baseline) = &mut report.baseline {
        baseline.url = EVIL.to_owned();
        baseline.remarks = vec![EVIL.to_owned()];
        baseline.changes[0].id = EVIL.to_owned();
    }
    for check in &mut report.checks {
        match &mut check.verdict {
            Verdict::Fail { expected, seen } => {
                *expected = EVIL.to_owned();
                *seen = EVIL.to_owned();
            }
            Verdict::Skip { why: text } | Verdict::Warn { text } | Verdict::Error { text } => {
                *text = EVIL.to_owned()
            }
            Verdict::Pass => {}
        }
        check.title = EVIL.to_owned();
        check.transcript = vec![fixed::said(0, "ws 1", Direction::Received, EVIL)];
        check.attachments.iter_mut().for_each(|attached| attached.body = EVIL.to_owned());
        check.attachments.iter_mut().for_each(|attached| attached.title = EVIL.to_owned());
    }
    report.checks.push(fixed::check(&format!("G01/{EVIL}/x"), Level::Must, EVIL, Verdict::Pass));
    report.hardening = Some(hostile());
    report
}

/// A hardening report in which everything that a server may have a say in is hostile.
fn hostile() -> HardeningReport {
    let mut hostile = fixed::hostile();
    if let Some(stopped) = &mut hostile.stopped {
        stopped.why = EVIL.to_owned();
    }
    let evil = || vec![EVIL.to_owned()];
    for case in &mut hostile.cases {
        case.did = EVIL.to_owned();
        case.grade = match &case.grade {
            Grade::Robust => Grade::Robust,
            Grade::Tolerable { .. } => Grade::Tolerable { remarks: evil() },
            Grade::Skip { .. } => Grade::Skip { why: EVIL.to_owned() },
            Grade::Error { .. } => Grade::Error { text: EVIL.to_owned() },
            _ => Grade::Weak { seen: evil(), remarks: evil() },
        };
        case.transcript = vec![fixed::said(0, "wire 1", Direction::Received, EVIL)];
    }
    hostile
}

fn comparison() -> Comparison {
    let unreachable = Examined::Unreachable { url: EVIL.to_owned(), error: EVIL.to_owned() };
    Comparison::of(&[Examined::Report(report()), Examined::Report(fixed::report()), unreachable], 0)
}

fn difference() -> Difference {
    let (mut a, b) = fixed::surfaces();
    let evil = |surface: &mut Surface| {
        surface.url = EVIL.to_owned();
        surface.suite = EVIL.to_owned();
        for entry in &mut surface.entries {
            entry.at.push_str(EVIL);
            entry.requirements.push(EVIL.to_owned());
            entry.seen = serde_json::json!({EVIL: EVIL, "list": [EVIL]});
        }
    };
    evil(&mut a);
    Difference::between((EVIL, &a), ("b", &b))
}

#[test]
fn no_page_has_an_element_or_attribute_of_a_server() {
    for page in [
        html::render(&report()),
        comparison::html::render(&comparison(), &[None, None, None]),
        difference::html::render(&difference()),
    ] {
        assert!(page.contains("&lt;evil onload='x'&gt;"), "it is shown as text");
        for out in ["<evil", "\" evil=", "<!-- evil", "\u{1b}", "\u{202e}", "\u{2066}", "\u{7}", "\u{0}"] {
            assert!(!page.contains(out), "{out:?} got out");
        }
        for element in ["pre", "details", "style", "li", "dl"] {
            let open =
                page.matches(&format!("<{element}>")).count() + page.matches(&format!("<{element} ")).count();
            assert_eq!(open, page.matches(&format!("</{element}>")).count(), "{element}");
        }
    }
}

#[test]
fn no_terminal_obeys_a_server() {
    for text in [
        terminal::render(&report(), false),
        hardening::terminal::render(&hostile(), false),
        comparison::terminal::render(&comparison(), false),
        difference::terminal::render(&difference(), false),
    ] {
        assert!(text.contains("\\u{1b}]0;evil\\u{7}"), "{text}");
        assert!(!text.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{text:?}");
    }
}

#[test]
fn junit_stays_xml() {
    let xml = junit::render(&[&report()]).unwrap();
    assert!(!xml.contains("<evil") && !xml.contains('\u{1b}') && !xml.contains('\u{0}'), "{xml}");
}

/// Everything that some host reads as markup; curly quotes are none.
fn dialect() -> Options {
    Options::all().difference(Options::ENABLE_SMART_PUNCTUATION)
}

/// Markup that a document in Markdown has: HTML, links, images, headings.
fn markup(text: &str) -> Vec<String> {
    let parser = Parser::new_ext(text, dialect());
    let telling = parser.filter(|event| {
        let html = matches!(event, Event::Html(_) | Event::InlineHtml(_));
        html || matches!(event, Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::Heading { .. }))
    });
    telling.map(|event| format!("{event:?}")).collect()
}

#[test]
fn no_markdown_has_markup_of_a_server() {
    for text in [
        markdown::render(&report()),
        comparison::markdown::render(&comparison()),
        difference::markdown::render(&difference()),
    ] {
        for found in markup(&text) {
            assert!(!found.contains("evil"), "{found} got out of\n{text}");
        }
    }
}

proptest! {
    #[test]
    fn a_line_of_markdown_is_the_text_it_was_made_of(text in "[\\PC\n`*_<>&|\\[\\]()!#~:$\\\\@.-]{0,60}") {
        let inside = [inline(&text), code(&text)].map(|written| (format!("x {written} x"), "x"));
        for (written, around) in inside.into_iter().chain([(inline(&text), "")]) {
            let mut read = String::new();
            for event in Parser::new_ext(&written, dialect()) {
                match event {
                    Event::Text(part) | Event::Code(part) => read.push_str(&part),
                    Event::Start(Tag::Paragraph) | Event::End(_) => {}
                    other => prop_assert!(false, "{other:?} in {written}"),
                }
            }
            // spaces at the ends of a code span are the writer's, and backticks of a sentence its code
            let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace() && *c != '`').collect::<String>();
            prop_assert_eq!(bare(&read), bare(&format!("{around}{}{around}", visible(&text))), "{}", written);
        }
    }

    #[test]
    fn a_block_of_markdown_is_one_block(text in "[\\PC\n`~ ]{0,80}") {
        let written = fenced(&text);
        let blocks = Parser::new_ext(&written, dialect()).filter(|event| matches!(event, Event::Start(_)));
        let blocks: Vec<_> = blocks.collect();
        prop_assert!(matches!(blocks.as_slice(), [Event::Start(Tag::CodeBlock(_))]), "{:?} in {}", blocks, written);
    }
}
