//! Where the link stands.

/// The states of the link, as published in `LinkStatus.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Not started, or ended.
    Disconnected,
    /// Resolving the name and opening the connection.
    Connecting,
    /// Connected; what was asked has been answered in time.
    Connected,
    /// Connected; an answer is overdue.
    Unresponsive,
    /// Waiting before the next attempt.
    Backoff,
    /// Waiting for controllers to connect: fewer than `link.min_clients` have.
    Listening,
}

/// How far an attempt to connect has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The name is resolved, the connection opened, encrypted where that is asked for; or the port opened.
    Opening,
    /// The controller has yet to say its greeting.
    Banner {
        /// How many lines of it have come.
        heard: u32,
        /// `link.banner_lines`.
        wanted: u32,
    },
    /// The controller has yet to answer the hello.
    Auth,
}
