//! A hand, the state machine, and a controller that replies and reports its arm's position, in
//! virtual time.

use std::time::{Duration, Instant};

use aether_bridge::arm::ReportedState;
use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::geometry::{Orientation, Position};
use aether_bridge::teleop::{
    ArmingError, InputFault, LinkView, Motion, Planned, ReportAbout, Target, Teleop, TeleopConfig,
};

/// An event in a scene, with its name.
pub type Happening = (&'static str, fn(&mut Scene));

pub struct Scene {
    pub teleop: Teleop,
    pub now: Instant,
    pub hand: [f64; 3],
    /// Whether the controller replies to each command immediately.
    pub replies: bool,
    /// The arm's position, and whether the controller reports it on connecting and on request.
    pub arm: Position,
    pub reports: bool,
    /// The orientation of the tool.
    pub tool: Orientation,
    pub sent: Vec<(Instant, Planned)>,
    /// The number of commands sent before each stop line.
    pub stops: Vec<usize>,
}

impl Scene {
    pub fn new(settings: &[(&str, Value)]) -> Self {
        let config = config(settings);
        let (now, arm) = (Instant::now(), config.home);
        let tool = config.orientation.map_or(Orientation::from_rpy([0.0; 3]), |turning| turning.home);
        Self {
            teleop: Teleop::new(config),
            now,
            hand: [0.2, 0.0, 0.2],
            replies: true,
            arm,
            reports: true,
            tool,
            sent: Vec::new(),
            stops: Vec::new(),
        }
    }

    /// Creates a scene that is armed automatically and follows the hand.
    pub fn tracking(settings: &[(&str, Value)]) -> Self {
        let mut scene = Self::new(settings);
        scene.link(LinkView::Ready);
        scene.move_for(1100);
        assert_eq!(scene.teleop.motion(), Motion::Tracking);
        scene.sent.clear();
        scene
    }

    pub fn link(&mut self, link: LinkView) {
        self.teleop.handle_link(self.now, link);
        if link == LinkView::Ready && self.reports {
            self.report(self.arm, Some(false));
        }
        self.send();
    }

    pub fn report_gripper(&mut self, gripper: aether_bridge::arm::Gripper) {
        self.teleop.handle_reported_gripper(self.now, gripper);
    }

    pub fn target(&mut self) {
        self.try_target().unwrap();
    }

    pub fn try_target(&mut self) -> Result<(), InputFault> {
        let [x, y, z] = self.hand;
        let result = self.teleop.handle_target(self.now, Target::new(x, y, z, None).unwrap());
        self.send();
        result
    }

    /// Sends targets at 100 Hz for a time.
    pub fn move_for(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.target();
            self.wait(10);
        }
    }

    /// Lets time pass without targets. Handles the deadlines of the state machine.
    pub fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        loop {
            let next = [
                self.teleop.poll_timeout(self.now),
                self.teleop.poll_command_at(self.now),
                self.teleop.poll_question_at(self.now),
            ];
            let next = next.into_iter().flatten().filter(|next| *next > self.now && *next <= end).min();
            self.now = next.unwrap_or(end);
            self.teleop.handle_timeout(self.now);
            self.send();
            if next.is_none() {
                return;
            }
        }
    }

    pub fn send(&mut self) {
        if self.teleop.poll_stop_line() {
            self.teleop.handle_stop_sent();
            self.stops.push(self.sent.len());
            if self.replies {
                self.teleop.handle_stop_answered(false);
            }
        }
        if self.replies && self.teleop.poll_question_at(self.now).is_some_and(|due| due <= self.now) {
            self.teleop.handle_asked(self.now);
            if self.reports {
                self.report(self.arm, Some(false));
            }
            self.teleop.handle_answered(self.now);
        }
        while let Some(planned) = self.teleop.poll_command(self.now) {
            self.teleop.handle_sent(self.now, &planned);
            self.sent.push((self.now, planned));
            if self.replies {
                self.arm = planned.command.position;
                self.tool = planned.command.orientation.unwrap_or(self.tool);
                self.teleop.handle_acknowledged(self.now, &planned.command);
            }
        }
    }

    /// Lets the controller send an unsolicited report of the arm's position.
    pub fn report(&mut self, position: Position, moving: Option<bool>) {
        let state = ReportedState {
            position: Some(position),
            orientation: Some(self.tool),
            moving,
            ..ReportedState::default()
        };
        self.teleop.handle_report(self.now, 0, ReportAbout::Unasked, Some(&state));
    }

    /// Arms as an operator, after a report of the arm's position.
    pub fn set_armed(&mut self) -> Result<String, ArmingError> {
        if self.reports {
            self.report(self.arm, Some(false));
        }
        self.teleop.handle_set_armed(self.now, true)
    }

    pub fn motion(&self) -> Motion {
        self.teleop.motion()
    }

    pub fn reason(&self) -> String {
        self.teleop.reason(self.now).to_string()
    }

    pub fn positions(&self) -> Vec<Position> {
        self.sent.iter().map(|(_, planned)| planned.command.position).collect()
    }
}

/// Returns the settings on top of the defaults, without a filter.
pub fn config(settings: &[(&str, Value)]) -> TeleopConfig {
    let settings = [&[("filter.kind", text("none"))], settings].concat();
    Config::new(&Parameters::with(&settings).unwrap()).unwrap().teleop
}

pub fn text(value: &str) -> Value {
    Value::Text(value.into())
}

pub fn at(x: f64, y: f64, z: f64) -> Position {
    Position::new(x, y, z).unwrap()
}
