//! The controllers that lines are sent to.

/// The identifier of a connection. It is never used again for another connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u64);

impl PeerId {
    /// The one connection of a bridge that connects to its controller.
    pub const ONLY: Self = Self(0);

    /// Returns the number of the connection.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// A controller on the other side of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The identifier of the connection.
    pub id: PeerId,
    /// The address as text; empty if the bridge connects to its controller.
    pub name: String,
    /// The number of the newest line that the controller has replied to, or that was sent before it
    /// connected. Replies come in order.
    answered_to: u64,
    /// The number of replies from this controller.
    pub(super) replies: u64,
    /// The message of its first reply, if that was an error.
    pub(super) first_refusal: Option<String>,
    /// A description of its last input, if that was not a reply.
    pub(super) instead: Option<String>,
    /// A description of its last reply, if no line was waiting for it.
    pub(super) late: Option<String>,
}

impl Peer {
    fn new(id: PeerId, name: String, lines: u64) -> Self {
        Self { id, name, answered_to: lines, replies: 0, first_refusal: None, instead: None, late: None }
    }

    /// Returns whether its reply to the line with this number, which is in flight, is still
    /// missing.
    pub(super) fn lacks_reply_to(&self, seq: u64) -> bool {
        seq > self.answered_to
    }

    /// Records its reply to this line.
    pub(super) fn note_reply(&mut self, seq: u64) {
        self.answered_to = seq;
        self.replies += 1;
        (self.instead, self.late) = (None, None);
    }

    /// Returns a description of the input that arrived instead of an overdue reply.
    pub(super) fn instead(&self) -> Option<&str> {
        self.instead.as_deref().or(self.late.as_deref())
    }

    /// Returns a description of the input on this connection, if there was any. This includes
    /// replies to earlier lines.
    pub(super) fn instead_of_silence(&self) -> Option<String> {
        let earlier = match self.replies {
            0 => None,
            1 => Some("the controller replied to an earlier line".to_owned()),
            replies => Some(format!("the controller replied to {replies} earlier lines")),
        };
        self.instead().map(str::to_owned).or(earlier)
    }
}

/// The error if the maximum number of controllers is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_PEERS} controllers are connected, which is the maximum")]
pub struct Full;

/// The connected controllers, in the order in which they connected.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: Vec<Peer>,
    joined: u64,
}

impl Peers {
    /// Creates the list with the only controller, which the bridge has connected to. `lines` lines
    /// were sent before.
    pub(super) fn only(lines: u64) -> Self {
        Self { peers: vec![Peer::new(PeerId::ONLY, String::new(), lines)], joined: 0 }
    }

    /// Adds a controller. It does not reply to the `lines` lines that were sent before it
    /// connected.
    pub(super) fn join(&mut self, name: String, lines: u64) -> Result<PeerId, Full> {
        if self.peers.len() == MAX_PEERS {
            return Err(Full);
        }
        self.joined += 1;
        let id = PeerId(self.joined);
        self.peers.push(Peer::new(id, name, lines));
        Ok(id)
    }

    pub(super) fn leave(&mut self, id: PeerId) -> Option<Peer> {
        let index = self.peers.iter().position(|peer| peer.id == id)?;
        Some(self.peers.remove(index))
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.id == id)
    }

    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.id == id)
    }

    pub(super) fn all(&self) -> &[Peer] {
        &self.peers
    }
}

const MAX_PEERS: usize = 32;
