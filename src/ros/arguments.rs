//! The command line, converted once and passed on. rcl reads what follows `--ros-args` and ignores what it does not know; a
//! misspelt option that does nothing is no way to start an arm.

use std::ffi::OsString;

/// What `bridge --help` prints.
pub const HELP: &str = "\
aether_bridge: from hand targets on ROS topics to an arm's controller on a TCP socket.

usage: bridge [--ros-args ARGUMENTS...]

  bridge --ros-args -p link.host:=192.168.1.50 -p link.port:=5000 -r target_pose:=/ik/target
  bridge --ros-args --params-file bridge.yaml -r __ns:=/left --log-level debug

Every parameter is in config/bridge.yaml of the package, and in `ros2 param describe /aether_bridge NAME`.
RUST_LOG=trace shows the lines on the wire. Exit codes: 0 ended by SIGINT, SIGTERM or SIGHUP, 1 ROS failed, 2 bad arguments or
parameters.";

/// The arguments of this process, its own name first.
#[derive(Debug, Clone)]
pub struct Arguments(Vec<String>);

impl Arguments {
    /// Converts the arguments that the process was started with (`std::env::args_os`).
    ///
    /// # Errors
    /// The first that is not UTF-8.
    pub fn new(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let text = |argument: OsString| {
            argument.into_string().map_err(|argument| {
                format!(
                    "{argument:?} is not UTF-8; ROS takes UTF-8 alone, so rename the file, or type the value once more"
                )
            })
        };
        arguments.into_iter().map(text).collect::<Result<_, _>>().map(Self)
    }

    /// All of them, as rcl takes them.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }

    /// Returns whether one of these words is among them.
    pub fn has(&self, words: &[&str]) -> bool {
        self.0.iter().skip(1).any(|argument| words.contains(&argument.as_str()))
    }

    /// Returns the values of these options of ROS, in the order of the command line.
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

    /// Checks that each argument is one that ROS knows.
    ///
    /// # Errors
    /// The first that ROS does not know, and what it knows instead.
    pub fn check(&self) -> Result<(), String> {
        let mut arguments = self.0.iter().map(String::as_str).skip(1);
        while let Some(argument) = arguments.next() {
            if argument != "--ros-args" {
                return Err(format!(
                    "'{argument}' is unknown; what is meant for ROS follows --ros-args (see --help)"
                ));
            }
            check_ros(&mut arguments)?;
        }
        Ok(())
    }
}

/// Checks what follows `--ros-args`, up to `--` or the end.
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
                "'{argument}' is no ROS argument; those with a value are {}",
                WITH_VALUE.join(", ")
            ));
        }
        arguments.next().ok_or_else(|| format!("'{argument}' wants a value"))?;
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
    fn what_ros_knows_passes() {
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
    fn an_unknown_argument_is_named() {
        assert!(checked("bridge link.port:=5000").unwrap_err().starts_with("'link.port:=5000' is unknown"));
        assert!(checked("bridge --ros-args --no-such-option").unwrap_err().starts_with("'--no-such-option'"));
        assert!(checked("bridge --ros-args -p").unwrap_err().contains("'-p' wants a value"));
    }

    #[test]
    fn an_argument_that_is_not_utf8_is_refused() {
        let line = ["bridge".into(), OsString::from_vec(b"link.host:=\xff".to_vec())];
        assert!(Arguments::new(line).unwrap_err().starts_with(r#""link.host:=\xFF" is not UTF-8"#));
    }

    #[test]
    fn values_are_those_of_ros_alone() {
        let line = arguments("bridge -r a:=b --ros-args -r c:=d -p e:=f --remap g:=h -- -r i:=j");
        assert_eq!(line.ros_values(&["-r", "--remap"]).collect::<Vec<_>>(), ["c:=d", "g:=h"]);
    }
}
