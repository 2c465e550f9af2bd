//! Where the arm is, by what the controller and people have said: kept here independently of the machine under test.

use std::time::{Duration, Instant};

use aether_bridge::arm::Command;
use aether_bridge::geometry::Position;
use aether_bridge::teleop::{ArmingError, AssumedPosition, TeleopConfig};

#[derive(Debug)]
pub struct Place {
    home: Position,
    /// The last accepted command of this session, and when it was accepted.
    acknowledged: Option<(Instant, Position)>,
    /// What has been reported of the arm since then, the newest last.
    seen: Vec<Sighting>,
    /// What has been reported in motion since then. It counts if the motion is interrupted.
    aside: Option<Sighting>,
    /// The newest report is exactly zero or in another unit.
    doubtful: bool,
    assumed: Vec<Position>,
    /// Where the arm may count as having been in an earlier session: places no farther apart than is measured.
    former: Vec<Position>,
    /// When the controller last said where the arm is, with no line on its way.
    answered: Option<Instant>,
    /// The controller has said unasked where the arm is.
    reports_unasked: bool,
    /// A command has been sent since the start.
    left_start: bool,
    /// Until when a second call of a person counts.
    confirm_until: Option<Instant>,
    /// How many of the lines that are unanswered were sent in an earlier session.
    pub earlier: usize,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    at: Instant,
    place: Position,
    moving: Option<bool>,
}

impl Place {
    pub fn new(config: &TeleopConfig) -> Self {
        let mut place = Self {
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
        place.renew(config);
        place
    }

    /// Nothing is known of another arm, and it has not stood at home since the start.
    pub fn of_other_arm(config: &TeleopConfig) -> Self {
        let mut place = Self::new(config);
        (place.left_start, place.assumed) = (true, Vec::new());
        place
    }

    /// Where the arm is may count for the time after this session.
    fn keep(&mut self, config: &TeleopConfig) {
        let last = self.seen.last().map(|seen| seen.place).or(self.acknowledged.map(|(_, place)| place));
        let near =
            |place: &Position| last.is_some_and(|last| last.distance(*place) <= config.position_tolerance);
        let told = self.acknowledged.map(|(_, place)| place);
        if last.is_some() {
            let known: Vec<_> = told.into_iter().chain(self.former.drain(..)).filter(near).collect();
            self.former = last.into_iter().chain(known).collect();
        }
        let resting = self.aside.filter(|seen| seen.moving == Some(false));
        self.former.extend(resting.map(|seen| seen.place));
    }

    /// A session ends, and another begins.
    pub fn renew(&mut self, config: &TeleopConfig) {
        self.keep(config);
        self.home = config.home;
        self.assumed = match config.assume_position {
            AssumedPosition::None => Vec::new(),
            AssumedPosition::Home if self.left_start => Vec::new(),
            AssumedPosition::Home => vec![config.home],
            // It says again where the arm is.
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

    /// A motion ends, or its last command was refused or is lost. An arm that has been seen at rest since the last accepted one does not follow that.
    pub fn handle_interrupted(&mut self) {
        self.seen.extend(self.aside.take().filter(|seen| seen.moving == Some(false)));
    }

    /// A command of an earlier session was accepted: the arm was there when that ended.
    pub fn handle_earlier(&mut self, place: Position, config: &TeleopConfig) {
        self.former.push(place);
        if config.assume_position == AssumedPosition::Last && !self.reports_unasked {
            self.assumed.push(place);
        }
    }

    /// The controller is silent: what it has reported is of the past, and so is a command away from which the arm was seen.
    pub fn handle_silence(&mut self, config: &TeleopConfig) {
        if self.reports_unasked {
            self.assumed.clear();
        }
        if let Some(seen) = self.seen.last() {
            let near = |place: &Position| place.distance(seen.place) <= config.position_tolerance;
            self.acknowledged = self.acknowledged.filter(|(_, place)| near(place));
        }
        self.keep(config);
        self.seen.clear();
        (self.answered, self.aside) = (None, None);
    }

    /// The arm has stopped on its way.
    pub fn handle_stopped(&mut self, now: Instant, place: Position, config: &TeleopConfig) {
        self.doubtful = self.is_unbelievable(place, config) && self.doubtful;
        self.acknowledged = None;
        self.seen = vec![Sighting { at: now, place, moving: Some(false) }];
    }

    pub fn handle_answered(&mut self, now: Instant, nothing_else: bool) {
        self.answered = nothing_else.then_some(now).or(self.answered);
    }

    /// The controller says unasked where the arm is.
    pub fn handle_unasked(&mut self) {
        self.reports_unasked = true;
    }

    /// The controller reports.
    pub fn handle_report(
        &mut self,
        now: Instant,
        place: Position,
        moving: Option<bool>,
        in_motion: bool,
        config: &TeleopConfig,
    ) {
        if self.is_unbelievable(place, config) {
            // It does not outweigh the word of a person.
            self.doubtful |= self.assumed.is_empty() || self.acknowledged.is_some();
        } else {
            (self.doubtful, self.left_start) = (false, true);
            let sighting = Sighting { at: now, place, moving };
            if in_motion {
                self.aside = Some(sighting);
            } else {
                self.aside = None;
                self.seen.push(sighting);
            }
        }
    }

    /// Whether a place is one that controllers report before they know, or in another unit.
    pub fn is_unbelievable(&self, place: Position, config: &TeleopConfig) -> bool {
        place.coordinates() == [0.0; 3] || self.is_of_another_unit(place, config)
    }

    /// Whether a place would be right if it were in another unit.
    fn is_of_another_unit(&self, place: Position, config: &TeleopConfig) -> bool {
        let tolerance = config.position_tolerance;
        let told = self.acknowledged.map(|(_, place)| place);
        let seen = self.seen.last().map(|seen| seen.place);
        let before = self.assumed.first().or(self.former.first()).copied();
        let Some(known) = seen.or(told).or(before) else {
            let workspace = &config.workspace;
            let near = workspace.nearest(place).is_some_and(|near| near.distance(place) <= tolerance);
            let inside = |factor: f64| {
                let [x, y, z] = place.coordinates().map(|coordinate| coordinate * factor);
                Position::new(x, y, z).is_ok_and(|place| workspace.contains(place))
            };
            let smaller = place.point().coords.norm() > 5.0;
            return !near
                && [10.0, 100.0, 1000.0]
                    .iter()
                    .any(|factor| inside(*factor) || smaller && inside(1.0 / factor));
        };
        let far = known.point().coords.norm();
        let near =
            |place: nalgebra::Vector3<f64>| (place - known.point().coords).norm() <= tolerance + 0.05 * far;
        let place = place.point().coords;
        let factors = [10.0, 100.0, 1000.0];
        let scaled = factors.iter().any(|factor| near(place * *factor) || near(place / *factor));
        far >= 5.0 * tolerance && !near(place) && scaled
    }

    pub fn handle_set_armed(&mut self, now: Instant, armed: bool, result: &Result<String, ArmingError>) {
        let confirmed = self.confirm_until.take().is_some_and(|until| now <= until);
        match result {
            Err(ArmingError::PositionUnknown { within, .. }) => self.confirm_until = Some(now + *within),
            Ok(said) if said.contains("assuming that the arm is at home") => {
                assert!(armed && confirmed, "a person has not been told");
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

    /// A person has asked for something else in between.
    pub fn forget_confirmation(&mut self) {
        self.confirm_until = None;
    }

    /// Where the arm is by what it was told and what it has said.
    pub fn told(&self) -> Position {
        let told = self.acknowledged.map(|(_, place)| place);
        let seen = self.seen.last().map(|seen| seen.place);
        told.or(seen).or(self.assumed.first().copied()).unwrap_or(self.home)
    }

    /// Returns where a motion may begin. Nowhere if the place is not known.
    pub fn starts(&self, now: Instant, restarted: bool, config: &TeleopConfig) -> Vec<Position> {
        let is_near = |accepted: Position| {
            self.seen.last().is_none_or(|seen| seen.place.distance(accepted) <= config.position_tolerance)
        };
        if restarted && let Some((_, accepted)) = self.acknowledged.filter(|(_, place)| is_near(*place)) {
            // In mid-motion the next step leads from the last accepted command, without another question.
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
        let told = self.acknowledged.map(|(_, place)| place);
        match self.seen.last() {
            _ if self.doubtful => {}
            Some(seen) => {
                let near = |place: &Position| place.distance(seen.place) <= tolerance;
                starts.extend(told.filter(near));
                if told.is_none() {
                    starts.extend(self.former.iter().copied().filter(near));
                }
                if self.rests(now) {
                    starts.push(seen.place);
                }
            }
            None => {
                let fresh = |at: Instant| {
                    now - at <= config.position_timeout || config.assume_position == AssumedPosition::Last
                };
                starts.extend(self.acknowledged.filter(|(at, _)| fresh(*at)).map(|(_, place)| place));
                if told.is_none() {
                    starts.extend(&self.assumed);
                }
            }
        }
        // An arm at the edge that is measured a little outside is taken to the edge.
        let inside = |start: &Position| {
            config.workspace.nearest(*start).filter(|inside| inside.distance(*start) <= tolerance)
        };
        let clamped: Vec<_> = starts.iter().filter_map(inside).collect();
        [starts, clamped].concat()
    }

    /// Whether the newest report shows an arm at rest.
    fn rests(&self, now: Instant) -> bool {
        let Some(newest) = self.seen.last() else { return false };
        let stays = |seen: &&Sighting| {
            seen.place.distance(newest.place) <= 2.0 * STILL && newest.at - seen.at >= REST_TIME
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
