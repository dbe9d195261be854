//! The relay information document (NIP-11), field by field.

use serde_json::{Value, json};

use super::Entry;
use super::world::World;

pub(super) fn entries(world: &World) -> Vec<Entry> {
    // Ids and keys in it are the server's own and do not vary: only its address is given a name.
    let address = world.target.url.authority();
    match &world.target.nip11 {
        Some(Value::Object(fields)) => fields
            .iter()
            .map(|(name, value)| {
                let text = value.to_string().replace(&address, "<service>");
                // what was JSON is JSON with another text inside a string
                let seen = serde_json::from_str(&text).unwrap_or_else(|_| value.clone());
                Entry::new(format!("nip11/{name}"), &[requirement(name)], seen)
            })
            .collect(),
        _ => vec![Entry::new("nip11/document", &["G01/nip11/document"], json!("no JSON object"))],
    }
}

fn requirement(field: &str) -> &'static str {
    match field {
        "supported_grasps" => "G01/nip11/supported-grasps",
        "repo_acceptance_criteria" => "G01/nip11/acceptance",
        "curation" => "G01/nip11/curation",
        "limitation" => "G01/nip11/limits",
        _ => "G01/nip11/document",
    }
}
