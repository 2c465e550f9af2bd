//! What became of every published pose: its line, or why there is none.

use std::time::{Duration, Instant};

use crate::controller::Arrival;

/// Poses that were published, and the lines that came of them.
#[derive(Debug, Default, PartialEq)]
pub struct Flow {
    /// From just before publish to the line read, one for each pose whose line came.
    pub delays: Vec<Duration>,
    /// Poses without a line that the controller's pace did not allow one: until the next pose was published it owed a
    /// reply to an earlier one, so that the newer took the place.
    pub coalesced: usize,
    /// Poses without a line though everything earlier had been answered before the next pose was published.
    pub lost: usize,
}

impl Flow {
    /// `published` is when each pose was published, by its sequence number; those before `first` only led up to it.
    pub fn new(published: &[Instant], arrivals: Vec<Arrival>, first: usize) -> Self {
        let mut lines: Vec<Option<Arrival>> = published.iter().map(|_| None).collect();
        for arrival in arrivals {
            if let Some(line) = arrival.seq.as_ref().ok().and_then(|&seq| lines.get_mut(seq as usize)) {
                // A target that was sent twice has arrived once.
                line.get_or_insert(arrival);
            }
        }
        let mut flow = Self::default();
        let mut all_answered = None;
        for (seq, line) in lines.iter().enumerate() {
            if let Some(line) = line {
                if seq >= first {
                    flow.delays.push(line.at.saturating_duration_since(published[seq]));
                }
                all_answered = all_answered.max(Some(line.answered));
            } else if seq >= first {
                let next = published.get(seq + 1);
                let owed = next.is_some_and(|next| all_answered.is_some_and(|at| at > *next));
                *(if owed { &mut flow.coalesced } else { &mut flow.lost }) += 1;
            }
        }
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Poses every 100 µs; lines as (sequence number, read at, answered at), in µs.
    fn flow(poses: u64, lines: &[(u32, u64, u64)], first: usize) -> Flow {
        let start = Instant::now();
        let at = |micros| start + Duration::from_micros(micros);
        let published: Vec<_> = (0..poses).map(|seq| at(100 * seq)).collect();
        let arrival = |&(seq, read, answered)| Arrival { at: at(read), answered: at(answered), seq: Ok(seq) };
        Flow::new(&published, lines.iter().map(arrival).collect(), first)
    }

    #[test]
    fn a_delay_is_from_publish_to_the_line_read() {
        let flow = flow(3, &[(0, 30, 31), (1, 140, 141), (2, 250, 251), (2, 290, 291)], 1);
        let delays = [40, 50].map(Duration::from_micros).to_vec();
        assert_eq!(flow, Flow { delays, coalesced: 0, lost: 0 });
    }

    #[test]
    fn a_pose_that_was_replaced_before_the_controller_had_answered_is_not_lost() {
        let answered_late = flow(3, &[(0, 30, 210), (2, 260, 261)], 0);
        assert_eq!((answered_late.coalesced, answered_late.lost), (1, 0));
        let answered_in_time = flow(3, &[(0, 30, 190), (2, 260, 261)], 0);
        assert_eq!((answered_in_time.coalesced, answered_in_time.lost), (0, 1));
    }

    #[test]
    fn the_last_pose_has_no_newer_one_to_give_way_to() {
        let flow = flow(2, &[(0, 30, 1000)], 0);
        assert_eq!((flow.coalesced, flow.lost), (0, 1));
    }
}
