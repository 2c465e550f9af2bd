//! The validated configuration, in the types of the other modules.

use std::time::Duration;

use super::error::ConfigError;
use super::security::AuthConfig;
use super::source::SourceConfig;
use super::table::*;
use super::{Parameters, addresses, relations, security, wire};
use crate::geometry::Orientation;
use crate::link::backoff::Backoff;
use crate::link::{Heartbeat, LinkConfig, Role, TransportConfig};
use crate::params::{ChangeError, Changed};
use crate::teleop::{
    FilterConfig, FollowingConfig, Frames, GripperConfig, JumpConfig, Limits, OneEuro, OrientationConfig,
    Retarget, StreamHealthConfig, TeleopConfig, Workspace,
};
use crate::wire::WireConfig;

/// The validated configuration of the bridge.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Address and timeouts of the connection, and TLS.
    pub transport: TransportConfig,
    /// The token that the bridge sends first, if the controller requires one.
    pub hello: Option<AuthConfig>,
    /// Replies, heartbeats and reconnecting.
    pub link: LinkConfig,
    /// Motion.
    pub teleop: TeleopConfig,
    /// The source of the targets.
    pub source: SourceConfig,
    /// The format of the lines in both directions.
    pub wire: WireConfig,
    /// The frames that targets may be in. The base frame is also the `frame_id` of published
    /// messages.
    pub frames: Frames,
    /// Whether the arm moves to its home before the bridge ends.
    pub park: bool,
    /// The message type of the topic `gripper`.
    pub gripper_type: GripperType,
    /// The name of the stop topic, if there is one.
    pub stop_topic: Option<String>,
    parameters: Parameters,
}

impl Config {
    /// Converts a set of parameters into a configuration.
    ///
    /// # Errors
    /// The first contradiction between two parameters. [`Parameters`] has already checked types and
    /// ranges.
    pub fn new(parameters: &Parameters) -> Result<Self, ConfigError> {
        let p = parameters;
        addresses::check(p)?;
        let workspace = relations::check(p)?;
        let wire = wire::wire(p)?;
        Ok(Self {
            transport: TransportConfig {
                host: p.get(&LINK_HOST),
                port: p.get(&LINK_PORT),
                connect_timeout: p.get(&LINK_CONNECT_TIMEOUT),
                banner_timeout: p.get(&LINK_BANNER_TIMEOUT),
                tcp_user_timeout: p.get(&LINK_TCP_USER_TIMEOUT),
                tls: security::tls(p)?,
            },
            hello: security::hello(p)?,
            link: LinkConfig {
                role: role(p),
                expect_reply: p.get(&LINK_EXPECT_REPLY),
                max_in_flight: p.get(&LINK_MAX_IN_FLIGHT),
                heartbeat: heartbeat(p),
                reply_timeout: p.get(&LINK_REPLY_TIMEOUT),
                link_timeout: p.get(&LINK_TIMEOUT),
                backoff: Backoff { initial: p.get(&LINK_BACKOFF_INITIAL), max: p.get(&LINK_BACKOFF_MAX) },
            },
            teleop: teleop(p, workspace, wire.lines.command.has_orientation()),
            source: SourceConfig::new(p)?,
            wire,
            frames: Frames { tracker: p.get(&RETARGET_FRAME), base: p.get(&ARM_BASE_FRAME) },
            park: p.get(&ARM_PARK),
            gripper_type: p.get(&GRIPPER_TYPE),
            stop_topic: Some(p.get(&STOP_TOPIC)).filter(|topic| !topic.is_empty()),
            parameters: parameters.clone(),
        })
    }

    /// Returns the parameters of this configuration.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Returns the differences from an earlier configuration, in the order of the table.
    pub fn changes<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = Changed<'a>> {
        Changed::between(&before.parameters, &self.parameters)
    }

    /// Checks that this configuration may replace an earlier one now.
    ///
    /// # Errors
    /// The first parameter that may not change now.
    pub fn check_changes(&self, before: &Self, armed: bool) -> Result<(), ChangeError> {
        self.changes(before).try_for_each(|changed| changed.check(armed))
    }

    /// Returns whether the bridge reads the topic `gripper`. It does not if only the target
    /// messages control the gripper.
    pub fn has_gripper_topic(&self) -> bool {
        !self.source.fields.gripper.is_path() || !self.teleop.gripper.target_opens
    }

    /// Returns whether this configuration needs a new connection.
    pub fn needs_new_link(&self, before: &Self) -> bool {
        // List all fields by name. A new field then causes a compile error until it is added here.
        let Self {
            transport,
            hello,
            link,
            wire,
            teleop: _,
            source: _,
            frames: _,
            park: _,
            gripper_type: _,
            stop_topic: _,
            parameters: _,
        } = self;
        *transport != before.transport
            || *hello != before.hello
            || *link != before.link
            || *wire != before.wire
    }

    /// Returns whether this configuration may be for another arm, or for another meaning of the
    /// positions on the wire. An estimate of the arm's position is then no longer valid.
    pub fn may_be_another_arm(&self, before: &Self) -> bool {
        self.changes(before).any(|changed| changed.parameter.identifies_arm)
    }
}

fn role(p: &Parameters) -> Role {
    match p.get(&LINK_TRANSPORT) {
        Transport::TcpClient => Role::TcpClient,
        Transport::TcpServer => Role::TcpServer { min_clients: p.get(&LINK_MIN_CLIENTS) },
        Transport::Udp => Role::Udp,
    }
}

fn heartbeat(p: &Parameters) -> Option<Heartbeat> {
    let period = p.get(&LINK_HEARTBEAT_PERIOD);
    let expects_reply = p.get(&LINK_HEARTBEAT_EXPECT_REPLY);
    (!period.is_zero()).then_some(Heartbeat { period, expects_reply })
}

/// Returns the configuration of motion.
fn teleop(p: &Parameters, workspace: Workspace, sends_orientation: bool) -> TeleopConfig {
    let rate = p.get(&TELEOP_COMMAND_RATE);
    TeleopConfig {
        arming: p.get(&TELEOP_ARMING),
        settle_time: p.get(&TELEOP_SETTLE_TIME),
        rearm_after: p.get(&TELEOP_REARM_AFTER),
        input_timeout: p.get(&INPUT_TIMEOUT),
        zero_is_lost: p.get(&INPUT_ZERO_IS_LOST),
        stream_health: StreamHealthConfig {
            frozen_timeout: p.get(&INPUT_FROZEN_TIMEOUT),
            min_rate: p.get(&INPUT_MIN_RATE),
        },
        filter: match p.get(&FILTER_KIND) {
            FilterKind::None => FilterConfig::None,
            FilterKind::OneEuro => FilterConfig::OneEuro(OneEuro {
                min_cutoff: p.get(&FILTER_MIN_CUTOFF),
                beta: p.get(&FILTER_BETA),
                derivative_cutoff: p.get(&FILTER_DERIVATIVE_CUTOFF),
            }),
        },
        jump: JumpConfig { distance: p.get(&LIMITS_MAX_JUMP), confirm: p.get(&LIMITS_JUMP_CONFIRM_TIME) },
        command_period: (rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate)),
        workspace,
        home: p.get(&ARM_HOME),
        assume_position: p.get(&ARM_ASSUME_POSITION),
        position_timeout: p.get(&ARM_POSITION_TIMEOUT),
        position_tolerance: p.get(&ARM_POSITION_TOLERANCE),
        following: FollowingConfig {
            distance: p.get(&LIMITS_FOLLOWING_ERROR),
            time: p.get(&LIMITS_FOLLOWING_ERROR_TIME),
        },
        can_ask: p.get(&LINK_EXPECT_REPLY) && heartbeat(p).is_some_and(|heartbeat| heartbeat.expects_reply),
        limits: Limits { speed: p.get(&LIMITS_SPEED), acceleration: p.get(&LIMITS_ACCELERATION) },
        step: p.get(&LIMITS_STEP),
        approach_speed: p.get(&LIMITS_APPROACH_SPEED),
        orientation: sends_orientation.then(|| OrientationConfig {
            speed: p.get(&LIMITS_ANGULAR_SPEED),
            home: Orientation::from_rpy(p.get(&ARM_HOME_RPY)),
        }),
        retarget: Retarget::new(
            p.get(&RETARGET_TRANSLATION),
            p.get(&RETARGET_ROTATION_RPY),
            p.get(&RETARGET_SCALE),
        ),
        retarget_mode: p.get(&RETARGET_MODE),
        gripper: GripperConfig {
            close_below: p.get(&GRIPPER_CLOSE_BELOW),
            open_above: p.get(&GRIPPER_OPEN_ABOVE),
            close_debounce: p.get(&GRIPPER_CLOSE_DEBOUNCE),
            open_debounce: p.get(&GRIPPER_OPEN_DEBOUNCE),
            target_opens: p.get(&GRIPPER_OPENED_BY) == OpenedBy::Input,
        },
        initial_gripper: p.get(&GRIPPER_INITIAL),
        max_consecutive_errors: p.get(&TELEOP_MAX_CONSECUTIVE_ERRORS),
        hold_behavior: p.get(&TELEOP_HOLD_BEHAVIOR),
        stop_timeout: p.get(&STOP_TIMEOUT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Parameter, Range, Value};
    use crate::teleop::Arming;

    fn with(name: &str, value: Value) -> Result<Config, ConfigError> {
        Config::new(&Parameters::with(&[(name, value)])?)
    }

    fn error(name: &str, value: Value) -> String {
        with(name, value).unwrap_err().to_string()
    }

    #[test]
    fn defaults_are_as_documented() {
        let config = Config::new(&Parameters::default()).unwrap();
        assert_eq!(config.transport.host, "127.0.0.1");
        assert_eq!(config.transport.port, 5000);
        assert_eq!(config.transport.tcp_user_timeout, Duration::from_millis(500));
        assert_eq!(config.link.max_in_flight, 1);
        assert_eq!(config.link.link_timeout, Duration::from_secs(3));
        assert_eq!(config.teleop.command_period, Some(Duration::from_millis(20)));
        assert_eq!(config.teleop.home.coordinates(), [0.2, 0.0, 0.2]);
        assert_eq!(config.teleop.arming, Arming::Automatic);
        assert_eq!(config.wire, WireConfig::default());
    }

    #[test]
    fn error_shortens_a_long_list() {
        let refused = error("arm.home", Value::Integers(vec![i64::MIN; 5000]));
        assert!(refused.contains("… (5000 in all)]") && refused.len() < 1000, "{refused}");
    }

    #[test]
    fn error_names_parameter_value_and_range() {
        assert_eq!(
            error("link.port", Value::Integer(70_000)),
            "parameter 'link.port' is 70000; it must be from 1 to 65535"
        );
        assert_eq!(
            error("link.port", Value::Text("abc".into())),
            "parameter 'link.port' is 'abc', a string; it must be an integer, from 1 to 65535"
        );
        assert_eq!(
            error("teleop.arming", Value::Text("always".into())),
            "parameter 'teleop.arming' is 'always'; it must be one of: 'automatic', 'operator'"
        );
        assert_eq!(
            error("limits.speed", Value::Real(0.0)),
            "parameter 'limits.speed' is 0.0; it must be from 0.001 to 10.0 m/s"
        );
        assert_eq!(
            error("teleop.settle_time", Value::Real(f64::NAN)),
            "parameter 'teleop.settle_time' is NaN; it must be from 0.0 to 60.0 s"
        );
        assert_eq!(
            error("arm.home", Value::Reals(vec![0.1, 0.2])),
            "parameter 'arm.home' is [0.1, 0.2]; it must be 3 numbers, each from -100.0 to 100.0 m"
        );
    }

    #[test]
    fn contradiction_names_both_parameters_and_values() {
        assert_eq!(
            error("workspace.min", Value::Reals(vec![0.4, -0.3, 0.0])),
            "parameter 'workspace.min' is [0.4, -0.3, 0.0]; it must be below, on every axis, 'workspace.max', \
             which is [0.3, 0.3, 0.4]"
        );
        assert!(error("arm.home", Value::Reals(vec![0.2, 0.0, 0.5])).contains("'workspace.max'"));
        assert!(error("arm.home", Value::Reals(vec![0.2, 0.0, -0.1])).contains("'workspace.min'"));
        assert_eq!(
            error("retarget.frame", Value::Text("arm_base".into())),
            "parameter 'retarget.frame' is 'arm_base'; it must be different from 'arm.base_frame', which is 'arm_base'"
        );
        let reach = Value::Real(0.29);
        assert_eq!(
            error("workspace.reach_min", reach.clone()),
            "parameter 'arm.home' is [0.2, 0.0, 0.2]; it must be no nearer to the origin of arm.base_frame than \
             'workspace.reach_min', which is 0.29"
        );
        assert!(error("workspace.reach_max", Value::Real(0.28)).contains("no farther from the origin"));
        let both = [("workspace.reach_min", reach.clone()), ("workspace.reach_max", reach)];
        let parameters = Parameters::with(&both).unwrap();
        let error_text = Config::new(&parameters).unwrap_err().to_string();
        assert!(error_text.contains("below 'workspace.reach_max', which is 0.29"), "{error_text}");
        assert!(error("limits.approach_speed", Value::Real(0.3)).contains("'limits.speed', which is 0.25"));
        assert!(error("link.backoff.initial", Value::Real(5.0)).contains("'link.backoff.max'"));
        assert!(error("link.reply_timeout", Value::Real(5.0)).contains("'link.timeout'"));
        assert!(error("gripper.close_below", Value::Real(0.5)).contains("'gripper.open_above'"));
    }

    #[test]
    fn integer_is_accepted_for_a_real() {
        assert_eq!(
            with("teleop.settle_time", Value::Integer(2)).unwrap().teleop.settle_time,
            Duration::from_secs(2)
        );
        let config = with("workspace.max", Value::Integers(vec![1, 1, 1])).unwrap();
        assert_eq!(config.teleop.workspace.corners()[1].coordinates(), [1.0; 3]);
    }

    #[test]
    fn unknown_name_suggests_the_nearest_known_name() {
        assert_eq!(
            error("limits.sped", Value::Real(0.1)),
            "parameter 'limits.sped' is unknown; did you mean 'limits.speed'?"
        );
        assert_eq!(
            error("robot_description", Value::Text(String::new())),
            "parameter 'robot_description' is unknown"
        );
        assert_eq!(
            error("\u{1b}[2J\u{202e}", Value::Real(0.1)),
            "parameter '\u{fffd}[2J\u{fffd}' is unknown"
        );
    }

    #[test]
    fn heartbeat_period_below_minimum_is_rejected() {
        assert_eq!(with("link.heartbeat.period", Value::Real(0.0)).unwrap().link.heartbeat, None);
        let heartbeat = with("link.heartbeat.period", Value::Real(0.1)).unwrap().link.heartbeat.unwrap();
        assert_eq!((heartbeat.period, heartbeat.expects_reply), (Duration::from_millis(100), true));
        assert_eq!(
            error("link.heartbeat.period", Value::Real(0.001)),
            "parameter 'link.heartbeat.period' is 0.001; it must be 0.0, or from 0.01 to 60.0 s"
        );
    }

    #[test]
    fn command_rate_zero_has_no_period() {
        assert_eq!(with("teleop.command_rate", Value::Integer(0)).unwrap().teleop.command_period, None);
    }

    #[test]
    fn command_rate_below_minimum_is_rejected() {
        let slowest = with("teleop.command_rate", Value::Real(0.01)).unwrap();
        assert_eq!(slowest.teleop.command_period, Some(Duration::from_secs(100)));
        assert_eq!(
            error("teleop.command_rate", Value::Real(1e-300)),
            "parameter 'teleop.command_rate' is 1e-300; it must be 0.0, or from 0.01 to 1000.0 Hz"
        );
    }

    fn changed(settings: &[(&str, Value)]) -> Config {
        Config::new(&Parameters::with(settings).unwrap()).unwrap()
    }

    #[test]
    fn change_reports_both_values() {
        let (before, after) = (changed(&[]), changed(&[("limits.speed", Value::Real(0.2))]));
        let changes: Vec<_> = after
            .changes(&before)
            .map(|c| (c.parameter.name, c.before.to_string(), c.after.to_string()))
            .collect();
        assert_eq!(changes, [("limits.speed", "0.25".into(), "0.2".into())]);
        assert_eq!(after.changes(&after).count(), 0);
    }

    #[test]
    fn mutability_decides_when_a_parameter_may_change() {
        let before = changed(&[]);
        assert_eq!(changed(&[("limits.speed", Value::Real(0.2))]).check_changes(&before, true), Ok(()));
        let host = changed(&[("limits.speed", Value::Real(0.2)), ("link.host", Value::Text("arm".into()))]);
        assert_eq!(host.check_changes(&before, false), Ok(()));
        let refused = host.check_changes(&before, true).unwrap_err().to_string();
        assert!(
            refused.contains("'link.host' is '127.0.0.1'") && refused.contains("~/set_armed"),
            "{refused}"
        );
        let typed = changed(&[("gripper.type", Value::Text("std_msgs/msg/String".into()))]);
        let refused = typed.check_changes(&before, false).unwrap_err().to_string();
        assert!(refused.contains("-p gripper.type:=VALUE"), "{refused}");
    }

    #[test]
    fn only_connection_parameters_need_a_new_link() {
        let before = changed(&[]);
        for (name, value) in [
            ("link.host", Value::Text("arm".into())),
            ("link.tcp_user_timeout", Value::Real(1.0)),
            ("link.expect_reply", Value::Boolean(false)),
            ("link.backoff.max", Value::Real(2.0)),
            ("wire.position_unit", Value::Text("cm".into())),
            ("link.banner_lines", Value::Integer(1)),
            ("link.auth.token_file", Value::Text("/token".into())),
        ] {
            let after = changed(&[(name, value)]);
            assert!(after.needs_new_link(&before), "{name}");
            assert_eq!(
                after.may_be_another_arm(&before),
                ["link.host", "wire.position_unit"].contains(&name),
                "{name}"
            );
        }
        for (name, value) in [
            ("limits.speed", Value::Real(0.2)),
            ("arm.base_frame", Value::Text("table".into())),
            ("teleop.arming", Value::Text("operator".into())),
        ] {
            assert!(!changed(&[(name, value)]).needs_new_link(&before), "{name}");
        }
    }

    #[test]
    fn parameters_that_identify_the_arm_are_declared() {
        let all = parameters().filter(|parameter| parameter.identifies_arm);
        let names = [
            "link.transport",
            "link.host",
            "link.port",
            "wire.position_unit",
            "wire.format",
            "wire.json.x",
            "wire.json.y",
            "wire.json.z",
        ];
        let names = [&names[..], &["wire.json.constant", "wire.text.command"]].concat();
        assert_eq!(all.map(|parameter| parameter.name).collect::<Vec<_>>(), names);
    }

    #[test]
    fn new_link_is_rejected_while_armed() {
        let before = changed(&[]);
        let bounds = |parameter: &dyn Parameter| match parameter.range {
            Range::Any if matches!(parameter.default(), Value::Text(_)) => {
                vec![Value::Text("other".into()), Value::Text(String::new()), Value::Text("{x} {seq}".into())]
            }
            Range::Any => vec![Value::Boolean(true), Value::Boolean(false)],
            Range::NotEmpty => vec![Value::Text("other".into())],
            Range::Subset(choices) => {
                choices.words().into_iter().map(|word| Value::Texts(vec![word.into()])).collect()
            }
            Range::Boxes(min, max) => {
                vec![Value::Reals(vec![min, min, min, max, max, max]), Value::Reals(vec![])]
            }
            Range::FieldPaths { count, .. } => vec![Value::Texts(vec!["other".into(); count])],
            Range::OneOf(choices) => choices.words().iter().map(|text| Value::Text((*text).into())).collect(),
            Range::Integer(min, max) => vec![Value::Integer(min), Value::Integer(max)],
            Range::Real(min, max) if matches!(parameter.default(), Value::Reals(_)) => {
                vec![Value::Reals(vec![min; 3]), Value::Reals(vec![max; 3])]
            }
            Range::Real(min, max) => vec![Value::Real(min), Value::Real(max)],
        };
        for parameter in parameters() {
            for value in bounds(parameter) {
                let parameters = Parameters::with(&[(parameter.name, value)]).unwrap();
                // Some values contradict another parameter.
                let Ok(after) = Config::new(&parameters) else { continue };
                if after.needs_new_link(&before) || after.may_be_another_arm(&before) {
                    assert!(after.check_changes(&before, true).is_err(), "{}", parameter.name);
                }
            }
        }
    }
}
