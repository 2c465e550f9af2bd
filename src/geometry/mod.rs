//! Positions, orientations and transforms, valid by construction, and what makes numbers invalid.
//!
//! All lengths are in metres and all angles in radians. A frame is right-handed, as in REP 103.
//!
//! Names no other room.

mod orientation;
mod position;
mod transform;

pub use orientation::{Orientation, OrientationError};
pub use position::{MAX_COORDINATE, Position, PositionError};
pub use transform::Transform;
