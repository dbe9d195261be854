//! Rendered advertisements, kept as long as their snapshot lives, within a bound of bytes.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use super::advertise::Version;
use super::ls_refs::Query;
use super::refs::RefSnapshot;

/// What of a snapshot was rendered.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum View {
    /// `info/refs` for those who fetch.
    Advertisement(Version),
    /// The answer to `ls-refs`.
    Refs(Query),
}

/// How many answers are kept of one snapshot.
const VIEWS: usize = 8;
/// Queries larger than this are not worth keeping, in bytes.
const MAX_QUERY: usize = 4096;

/// See the module. The address of a snapshot is its key: it cannot be used again while our weak reference lives.
#[derive(Debug)]
pub(crate) struct Rendered {
    max_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    snapshots: HashMap<usize, Views>,
    bytes: usize,
    uses: u64,
}

#[derive(Debug)]
struct Views {
    snapshot: Weak<RefSnapshot>,
    views: Vec<(View, Bytes)>,
    bytes: usize,
    last_use: u64,
}

impl Rendered {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, kept: Mutex::default() }
    }

    /// The answer for this view, rendered now or before.
    pub(crate) fn get(&self, refs: &Arc<RefSnapshot>, view: View, render: impl FnOnce() -> Bytes) -> Bytes {
        if matches!(&view, View::Refs(query) if query.size() > MAX_QUERY) {
            return render();
        }
        let key = Arc::as_ptr(refs) as usize;
        if let Some(found) = self.kept.lock().find(key, &view) {
            return found;
        }
        let answer = render();
        if answer.len() <= self.max_bytes / 4 {
            self.kept.lock().insert(key, refs, view, answer.clone(), self.max_bytes);
        }
        answer
    }
}

impl Kept {
    fn find(&mut self, key: usize, view: &View) -> Option<Bytes> {
        self.uses += 1;
        let views = self.snapshots.get_mut(&key)?;
        views.last_use = self.uses;
        views.views.iter().find(|(kept, _)| kept == view).map(|(_, answer)| answer.clone())
    }

    fn insert(&mut self, key: usize, refs: &Arc<RefSnapshot>, view: View, answer: Bytes, max_bytes: usize) {
        self.make_room(answer.len(), max_bytes);
        let views = self.snapshots.entry(key).or_insert_with(|| Views {
            snapshot: Arc::downgrade(refs),
            views: Vec::new(),
            bytes: 0,
            last_use: self.uses,
        });
        if views.views.iter().any(|(kept, _)| *kept == view) {
            return;
        }
        if views.views.len() == VIEWS {
            let (_, dropped) = views.views.remove(0);
            views.bytes -= dropped.len();
            self.bytes -= dropped.len();
        }
        views.bytes += answer.len();
        self.bytes += answer.len();
        views.views.push((view, answer));
    }

    /// Forgets snapshots that are gone, then those that were not asked for longest.
    fn make_room(&mut self, bytes: usize, max_bytes: usize) {
        const SNAPSHOTS: usize = 4096;
        let full = |kept: &Self| kept.bytes + bytes > max_bytes || kept.snapshots.len() >= SNAPSHOTS;
        if !full(self) {
            return;
        }
        self.snapshots.retain(|_, views| {
            let lives = views.snapshot.strong_count() > 0;
            self.bytes -= if lives { 0 } else { views.bytes };
            lives
        });
        if !full(self) {
            return;
        }
        // Half of them at once, so that this is rare.
        let mut by_use: Vec<_> = self.snapshots.iter().map(|(key, views)| (views.last_use, *key)).collect();
        by_use.sort_unstable();
        for (_, key) in by_use {
            if self.bytes + bytes <= max_bytes / 2 && self.snapshots.len() < SNAPSHOTS / 2 {
                break;
            }
            self.bytes -= self.snapshots.remove(&key).map_or(0, |views| views.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn snapshot() -> Arc<RefSnapshot> {
        Arc::new(RefSnapshot { head: "refs/heads/main".parse().unwrap(), refs: vec![], unsigned: vec![] })
    }

    #[test]
    fn the_second_time_nothing_is_rendered() {
        let rendered = Rendered::new(1000);
        let refs = snapshot();
        let view = View::Advertisement(Version::V0);
        rendered.get(&refs, view.clone(), || Bytes::from_static(b"once"));
        assert_eq!(rendered.get(&refs, view, || unreachable!()), "once");
    }

    #[test]
    fn another_snapshot_has_another_answer() {
        let rendered = Rendered::new(1000);
        let view = View::Advertisement(Version::V0);
        let first = snapshot();
        rendered.get(&first, view.clone(), || Bytes::from_static(b"first"));
        drop(first);
        assert_eq!(rendered.get(&snapshot(), view, || Bytes::from_static(b"second")), "second");
    }

    #[test]
    fn the_bound_holds() {
        let rendered = Rendered::new(1000);
        let snapshots: Vec<_> = (0..50).map(|_| snapshot()).collect();
        for refs in &snapshots {
            rendered.get(refs, View::Advertisement(Version::V0), || Bytes::from(vec![0; 100]));
            let kept = rendered.kept.lock();
            assert!(kept.bytes <= 1000);
            assert_eq!(kept.bytes, kept.snapshots.values().map(|views| views.bytes).sum::<usize>());
        }
    }
}
