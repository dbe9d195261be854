//! Mutants of G01/nip11: a document that is wrong in one place.

use grasp_fixtures::faulty_proxy::Lies;
use hyper::header::{ACCEPT, HeaderValue};
use serde_json::{Value, json};

use crate::lie::http::{field, is_nip11, nip11, set};
use crate::mutant::{Mutant, proxy};

/// States a limit in place of what the server states.
fn limit(name: &'static str, value: fn(&Value) -> Value) -> impl Fn() -> Lies {
    move || {
        nip11(move |document| {
            let stated = value(&document["limitation"][name]);
            document["limitation"][name] = stated;
        })
    }
}

fn one_more(stated: &Value) -> Value {
    json!(stated.as_u64().unwrap_or_default() + 1)
}

pub(crate) fn mutants() -> Vec<Mutant> {
    [document(), texts(), limits()].into_iter().flatten().collect()
}

fn document() -> Vec<Mutant> {
    vec![
        proxy("nip11-as-text", "G01/nip11/document", "the document comes as text/plain", || {
            Lies::default().head(|asked, head| {
                if is_nip11(asked, head) {
                    set(head, "content-type", "text/plain");
                }
            })
        }),
        proxy("nip11-in-a-list", "G01/nip11/document", "the document stands in an array", || {
            Lies::default().body(is_nip11, |_, _, body| [b"[", body, b"]"].concat())
        })
        .affects("G01/nip11/*", "nothing that the document says can be found in it"),
        proxy(
            "nip11-without-cors",
            "G01/nip11/document",
            "the document alone has no Access-Control-Allow-Origin",
            || {
                Lies::default().head(|asked, head| {
                    if is_nip11(asked, head) {
                        head.headers.remove("access-control-allow-origin");
                    }
                })
            },
        )
        .affects("G01/cors/origin/nip11", "it is the same field of the same answer"),
        proxy(
            "nip11-only-when-alone",
            "G01/nip11/document",
            "the document comes only to those who accept nothing else",
            || {
                Lies::default().request(|asked| {
                    if field(&asked.headers, "accept").contains(',') {
                        asked.headers.insert(ACCEPT, HeaderValue::from_static("text/html"));
                    }
                    None
                })
            },
        ),
    ]
}

fn texts() -> Vec<Mutant> {
    const GRASPS: &str = "G01/nip11/supported-grasps";
    const ACCEPTANCE: &str = "G01/nip11/acceptance";
    const CURATION: &str = "G01/nip11/curation";
    vec![
        proxy("grasps-as-numbers", GRASPS, "supported_grasps holds numbers", || {
            nip11(|document| document["supported_grasps"] = json!([1]))
        }),
        proxy("grasps-one-digit", GRASPS, "supported_grasps says GRASP-1 beside GRASP-01", || {
            nip11(|document| document["supported_grasps"] = json!(["GRASP-01", "GRASP-1"]))
        }),
        proxy("grasps-without-the-first", GRASPS, "supported_grasps does not list GRASP-01", || {
            nip11(|document| document["supported_grasps"] = json!(["GRASP-02"]))
        }),
        proxy("acceptance-missing", ACCEPTANCE, "repo_acceptance_criteria is missing", || {
            nip11(|document| drop(document.as_object_mut().unwrap().remove("repo_acceptance_criteria")))
        }),
        proxy("acceptance-as-object", ACCEPTANCE, "repo_acceptance_criteria is for machines", || {
            nip11(|document| document["repo_acceptance_criteria"] = json!({"public": true}))
        }),
        proxy("curation-empty", CURATION, "curation is there and says nothing", || {
            nip11(|document| document["curation"] = json!(""))
        }),
        proxy("curation-as-boolean", CURATION, "curation is `false`", || {
            nip11(|document| document["curation"] = json!(false))
        }),
    ]
}

fn limits() -> Vec<Mutant> {
    const ROW: &str = "G01/nip11/limits";
    vec![
        proxy("limit-as-text", ROW, "max_filters is a text", limit("max_filters", |_| json!("10"))),
        proxy("limits-missing", ROW, "nothing is said about limits", || {
            nip11(|document| drop(document.as_object_mut().unwrap().remove("limitation")))
        }),
        proxy("message-length-missing", ROW, "max_message_length is missing", || {
            nip11(|document| {
                drop(document["limitation"].as_object_mut().unwrap().remove("max_message_length"))
            })
        }),
        proxy(
            "one-subscription-less",
            ROW,
            "max_subscriptions is one more than there can be",
            limit("max_subscriptions", one_more),
        ),
        proxy(
            "one-byte-less",
            ROW,
            "max_message_length is one byte more than is read",
            limit("max_message_length", one_more),
        ),
        proxy(
            "filters-unlimited",
            ROW,
            "max_filters is stated and not enforced",
            limit("max_filters", |_| json!(3)),
        ),
        proxy(
            "subscription-ids-unlimited",
            ROW,
            "max_subid_length is less than what is taken",
            limit("max_subid_length", |_| json!(32)),
        ),
        proxy(
            "max-limit-one-less",
            ROW,
            "max_limit is one event more than a REQ gets",
            limit("max_limit", one_more),
        )
        .with("NGIT_MAX_LIMIT", 10)
        .with("NGIT_DEFAULT_LIMIT", 10),
        proxy(
            "default-limit-unlimited",
            ROW,
            "default_limit is stated, and a REQ without limit gets all",
            limit("default_limit", |_| json!(7)),
        ),
        proxy(
            "tags-unlimited",
            ROW,
            "max_event_tags is stated and not enforced",
            limit("max_event_tags", |_| json!(100)),
        ),
        proxy(
            "content-unlimited",
            ROW,
            "max_content_length is stated and not enforced",
            limit("max_content_length", |_| json!(1000)),
        ),
        proxy(
            "future-unlimited",
            ROW,
            "events from further ahead than stated are taken",
            limit("created_at_upper_limit", |_| json!(300)),
        ),
        proxy("future-not-stated", ROW, "events from tomorrow are refused, which nothing says", || {
            nip11(|document| {
                drop(document["limitation"].as_object_mut().unwrap().remove("created_at_upper_limit"))
            })
        }),
        proxy(
            "past-unlimited",
            ROW,
            "created_at_lower_limit is stated and not enforced",
            limit("created_at_lower_limit", |_| json!(86_400)),
        ),
        proxy(
            "authentication-not-needed",
            ROW,
            "auth_required is stated, and anybody is answered",
            limit("auth_required", |_| json!(true)),
        ),
    ]
}
