//! A failing story made as short and plain as it can be: steps are left out, then each step is made simpler by
//! proptest's own shrinking, and so on until nothing can go.

use std::time::Instant;

use proptest::strategy::ValueTree;

use super::generate::StoryTree;
use super::play::{Outcome, Told};
use super::story::{Person, Step, Story};

/// How often a story may be told while it is made shorter.
const MAX_TELLINGS: usize = 1_000;

/// Tells candidates, and keeps the best that fails.
pub(super) struct Shrinking<'a> {
    pub(super) best: (Story, Told),
    pub(super) tellings: usize,
    until: Instant,
    on_progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl<'a> Shrinking<'a> {
    /// Begins with a story that fails.
    pub(super) fn new(
        story: Story,
        told: Told,
        until: Instant,
        on_progress: &'a (dyn Fn(usize, usize) + Sync),
    ) -> Self {
        Self { best: (story, told), tellings: 0, until, on_progress }
    }

    fn is_over(&self) -> bool {
        self.tellings >= MAX_TELLINGS || Instant::now() >= self.until
    }

    /// Whether the candidate fails too; it is the best one then.
    async fn fails(&mut self, candidate: Story, tell: &impl AsyncFn(&Story) -> Told) -> bool {
        if self.is_over() {
            return false;
        }
        self.tellings += 1;
        let told = tell(&candidate).await;
        let Outcome::Broken(broken) = &told.outcome else { return false };
        let mut candidate = candidate;
        candidate.steps.truncate(broken.step + 1);
        self.best = (candidate, told);
        (self.on_progress)(self.best.0.steps.len(), self.tellings);
        true
    }

    /// All of it; `tree` is where the story came from.
    pub(super) async fn run(&mut self, mut tree: StoryTree, tell: &impl AsyncFn(&Story) -> Told) {
        tree.steps.truncate(self.best.0.steps.len());
        loop {
            let before = self.best.0.clone();
            self.drop_steps(&mut tree, tell).await;
            self.simplify_steps(&mut tree, tell).await;
            self.simplify_pulls(&mut tree, tell).await;
            if self.best.0 == before || self.is_over() {
                break;
            }
        }
        self.drop_pulls(tell).await;
        self.with_fewer_people(tell).await;
    }

    /// Everybody is somebody before them in the alphabet, if it fails then too; then steps may go that could not before.
    async fn with_fewer_people(&mut self, tell: &impl AsyncFn(&Story) -> Told) {
        for from in Person::ALL.into_iter().rev() {
            for to in Person::ALL.into_iter().filter(|to| *to < from) {
                let renamed = self.best.0.with_the_same(from, to);
                if renamed != self.best.0 && self.fails(renamed, tell).await {
                    break;
                }
            }
        }
        let one_project = self.best.0.in_one_project();
        if one_project != self.best.0 {
            self.fails(one_project, tell).await;
        }
        let mut at = self.best.0.steps.len();
        while at > 0 {
            at -= 1;
            let mut candidate = self.best.0.clone();
            if at + 1 < candidate.steps.len() {
                candidate.steps.remove(at);
                self.fails(candidate, tell).await;
                at = at.min(self.best.0.steps.len());
            }
        }
    }

    /// Leaves out runs of steps, long ones first, until no single one can go.
    async fn drop_steps(&mut self, tree: &mut StoryTree, tell: &impl AsyncFn(&Story) -> Told) {
        let mut length = tree.steps.len() / 2;
        while length > 0 {
            let mut at = tree.steps.len().saturating_sub(length);
            loop {
                if at + length <= tree.steps.len() && tree.steps.len() > length {
                    let removed: Vec<_> = tree.steps.drain(at..at + length).collect();
                    if self.fails(tree.current(), tell).await {
                        tree.steps.truncate(self.best.0.steps.len());
                    } else {
                        tree.steps.splice(at..at, removed);
                    }
                }
                if at == 0 {
                    break;
                }
                at -= 1;
            }
            length /= 2;
        }
    }

    async fn simplify_steps(&mut self, tree: &mut StoryTree, tell: &impl AsyncFn(&Story) -> Told) {
        let mut at = 0;
        while at < tree.steps.len() {
            let mut more = tree.steps[at].simplify();
            while more && !self.is_over() {
                let simpler = tree.current();
                more = if simpler == self.best.0 {
                    tree.steps[at].simplify()
                } else if self.fails(simpler, tell).await {
                    tree.steps.truncate(self.best.0.steps.len());
                    at < tree.steps.len() && tree.steps[at].simplify()
                } else {
                    tree.steps[at].complicate()
                };
            }
            settle(tree.steps.get_mut(at), self.best.0.steps.get(at));
            at += 1;
        }
    }

    async fn simplify_pulls(&mut self, tree: &mut StoryTree, tell: &impl AsyncFn(&Story) -> Told) {
        for at in 0..tree.pulls.len() {
            let is_used = |step: &Step| speaks_of_a_pull(step);
            if !self.best.0.steps.iter().any(is_used) {
                return;
            }
            let mut more = tree.pulls[at].simplify();
            while more && !self.is_over() {
                let simpler = tree.current();
                more = if simpler == self.best.0 {
                    tree.pulls[at].simplify()
                } else if self.fails(simpler, tell).await {
                    tree.steps.truncate(self.best.0.steps.len());
                    tree.pulls[at].simplify()
                } else {
                    tree.pulls[at].complicate()
                };
            }
            settle(tree.pulls.get_mut(at), self.best.0.pulls.get(at));
        }
    }

    /// Pull requests that no step needs any more.
    async fn drop_pulls(&mut self, tell: &impl AsyncFn(&Story) -> Told) {
        while !self.best.0.pulls.is_empty() {
            let mut candidate = self.best.0.clone();
            candidate.pulls.pop();
            if !self.fails(candidate, tell).await {
                return;
            }
        }
    }
}

fn speaks_of_a_pull(step: &Step) -> bool {
    match step {
        Step::Published { step, .. } => speaks_of_a_pull(step),
        Step::Pull(_) | Step::PushPull { .. } | Step::Contribute { .. } => true,
        _ => false,
    }
}

/// A tree whose last attempt did not fail goes back to the value that did.
fn settle<T: Clone + PartialEq + std::fmt::Debug + 'static>(
    tree: Option<&mut Box<dyn ValueTree<Value = T>>>,
    wanted: Option<&T>,
) {
    let (Some(tree), Some(wanted)) = (tree, wanted) else { return };
    while tree.current() != *wanted && tree.complicate() {}
    if tree.current() != *wanted {
        *tree = Box::new(Fixed(wanted.clone()));
    }
}

/// As simple as it gets.
#[derive(Debug)]
struct Fixed<T>(T);

impl<T: Clone + std::fmt::Debug> ValueTree for Fixed<T> {
    type Value = T;

    fn current(&self) -> T {
        self.0.clone()
    }

    fn simplify(&mut self) -> bool {
        false
    }

    fn complicate(&mut self) -> bool {
        false
    }
}
