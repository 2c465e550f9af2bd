//! The command line. rcl reads what follows `--ros-args` and passes over what it does not know; a misspelt option that
//! does nothing is no way to start an arm.

use std::ffi::OsString;
use std::iter::Peekable;

/// What `bridge --help` prints.
pub const HELP: &str = "\
aether_bridge: from hand targets on ROS topics to an arm's controller on a TCP socket.

usage: bridge [--ros-args ARGUMENTS...]

  bridge --ros-args -p host:=192.168.1.50 -p port:=5000 -r target_pose:=/ik/target
  bridge --ros-args --params-file bridge.yaml -r __ns:=/left --log-level debug

Every parameter is in config/bridge.yaml of the package, and in `ros2 param describe /aether_bridge NAME`.
RUST_LOG=trace shows the lines on the wire. Exit codes: 0 ended by SIGINT, SIGTERM or SIGHUP, 1 ROS failed, 2 bad arguments or
parameters.";

/// The arguments of this process, its own name first.
///
/// # Errors
/// The first that is not UTF-8.
pub fn own() -> Result<Vec<String>, String> {
    let text = |argument: OsString| {
        argument.into_string().map_err(|argument| {
            format!("{argument:?} is not UTF-8; ROS takes UTF-8 alone, so rename the file, or type the value once more")
        })
    };
    std::env::args_os().map(text).collect()
}

/// Checks a process's arguments, its own name first.
///
/// # Errors
/// What is not known, and what would be.
pub fn check(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let mut arguments = arguments.skip(1).peekable();
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

/// Checks what follows `--ros-args`, up to `--` or the end.
fn check_ros(arguments: &mut Peekable<impl Iterator<Item = String>>) -> Result<(), String> {
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            return Ok(());
        }
        if argument == "--ros-args" || FLAGS.contains(&argument.as_str()) {
            continue;
        }
        if !WITH_VALUE.contains(&argument.as_str()) {
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
    use super::check;

    fn checked(arguments: &str) -> Result<(), String> {
        check(arguments.split(' ').map(ToOwned::to_owned))
    }

    #[test]
    fn what_ros_knows_passes() {
        assert_eq!(checked("bridge"), Ok(()));
        assert_eq!(
            checked("bridge --ros-args -p port:=5001 -r __ns:=/left --log-level debug --disable-stdout-logs"),
            Ok(())
        );
        assert_eq!(checked("bridge --ros-args -p a:=1 -- --ros-args --params-file x.yaml"), Ok(()));
    }

    #[test]
    fn what_nobody_knows_is_named() {
        assert!(checked("bridge port:=5000").unwrap_err().starts_with("'port:=5000' is unknown"));
        assert!(checked("bridge --ros-args --no-such-option").unwrap_err().starts_with("'--no-such-option'"));
        assert!(checked("bridge --ros-args -p").unwrap_err().contains("'-p' wants a value"));
    }
}
