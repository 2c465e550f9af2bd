//! Plausibility of a reported position: detects reports that cannot be the position of the arm.
//!
//! Invariant: a position in doubt starts no motion.

use std::sync::Arc;

use super::workspace::Workspace;
use crate::geometry::Position;

/// The reason why a report of the controller is in doubt.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Doubt {
    /// Exactly zero on every axis. Controllers report this before they know the position.
    #[error("the controller reports exactly [0, 0, 0]; has the arm been homed?")]
    Zero,
    /// The position would be plausible in another unit. The reported numbers are `factor` times too
    /// large (`larger: true`) or too small (`larger: false`).
    #[error(
        "the controller reports {reported} m, which would be right if it were {factor} times {}; \
         check that wire.position_unit is the unit that the controller uses",
        if *larger { "smaller" } else { "larger" }
    )]
    #[allow(missing_docs)]
    Scale { reported: Position, factor: u32, larger: bool },
    /// The report contains invalid numbers, or numbers that no arm can reach.
    #[error("the bridge cannot read the controller's report: {0}")]
    Unreadable(Arc<str>),
}

impl Doubt {
    /// Compares a reported position with the known position of the arm. If the position is unknown,
    /// compares the report with the workspace. All positions and `tolerance` are in metres.
    ///
    /// # Errors
    /// [`Doubt`] states what is wrong with the report.
    pub(super) fn check(
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
        if is_right(reported) || known.is_none() && is_near(reported, tolerance, workspace) {
            return Ok(());
        }
        // Close to the base, the position looks the same in every unit.
        if known.is_some_and(|known| known.point().coords.norm() < NEAR_BASE * tolerance) {
            return Ok(());
        }
        let is_far = reported.point().coords.norm() > FAR;
        for factor in FACTORS {
            // If the position is unknown, a report counts as too large only if no arm can reach it.
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

/// Returns whether a position is at most `tolerance` outside the workspace. The measured position
/// of an arm at the edge of the workspace may be slightly outside.
fn is_near(position: Position, tolerance: f64, workspace: &Workspace) -> bool {
    workspace.nearest(position).is_some_and(|inside| inside.distance(position) <= tolerance)
}

/// The factors between units that are often confused.
const FACTORS: [u32; 3] = [1000, 100, 10];
/// Units are compared only if the distance of the known position from the base is at least the
/// tolerance multiplied by this number.
const NEAR_BASE: f64 = 5.0;
/// No tabletop arm reaches farther, in metres.
const FAR: f64 = 5.0;
/// A position counts as the known position if their distance is at most the tolerance plus this
/// share of the known position's distance from the base.
const SHARE: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teleop::workspace::Policy;

    fn at(x: f64, y: f64, z: f64) -> Position {
        Position::new(x, y, z).unwrap()
    }

    fn check(reported: Position, known: Option<Position>) -> Result<(), Doubt> {
        let corner = |by: f64| at(by, by, by);
        let workspace = Workspace::new(corner(-0.3), corner(0.4), Policy::Clamp).unwrap();
        Doubt::check(reported, known, 0.01, &workspace.with_reach(0.05, 0.0))
    }

    #[test]
    fn exact_zero_is_in_doubt() {
        assert_eq!(check(at(0.0, 0.0, 0.0), None), Err(Doubt::Zero));
        assert_eq!(check(at(0.0, 0.0, 0.0), Some(at(0.001, 0.0, 0.0))), Err(Doubt::Zero));
        assert_eq!(check(at(0.0, 0.0, 0.1), None), Ok(()));
    }

    #[test]
    fn error_names_factor_from_known_position() {
        let known = at(0.2, 0.05, 0.15);
        for factor in FACTORS {
            let share = 1.0 / f64::from(factor);
            let smaller = at(0.2 * share, 0.05 * share, 0.15 * share);
            let doubt = check(smaller, Some(known)).unwrap_err();
            assert_eq!(doubt, Doubt::Scale { reported: smaller, factor, larger: false });
            assert!(
                doubt.to_string().contains(&format!("{factor} times larger; check that wire.")),
                "{doubt}"
            );
        }
        let larger = at(2.0, 0.5, 1.5);
        let doubt = check(larger, Some(known)).unwrap_err();
        assert_eq!(doubt, Doubt::Scale { reported: larger, factor: 10, larger: true });
        assert!(doubt.to_string().contains("10 times smaller; check that wire.position_unit"), "{doubt}");
    }

    #[test]
    fn position_elsewhere_causes_no_unit_doubt() {
        assert_eq!(check(at(0.1, -0.2, 0.3), Some(at(0.2, 0.05, 0.15))), Ok(()));
        assert_eq!(check(at(0.2, 0.05, 0.15), Some(at(0.2, 0.05, 0.15))), Ok(()));
        assert_eq!(check(at(0.1, -0.2, 0.3), Some(at(0.0, 0.0, 0.01))), Ok(()), "close to the base");
    }

    #[test]
    fn first_report_is_compared_with_workspace() {
        let tiny = at(0.0002, 0.0, 0.0002);
        assert_eq!(check(tiny, None), Err(Doubt::Scale { reported: tiny, factor: 1000, larger: false }));
        assert_eq!(check(at(0.2, 0.0, 0.2), None), Ok(()));
        assert_eq!(check(at(1.5, 0.0, 0.2), None), Ok(()), "outside, and plausible in no other unit");
        let huge = at(90.0, 0.0, 90.0);
        assert_eq!(check(huge, None), Err(Doubt::Scale { reported: huge, factor: 1000, larger: true }));
        assert_eq!(check(at(0.2, 0.0, 0.405), None), Ok(()), "slightly outside the edge");
    }

    #[test]
    fn scaled_position_matches_near_known_position() {
        let known = at(0.2, 0.0, 0.0);
        // 5 % of the distance from the base, and the tolerance.
        assert!(matches!(check(at(0.0219, 0.0, 0.0), Some(known)), Err(Doubt::Scale { factor: 10, .. })));
        assert_eq!(check(at(0.0221, 0.0, 0.0), Some(known)), Ok(()));
    }

    #[test]
    fn report_just_outside_workspace_is_accepted() {
        assert_eq!(check(at(0.03, 0.0, 0.03), None), Ok(()), "8 mm inside the inner reach");
        let inside = at(0.02, 0.0, 0.02);
        assert_eq!(check(inside, None), Err(Doubt::Scale { reported: inside, factor: 10, larger: false }));
    }

    #[test]
    fn comparison_includes_its_exact_limits() {
        let known = at(NEAR_BASE * 0.01, 0.0, 0.0);
        assert!(matches!(check(at(0.005, 0.0, 0.0), Some(known)), Err(Doubt::Scale { factor: 10, .. })));
        assert_eq!(check(at(3.0, 0.0, 4.0), None), Ok(()), "as far as an arm may reach");
        assert!(matches!(check(at(3.0, 0.0, 4.001), None), Err(Doubt::Scale { larger: true, .. })));
    }
}
