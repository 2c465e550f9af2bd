//! The `arm_sim` executable, as a user or a launch file runs it.
#![allow(clippy::disallowed_methods)] // the clock detects a process that does not end

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

const COMMAND: &str = "{\"type\":\"command\",\"x\":120.0,\"y\":35.5,\"z\":210.0,\"gripper\":\"closed\"}\n";
const STOP: &str = "{\"type\":\"stop\"}\n";
const OK: &str = "{\"status\":\"ok\",\"message\":\"Command received\"}\n";

/// A running `arm_sim`, killed when dropped.
struct Running {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
    lines: Option<Receiver<String>>,
    address: String,
}

/// Much longer than any test takes.
const TOO_LONG: Duration = Duration::from_secs(20);

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_arm_sim"));
        command.args(["--port", "0"]).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let address = line.strip_prefix("arm_sim listening on ").expect(&line).trim_end().to_owned();
        Self { child, out: Some(out), lines: None, address }
    }

    fn connect(&self) -> BufReader<TcpStream> {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(TOO_LONG)).unwrap();
        BufReader::new(stream)
    }

    fn type_in(&mut self, word: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{word}").unwrap();
    }

    /// Returns the next printed line, or `None` if the process has ended. The output is not read
    /// before the first call.
    fn line(&mut self) -> Option<String> {
        let out = &mut self.out;
        let lines = self.lines.get_or_insert_with(|| {
            let (sender, lines) = channel();
            let out = out.take().unwrap();
            thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
            lines
        });
        match lines.recv_timeout(TOO_LONG) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("arm_sim prints nothing and does not end"),
        }
    }

    /// Reads until a line contains the text, and returns that line.
    fn shown(&mut self, text: &str) -> String {
        let asked = Instant::now();
        while let Some(line) = self.line().filter(|_| asked.elapsed() < TOO_LONG) {
            if line.contains(text) {
                return line;
            }
        }
        panic!("{text:?} was never shown");
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    }

    /// Returns the remaining output and the exit code.
    fn end(&mut self) -> (Vec<String>, Option<i32>) {
        let asked = Instant::now();
        let rest = std::iter::from_fn(|| self.line())
            .inspect(|line| assert!(asked.elapsed() < TOO_LONG, "arm_sim does not end, but prints {line}"))
            .collect();
        (rest, self.exit_code())
    }

    /// Waits for the end and returns the exit code. Does not read the output.
    fn exit_code(&mut self) -> Option<i32> {
        let asked = Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status.code(),
                None if asked.elapsed() > TOO_LONG => panic!("arm_sim does not end"),
                None => thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(client: &mut BufReader<TcpStream>, line: &str) -> String {
    client.get_mut().write_all(line.as_bytes()).unwrap();
    let mut reply = String::new();
    client.read_line(&mut reply).unwrap();
    reply
}

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_arm_sim")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn signal_prints_summary_and_exits_with_0() {
    for signal in ["-TERM", "-INT"] {
        let mut arm_sim = Running::start(&[]);
        let mut client = arm_sim.connect();
        assert_eq!(ask(&mut client, COMMAND), OK);
        assert!(ask(&mut client, STOP).starts_with("{\"status\":\"ok\""));
        assert!(ask(&mut client, "nonsense\n").starts_with("{\"status\":\"error\""));
        arm_sim.signal(signal);
        let (rest, code) = arm_sim.end();
        let summary = "arm_sim summary: 1 commands received, 1 stops, 0 heartbeats, 1 bad lines, 1 error replies, \
                       1 connections, arm at x=";
        assert!(rest.last().is_some_and(|line| line.starts_with(summary)), "{rest:?}");
        assert_eq!(code, Some(0));
    }
}

#[test]
fn signal_directly_after_the_first_line_is_handled() {
    let mut arm_sim = Running::start(&["--print", "none"]);
    arm_sim.signal("-TERM");
    let (rest, code) = arm_sim.end();
    assert_eq!((rest.len(), code), (1, Some(0)), "{rest:?}");
}

#[test]
fn printed_lines_cannot_control_the_terminal() {
    let mut arm_sim = Running::start(&["--print", "lines"]);
    let mut client = arm_sim.connect();
    let peer = client.get_ref().local_addr().unwrap();
    arm_sim.shown(&format!("{peer} connected"));
    ask(&mut client, COMMAND);
    arm_sim.shown(&format!("{peer} > {}", COMMAND.trim_end()));
    arm_sim.shown(&format!("{peer} < {}", OK.trim_end()));
    ask(&mut client, "\u{1b}[31mred\0\n");
    arm_sim.shown(&format!("{peer} > \u{fffd}[31mred\u{fffd}"));
    // JSON forbids ESC. This is its 8-bit form (CSI), in an otherwise valid command.
    assert_eq!(ask(&mut client, &COMMAND.replace('{', "{\"a\":\"\u{9b}2J\",")), OK);
    arm_sim.shown(&format!("{peer} > {{\"a\":\"\u{fffd}2J\","));
    drop(client);
    arm_sim.shown(&format!("{peer} closed by the client"));
}

#[test]
fn stop_is_printed_and_counted_or_refused() {
    let mut arm_sim = Running::start(&[]);
    let mut client = arm_sim.connect();
    let peer = client.get_ref().local_addr().unwrap();
    assert_eq!(ask(&mut client, STOP), OK.replace("Command", "Stop"));
    arm_sim.shown(&format!("{peer} sent a stop"));
    arm_sim.type_in("status");
    arm_sim.shown("1 connected, 0 commands, 1 stops, 0 heartbeats, faults: none");

    let mut arm_sim = Running::start(&["--commands-only"]);
    let mut client = arm_sim.connect();
    assert!(ask(&mut client, STOP).contains(r#"type is \"stop\", expected \"command\""#));
    let refused = arm_sim.shown("refused a line of ");
    assert!(refused.ends_with(r#": type is "stop", expected "command""#), "{refused}");
    arm_sim.type_in("status");
    arm_sim.shown("1 connected, 0 commands, 0 stops, 0 heartbeats, faults: none");
}

#[test]
fn faults_are_typed_at_run_time() {
    let mut arm_sim = Running::start(&["--fault", "error:from the start"]);
    let mut client = arm_sim.connect();
    assert!(ask(&mut client, COMMAND).contains("from the start"));
    arm_sim.type_in("error:by hand@0");
    arm_sim.shown("fault: error:by hand@0");
    assert!(ask(&mut client, COMMAND).contains("by hand"));
    arm_sim.type_in("ok");
    arm_sim.shown("no faults");
    assert_eq!(ask(&mut client, COMMAND), OK);
    arm_sim.type_in("explode");
    arm_sim.shown("\"explode\" is not a fault");
    arm_sim.type_in("help");
    arm_sim.shown("reset-mid-line");
    arm_sim.type_in("crash");
    arm_sim.shown("crashed: every connection was reset, the port is closed");
    arm_sim.type_in("status");
    arm_sim.shown("crashed; was listening on 127.0.0.1:");
    arm_sim.type_in("ok");
    arm_sim.shown("listening on");
    assert_eq!(ask(&mut arm_sim.connect(), COMMAND), OK);
    arm_sim.type_in("quit");
    assert_eq!(arm_sim.end().1, Some(0));
}

#[test]
fn violations_print_json_and_set_exit_code() {
    // The command is 5 cm below the workspace and far from home, so it breaks two rules.
    let outside = COMMAND.replace("210.0", "-50.0");
    let home = COMMAND.replace("120.0", "200.0").replace("35.5", "0.0").replace("210.0", "200.0");
    for (settings, line, violations) in [
        (&[][..], &home, &[][..]),
        (&[], &outside, &["workspace", "approach"]),
        (&["workspace.min:=[-0.3, -0.3, -0.1]", "arm.home:=[0.12,0.0355,-0.05]"], &outside, &[]),
    ] {
        let mut arm_sim = Running::start(&[&["--print", "none", "--judge"], settings].concat());
        assert_eq!(ask(&mut arm_sim.connect(), line), OK);
        for rule in violations {
            let violation = arm_sim.line().unwrap();
            assert!(
                violation.starts_with('{') && violation.contains(&format!(r#""violation":"{rule}""#)),
                "{violation}"
            );
        }
        arm_sim.signal("-TERM");
        let (rest, code) = arm_sim.end();
        let summary = format!("1 connections, {} violations, arm at", violations.len());
        assert!(rest.last().is_some_and(|line| line.contains(&summary)), "{rest:?}");
        assert_eq!(code, Some(if violations.is_empty() { 0 } else { 3 }));
    }
}

#[test]
fn monitor_rules_change_at_run_time() {
    let home = COMMAND.replace("120.0", "200.0").replace("35.5", "0.0").replace("210.0", "200.0");
    let mut arm_sim = Running::start(&["--judge", "limits.speed:=0.1"]);
    let mut client = arm_sim.connect();
    ask(&mut client, &home);
    arm_sim.type_in("judge workspace.max:=[0.3,0.3,0.1] arm.home:=[0.2,0,0.1]");
    arm_sim.shown("the monitor uses the new value");
    ask(&mut client, &home);
    arm_sim.shown(r#""violation":"workspace""#);
    for (words, answer) in [
        (
            "judge limits.approach_speed:=0.2",
            "'limits.approach_speed' is 0.2; it must be at most 'limits.speed', which is 0.1",
        ),
        ("judge limits.speed", "expected NAME:=VALUE"),
    ] {
        arm_sim.type_in(words);
        arm_sim.shown(answer);
    }
    let mut arm_sim = Running::start(&[]);
    arm_sim.type_in("judge limits.speed:=0.1");
    arm_sim.shown("there is no monitor; start with --judge");
}

#[test]
fn rate_and_arm_are_printed_every_second() {
    let mut arm_sim = Running::start(&["--unit", "m"]);
    let mut client = arm_sim.connect();
    ask(&mut client, &COMMAND.replace("120.0", "0.2").replace("35.5", "0").replace("210.0", "0.2"));
    // More than a second may pass between the connection and the command.
    let line = arm_sim.shown("gripper closed");
    assert!(line.contains("commands/s") && line.contains("arm at x=0.2000 y=0.0000 z=0.2000 m, "), "{line}");
}

#[test]
fn unread_output_does_not_block_arm_sim() {
    let mut arm_sim = Running::start(&["--print", "lines"]);
    arm_sim.child.stdin = None;
    let mut client = arm_sim.connect();
    // Much more than the buffer of a pipe.
    for _ in 0..5_000 {
        assert_eq!(ask(&mut client, COMMAND), OK);
    }
    arm_sim.signal("-TERM");
    assert_eq!(arm_sim.exit_code(), Some(0));
}

#[test]
fn client_that_reconnects_immediately_is_one_client() {
    let arm_sim = Running::start(&["--clients", "one", "--print", "none"]);
    for _ in 0..500 {
        assert_eq!(ask(&mut arm_sim.connect(), COMMAND), OK);
    }
}

#[test]
fn invalid_options_are_explained_in_one_line() {
    let arm_sim = Running::start(&[]);
    let port = arm_sim.address.rsplit(':').next().unwrap();
    let taken = run(&["--port", port]);
    let text = String::from_utf8(taken.stderr).unwrap();
    assert!(
        text.contains(&format!("cannot listen on 127.0.0.1:{port}")) && text.contains("--port"),
        "{text}"
    );
    assert_eq!(taken.status.code(), Some(1));
    for (arguments, words) in [
        (["--fault", "explode"], "is not a fault; the faults are delay:SECONDS"),
        (["--unit", "inch"], "set mm, cm or m"),
        (["--speed", "0"], "expected a number above 0"),
        (["--judge", "limits.sped:=1"], "did you mean 'limits.speed'?"),
        (["--port", "70000"], "70000"),
    ] {
        let output = run(&arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(words), "{text}");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn help_shows_protocol_and_faults() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    for words in [
        COMMAND.split(',').next().unwrap(),
        OK.trim_end(),
        STOP.trim_end(),
        r#"{"type":"heartbeat"}"#,
        "restart[:SECONDS]",
        "--commands-only",
    ] {
        assert!(help.contains(words), "{words}");
    }
}

#[test]
fn physical_arm_is_pushed_and_stopped_by_words() {
    let mut sim = Running::start(&["--physical", "--reports", "heartbeats", "--start", "150,0,200"]);
    let mut client = sim.connect();
    let mut ask = |line: &str| {
        client.get_mut().write_all(line.as_bytes()).unwrap();
        let mut reply = String::new();
        client.read_line(&mut reply).unwrap();
        reply
    };
    let heartbeat = "{\"type\":\"heartbeat\"}\n";
    let reply = ask(heartbeat);
    assert!(reply.contains(r#""position":{"x":150.0,"y":0.0,"z":200.0}"#), "{reply}");
    sim.type_in("push 10 0 0");
    sim.shown("push: arm at");
    sim.type_in("estop");
    sim.shown("estop: arm at");
    let reply = ask(COMMAND);
    assert!(
        reply.contains(r#""status":"error""#) && reply.contains(r#""fault":"emergency stop""#),
        "{reply}"
    );
    sim.type_in("clear");
    sim.shown("clear: arm at");
    assert_eq!(ask(COMMAND), OK);
    sim.type_in("push");
    sim.shown("push: wrong arguments, try help");
}

#[test]
fn monitor_of_physical_arm_reports_a_jump() {
    let mut sim = Running::start(&["--physical", "--report-state", "--judge"]);
    let mut client = sim.connect();
    client.get_mut().write_all(COMMAND.as_bytes()).unwrap();
    sim.shown(r#""violation":"leap""#);
}
