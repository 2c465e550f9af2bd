//! The result of every published pose: the delay of its line, or the reason why it has no line.

use std::time::{Duration, Instant};

use crate::controller::Arrival;

/// The results of the published poses.
#[derive(Debug, Default, PartialEq)]
pub struct Flow {
    /// The delay of each pose with a line: from just before publishing the pose to reading the
    /// line.
    pub delays: Vec<Duration>,
    /// The number of poses that the next pose replaced, because a reply to an earlier line was
    /// pending until the next pose was published.
    pub coalesced: usize,
    /// The number of poses without a line, although the controller had replied to all earlier lines
    /// before the next pose was published.
    pub lost: usize,
}

impl Flow {
    /// Computes the results. `published` has the publishing time of each pose, by its sequence
    /// number. Poses before `first` do not count.
    pub fn new(published: &[Instant], arrivals: Vec<Arrival>, first: usize) -> Self {
        let mut lines: Vec<Option<Arrival>> = published.iter().map(|_| None).collect();
        for arrival in arrivals {
            if let Some(line) = arrival.seq.as_ref().ok().and_then(|&seq| lines.get_mut(seq as usize)) {
                // If a target was sent twice, only its first line counts.
                line.get_or_insert(arrival);
            }
        }
        let mut flow = Self::default();
        let mut last_reply = None;
        for (seq, line) in lines.iter().enumerate() {
            if let Some(line) = line {
                if seq >= first {
                    flow.delays.push(line.at.saturating_duration_since(published[seq]));
                }
                last_reply = last_reply.max(Some(line.replied));
            } else if seq >= first {
                let next = published.get(seq + 1);
                let pending = next.is_some_and(|next| last_reply.is_some_and(|at| at > *next));
                *(if pending { &mut flow.coalesced } else { &mut flow.lost }) += 1;
            }
        }
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computes the results of poses every 100 µs. Lines are (sequence number, read at, replied
    /// at), in µs.
    fn flow(poses: u64, lines: &[(u32, u64, u64)], first: usize) -> Flow {
        let start = Instant::now();
        let at = |micros| start + Duration::from_micros(micros);
        let published: Vec<_> = (0..poses).map(|seq| at(100 * seq)).collect();
        let arrival = |&(seq, read, replied)| Arrival { at: at(read), replied: at(replied), seq: Ok(seq) };
        Flow::new(&published, lines.iter().map(arrival).collect(), first)
    }

    #[test]
    fn delay_is_from_publish_to_read() {
        let flow = flow(3, &[(0, 30, 31), (1, 140, 141), (2, 250, 251), (2, 290, 291)], 1);
        let delays = [40, 50].map(Duration::from_micros).to_vec();
        assert_eq!(flow, Flow { delays, coalesced: 0, lost: 0 });
    }

    #[test]
    fn pose_replaced_before_a_reply_is_coalesced() {
        let late_reply = flow(3, &[(0, 30, 210), (2, 260, 261)], 0);
        assert_eq!((late_reply.coalesced, late_reply.lost), (1, 0));
        let reply_in_time = flow(3, &[(0, 30, 190), (2, 260, 261)], 0);
        assert_eq!((reply_in_time.coalesced, reply_in_time.lost), (0, 1));
    }

    #[test]
    fn last_pose_without_a_line_is_lost() {
        let flow = flow(2, &[(0, 30, 1000)], 0);
        assert_eq!((flow.coalesced, flow.lost), (0, 1));
    }
}
