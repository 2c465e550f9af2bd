//! A point in space, in metres.

use std::fmt;

use nalgebra::Point3;

/// A position in metres, finite by construction.
///
/// Coordinates are rounded to a micrometre. None of our protocols has more digits. So the number
/// that is limited, the number that is sent and the number that is published are the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Position(Point3<f64>);

/// The largest coordinate, in metres. A larger coordinate is an error.
pub const MAX_COORDINATE: f64 = 100.0;

/// Why three numbers are not a position: the first bad axis ("x", "y" or "z") and the number as
/// received, in metres.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum PositionError {
    /// NaN or an infinity.
    #[error("{axis} is {value}, which is not a finite number")]
    NotFinite { axis: &'static str, value: f64 },
    /// Larger than [`MAX_COORDINATE`], in either direction.
    #[error("{axis} is {value} m, beyond ±{MAX_COORDINATE} m; is the sender's unit metres?")]
    Huge { axis: &'static str, value: f64 },
}

impl Position {
    /// Creates a position from coordinates in metres.
    ///
    /// # Errors
    /// A coordinate is not finite, or is beyond [`MAX_COORDINATE`].
    pub fn new(x: f64, y: f64, z: f64) -> Result<Self, PositionError> {
        for (axis, value) in [("x", x), ("y", y), ("z", z)] {
            if !value.is_finite() {
                return Err(PositionError::NotFinite { axis, value });
            }
            if value.abs() > MAX_COORDINATE {
                return Err(PositionError::Huge { axis, value });
            }
        }
        Ok(Self(Point3::new(x, y, z).map(to_micrometre)))
    }

    /// Returns the coordinates as a point, in metres.
    pub fn point(self) -> Point3<f64> {
        self.0
    }

    /// Returns the coordinates `[x, y, z]` in metres.
    pub fn coordinates(self) -> [f64; 3] {
        self.0.coords.into()
    }

    /// Returns the nearest position in the box between two corners.
    pub(crate) fn clamped(self, min: Self, max: Self) -> Self {
        Self(self.0.sup(&min.0).inf(&max.0))
    }

    /// Rounds a point that is known to be finite, because it lies between two positions.
    pub(crate) fn from_exact(point: Point3<f64>) -> Self {
        Self(point.map(to_micrometre))
    }

    /// Returns the straight-line distance to another position, in metres.
    pub fn distance(self, other: Self) -> f64 {
        nalgebra::distance(&self.0, &other.0)
    }
}

/// Formats a position to the millimetre, without its unit.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [x, y, z] = self.coordinates();
        write!(f, "[{x:.3}, {y:.3}, {z:.3}]")
    }
}

/// Rounds metres to the nearest micrometre. Never returns a negative zero.
fn to_micrometre(metres: f64) -> f64 {
    (metres * 1e6).round() / 1e6 + 0.0
}

#[cfg(test)]
mod tests {
    use super::{Position, PositionError};

    #[test]
    fn position_is_rounded_without_negative_zero() {
        let position = Position::new(0.123_456_7, -1e-9, 0.2).unwrap();
        assert_eq!(position.coordinates(), [0.123_457, 0.0, 0.2]);
        assert!(position.coordinates()[1].is_sign_positive());
    }

    #[test]
    fn invalid_numbers_are_reported_with_axis_and_value() {
        assert!(matches!(Position::new(0.0, f64::NAN, 0.0), Err(PositionError::NotFinite { axis: "y", .. })));
        assert!(matches!(
            Position::new(f64::INFINITY, 0.0, 0.0),
            Err(PositionError::NotFinite { axis: "x", .. })
        ));
        let error = Position::new(0.0, 0.0, 210.0).unwrap_err();
        assert_eq!(error.to_string(), "z is 210 m, beyond ±100 m; is the sender's unit metres?");
    }
}
