//! `hand_sim`: a ROS 2 node that publishes the topics of a hand tracker, without a camera.
//!
//! Exit codes: 0 the node ended on request; 1 ROS failed; 2 an argument or a parameter is invalid.

mod node;
mod parameters;

use std::process::ExitCode;

use aether_bridge::ros::{Arguments, ContextError, rosout};
use clap::{CommandFactory, FromArgMatches, Parser};

use node::{HandNode, HandNodeError};

fn main() -> ExitCode {
    let arguments = match Arguments::new(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("hand_sim: bad arguments: {error}");
            return ExitCode::from(2);
        }
    };
    let command = Args::command().after_help(format!("{}\n{EXAMPLES}", parameters::help()));
    let matches = command.get_matches_from(without_ros_arguments(arguments.as_slice().iter().cloned()));
    let Args {} = Args::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    rosout::install(&arguments);
    match HandNode::create(&arguments).and_then(HandNode::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                eprintln!("hand_sim: {line}");
            }
            let misuse = matches!(
                error,
                HandNodeError::Context(ContextError::Arguments(_) | ContextError::Start(_))
                    | HandNodeError::Parameters(_)
            );
            ExitCode::from(if misuse { 2 } else { 1 })
        }
    }
}

/// A simulated hand. It publishes smooth, human-like target poses and pinches like a hand tracker,
/// and can lose the hand at random times. For demos, tests and desks without a camera.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 110,
    override_usage = "hand_sim [--ros-args [-p NAME:=VALUE]... [-r FROM:=TO]... [--params-file FILE]...]"
)]
struct Args {}

/// Removes the arguments between `--ros-args` and `--`, which ROS reads.
fn without_ros_arguments(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut for_ros = false;
    let is_ours = |argument: &String| {
        match argument.as_str() {
            "--ros-args" => for_ros = true,
            "--" if for_ros => {
                for_ros = false;
                return false;
            }
            _ => {}
        }
        !for_ros
    };
    arguments.filter(is_ours).collect()
}

const EXAMPLES: &str = "\
Publishes:
  target_pose   geometry_msgs/msg/PoseStamped, reliable, depth 10
  gripper       std_msgs/msg/Bool (true is closed) or std_msgs/msg/Float32 (opening from 0 to 1)

Examples:
  a steady hand at 30 Hz           hand_sim
  a noisy tracker at 60 Hz         hand_sim --ros-args -p rate:=60.0 -p jitter.position:=0.002
  zeros while the hand is lost     hand_sim --ros-args -p dropout.share:=0.2 -p on_loss:=zeros
  other names                      hand_sim --ros-args -r __ns:=/left -r target_pose:=/hand/pose

SIGINT (Ctrl-C) and SIGTERM end hand_sim with exit code 0. An invalid argument or parameter ends it
with exit code 2.";

#[cfg(test)]
mod tests {
    use super::without_ros_arguments;

    #[test]
    fn ros_arguments_are_removed() {
        let ours = |line: &str| without_ros_arguments(line.split(' ').map(Into::into)).join(" ");
        assert_eq!(ours("hand_sim --ros-args -p rate:=60.0"), "hand_sim");
        assert_eq!(ours("hand_sim --help --ros-args -r a:=b -- --rate 3"), "hand_sim --help --rate 3");
    }
}
