//! An independent record of the arm's position, from the reports of the controller and the requests
//! of operators.

use std::time::{Duration, Instant};

use aether_bridge::arm::Command;
use aether_bridge::geometry::Position;
use aether_bridge::teleop::{ArmingError, AssumedPosition, TeleopConfig};

#[derive(Debug)]
pub struct ArmRecord {
    home: Position,
    /// The last accepted command of this session, and when it was accepted.
    acknowledged: Option<(Instant, Position)>,
    /// The reports of the arm's position since then. The newest is last.
    seen: Vec<Sighting>,
    /// A report received during motion since then. It counts if the motion is interrupted.
    aside: Option<Sighting>,
    /// Whether the newest report is exactly zero or in another unit.
    doubtful: bool,
    assumed: Vec<Position>,
    /// Positions at which the arm may have been in an earlier session, within the measuring
    /// tolerance of each other.
    former: Vec<Position>,
    /// When the controller last reported its position while no other line awaited a reply.
    answered: Option<Instant>,
    /// Whether the controller has sent an unsolicited report of its position.
    reports_unasked: bool,
    /// Whether a command has been sent since the start.
    left_start: bool,
    /// Until when a second call of an operator counts as confirmation.
    confirm_until: Option<Instant>,
    /// How many lines without a reply were sent in an earlier session.
    pub earlier: usize,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    at: Instant,
    position: Position,
    moving: Option<bool>,
}

impl ArmRecord {
    pub fn new(config: &TeleopConfig) -> Self {
        let mut record = Self {
            home: config.home,
            acknowledged: None,
            seen: Vec::new(),
            aside: None,
            doubtful: false,
            assumed: Vec::new(),
            former: Vec::new(),
            answered: None,
            reports_unasked: false,
            left_start: false,
            confirm_until: None,
            earlier: 0,
        };
        record.renew(config);
        record
    }

    /// Creates a record for another arm. Its position is unknown, and it has not stood at home
    /// since the start.
    pub fn of_other_arm(config: &TeleopConfig) -> Self {
        let mut record = Self::new(config);
        (record.left_start, record.assumed) = (true, Vec::new());
        record
    }

    /// Keeps the arm's position for the time after this session.
    fn keep(&mut self, config: &TeleopConfig) {
        let last =
            self.seen.last().map(|seen| seen.position).or(self.acknowledged.map(|(_, accepted)| accepted));
        let near = |position: &Position| {
            last.is_some_and(|last| last.distance(*position) <= config.position_tolerance)
        };
        let accepted = self.acknowledged.map(|(_, accepted)| accepted);
        if last.is_some() {
            let known: Vec<_> = accepted.into_iter().chain(self.former.drain(..)).filter(near).collect();
            self.former = last.into_iter().chain(known).collect();
        }
        let resting = self.aside.filter(|seen| seen.moving == Some(false));
        self.former.extend(resting.map(|seen| seen.position));
    }

    /// Ends the session and begins another.
    pub fn renew(&mut self, config: &TeleopConfig) {
        self.keep(config);
        self.home = config.home;
        self.assumed = match config.assume_position {
            AssumedPosition::None => Vec::new(),
            AssumedPosition::Home if self.left_start => Vec::new(),
            AssumedPosition::Home => vec![config.home],
            // The controller will report its position again.
            AssumedPosition::Last if self.reports_unasked => Vec::new(),
            AssumedPosition::Last => self.former.clone(),
        };
        (self.acknowledged, self.doubtful, self.answered, self.confirm_until) = (None, false, None, None);
        self.aside = None;
        self.seen.clear();
    }

    pub fn handle_sent(&mut self) {
        self.left_start = true;
        self.answered = None;
    }

    pub fn handle_acknowledged(&mut self, now: Instant, command: &Command) {
        self.acknowledged = Some((now, command.position));
        self.aside = None;
        self.seen.clear();
    }

    /// Records the end of a motion, or the refusal or loss of its last command. If the arm was seen
    /// at rest after the last accepted command, it is no longer following that command.
    pub fn handle_interrupted(&mut self) {
        self.seen.extend(self.aside.take().filter(|seen| seen.moving == Some(false)));
    }

    /// Records that a command of an earlier session was accepted. When that session ended, the arm
    /// was at the position of this command.
    pub fn handle_earlier(&mut self, position: Position, config: &TeleopConfig) {
        self.former.push(position);
        if config.assume_position == AssumedPosition::Last && !self.reports_unasked {
            self.assumed.push(position);
        }
    }

    /// Records that the controller is silent. Its reports are then out of date. The last accepted
    /// command is out of date too if the arm was seen at another position.
    pub fn handle_silence(&mut self, config: &TeleopConfig) {
        if self.reports_unasked {
            self.assumed.clear();
        }
        if let Some(seen) = self.seen.last() {
            let near = |position: &Position| position.distance(seen.position) <= config.position_tolerance;
            self.acknowledged = self.acknowledged.filter(|(_, position)| near(position));
        }
        self.keep(config);
        self.seen.clear();
        (self.answered, self.aside) = (None, None);
    }

    /// Records that the arm has stopped during its motion.
    pub fn handle_stopped(&mut self, now: Instant, position: Position, config: &TeleopConfig) {
        self.doubtful = self.is_unbelievable(position, config) && self.doubtful;
        self.acknowledged = None;
        self.seen = vec![Sighting { at: now, position, moving: Some(false) }];
    }

    pub fn handle_answered(&mut self, now: Instant, nothing_else: bool) {
        self.answered = nothing_else.then_some(now).or(self.answered);
    }

    /// Records an unsolicited report of the arm's position.
    pub fn handle_unasked(&mut self) {
        self.reports_unasked = true;
    }

    /// Records a report of the controller.
    pub fn handle_report(
        &mut self,
        now: Instant,
        position: Position,
        moving: Option<bool>,
        in_motion: bool,
        config: &TeleopConfig,
    ) {
        if self.is_unbelievable(position, config) {
            // An implausible report does not replace the confirmation of an operator.
            self.doubtful |= self.assumed.is_empty() || self.acknowledged.is_some();
        } else {
            (self.doubtful, self.left_start) = (false, true);
            let sighting = Sighting { at: now, position, moving };
            if in_motion {
                self.aside = Some(sighting);
            } else {
                self.aside = None;
                self.seen.push(sighting);
            }
        }
    }

    /// Returns whether a position is implausible: exactly zero, or in another unit. Some
    /// controllers report zero before they know the position.
    pub fn is_unbelievable(&self, position: Position, config: &TeleopConfig) -> bool {
        position.coordinates() == [0.0; 3] || self.is_of_another_unit(position, config)
    }

    /// Returns whether a position would be right in another unit.
    fn is_of_another_unit(&self, position: Position, config: &TeleopConfig) -> bool {
        let tolerance = config.position_tolerance;
        let accepted = self.acknowledged.map(|(_, accepted)| accepted);
        let seen = self.seen.last().map(|seen| seen.position);
        let before = self.assumed.first().or(self.former.first()).copied();
        let Some(known) = seen.or(accepted).or(before) else {
            let workspace = &config.workspace;
            let near = workspace.nearest(position).is_some_and(|near| near.distance(position) <= tolerance);
            let inside = |factor: f64| {
                let [x, y, z] = position.coordinates().map(|coordinate| coordinate * factor);
                Position::new(x, y, z).is_ok_and(|scaled| workspace.contains(scaled))
            };
            let smaller = position.point().coords.norm() > 5.0;
            return !near
                && [10.0, 100.0, 1000.0]
                    .iter()
                    .any(|factor| inside(*factor) || smaller && inside(1.0 / factor));
        };
        let far = known.point().coords.norm();
        let near = |position: nalgebra::Vector3<f64>| {
            (position - known.point().coords).norm() <= tolerance + 0.05 * far
        };
        let position = position.point().coords;
        let factors = [10.0, 100.0, 1000.0];
        let scaled = factors.iter().any(|factor| near(position * *factor) || near(position / *factor));
        far >= 5.0 * tolerance && !near(position) && scaled
    }

    pub fn handle_set_armed(&mut self, now: Instant, armed: bool, result: &Result<String, ArmingError>) {
        let confirmed = self.confirm_until.take().is_some_and(|until| now <= until);
        match result {
            Err(ArmingError::PositionUnknown { within, .. }) => self.confirm_until = Some(now + *within),
            Ok(message) if message.contains("assuming that the arm is at home") => {
                assert!(armed && confirmed, "the first call did not ask for a confirmation");
                (self.assumed, self.acknowledged, self.doubtful) = (vec![self.home], None, false);
                self.seen.clear();
            }
            Ok(_) | Err(_) => {}
        }
    }

    pub fn handle_home(&mut self, home: Position) {
        self.home = home;
    }

    pub fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    pub fn has_accepted(&self) -> bool {
        self.acknowledged.is_some()
    }

    /// Forgets the first call of an operator, because of another request.
    pub fn forget_confirmation(&mut self) {
        self.confirm_until = None;
    }

    /// Returns the position of the arm as expected from commands and reports.
    pub fn expected(&self) -> Position {
        let accepted = self.acknowledged.map(|(_, accepted)| accepted);
        let seen = self.seen.last().map(|seen| seen.position);
        accepted.or(seen).or(self.assumed.first().copied()).unwrap_or(self.home)
    }

    /// Returns the positions at which a motion may begin. Empty if the arm's position is unknown.
    pub fn starts(&self, now: Instant, restarted: bool, config: &TeleopConfig) -> Vec<Position> {
        let is_near = |accepted: Position| {
            self.seen.last().is_none_or(|seen| seen.position.distance(accepted) <= config.position_tolerance)
        };
        if restarted && let Some((_, accepted)) = self.acknowledged.filter(|(_, accepted)| is_near(*accepted))
        {
            // During motion, the next step starts at the last accepted command. It needs no new
            // request for the position.
            return vec![accepted];
        }
        if config.can_ask && self.answered.is_none_or(|at| now - at > FRESH) {
            return Vec::new();
        }
        self.known(now, config)
    }

    fn known(&self, now: Instant, config: &TeleopConfig) -> Vec<Position> {
        let tolerance = config.position_tolerance;
        let mut starts = Vec::new();
        let accepted = self.acknowledged.map(|(_, accepted)| accepted);
        match self.seen.last() {
            _ if self.doubtful => {}
            Some(seen) => {
                let near = |position: &Position| position.distance(seen.position) <= tolerance;
                starts.extend(accepted.filter(near));
                if accepted.is_none() {
                    starts.extend(self.former.iter().copied().filter(near));
                }
                if self.rests(now) {
                    starts.push(seen.position);
                }
            }
            None => {
                let fresh = |at: Instant| {
                    now - at <= config.position_timeout || config.assume_position == AssumedPosition::Last
                };
                starts.extend(self.acknowledged.filter(|(at, _)| fresh(*at)).map(|(_, accepted)| accepted));
                if accepted.is_none() {
                    starts.extend(&self.assumed);
                }
            }
        }
        // If the arm is measured slightly outside the workspace, motion begins at the edge.
        let inside = |start: &Position| {
            config.workspace.nearest(*start).filter(|inside| inside.distance(*start) <= tolerance)
        };
        let clamped: Vec<_> = starts.iter().filter_map(inside).collect();
        [starts, clamped].concat()
    }

    /// Returns whether the newest report shows an arm at rest.
    fn rests(&self, now: Instant) -> bool {
        let Some(newest) = self.seen.last() else { return false };
        let stays = |seen: &&Sighting| {
            seen.position.distance(newest.position) <= 2.0 * STILL && newest.at - seen.at >= REST_TIME
        };
        match newest.moving {
            Some(true) => false,
            Some(false) => true,
            None => self.seen.iter().any(|seen| stays(&seen)) || now - newest.at >= REST_TIME,
        }
    }
}

const FRESH: Duration = Duration::from_millis(500);
const REST_TIME: Duration = Duration::from_millis(200);
const STILL: f64 = 0.002;
