//! When a sample was taken, by the sender's clock.

use std::time::Duration;

/// A sender's stamp together with the reading of the same clock at receipt. Both in nanoseconds of ROS time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// `header.stamp`.
    pub taken: i64,
    /// The node's ROS clock when the message was received.
    pub received: i64,
    /// Whether that clock is simulated (`use_sim_time`).
    pub simulated: bool,
}

impl Stamp {
    /// Returns how old the sample was at receipt, in nanoseconds; negative if it comes from the future.
    pub fn age(self) -> i64 {
        self.received.saturating_sub(self.taken)
    }

    /// Returns what makes a stamp as far from the node's clock as this one.
    pub fn cause(self) -> ClockCause {
        let ahead = self.age() < 0;
        match (self.age().unsigned_abs() > A_DAY.as_nanos() as u64, self.simulated, ahead) {
            (false, ..) => ClockCause::NotSynchronised,
            (true, true, true) => ClockCause::SenderOnSystemTime,
            (true, false, false) => ClockCause::SenderOnSimulatedTime,
            (true, simulated, _) => ClockCause::OfAnotherDay { simulated },
        }
    }
}

/// Why a stamp may be far from the node's clock, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockCause {
    /// By less than a day: the clocks of two machines are not synchronised, or the message was long on its way.
    #[error("are the clocks of the two machines synchronised, and does nothing hold the message up?")]
    NotSynchronised,
    /// This node runs on simulated time, and the sender stamps with the time of its system.
    #[error(
        "the sender stamps with system time, but use_sim_time is true here; set use_sim_time: true at the sender too, or \
         false here"
    )]
    SenderOnSystemTime,
    /// This node runs on the time of its system, and the sender stamps with simulated time.
    #[error(
        "the sender stamps with simulated time, or with another clock that does not tell the date, but use_sim_time is \
         false here; set use_sim_time: true here too, or false at the sender"
    )]
    SenderOnSimulatedTime,
    /// By more than a day, the other way round.
    #[error("use_sim_time is {simulated} here; {}", if *simulated { SAME_CLOCK } else { SAME_DATE })]
    OfAnotherDay {
        /// Whether this node runs on simulated time.
        simulated: bool,
    },
}

const SAME_CLOCK: &str = "does the sender use the same /clock?";
const SAME_DATE: &str = "is use_sim_time false at the sender too, and are both machines' dates right?";
/// Clocks of two machines that are only not synchronised are closer together than that.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_a_day_apart_are_clocks_of_different_kinds() {
        const SECOND: i64 = 1_000_000_000;
        let cause = |taken: i64, received: i64, simulated| {
            Stamp { taken: taken * SECOND, received: received * SECOND, simulated }.cause()
        };
        let (wall, yesterday) = (1_795_767_257, 1_795_767_257 - 100_000);
        assert_eq!(cause(wall, 100, true), ClockCause::SenderOnSystemTime);
        // A recording that is played again has the clock of its day.
        assert_eq!(cause(wall, yesterday, true), ClockCause::SenderOnSystemTime);
        assert_eq!(cause(100, wall, false), ClockCause::SenderOnSimulatedTime);
        assert_eq!(cause(yesterday, wall, false), ClockCause::SenderOnSimulatedTime);
        assert_eq!(cause(100, wall, true), ClockCause::OfAnotherDay { simulated: true });
        assert_eq!(cause(wall, yesterday, false), ClockCause::OfAnotherDay { simulated: false });
        for simulated in [false, true] {
            assert_eq!(cause(wall - 3600, wall, simulated), ClockCause::NotSynchronised);
            assert_eq!(cause(wall + 3600, wall, simulated), ClockCause::NotSynchronised);
        }
    }
}
