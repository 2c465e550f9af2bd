//! The clock.

use std::time::Instant;

/// Returns the time by the clock of the runtime, which a simulation may set.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
