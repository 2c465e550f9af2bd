//! The ROS face: the only place that names `r2r`.
//!
//! [`RosNode`] creates every entity, then gives the node to one thread that takes messages and handles them there;
//! [`Publishers`] is what the rest of the bridge tells its news to.

pub mod arguments;
pub mod clock;
pub mod console;
pub mod context;
pub mod convert;
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
pub use node::{NodeError, RosNode};
pub use params::ParameterFaults;
pub use status::Publishers;

use futures_util::{FutureExt, Stream, StreamExt};

/// A stream of what `spin_once` has taken, polled right after it on the same thread.
struct Inbox<T>(Box<dyn Stream<Item = T> + Unpin + Send>);

impl<T> Inbox<T> {
    fn new(stream: impl Stream<Item = T> + Unpin + Send + 'static) -> Self {
        Self(Box::new(stream))
    }

    /// What has been taken and not yet looked at.
    fn take(&mut self) -> Option<T> {
        self.0.next().now_or_never().flatten()
    }
}
