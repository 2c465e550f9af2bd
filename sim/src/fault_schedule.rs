//! Selects the commands that each fault affects. Pure.

use std::time::Duration;

use super::fault::{Fault, FaultSpec};

/// The present faults, and how many commands each has counted.
#[derive(Debug, Default)]
pub(super) struct FaultSchedule {
    faults: Vec<(FaultSpec, u64)>,
}

/// How the controller treats one command.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Treatment {
    pub(super) delay: Duration,
    pub(super) answer: Answer,
    pub(super) delivery: Delivery,
}

#[derive(Debug, Default, PartialEq)]
pub(super) enum Answer {
    #[default]
    Honest,
    Error(String),
    Bytes(Vec<u8>),
}

#[derive(Debug, Default, PartialEq)]
pub(super) enum Delivery {
    #[default]
    Whole,
    Split,
    Merge(usize),
    Twice,
    Never,
    Drip,
    HalfOpen,
    CloseMidLine,
    ResetMidLine,
    Crash(Option<Duration>),
}

impl FaultSchedule {
    pub(super) fn new(faults: Vec<FaultSpec>) -> Self {
        Self { faults: faults.into_iter().map(|fault| (fault, 0)).collect() }
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = &FaultSpec> {
        self.faults.iter().map(|(fault, _)| fault)
    }

    /// Returns whether the controller reads nothing.
    pub(super) fn reads_nothing(&self) -> bool {
        self.faults().any(|spec| spec.is_immediate() && spec.fault == Fault::HalfOpen)
    }

    /// Returns whether replies wait to be sent together, now or later.
    pub(super) fn merging(&self) -> bool {
        self.faults.iter().any(|(spec, seen)| {
            let last = spec.after.unwrap_or(0).saturating_add(spec.times.unwrap_or(u64::MAX));
            matches!(spec.fault, Fault::Merge(_)) && *seen < last
        })
    }

    /// Counts a command and returns its treatment. If two faults set the delivery or the content of
    /// the reply, the later fault in the list wins. Delays add up.
    pub(super) fn treat(&mut self) -> Treatment {
        let mut treatment = Treatment::default();
        for (spec, seen) in self.faults.iter_mut().filter(|(spec, _)| !spec.is_immediate()) {
            *seen += 1;
            let hit = seen.saturating_sub(spec.after.unwrap_or(0));
            let once = matches!(spec.fault, Fault::Crash | Fault::Restart(_));
            let times = spec.times.unwrap_or(if once { 1 } else { u64::MAX });
            if !(1..=times).contains(&hit) {
                continue;
            }
            match spec.fault.clone() {
                Fault::Delay(time) => treatment.delay += time,
                Fault::Error(message) => treatment.answer = Answer::Error(message),
                Fault::Line(line) => treatment.answer = Answer::Bytes(format!("{line}\n").into_bytes()),
                Fault::Binary => treatment.answer = Answer::Bytes(NOT_UTF8.to_vec()),
                Fault::Flood => treatment.answer = Answer::Bytes(vec![b'x'; MEGABYTE]),
                Fault::Drip => treatment.delivery = Delivery::Drip,
                Fault::Silence => treatment.delivery = Delivery::Never,
                Fault::HalfOpen => treatment.delivery = Delivery::HalfOpen,
                Fault::ResetMidLine => treatment.delivery = Delivery::ResetMidLine,
                Fault::CloseMidLine => treatment.delivery = Delivery::CloseMidLine,
                Fault::Split => treatment.delivery = Delivery::Split,
                Fault::Merge(count) => treatment.delivery = Delivery::Merge(count),
                Fault::Twice => treatment.delivery = Delivery::Twice,
                Fault::Crash => treatment.delivery = Delivery::Crash(None),
                Fault::Restart(time) => treatment.delivery = Delivery::Crash(Some(time)),
            }
        }
        treatment
    }
}

const NOT_UTF8: &[u8] = b"{\"status\":\"\xff\"}\n";
const MEGABYTE: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Answer, Delivery, FaultSchedule, Treatment};
    use crate::FaultSpec;

    fn spec(text: &str) -> FaultSpec {
        text.parse().unwrap()
    }

    #[test]
    fn fault_skips_then_hits_the_given_count() {
        let mut schedule = FaultSchedule::new(vec![spec("silence@2x3")]);
        let hits: Vec<bool> = (0..7).map(|_| schedule.treat().delivery == Delivery::Never).collect();
        assert_eq!(hits, [false, false, true, true, true, false, false]);
    }

    #[test]
    fn crash_hits_one_command() {
        let mut schedule = FaultSchedule::new(vec![spec("restart:2@1"), spec("delay:0.1")]);
        let crash = Delivery::Crash(Some(Duration::from_secs(2)));
        let hits: Vec<bool> = (0..4).map(|_| schedule.treat().delivery == crash).collect();
        assert_eq!(hits, [false, true, false, false]);
        assert_eq!(schedule.treat().delay, Duration::from_millis(100));
    }

    #[test]
    fn delays_add_up_and_later_delivery_wins() {
        let mut schedule =
            FaultSchedule::new(["delay:1", "delay:2", "split", "error:no", "silence"].map(spec).to_vec());
        let expected = Treatment {
            delay: Duration::from_secs(3),
            answer: Answer::Error("no".to_owned()),
            delivery: Delivery::Never,
        };
        assert_eq!(schedule.treat(), expected);
    }

    #[test]
    fn replies_are_held_only_while_merging() {
        let mut schedule = FaultSchedule::new(vec![spec("merge@1x2")]);
        let merging: Vec<bool> = (0..4).map(|_| (schedule.merging(), schedule.treat()).0).collect();
        assert_eq!(merging, [true, true, true, false]);
        assert!(!FaultSchedule::new(vec![spec("split")]).merging());
    }

    #[test]
    fn only_untriggered_half_open_stops_reading_immediately() {
        assert!(FaultSchedule::new(vec![spec("half-open")]).reads_nothing());
        assert!(!FaultSchedule::new(vec![spec("half-open@0")]).reads_nothing());
        assert!(!FaultSchedule::new(vec![spec("silence")]).reads_nothing());
        assert_eq!(FaultSchedule::new(vec![spec("half-open@0")]).treat().delivery, Delivery::HalfOpen);
    }
}
