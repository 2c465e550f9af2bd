//! The command line. rcl reads the arguments after `--ros-args` and ignores unknown ones. This
//! module rejects unknown arguments, because an arm must not start with a misspelt option that has
//! no effect.

use std::ffi::OsString;

/// The output of `bridge --help`.
pub const HELP: &str = "\
aether_bridge: receives hand targets on ROS topics and sends commands to the controller of an arm.

usage: bridge [--ros-args ARGUMENTS...]

  bridge --ros-args -p link.host:=192.168.1.50 -p link.port:=5000 -r target_pose:=/ik/target
  bridge --ros-args --params-file bridge.yaml -r __ns:=/left --log-level debug

config/bridge.yaml of the package lists all parameters. `ros2 param describe /aether_bridge NAME` describes one.
RUST_LOG=trace logs the lines to and from the controller.
Exit codes: 0 ended by SIGINT, SIGTERM or SIGHUP; 1 ROS failed; 2 bad arguments or parameters.";

/// The arguments of this process. The first is the name of the program.
#[derive(Debug, Clone)]
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Converts the arguments that the process was started with (`std::env::args_os`).
    ///
    /// # Errors
    /// An argument is not UTF-8. The error names the first one.
    pub fn new(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let text = |argument: OsString| {
            argument.into_string().map_err(|argument| {
                format!(
                    "{argument:?} is not UTF-8; ROS accepts only UTF-8: rename the file, or type the value again"
                )
            })
        };
        arguments.into_iter().map(text).collect::<Result<_, _>>().map(Self)
    }

    /// Returns all arguments, in the form that rcl expects.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Returns whether one of these words is an argument.
    pub fn has(&self, words: &[&str]) -> bool {
        self.0.iter().skip(1).any(|argument| words.contains(&argument.as_str()))
    }

    /// Returns the values of these ROS options, in the order of the command line.
    pub fn ros_values(&self, options: &[&str]) -> impl Iterator<Item = &str> {
        let mut for_ros = false;
        self.0.windows(2).filter_map(move |pair| {
            match pair[0].as_str() {
                "--ros-args" => for_ros = true,
                "--" => for_ros = false,
                _ => {}
            }
            (for_ros && options.contains(&pair[0].as_str())).then_some(pair[1].as_str())
        })
    }

    /// Checks that ROS knows each argument.
    ///
    /// # Errors
    /// ROS does not know an argument. The error names the first one and what ROS accepts.
    pub fn check(&self) -> Result<(), String> {
        let mut arguments = self.0.iter().map(String::as_str).skip(1);
        while let Some(argument) = arguments.next() {
            if argument != "--ros-args" {
                return Err(format!(
                    "'{argument}' is unknown; write ROS arguments after --ros-args (see --help)"
                ));
            }
            check_ros(&mut arguments)?;
        }
        Ok(())
    }
}

/// Checks the arguments after `--ros-args`, up to `--` or the end.
fn check_ros<'a>(arguments: &mut impl Iterator<Item = &'a str>) -> Result<(), String> {
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            return Ok(());
        }
        if argument == "--ros-args" || FLAGS.contains(&argument) {
            continue;
        }
        if !WITH_VALUE.contains(&argument) {
            return Err(format!(
                "'{argument}' is not a ROS argument; the arguments with a value are {}",
                WITH_VALUE.join(", ")
            ));
        }
        arguments.next().ok_or_else(|| format!("'{argument}' needs a value"))?;
    }
    Ok(())
}

const WITH_VALUE: &[&str] = &[
    "-r",
    "--remap",
    "-p",
    "--param",
    "--params-file",
    "-e",
    "--enclave",
    "--log-level",
    "--log-config-file",
    "--log-file-name",
];

const FLAGS: &[&str] = &[
    "--enable-rosout-logs",
    "--disable-rosout-logs",
    "--enable-stdout-logs",
    "--disable-stdout-logs",
    "--enable-external-lib-logs",
    "--disable-external-lib-logs",
];

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(line.split(' ').map(Into::into)).unwrap()
    }

    fn checked(line: &str) -> Result<(), String> {
        arguments(line).check()
    }

    #[test]
    fn arguments_of_ros_are_accepted() {
        assert_eq!(checked("bridge"), Ok(()));
        assert_eq!(
            checked(
                "bridge --ros-args -p link.port:=5001 -r __ns:=/left --log-level debug --disable-stdout-logs"
            ),
            Ok(())
        );
        assert_eq!(checked("bridge --ros-args -p a:=1 -- --ros-args --params-file x.yaml"), Ok(()));
    }

    #[test]
    fn unknown_argument_is_rejected_by_name() {
        assert!(checked("bridge link.port:=5000").unwrap_err().starts_with("'link.port:=5000' is unknown"));
        assert!(checked("bridge --ros-args --no-such-option").unwrap_err().starts_with("'--no-such-option'"));
        assert!(checked("bridge --ros-args -p").unwrap_err().contains("'-p' needs a value"));
    }

    #[test]
    fn argument_that_is_not_utf8_is_rejected() {
        let line = ["bridge".into(), OsString::from_vec(b"link.host:=\xff".to_vec())];
        assert!(Arguments::new(line).unwrap_err().starts_with(r#""link.host:=\xFF" is not UTF-8"#));
    }

    #[test]
    fn only_values_after_ros_args_are_returned() {
        let line = arguments("bridge -r a:=b --ros-args -r c:=d -p e:=f --remap g:=h -- -r i:=j");
        assert_eq!(line.ros_values(&["-r", "--remap"]).collect::<Vec<_>>(), ["c:=d", "g:=h"]);
    }
}
