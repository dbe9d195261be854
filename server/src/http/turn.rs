//! A future that wakes itself while it is polled is polled again at once.
//!
//! Hyper's connection does so with every request that has a body: when the body is dropped, the other end of its
//! channel is woken, and that is the connection, which is just running. The runtime would put it at the end of its
//! queue and wake an idle thread to look for work there: a system call, a second processor that is taken from whoever
//! reads the answer, and often a connection that moves to another core, for nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

/// How often in a row: others have to have their turn.
const AT_ONCE: usize = 4;

/// Nobody polls; a wake is passed on.
const RESTS: u8 = 0;
/// It is being polled.
const RUNS: u8 = 1;
/// It was woken, and will be polled (again).
const WOKEN: u8 = 2;

#[derive(Debug)]
struct Turn {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == RESTS {
            self.task.wake();
        }
    }
}

/// A future on its way to its end; see the module.
#[derive(Debug)]
pub(super) struct InTurn<'a, F> {
    future: Pin<&'a mut F>,
    turn: Arc<Turn>,
    waker: Waker,
}

/// Runs a future to its end; see the module.
pub(super) fn in_turn<F: Future>(future: Pin<&mut F>) -> InTurn<'_, F> {
    let turn = Arc::new(Turn { state: AtomicU8::new(RESTS), task: AtomicWaker::new() });
    InTurn { future, waker: Waker::from(Arc::clone(&turn)), turn }
}

impl<F: Future> Future for InTurn<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, turn, waker } = self.get_mut();
        turn.task.register(context.waker());
        for _ in 0..AT_ONCE {
            turn.state.swap(RUNS, Ordering::AcqRel);
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(waker)) {
                return Poll::Ready(output);
            }
            let rests = turn.state.compare_exchange(RUNS, RESTS, Ordering::AcqRel, Ordering::Acquire);
            if rests.is_ok() {
                return Poll::Pending;
            }
        }
        // Left as woken: whoever wakes it meanwhile need not do it again.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;

    use futures_util::task::noop_waker_ref;

    use super::*;

    /// Counts how often it was woken.
    #[derive(Debug, Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Woken {
        fn times(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    /// Wakes itself so often before it ends.
    async fn restless(times: usize) {
        let mut left = times;
        poll_fn(move |context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[test]
    fn one_that_wakes_itself_is_polled_again_and_its_task_is_not_woken() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let future = pin!(restless(AT_ONCE - 1));
        let mut running = pin!(in_turn(future));
        assert!(running.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
        assert_eq!(woken.times(), 0);
    }

    #[test]
    fn one_that_never_rests_gives_others_their_turn() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let future = pin!(restless(2 * AT_ONCE));
        let mut running = pin!(in_turn(future));
        let mut context = Context::from_waker(&waker);
        assert!(running.as_mut().poll(&mut context).is_pending() && woken.times() == 1);
        assert!(running.as_mut().poll(&mut context).is_pending() && woken.times() == 2);
        assert!(running.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn a_wake_from_elsewhere_reaches_the_task_that_polled_last() {
        let inner = Arc::new(AtomicWaker::new());
        let rung = Arc::new(AtomicUsize::new(0));
        let (bell, heard) = (Arc::clone(&inner), Arc::clone(&rung));
        let future = pin!(poll_fn(move |context| {
            bell.register(context.waker());
            if heard.load(Ordering::SeqCst) == 0 { Poll::Pending } else { Poll::Ready(()) }
        }));
        let mut running = pin!(in_turn(future));
        assert!(running.as_mut().poll(&mut Context::from_waker(noop_waker_ref())).is_pending());
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        assert!(running.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        inner.wake();
        inner.wake();
        assert_eq!(woken.times(), 1);
        rung.store(1, Ordering::SeqCst);
        assert!(running.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    }
}
