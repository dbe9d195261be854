//! The small world's git objects, with content of their own for each telling of a story.

use std::collections::{BTreeMap, BTreeSet};

use grasp_fixtures::objects::{Object as GitObject, pack};

use super::story::Object;

/// The objects and their ids.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    /// What each object consists of, itself last: a commit comes with its tree and blob.
    parts: BTreeMap<Object, Vec<GitObject>>,
    oids: BTreeMap<Object, String>,
}

impl Graph {
    /// Objects that nobody else has: `salt` is in their content.
    #[must_use]
    pub(super) fn new(salt: &str) -> Self {
        let mut graph = Self { parts: BTreeMap::new(), oids: BTreeMap::new() };
        let first = graph.commit(Object::C1, "first", salt, &[]);
        let second = graph.commit(Object::C2, "second", salt, &[&first]);
        graph.commit(Object::C3, "third", salt, &[&second]);
        graph.commit(Object::D2, "aside", salt, &[&first]);
        graph.commit(Object::R1, "apart", salt, &[]);
        graph.keep(Object::T2, vec![GitObject::tag(&second, "v1")]);
        graph
    }

    fn commit(&mut self, object: Object, name: &str, salt: &str, parents: &[&GitObject]) -> GitObject {
        let blob = GitObject::blob(format!("{name} {salt}\n").as_bytes());
        let tree = GitObject::tree("README.md", &blob);
        let commit = GitObject::commit(&tree, parents, name);
        self.keep(object, vec![blob, tree, commit.clone()]);
        commit
    }

    fn keep(&mut self, object: Object, parts: Vec<GitObject>) {
        if let Some(last) = parts.last() {
            self.oids.insert(object, last.oid());
        }
        self.parts.insert(object, parts);
    }

    /// The id of an object.
    #[must_use]
    pub(super) fn oid(&self, object: Object) -> &str {
        self.oids.get(&object).map_or("", String::as_str)
    }

    /// The object of an id.
    #[must_use]
    pub(super) fn object(&self, oid: &str) -> Option<Object> {
        self.oids.iter().find(|(_, known)| *known == oid).map(|(object, _)| *object)
    }

    /// A pack of these objects, each with its tree and blob.
    #[must_use]
    pub(super) fn pack(&self, objects: &BTreeSet<Object>) -> Vec<u8> {
        pack(objects.iter().filter_map(|object| self.parts.get(object)).flatten())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use grasp_fixtures::Repository;

    #[tokio::test]
    async fn git_sees_the_history_that_stories_speak_of() {
        let graph = Graph::new("salt");
        let repository = Repository::init("main").await.unwrap();
        let pack = graph.pack(&Object::ALL.into_iter().collect());
        let indexed = repository.run_with_input(&["index-pack", "--stdin", "--strict"], &pack).await;
        indexed.unwrap().success().unwrap();
        for object in Object::ALL {
            let commits = repository.git(&["rev-list", graph.oid(object)]).await.unwrap();
            let mut seen: BTreeSet<Object> = commits.lines().filter_map(|oid| graph.object(oid)).collect();
            if object == Object::T2 {
                seen.insert(object);
            }
            assert_eq!(seen, object.reaches().iter().copied().collect(), "{object:?}");
        }
        assert_ne!(Graph::new("other").oid(Object::C1), graph.oid(Object::C1));
    }
}
