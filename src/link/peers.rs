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
        Self { peers: vec![Peer { id: PeerId::ONLY, bit: 1, name: String::new() }], joined: 0 }
    }

    pub(super) fn join(&mut self, name: String) -> Result<PeerId, Full> {
        let free = !self.bits();
        if free == 0 {
            return Err(Full);
        }
        self.joined += 1;
        let id = PeerId(self.joined);
        self.peers.push(Peer { id, bit: free & free.wrapping_neg(), name });
        Ok(id)
    }

    pub(super) fn leave(&mut self, id: PeerId) -> Option<Peer> {
        let place = self.peers.iter().position(|peer| peer.id == id)?;
        Some(self.peers.remove(place))
    }

    pub(super) fn bit(&self, id: PeerId) -> Option<u32> {
        self.peers.iter().find(|peer| peer.id == id).map(|peer| peer.bit)
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
