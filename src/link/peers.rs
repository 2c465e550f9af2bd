//! Those that lines go to.

/// Names a connection; never used for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u64);

impl PeerId {
    /// The one connection of a bridge that dials.
    pub const ONLY: Self = Self(0);

    /// Returns its number.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// A controller on the other side of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Which connection.
    pub id: PeerId,
    /// Its address, for people; empty where there is only one.
    pub name: String,
    /// The number of the newest line that it has answered, or that was sent before it came: replies come in order.
    answered_to: u64,
    /// How many replies have come from it.
    pub(super) replies: u64,
    /// What has come from it last and is no reply, in words.
    pub(super) instead: Option<String>,
    /// What its last reply was that no line waited for, in words.
    pub(super) late: Option<String>,
}

impl Peer {
    fn new(id: PeerId, name: String, lines: u64) -> Self {
        Self { id, name, answered_to: lines, replies: 0, instead: None, late: None }
    }

    /// Whether it has yet to answer the line with this number, which is in flight.
    pub(super) fn owes(&self, seq: u64) -> bool {
        seq > self.answered_to
    }

    /// Notes that it has answered this line.
    pub(super) fn note_reply(&mut self, seq: u64) {
        self.answered_to = seq;
        self.replies += 1;
        (self.instead, self.late) = (None, None);
    }

    /// What has come instead of the reply that is overdue, in words.
    pub(super) fn instead(&self) -> Option<&str> {
        self.instead.as_deref().or(self.late.as_deref())
    }

    /// What has come on this connection, in words, if anything has.
    pub(super) fn instead_of_silence(&self) -> Option<String> {
        let earlier = match self.replies {
            0 => None,
            1 => Some("one line before it was answered".to_owned()),
            replies => Some(format!("{replies} lines before it were answered")),
        };
        self.instead().map(str::to_owned).or(earlier)
    }
}

/// As many controllers are connected as there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MAX_PEERS} controllers are connected, and there is no room for another")]
pub struct Full;

/// The controllers that are connected, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Peers {
    peers: Vec<Peer>,
    joined: u64,
}

impl Peers {
    /// The one controller that the bridge has connected to, when so many lines had been sent.
    pub(super) fn only(lines: u64) -> Self {
        Self { peers: vec![Peer::new(PeerId::ONLY, String::new(), lines)], joined: 0 }
    }

    /// Adds a controller, which has nothing to answer of the lines that have been sent.
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
