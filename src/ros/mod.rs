//! The ROS face: the only place that names `r2r`.
//!
//! [`RosNode`] creates every entity, then gives the node to one thread that takes messages and handles them there;
//! [`Publishers`] is what the rest of the bridge tells its news to.

pub mod arguments;
pub mod clock;
pub mod console;
pub mod context;
pub mod convert;
pub mod error;
pub mod names;
pub mod node;
pub mod params;
pub mod rosout;
pub mod senders;
pub mod services;
pub mod source;
pub mod status;
pub mod tf;

pub use context::ContextError;
pub use error::RosError;
pub use node::{NodeError, RosNode};
pub use params::ParameterFaults;
pub use status::Publishers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::{Stream, StreamExt};

/// A stream of what `spin_once` has taken, polled right after it on the same thread.
struct Inbox<T> {
    stream: Box<dyn Stream<Item = T> + Unpin + Send>,
    news: Arc<News>,
    waker: Waker,
}

impl<T> Inbox<T> {
    fn new(stream: impl Stream<Item = T> + Unpin + Send + 'static) -> Self {
        // The first look asks the stream to tell of what comes.
        let news = Arc::new(News(AtomicBool::new(true)));
        Self { stream: Box::new(stream), waker: Waker::from(Arc::clone(&news)), news }
    }

    /// What has been taken and not yet looked at.
    fn take(&mut self) -> Option<T> {
        // Most of a node's inboxes are empty nearly always, and to ask an empty stream costs far more than to ask this.
        if !self.news.0.load(Ordering::Acquire) {
            return None;
        }
        self.news.0.store(false, Ordering::Relaxed);
        match self.stream.poll_next_unpin(&mut Context::from_waker(&self.waker)) {
            Poll::Ready(item) => {
                // There may be more, and the stream tells only of what comes after it was found empty.
                self.news.0.store(true, Ordering::Release);
                item
            }
            Poll::Pending => None,
        }
    }
}

/// Takes note of what became of an answer. One that does not arrive is no reason to do anything else: what was asked for has
/// been done.
fn note_answered(result: r2r::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(
            "nobody took the answer of a service ({error}): its client is gone, or has to call again, since ROS had not \
             found it in full"
        );
    }
}

/// Whether anything may have come since the stream was found empty.
struct News(AtomicBool);

impl Wake for News {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::sync::Mutex;

    use super::*;

    /// What r2r hands out: a queue that wakes whoever has found it empty.
    #[derive(Clone, Default)]
    struct Queue(Arc<Mutex<(VecDeque<u32>, Option<Waker>)>>);

    impl Queue {
        fn send(&self, item: u32) {
            let (items, waker) = &mut *self.0.lock().unwrap();
            items.push_back(item);
            if let Some(waker) = waker.take() {
                waker.wake();
            }
        }
    }

    impl Stream for Queue {
        type Item = u32;

        fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<u32>> {
            let (items, waker) = &mut *self.0.lock().unwrap();
            match items.pop_front() {
                Some(item) => Poll::Ready(Some(item)),
                None => {
                    *waker = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        }
    }

    #[test]
    fn an_inbox_has_what_came_before_the_first_look_and_after_the_last() {
        let queue = Queue::default();
        queue.send(1);
        queue.send(2);
        let mut inbox = Inbox::new(queue.clone());
        let mut rest = || std::iter::from_fn(|| inbox.take()).collect::<Vec<_>>();
        assert_eq!(rest(), [1, 2]);
        assert!(rest().is_empty());
        queue.send(3);
        assert_eq!(rest(), [3]);
        queue.send(4);
        queue.send(5);
        assert_eq!(rest(), [4, 5]);
    }
}
