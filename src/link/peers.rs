//! Those that lines go to.

/// Names a connection; never used for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u64);

impl PeerId {
    /// The one connection of a bridge that dials.
    pub const ONLY: Self = Self(0);
}

/// A controller on the other side of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Which connection.
    pub id: PeerId,
    /// Its place among those whose replies are awaited.
    pub(super) bit: u32,
    /// Its address, for people; empty where there is only one.
    pub name: String,
    /// How many replies have come from it.
    pub(super) replies: u64,
    /// What has come from it last and is no reply, in words.
    pub(super) instead: Option<String>,
    /// What its last reply was that no line waited for, in words.
    pub(super) late: Option<String>,
}

impl Peer {
    fn new(id: PeerId, bit: u32, name: String) -> Self {
        Self { id, bit, name, replies: 0, instead: None, late: None }
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
    /// The one controller that the bridge has connected to.
    pub(super) fn only() -> Self {
        Self { peers: vec![Peer::new(PeerId::ONLY, 1, String::new())], joined: 0 }
    }

    pub(super) fn join(&mut self, name: String) -> Result<PeerId, Full> {
        let free = !self.bits();
        if free == 0 {
            return Err(Full);
        }
        self.joined += 1;
        let id = PeerId(self.joined);
        self.peers.push(Peer::new(id, free & free.wrapping_neg(), name));
        Ok(id)
    }

    pub(super) fn leave(&mut self, id: PeerId) -> Option<Peer> {
        let place = self.peers.iter().position(|peer| peer.id == id)?;
        Some(self.peers.remove(place))
    }

    pub(super) fn get(&self, id: PeerId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.id == id)
    }

    pub(super) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.id == id)
    }

    pub(super) fn bit(&self, id: PeerId) -> Option<u32> {
        self.get(id).map(|peer| peer.bit)
    }

    pub(super) fn bits(&self) -> u32 {
        self.peers.iter().fold(0, |bits, peer| bits | peer.bit)
    }

    pub(super) fn count(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Peer> {
        self.peers.iter()
    }
}

/// As many as there are bits for.
const MAX_PEERS: u32 = u32::BITS;
