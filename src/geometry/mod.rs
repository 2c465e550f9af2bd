//! Positions, orientations and transforms. They are valid by construction, and their constructors
//! report invalid numbers.
//!
//! All lengths are in metres and all angles in radians. All frames are right-handed (REP 103).
//!
//! This module does not depend on any other module.

mod orientation;
mod position;
mod transform;

pub use orientation::{Orientation, OrientationError};
pub use position::{MAX_COORDINATE, Position, PositionError};
pub use transform::Transform;
