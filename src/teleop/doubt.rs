//! Doubts about a reported position: what a controller says that cannot be where its arm is.
//!
//! Invariant: a position that is in doubt begins no motion.

use std::sync::Arc;

use super::workspace::Workspace;
use crate::geometry::Position;

/// Why a report of the controller is not believed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Doubt {
    /// Exactly zero on every axis, which controllers report before they know.
    #[error("the controller reports exactly [0, 0, 0]; has the arm been homed?")]
    Zero,
    /// What would be right if it were in another unit.
    #[error(
        "the controller reports {reported} m, which would be right {factor} times {}; {}", if *larger { "smaller" } else { "larger" },
        if *larger { UNIT_TOO_SMALL } else { UNIT_TOO_LARGE }
    )]
    #[allow(missing_docs)]
    Scale { reported: Position, factor: u32, larger: bool },
    /// Numbers that are none, or that lie beyond any arm.
    #[error("the controller reports what cannot be read: {0}")]
    Unreadable(Arc<str>),
}

const UNIT_TOO_LARGE: &str = "metres on a millimetre wire? check wire.position_unit";
const UNIT_TOO_SMALL: &str = "millimetres on a metre wire? check wire.position_unit";

impl Doubt {
    /// Judges a reported position by what is known of the arm, or by the workspace if nothing is known.
    pub(super) fn judge(
        reported: Position,
        known: Option<Position>,
        tolerance: f64,
        workspace: &Workspace,
    ) -> Result<(), Self> {
        if reported.coordinates() == [0.0; 3] {
            return Err(Self::Zero);
        }
        let is_right = |position: Position| match known {
            Some(known) => position.distance(known) <= tolerance + SHARE * known.point().coords.norm(),
            None => workspace.contains(position),
        };
        if is_right(reported) || known.is_none() && near(reported, tolerance, workspace) {
            return Ok(());
        }
        // Next to the base every unit looks the same.
        if known.is_some_and(|known| known.point().coords.norm() < NEAR_BASE * tolerance) {
            return Ok(());
        }
        let is_far = reported.point().coords.norm() > FAR;
        for factor in FACTORS {
            // Without anything to compare with, an arm that is a little outside is just there.
            for larger in [false, true].into_iter().filter(|larger| known.is_some() || !larger || is_far) {
                let scale = if larger { 1.0 / f64::from(factor) } else { f64::from(factor) };
                let [x, y, z] = reported.coordinates().map(|coordinate| coordinate * scale);
                if Position::new(x, y, z).is_ok_and(is_right) {
                    return Err(Self::Scale { reported, factor, larger });
                }
            }
        }
        Ok(())
    }
}

/// Returns whether a position is as near to the workspace as an arm at its edge may be measured.
fn near(position: Position, tolerance: f64, workspace: &Workspace) -> bool {
    workspace.nearest(position).is_some_and(|inside| inside.distance(position) <= tolerance)
}

/// The factors between the units that people confuse.
const FACTORS: [u32; 3] = [1000, 100, 10];
/// How far from the base, as a multiple of the tolerance, a position has to be for a comparison of units.
const NEAR_BASE: f64 = 5.0;
/// No arm on a table reaches so far, in metres.
const FAR: f64 = 5.0;
/// How far from what is known a scaled position may be and still count as the same, as a share of the distance to the base.
const SHARE: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teleop::workspace::Policy;

    fn at(x: f64, y: f64, z: f64) -> Position {
        Position::new(x, y, z).unwrap()
    }

    fn judge(reported: Position, known: Option<Position>) -> Result<(), Doubt> {
        let corner = |by: f64| at(by, by, by);
        let workspace = Workspace::new(corner(-0.3), corner(0.4), Policy::Clamp).unwrap();
        Doubt::judge(reported, known, 0.01, &workspace.with_reach(0.05, 0.0))
    }

    #[test]
    fn exact_zero_is_in_doubt() {
        assert_eq!(judge(at(0.0, 0.0, 0.0), None), Err(Doubt::Zero));
        assert_eq!(judge(at(0.0, 0.0, 0.0), Some(at(0.001, 0.0, 0.0))), Err(Doubt::Zero));
        assert_eq!(judge(at(0.0, 0.0, 0.1), None), Ok(()));
    }

    #[test]
    fn each_factor_from_what_is_known_is_named() {
        let known = at(0.2, 0.05, 0.15);
        for factor in FACTORS {
            let share = 1.0 / f64::from(factor);
            let smaller = at(0.2 * share, 0.05 * share, 0.15 * share);
            let doubt = judge(smaller, Some(known)).unwrap_err();
            assert_eq!(doubt, Doubt::Scale { reported: smaller, factor, larger: false });
            assert!(doubt.to_string().contains("metres on a millimetre wire?"), "{doubt}");
        }
        let larger = at(2.0, 0.5, 1.5);
        let doubt = judge(larger, Some(known)).unwrap_err();
        assert_eq!(doubt, Doubt::Scale { reported: larger, factor: 10, larger: true });
        assert!(doubt.to_string().contains("10 times smaller; millimetres on a metre wire?"), "{doubt}");
    }

    #[test]
    fn position_elsewhere_is_no_doubt_of_the_unit() {
        assert_eq!(judge(at(0.1, -0.2, 0.3), Some(at(0.2, 0.05, 0.15))), Ok(()));
        assert_eq!(judge(at(0.2, 0.05, 0.15), Some(at(0.2, 0.05, 0.15))), Ok(()));
        assert_eq!(judge(at(0.1, -0.2, 0.3), Some(at(0.0, 0.0, 0.01))), Ok(()), "next to the base");
    }

    #[test]
    fn first_report_is_judged_by_the_workspace() {
        let tiny = at(0.0002, 0.0, 0.0002);
        assert_eq!(judge(tiny, None), Err(Doubt::Scale { reported: tiny, factor: 1000, larger: false }));
        assert_eq!(judge(at(0.2, 0.0, 0.2), None), Ok(()));
        assert_eq!(judge(at(1.5, 0.0, 0.2), None), Ok(()), "outside, and no other unit");
        let huge = at(90.0, 0.0, 90.0);
        assert_eq!(judge(huge, None), Err(Doubt::Scale { reported: huge, factor: 1000, larger: true }));
        assert_eq!(judge(at(0.2, 0.0, 0.405), None), Ok(()), "an arm at the edge measures a hair outside");
    }

    #[test]
    fn scaled_position_need_be_only_near_what_is_known() {
        let known = at(0.2, 0.0, 0.0);
        // 5 % of the way from the base, and the tolerance.
        assert!(matches!(judge(at(0.0219, 0.0, 0.0), Some(known)), Err(Doubt::Scale { factor: 10, .. })));
        assert_eq!(judge(at(0.0221, 0.0, 0.0), Some(known)), Ok(()));
    }

    #[test]
    fn first_report_beside_the_workspace_is_no_other_unit() {
        assert_eq!(judge(at(0.03, 0.0, 0.03), None), Ok(()), "8 mm inside the inner reach");
        let inside = at(0.02, 0.0, 0.02);
        assert_eq!(judge(inside, None), Err(Doubt::Scale { reported: inside, factor: 10, larger: false }));
    }

    #[test]
    fn limits_of_the_comparison_are_met_exactly() {
        let known = at(NEAR_BASE * 0.01, 0.0, 0.0);
        assert!(matches!(judge(at(0.005, 0.0, 0.0), Some(known)), Err(Doubt::Scale { factor: 10, .. })));
        assert_eq!(judge(at(3.0, 0.0, 4.0), None), Ok(()), "as far as an arm may reach");
        assert!(matches!(judge(at(3.0, 0.0, 4.001), None), Err(Doubt::Scale { larger: true, .. })));
    }
}
