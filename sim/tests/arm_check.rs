//! The conformance check against a controller that conforms, and against controllers that each have
//! one fault on purpose. The check must name that fault, and no other.

use std::{
    collections::VecDeque,
    io::Write,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use aether_bridge::arm::Gripper;
use aether_bridge::wire::PositionUnit;
use aether_sim::check::{self, Allowed, CheckConfig, CheckError, Finding, Operator, Report, Verdict};
use aether_sim::{ArmSim, ArmSimConfig};
use futures_util::future::join_all;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        TcpListener, TcpSocket, TcpStream, UdpSocket,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};

const OK: &str = r#"{"status":"ok","message":"Command received"}"#;
const ERROR: &str = r#"{"status":"error","message":"no"}"#;

fn allowed() -> Allowed {
    let at = Some([200.0, 0.0, 200.0]);
    Allowed::new(at, PositionUnit::Millimetres, 5.0, Some(Gripper::Open)).unwrap()
}

fn config(address: SocketAddr) -> CheckConfig {
    CheckConfig {
        // No reply is late except in tests of late replies, however busy the machine is.
        timeout: Duration::from_secs(20),
        silence: Duration::from_millis(150),
        settle: Duration::from_millis(150),
        ..CheckConfig::new(address.ip().to_string(), address.port(), Some(allowed()))
    }
}

/// Runs the check with an operator who has agreed in advance. Returns the report and the output.
async fn checked(config: &CheckConfig) -> (Report, String) {
    let mut output = String::new();
    let report = check::run(config, Operator::agreeing(), |line| output.extend([line, "\n"])).await.unwrap();
    (report, output)
}

/// Runs the check with an operator who answers each question with `answer`. `None`: the operator
/// has left.
async fn answered(
    config: &CheckConfig,
    answer: impl Fn(&str) -> Option<String> + Send + Sync,
) -> (Result<Report, CheckError>, String) {
    let (sender, answers) = mpsc::unbounded_channel();
    let (mut output, mut sender) = (String::new(), Some(sender));
    let operator = Operator::answering(answers);
    let report = check::run(config, operator, |line| {
        output.extend([line, "\n"]);
        if let Some(question) = line.strip_prefix("? ") {
            match (answer(question), &sender) {
                (Some(answer), Some(sender)) => sender.send(answer).unwrap(),
                _ => sender = None,
            }
        }
    })
    .await;
    (report, output)
}

fn wrong(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).collect()
}

/// Returns the only wrong finding.
fn only_wrong<'a>(report: &'a Report, name: &str) -> &'a Finding {
    let found = wrong(report);
    assert_eq!(found.len(), 1, "{name}: {found:#?}");
    found[0]
}

fn has(report: &Report, verdict: Verdict, check: &str, words: &str) -> bool {
    report.findings.iter().any(|finding| {
        (finding.verdict, finding.check.as_str()) == (verdict, check) && finding.seen.contains(words)
    })
}

/// Starts a controller that calls `serve` for each connection, one after another.
async fn controller<F: Future<Output = ()> + Send>(
    serve: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream).await;
        }
    });
    address
}

/// Starts a controller that replies to each line with the bytes from `rule`.
async fn by_rule(rule: impl Fn(&str) -> Vec<u8> + Send + Sync + Copy + 'static) -> SocketAddr {
    controller(move |stream| async move {
        let (mut lines, mut out) = split(stream);
        while let Ok(Some(line)) = lines.next_line().await {
            if out.write_all(&rule(&line)).await.is_err() {
                break;
            }
        }
    })
    .await
}

fn split(stream: TcpStream) -> (Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf) {
    stream.set_nodelay(true).unwrap();
    let (lines, out) = stream.into_split();
    (BufReader::new(lines).lines(), out)
}

fn is_good(line: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(line)
        .is_ok_and(|line| ["command", "stop", "heartbeat"].iter().any(|kind| line["type"] == *kind))
}

/// Returns the reply of a controller that conforms.
fn reply(line: &str) -> &'static str {
    if is_good(line) { OK } else { ERROR }
}

#[tokio::test]
async fn conforming_controller_has_no_wrong_finding() {
    let units = [
        (PositionUnit::Millimetres, [200.0, 0.0, 200.0]),
        (PositionUnit::Centimetres, [20.0, 0.0, 20.0]),
        (PositionUnit::Metres, [0.2, 0.0, 0.2]),
    ];
    join_all(units.map(|(unit, at)| async move {
        let sim = ArmSim::start(ArmSimConfig { unit, report_state: true, ..ArmSimConfig::default() }).await;
        let sim = sim.unwrap();
        let everything = CheckConfig {
            unit,
            stop: true,
            heartbeat: true,
            seq: true,
            state: true,
            allowed: Some(Allowed::new(Some(at), unit, 5.0, Some(Gripper::Closed)).unwrap()),
            ..config(sim.local_addr())
        };
        let (report, output) = checked(&everything).await;
        assert!(wrong(&report).is_empty(), "{output}");
        assert!(has(&report, Verdict::Ok, "order", "ok, error, ok, ok"), "{output}");
        for check in [
            "stop",
            "heartbeat",
            "state",
            "byte by byte",
            "two lines",
            "bad line",
            "reconnect",
            "position",
            "first command",
            "directions",
            "queue",
        ] {
            assert!(has(&report, Verdict::Ok, check, ""), "{check} has no ok finding: {output}");
        }
    }))
    .await;
}

#[tokio::test]
async fn commands_are_announced_and_near_the_allowed_position() {
    let sim = ArmSim::start(ArmSimConfig::default()).await.unwrap();
    let (_, output) = checked(&CheckConfig { stop: true, ..config(sim.local_addr()) }).await;
    let announced = output
        .find("THE ARM WILL MOVE:\n  from     x=200.0 y=0.0 z=200.0 mm, the position that you gave")
        .unwrap();
    assert!(announced < output.find(r#"→ {"type":"command""#).unwrap(), "{output}");
    let record = sim.record();
    let commands: Vec<_> = (0..record.connections.len()).flat_map(|nth| record.commands_on(nth)).collect();
    assert!(commands.len() > 10);
    for command in commands {
        let [x, y, z] = command.position.coordinates();
        assert!((x - 0.2).hypot(y).hypot(z - 0.2) <= 0.005, "{command:?}");
        assert_eq!(command.gripper, Gripper::Open);
    }
    let lines = output.lines().filter(|line| line.starts_with('→'));
    for line in lines.filter(|line| line.contains("no_such_type")) {
        assert!(line.contains(r#""x":200.0,"y":0.0,"z":200.0,"gripper":"open"}"#), "{line}");
    }
}

#[tokio::test]
async fn without_motion_only_known_lines_are_sent() {
    for (stop, heartbeat) in [(false, false), (true, false), (false, true), (true, true)] {
        let sim = ArmSim::start(ArmSimConfig::default()).await.unwrap();
        let quiet = CheckConfig { allowed: None, stop, heartbeat, ..config(sim.local_addr()) };
        let (report, output) = checked(&quiet).await;
        assert!(wrong(&report).is_empty(), "{output}");
        let counts = sim.record().counts;
        assert_eq!((counts.commands, counts.bad_lines), (0, 0), "{output}");
        assert_eq!((counts.stops > 0, counts.heartbeats > 0), (stop, heartbeat), "{output}");
        assert!(output.starts_with("Nothing that moves the arm is sent"));
        assert!(has(&report, Verdict::Ok, "reconnect", "a new connection was accepted"), "{output}");
    }
}

#[tokio::test]
async fn allowed_variations_are_not_wrong() {
    let split = ArmSimConfig { faults: vec!["split".parse().unwrap()], ..ArmSimConfig::default() };
    let slow = ArmSimConfig { faults: vec!["delay:0.05".parse().unwrap()], ..ArmSimConfig::default() };
    for config_of_sim in [split, slow] {
        let sim = ArmSim::start(config_of_sim).await.unwrap();
        let (report, output) = checked(&config(sim.local_addr())).await;
        assert!(wrong(&report).is_empty(), "{output}");
    }

    let crlf = by_rule(|line| format!("{}\r\n", reply(line)).into_bytes()).await;
    let (report, output) = checked(&config(crlf)).await;
    assert!(wrong(&report).is_empty() && has(&report, Verdict::Note, "line ends", r"\r\n"), "{output}");

    let strict = ArmSim::start(ArmSimConfig { strict: true, ..ArmSimConfig::default() }).await.unwrap();
    let (report, output) = checked(&config(strict.local_addr())).await;
    assert!(
        wrong(&report).is_empty() && has(&report, Verdict::Note, "unknown members", "wire.extra_fields"),
        "{output}"
    );

    let state =
        by_rule(|line| format!("{{\"type\":\"state\",\"moving\":true}}\n{}\n", reply(line)).into()).await;
    let (report, output) = checked(&config(state)).await;
    assert!(
        wrong(&report).is_empty() && has(&report, Verdict::Note, "unsolicited state", "wire.accept_state"),
        "{output}"
    );

    let odd = by_rule(|line| reply(line).replace('}', ",\"gripper\":0.5}\n").into_bytes()).await;
    let (report, output) = checked(&config(odd)).await;
    assert!(
        wrong(&report).is_empty() && has(&report, Verdict::Note, "state", "\"gripper\" is 0.5"),
        "{output}"
    );
}

/// A fault of replies: the bytes sent for a line, the check that finds the fault, and words of the
/// finding.
type FaultyReply = (fn(&str) -> Vec<u8>, &'static str, &'static str);

#[tokio::test]
async fn each_reply_fault_is_named_alone() {
    let faults: [FaultyReply; 13] = [
        (|line| reply(line).into(), "newline", "came without a newline"),
        (
            |line| if is_good(line) { "OK\n" } else { "ERROR what?\n" }.into(),
            "JSON",
            "plain text came: OK\\n",
        ),
        (
            |line| format!("{line}\n{}\n", reply(line)).into(),
            "echo",
            "the controller sent our line back: {\"type\":\"heartbeat\"",
        ),
        (|line| format!("{}\n", reply(line).replace("ok", "OK")).into(), "status", "\"status\" is \"OK\""),
        (
            |line| {
                format!("{}\n", reply(line).replace("Command received", "h\u{f6}her"))
                    .chars()
                    .map(|c| c as u8)
                    .collect()
            },
            "UTF-8",
            "is 0xf6",
        ),
        (
            |line| format!("{}\n", reply(line).replace("Command received", &"x".repeat(5000))).into(),
            "length",
            "a line of 5028 bytes came",
        ),
        (
            |line| format!("{}\n", reply(line).replace('}', ",\"message\":\"\"}")).into(),
            "members",
            "\"message\" is there twice",
        ),
        (
            |line| format!("{}\n", reply(line).replace('}', ",\"position\":[NaN,0,0]}")).into(),
            "numbers",
            "NaN",
        ),
        (|line| format!("{}\n", reply(line).replace('}', "\n}")).into(), "one line", "spans 2 lines"),
        (|line| format!("{}\n\n", reply(line)).into(), "one reply", "a blank line came"),
        (|line| format!("[{}]\n", reply(line)).into(), "JSON", "is an array"),
        (
            |line| format!("{}\n", reply(line).replace("\"Command received\"", "7")).into(),
            "message",
            "\"message\" is 7",
        ),
        (
            |line| format!("{}\n", reply(line).replace('}', ",\"position\":[0.2,0.0,0.2]}")).into(),
            "unit",
            "a unit 1000 times as large",
        ),
    ];
    let mut checks = JoinSet::new();
    for (rule, check, words) in faults {
        checks.spawn(async move {
            let (report, output) = checked(&config(by_rule(rule).await)).await;
            let found = only_wrong(&report, check);
            assert!(found.check.as_str() == check && found.seen.contains(words), "{check}: {output}");
            let advice = found.advice.unwrap();
            assert!(!advice.rule.is_empty() && !advice.remedy.is_empty());
            assert!(
                output.contains(&format!("WRONG {check}: ")) && output.contains("\n      fix:      "),
                "{output}"
            );
        });
    }
    while let Some(outcome) = checks.join_next().await {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn late_newline_is_not_a_blank_line() {
    let address = controller(|stream| async move {
        let (mut lines, mut out) = split(stream);
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = out.write_all(reply(&line).as_bytes()).await;
            // The fault: the newline comes alone, after the time for which the check waits for
            // silence.
            sleep(Duration::from_millis(400)).await;
            if out.write_all(b"\n").await.is_err() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let (report, output) = checked(&config(address)).await;
    assert_eq!(only_wrong(&report, "late newline").check.as_str(), "newline", "{output}");
}

#[tokio::test]
async fn reply_without_status_is_named() {
    let address = by_rule(|_| b"{\"message\":\"Command received\"}\n".to_vec()).await;
    let (report, _) = checked(&config(address)).await;
    let found = only_wrong(&report, "status");
    assert_eq!((found.check.as_str(), found.seen.contains("\"status\" is missing")), ("status", true));
    assert!(found.times > 5, "seen again with every reply");
}

#[tokio::test]
async fn two_replies_per_line_are_not_wrong_order() {
    let sim =
        ArmSim::start(ArmSimConfig { faults: vec!["twice".parse().unwrap()], ..ArmSimConfig::default() });
    let (report, output) = checked(&config(sim.await.unwrap().local_addr())).await;
    let found = only_wrong(&report, "twice");
    assert!(
        found.check.as_str() == "one reply" && found.seen.contains("a line got more than one reply"),
        "{output}"
    );
    assert!(has(&report, Verdict::Note, "not checked", "replies cannot be matched to lines"), "{output}");
}

#[tokio::test]
async fn late_reply_is_named_with_its_time() {
    let faults = vec!["delay:0.2".parse().unwrap()];
    let sim = ArmSim::start(ArmSimConfig { faults, ..ArmSimConfig::default() }).await.unwrap();
    let timeout = Duration::from_millis(50);
    let (report, output) =
        checked(&CheckConfig { timeout, patience: Duration::from_secs(20), ..config(sim.local_addr()) })
            .await;
    let found = report.findings.iter().find(|finding| finding.check.as_str() == "in time").unwrap();
    assert_eq!(found.verdict, Verdict::Wrong, "{output}");
    assert!(
        found.seen.starts_with("a reply came after 2") && found.seen.ends_with("later than 50 ms"),
        "{found:?}"
    );
}

#[tokio::test]
async fn silence_is_named_once_and_ends_the_check() {
    let sim =
        ArmSim::start(ArmSimConfig { faults: vec!["silence".parse().unwrap()], ..ArmSimConfig::default() })
            .await;
    let sim = sim.unwrap();
    let patience = Duration::from_millis(300);
    let (report, output) = checked(&CheckConfig { patience, ..config(sim.local_addr()) }).await;
    let found = only_wrong(&report, "silence");
    assert!(found.check.as_str() == "reply" && found.seen == "no reply within 300 ms", "{output}");
    assert!(found.advice.unwrap().remedy.contains("link.expect_reply: false"));
    assert!(has(&report, Verdict::Note, "not checked", "the controller does not reply"), "{output}");
    assert_eq!(sim.record().counts.commands, 0);
}

#[tokio::test]
async fn wrong_order_is_found_by_refusal_and_seq() {
    // Replies to lines that came together in reverse order.
    let address = controller(|mut stream| async move {
        let mut buffer = vec![0; 4096];
        while let Ok(size @ 1..) = stream.read(&mut buffer).await {
            // If only a part of a line has come, wait for the rest.
            let mut text = buffer[..size].to_vec();
            while !text.ends_with(b"\n") {
                let Ok(size @ 1..) = stream.read(&mut buffer).await else { return };
                text.extend_from_slice(&buffer[..size]);
            }
            for line in String::from_utf8(text).unwrap().lines().rev() {
                if stream.write_all(echo_seq(line).as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    for seq in [false, true] {
        let (report, output) = checked(&CheckConfig { seq, ..config(address) }).await;
        assert!(wrong(&report).iter().all(|finding| finding.check.as_str() == "order"), "{output}");
        let words = if seq {
            "the reply to line 6 was due, but the reply to line 7 came"
        } else {
            "were ok, ok, error, ok"
        };
        assert!(has(&report, Verdict::Wrong, "order", words), "{output}");
    }
}

#[tokio::test]
async fn echoed_seq_is_counted_and_invented_seq_named() {
    let echoing = by_rule(|line| echo_seq(line).into()).await;
    let (report, output) = checked(&CheckConfig { seq: true, ..config(echoing) }).await;
    assert!(
        wrong(&report).is_empty()
            && has(&report, Verdict::Ok, "seq", "replies had the \"seq\" of their line"),
        "{output}"
    );

    let made_up = by_rule(|line| reply(line).replace('}', ",\"seq\":4711}\n").into()).await;
    let (report, output) = checked(&CheckConfig { seq: true, ..config(made_up) }).await;
    assert_eq!(only_wrong(&report, "made up").check.as_str(), "seq", "{output}");
    assert!(output.contains("a reply has \"seq\" 4711, but its line had 1"), "{output}");
}

#[tokio::test]
async fn controller_that_closes_after_each_reply_is_named() {
    let address = controller(|stream| async move {
        let (mut lines, mut out) = split(stream);
        if let Ok(Some(line)) = lines.next_line().await {
            let _ = out.write_all(format!("{}\n", reply(&line)).as_bytes()).await;
        }
    })
    .await;
    let (report, output) = checked(&config(address)).await;
    assert!(
        has(&report, Verdict::Wrong, "stays connected", "the controller closed the connection"),
        "{output}"
    );
    assert!(has(&report, Verdict::Note, "not checked", "the controller closes the connection"), "{output}");
    assert!(
        wrong(&report)
            .iter()
            .all(|finding| ["stays connected", "reconnect"].contains(&finding.check.as_str())),
        "{output}"
    );
}

#[tokio::test]
async fn unconfigured_greeting_is_named() {
    let greeting = |stream: TcpStream| async move {
        let (mut lines, mut out) = split(stream);
        let _ = out.write_all(b"ARM 1.2\r\nready\n").await;
        while let Ok(Some(line)) = lines.next_line().await {
            if out.write_all(format!("{}\n", reply(&line)).as_bytes()).await.is_err() {
                break;
            }
        }
    };
    let (report, output) = checked(&config(controller(greeting).await)).await;
    let found = only_wrong(&report, "unannounced");
    assert!(
        found.check.as_str() == "greeting" && found.seen.contains(r"ARM 1.2\r\n came before the first line"),
        "{output}"
    );
    assert_eq!(found.times, 2);
    assert!(found.advice.unwrap().remedy.contains("link.banner_lines"));

    let configured = CheckConfig { greeting: 2, ..config(controller(greeting).await) };
    let (report, output) = checked(&configured).await;
    assert!(
        wrong(&report).is_empty()
            && has(&report, Verdict::Ok, "greeting", "2 lines on connecting, as configured"),
        "{output}"
    );

    let too_many = CheckConfig {
        greeting: 3,
        patience: Duration::from_millis(500),
        ..config(controller(greeting).await)
    };
    let (report, output) = checked(&too_many).await;
    assert!(has(&report, Verdict::Wrong, "greeting", "only 2 of 3 lines came on connecting"), "{output}");
}

#[tokio::test]
async fn controller_that_reads_pieces_as_lines_is_named() {
    let address = controller(|mut stream| async move {
        let mut buffer = vec![0; 4096];
        while let Ok(size @ 1..) = stream.read(&mut buffer).await {
            let line = format!("{}\n", reply(&String::from_utf8_lossy(&buffer[..size])));
            if stream.write_all(line.as_bytes()).await.is_err() {
                break;
            }
        }
    })
    .await;
    let patience = Duration::from_millis(500);
    let (report, output) = checked(&CheckConfig { patience, ..config(address) }).await;
    let found = wrong(&report);
    let pieces = found.iter().find(|finding| finding.check.as_str() == "byte by byte").expect(&output);
    assert!(pieces.seen.contains("a line got more than one reply"), "{output}");
    assert!(pieces.advice.unwrap().rule.contains("TCP is a stream"));
    assert!(found.iter().any(|finding| finding.check.as_str() == "two lines"), "{output}");
}

#[tokio::test]
async fn accepted_bad_line_or_disconnect_is_named() {
    let credulous = by_rule(|_| format!("{OK}\n").into()).await;
    let (report, output) = checked(&config(credulous)).await;
    assert!(has(&report, Verdict::Wrong, "unknown type", "no_such_type"), "{output}");
    assert!(has(&report, Verdict::Wrong, "bad line", "the reply to \"this is not JSON\" was ok"), "{output}");
    assert_eq!(wrong(&report).len(), 2, "{output}");

    let touchy = controller(|stream| async move {
        let (mut lines, mut out) = split(stream);
        while let Ok(Some(line)) = lines.next_line().await {
            let ends = !line.starts_with('{');
            if ends || out.write_all(format!("{}\n", reply(&line)).as_bytes()).await.is_err() {
                break;
            }
        }
    })
    .await;
    let (report, output) = checked(&config(touchy)).await;
    let found = only_wrong(&report, "ends at a bad line");
    assert!(
        found.check.as_str() == "bad line" && found.seen == "the controller closed the connection",
        "{output}"
    );
    assert!(has(&report, Verdict::Ok, "reconnect", ""), "{output}");
}

#[tokio::test]
async fn refused_lines_are_named_with_the_message() {
    let refusing = by_rule(|_| format!("{ERROR}\n").into()).await;
    let (report, output) = checked(&config(refusing)).await;
    assert!(has(&report, Verdict::Wrong, "command", "a valid line was refused: \"no\""), "{output}");

    let sim = ArmSim::start(ArmSimConfig { commands_only: true, ..ArmSimConfig::default() }).await.unwrap();
    let (report, output) =
        checked(&CheckConfig { stop: true, heartbeat: true, ..config(sim.local_addr()) }).await;
    let checks: Vec<_> = wrong(&report).iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(checks, ["heartbeat", "stop"], "{output}");
    assert!(has(&report, Verdict::Wrong, "stop", "type is \\\"stop\\\", expected"), "{output}");
}

#[tokio::test]
async fn controller_that_accepts_only_one_connection_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        drop(listener);
        let (mut lines, mut out) = split(stream);
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = out.write_all(format!("{}\n", reply(&line)).as_bytes()).await;
        }
    });
    let (report, output) = checked(&config(address)).await;
    let found = only_wrong(&report, "one connection");
    assert!(found.check.as_str() == "reconnect" && found.seen.starts_with("no new connection: "), "{output}");
}

#[tokio::test]
async fn data_from_the_previous_connection_is_named() {
    // The controller sends replies of an ended connection on the next one.
    let (late, replies) = mpsc::unbounded_channel::<String>();
    let replies = std::sync::Arc::new(tokio::sync::Mutex::new(replies));
    let address = controller(move |stream| {
        let (late, replies) = (late.clone(), std::sync::Arc::clone(&replies));
        async move {
            let (mut lines, mut out) = split(stream);
            while let Ok(reply) = replies.lock().await.try_recv() {
                let _ = out.write_all(reply.as_bytes()).await;
            }
            while let Ok(Some(line)) = lines.next_line().await {
                // The last line of the first connection is incomplete.
                let text = format!("{}\n", reply(&line));
                let unfinished = line.starts_with("{\"type\":\"command\"") && !line.ends_with('}');
                if unfinished || out.write_all(text.as_bytes()).await.is_err() {
                    let _ = late.send(text);
                    break;
                }
            }
        }
    })
    .await;
    let (report, output) = checked(&config(address)).await;
    let found = only_wrong(&report, "left over");
    assert!(
        found.check.as_str() == "reconnect" && found.seen.contains("came before the first line was sent"),
        "{output}"
    );
    assert!(found.advice.unwrap().rule.contains("starts fresh"));

    // The controller joins half a line of an ended connection to the first line of the next.
    let buffer = std::sync::Arc::new(tokio::sync::Mutex::new(Vec::<u8>::new()));
    let address = controller(move |mut stream| {
        let buffer = std::sync::Arc::clone(&buffer);
        async move {
            let mut piece = vec![0; 4096];
            while let Ok(size @ 1..) = stream.read(&mut piece).await {
                let mut buffer = buffer.lock().await;
                buffer.extend_from_slice(&piece[..size]);
                while let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
                    let line: Vec<u8> = buffer.drain(..=end).collect();
                    let text = format!("{}\n", reply(&String::from_utf8_lossy(&line)));
                    let _ = stream.write_all(text.as_bytes()).await;
                }
            }
        }
    })
    .await;
    let (report, output) = checked(&config(address)).await;
    let found = only_wrong(&report, "glued");
    assert!(found.check.as_str() == "reconnect" && found.seen.contains("was refused"), "{output}");
}

#[tokio::test]
async fn missing_state_is_named() {
    let sim = ArmSim::start(ArmSimConfig::default()).await.unwrap();
    let (report, output) = checked(&CheckConfig { state: true, ..config(sim.local_addr()) }).await;
    let found = only_wrong(&report, "state");
    assert!(found.check.as_str() == "state" && found.seen.starts_with("0 of "), "{output}");
}

#[tokio::test]
async fn controller_that_connects_is_checked_the_same_way() {
    let (addresses, mut listening) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let address: String = listening.recv().await.unwrap();
        loop {
            let stream = TcpStream::connect(&address).await;
            let Ok(stream) = stream else {
                sleep(Duration::from_millis(20)).await; // the pause of any controller that dials
                continue;
            };
            let (mut lines, mut out) = split(stream);
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = out.write_all(format!("{}\n", reply(&line)).as_bytes()).await;
            }
        }
    });
    let listen = CheckConfig { listen: true, ..config("127.0.0.1:0".parse().unwrap()) };
    let mut output = String::new();
    let print = |line: &str| {
        output.extend([line, "\n"]);
        if let Some(rest) = line.strip_prefix("listening on ") {
            addresses.send(rest.split(',').next().unwrap().to_owned()).unwrap();
        }
    };
    let report = check::run(&listen, Operator::agreeing(), print).await.unwrap();
    assert!(wrong(&report).is_empty(), "{output}");
    assert!(has(&report, Verdict::Ok, "connect", "the controller connected"), "{output}");
}

/// Runs the executable. Returns its exit code, output and errors.
async fn arm_check(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arm_check"));
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, errors)
}

/// Starts a UDP controller with the given reply to a line. It replies to the sender, or always to
/// the first sender.
async fn datagrams(rule: impl Fn(&str) -> String + Send + 'static, to_the_first: bool) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut buffer, mut first) = (vec![0; 8192], None);
        while let Ok((size, sender)) = socket.recv_from(&mut buffer).await {
            let to = *first.get_or_insert(sender);
            let reply = rule(&String::from_utf8_lossy(&buffer[..size]));
            let _ = socket.send_to(reply.as_bytes(), if to_the_first { to } else { sender }).await;
        }
    });
    address
}

fn echo_seq(line: &str) -> String {
    let seq =
        serde_json::from_str(line).map_or(0, |line: serde_json::Value| line["seq"].as_u64().unwrap_or(0));
    let end = if seq > 0 { format!(",\"seq\":{seq}}}\n") } else { "}\n".to_owned() };
    reply(line).replace('}', &end)
}

#[tokio::test]
async fn datagrams_are_checked_with_seq_without_stream_checks() {
    let udp = |address| CheckConfig { udp: true, seq: true, stop: true, ..config(address) };
    let wordy = |line: &str| echo_seq(line).replace("received", &"received ".repeat(300));
    let (report, output) = checked(&udp(datagrams(wordy, false).await)).await;
    assert!(wrong(&report).is_empty() && has(&report, Verdict::Ok, "seq", ""), "{output}");
    assert!(
        has(&report, Verdict::Ok, "stop", "") && has(&report, Verdict::Ok, "reconnect", "the new sender"),
        "{output}"
    );
    assert!(!output.contains("byte by byte"), "{output}");

    let (report, output) = checked(&udp(datagrams(|line| format!("{}\n", reply(line)), false).await)).await;
    let found = only_wrong(&report, "no seq");
    assert!(found.check.as_str() == "seq" && found.advice.unwrap().rule.contains("over UDP"), "{output}");

    let patience = Duration::from_millis(300);
    let stubborn = CheckConfig { patience, ..udp(datagrams(echo_seq, true).await) };
    let (report, output) = checked(&stubborn).await;
    let found = only_wrong(&report, "to the first");
    assert!(found.check.as_str() == "reply" && found.advice.unwrap().remedy.contains("sender"), "{output}");

    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let closed_port = taken.local_addr().unwrap();
    drop(taken);
    let (report, output) = checked(&udp(closed_port)).await;
    assert!(has(&report, Verdict::Wrong, "command", "no program receives datagrams there"), "{output}");
}

#[tokio::test]
async fn exit_code_distinguishes_conformant_wrong_and_unchecked() {
    let sim = ArmSim::start(ArmSimConfig::default()).await.unwrap();
    let port = sim.local_addr().port().to_string();
    let (code, out, _) =
        arm_check(&["127.0.0.1", &port, "--at", "200", "-10", "200", "--gripper", "open", "--yes", "--stop"])
            .await;
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("\nconformant: ") && out.contains(r#""y":-10.0"#), "{out}");

    let (code, out, _) =
        arm_check(&["127.0.0.1", &port, "--no-motion", "--heartbeat", "--state", "--timeout", "20"]).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("\nWRONG state: 0 of ") && out.contains("\nnot conformant: "), "{out}");

    // A port that is reserved but does not listen.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, errors) = arm_check(&["127.0.0.1", &port, "--no-motion"]).await;
    assert_eq!(code, Some(2));
    assert!(errors.contains(&format!("cannot connect to 127.0.0.1:{port}: ")), "{errors}");

    for (arguments, words) in [
        (&["127.0.0.1", "5000", "--at", "1", "2"][..], "3 values required"),
        (&["127.0.0.1", "5000", "--at", "1", "2", "nan"], "z is NaN mm, expected a finite number"),
        (&["127.0.0.1", "5000", "--at", "1", "2", "3", "--radius", "500"], "the radius is 500 mm"),
        (&["127.0.0.1", "5000", "--at", "1", "2", "3", "--no-motion"], "cannot be used with"),
        (&["127.0.0.1", "5000", "--no-motion", "--gripper", "ajar"], "expected open or closed"),
    ] {
        let (code, _, errors) = arm_check(arguments).await;
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(errors.contains(words), "{errors}");
    }
}

#[tokio::test]
async fn controllers_page_shows_the_output_of_arm_check() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/controllers.md");
    let page = std::fs::read_to_string(page).unwrap();
    let excerpt = page.split("```text\n→ ").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let shouting = by_rule(|_| br#"{"status": "OK", "message": "Moving to 200.0"}"#.to_vec()).await;
    let (_, output) = checked(&config(shouting)).await;
    for line in excerpt.lines() {
        // The times differ in every run.
        let line = line.strip_suffix("   0.3 ms").unwrap_or(line);
        assert!(output.contains(line), "{line}");
    }
}

#[tokio::test]
async fn help_has_example_and_warns_of_motion() {
    let (code, help, _) = arm_check(&["--help"]).await;
    assert_eq!(code, Some(0));
    for words in [
        "arm_check moves the arm, but asks first",
        "arm_check 192.168.1.50 5000 --at 200 0 200",
        "Exit code: 0",
    ] {
        assert!(help.contains(words), "{words}");
    }
}

/// Converts one position to another.
type Reading = fn([f64; 3]) -> [f64; 3];

/// Words of a question, and the answer.
type Answers<'a> = &'a [(&'a str, &'a str)];

/// An arm and its controller, in millimetres, with their faults.
#[derive(Clone, Copy)]
struct Model {
    /// Where the arm goes for the numbers of a command.
    reads: Reading,
    /// The reported position, if the controller reports it.
    reports: Option<Reading>,
    /// The speed in mm/s.
    speed: f64,
    /// Whether the arm goes to all targets in order, instead of the newest.
    queues: bool,
    /// Whether the arm homes when a connection ends.
    homes: bool,
    /// Whether only replies to commands report the position.
    reports_to_commands: bool,
    /// Refuses higher positions, in mm.
    ceiling: f64,
    /// Additional members of a reply.
    extra: &'static str,
    /// The position at the start.
    start: [f64; 3],
}

const HONEST: Model = Model {
    reads: |at| at,
    reports: Some(|at| at),
    speed: 100.0,
    queues: false,
    homes: false,
    reports_to_commands: false,
    ceiling: f64::INFINITY,
    extra: r#","gripper":"closed""#,
    start: [200.0, 50.0, 300.0],
};

/// A simulated arm.
struct ModelArm {
    model: Model,
    at: [f64; 3],
    targets: VecDeque<[f64; 3]>,
    now: Instant,
    /// For each command: its numbers, its gripper, and its distance from the arm.
    commands: Vec<([f64; 3], String, f64)>,
    farthest: f64,
    heartbeats: usize,
    /// Whether the arm is at its target when it replies.
    echoes: bool,
}

type SharedArm = Arc<Mutex<ModelArm>>;

fn distance(one: [f64; 3], other: [f64; 3]) -> f64 {
    one.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

impl ModelArm {
    fn pass(&mut self) {
        let mut way = self.model.speed * self.now.elapsed().as_secs_f64();
        self.now = Instant::now();
        while let Some(&target) = self.targets.front() {
            let left = distance(self.at, target);
            if way < left {
                self.at = [0, 1, 2].map(|axis| self.at[axis] + (target[axis] - self.at[axis]) * (way / left));
                break;
            }
            way -= left;
            self.at = target;
            self.targets.pop_front();
        }
        self.farthest = self.farthest.max(distance(self.at, self.model.start));
    }

    fn answer(&mut self, line: &str) -> String {
        self.pass();
        let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { return format!("{ERROR}\n") };
        match line["type"].as_str() {
            Some("command") => {
                let numbers = ["x", "y", "z"].map(|axis| line[axis].as_f64().unwrap());
                let target = (self.model.reads)(numbers);
                if target[2] > self.model.ceiling {
                    return "{\"status\":\"error\",\"message\":\"too high\"}\n".to_owned();
                }
                let way = distance(target, self.at);
                self.commands.push((numbers, line["gripper"].as_str().unwrap().to_owned(), way));
                if !self.model.queues {
                    self.targets.clear();
                }
                self.targets.push_back(target);
                if self.echoes {
                    (self.at, self.targets) = (target, VecDeque::new());
                }
            }
            Some("stop") => self.targets.clear(),
            Some("heartbeat") => self.heartbeats += 1,
            _ => return format!("{ERROR}\n"),
        }
        let asked = !self.model.reports_to_commands || line["type"] == "command";
        let position = self.model.reports.filter(|_| asked).map(|reports| {
            let [x, y, z] = reports(self.at);
            format!(r#","position":[{x},{y},{z}]"#)
        });
        let (position, extra) = (position.unwrap_or_default(), self.model.extra);
        format!("{{\"status\":\"ok\"{position}{extra}}}\n")
    }
}

/// Starts a controller with an arm. Returns its address and the arm.
async fn arm(model: Model) -> (SocketAddr, SharedArm) {
    let arm = ModelArm {
        model,
        at: model.start,
        targets: VecDeque::new(),
        now: Instant::now(),
        commands: Vec::new(),
        farthest: 0.0,
        heartbeats: 0,
        echoes: false,
    };
    let arm = Arc::new(Mutex::new(arm));
    let shared = Arc::clone(&arm);
    let address = controller(move |stream| {
        let arm = Arc::clone(&shared);
        async move {
            let (mut lines, mut out) = split(stream);
            while let Ok(Some(line)) = lines.next_line().await {
                if lines.get_ref().buffer().is_empty() && has_ended(out.as_ref()) {
                    break;
                }
                let reply = arm.lock().unwrap().answer(&line);
                if out.write_all(reply.as_bytes()).await.is_err() {
                    break;
                }
            }
            let mut arm = arm.lock().unwrap();
            if arm.model.homes {
                (arm.at, arm.targets) = ([300.0, 0.0, 300.0], VecDeque::new());
            }
        }
    })
    .await;
    (address, arm)
}

/// Allows motion around the present position of the arm. The gripper stays as it is.
fn anywhere(address: SocketAddr) -> CheckConfig {
    let allowed = Allowed::new(None, PositionUnit::Millimetres, 5.0, None).unwrap();
    CheckConfig { allowed: Some(allowed), ..config(address) }
}

/// Returns an operator who sees what the arm does. The first entry whose words are in the question
/// gives the answer.
fn operator<'a>(answers: Answers<'a>) -> impl Fn(&str) -> Option<String> + Send + Sync + 'a {
    |question| {
        let usual = [
            ("Is the way free", "yes"),
            ("position of its tool", "200 50 300"),
            ("open or closed now", "closed"),
            ("Did it stay there", "yes"),
            ("too little to see", "no"),
            ("Did the arm go there", "yes"),
            ("Did you see the same", ""),
            ("Ready?", ""),
            ("go on moving", "no"),
        ];
        let all = answers.iter().copied().chain(usual);
        let answer = all.into_iter().find(|(words, _)| question.contains(words)).map(|(_, answer)| answer);
        answer.filter(|answer| *answer != "(gone)").map(str::to_owned)
    }
}

#[tokio::test]
async fn nothing_moves_before_the_operator_agrees() {
    for (consent, words) in [("no", "and not \"yes\""), ("", "and not \"yes\""), ("(gone)", "got no answer")]
    {
        let (address, arm) = arm(HONEST).await;
        let config = CheckConfig { allowed: Some(allowed()), ..config(address) };
        let (report, output) = answered(&config, operator(&[("Is the way free", consent)])).await;
        let error = report.unwrap_err().to_string();
        assert!(error.starts_with("nothing was moved") && error.contains(words), "{error}");
        assert_eq!(arm.lock().unwrap().commands, [], "{output}");
    }
}

#[tokio::test]
async fn motion_starts_at_reported_position_in_small_steps() {
    let (address, arm) = arm(HONEST).await;
    let at = Some([240.0, 50.0, 300.0]);
    let allowed = Some(Allowed::new(at, PositionUnit::Millimetres, 5.0, None).unwrap());
    let (report, output) = answered(&CheckConfig { allowed, ..config(address) }, operator(&[])).await;
    let report = report.unwrap();
    assert!(wrong(&report).is_empty(), "{output}");
    for words in [
        "  from     x=200.0 y=50.0 z=300.0 mm, the position that the controller reports\n",
        "then to x=240.0 y=50.0 z=300.0 mm, 40 mm away",
        "steps of 5 mm at most; long distances at 50 mm/s",
        "gripper  stays closed",
    ] {
        assert!(output.contains(words), "{words}: {output}");
    }
    for check in ["position", "first command", "directions", "queue"] {
        assert!(has(&report, Verdict::Ok, check, ""), "{check}: {output}");
    }
    let arm = arm.lock().unwrap();
    assert_eq!(arm.commands[0].0, [200.0, 50.0, 300.0]);
    assert!(arm.commands.iter().any(|(numbers, ..)| *numbers == [240.0, 50.0, 300.0]));
    for command in &arm.commands {
        assert_eq!(command.1, "closed");
    }
    let steps = arm.commands.windows(2).map(|pair| distance(pair[0].0, pair[1].0));
    assert!(steps.fold(0.0, f64::max) <= 5.0, "{output}");
}

#[tokio::test]
async fn operator_enters_an_unreported_position() {
    let silent = Model { reports: None, extra: "", ..HONEST };
    let (address, silent_arm) = arm(silent).await;
    let (report, output) = answered(&anywhere(address), operator(&[])).await;
    let report = report.unwrap();
    assert!(wrong(&report).is_empty(), "{output}");
    assert!(output.contains("the position that you gave. IF THE ARM IS ELSEWHERE"), "{output}");
    for words in ["5 mm along +x, the arm moved the same", "5 mm along +y", "5 mm along +z"] {
        assert!(has(&report, Verdict::Ok, "directions", words), "{output}");
    }
    assert!(has(&report, Verdict::Ok, "queue", "the arm then stood still"), "{output}");
    {
        let arm = silent_arm.lock().unwrap();
        assert_eq!((arm.commands[0].0, arm.commands[0].1.as_str()), ([200.0, 50.0, 300.0], "closed"));
        assert!(arm.farthest < 5.1, "{}", arm.farthest);
    }

    for (question, answer, words) in [
        ("position of its tool", "there", "was valid"),
        ("position of its tool", "1 2 nan", "was valid"),
        ("position of its tool", "(gone)", "got no answer"),
        ("open or closed now", "ajar", "was valid"),
        ("open or closed now", "(gone)", "got no answer"),
    ] {
        let (address, arm) = arm(silent).await;
        let (report, output) = answered(&anywhere(address), operator(&[(question, answer)])).await;
        let error = report.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(arm.lock().unwrap().commands, [], "{output}");
    }
}

#[tokio::test]
async fn script_must_give_unreported_state() {
    let silent = Model { reports: None, extra: "", ..HONEST };
    let at = Some([200.0, 50.0, 300.0]);
    for (at, gripper, words) in [(None, Some(Gripper::Open), "Give --at"), (at, None, "Give --gripper")] {
        let (address, arm) = arm(silent).await;
        let allowed = Some(Allowed::new(at, PositionUnit::Millimetres, 5.0, gripper).unwrap());
        let config = CheckConfig { allowed, ..config(address) };
        let error = check::run(&config, Operator::agreeing(), |_| {}).await.unwrap_err().to_string();
        assert!(error.starts_with("nothing was moved") && error.contains(words), "{error}");
        assert_eq!(arm.lock().unwrap().commands, []);
    }
    let (address, arm) = arm(silent).await;
    let allowed = Some(Allowed::new(at, PositionUnit::Millimetres, 5.0, Some(Gripper::Open)).unwrap());
    let (report, output) = checked(&CheckConfig { allowed, ..config(address) }).await;
    assert!(wrong(&report).is_empty(), "{output}");
    assert!(
        output.contains("gripper  is commanded open (--gripper): IT MOVES unless it is open already"),
        "{output}"
    );
    for check in ["directions", "queue"] {
        assert!(has(&report, Verdict::Note, check, "with --yes the operator is not asked"), "{output}");
    }
    assert_eq!(arm.lock().unwrap().commands[0].1, "open");
}

#[tokio::test]
async fn wrongly_entered_position_is_found_by_first_reply() {
    let (address, arm) = arm(Model { reports_to_commands: true, speed: 20.0, ..HONEST }).await;
    let (report, output) =
        answered(&anywhere(address), operator(&[("position of its tool", "300 50 300")])).await;
    let report = report.unwrap();
    let found = only_wrong(&report, "elsewhere");
    assert!(found.check.as_str() == "first command" && found.seen.contains("x=200.0 y=50.0"), "{output}");
    {
        let arm = arm.lock().unwrap();
        assert!(arm.commands.len() == 1 && arm.farthest < 50.0, "{output}");
    }

    let (address, _) = self::arm(Model { reports_to_commands: true, ..HONEST }).await;
    let (report, output) = answered(&anywhere(address), operator(&[])).await;
    let report = report.unwrap();
    assert!(wrong(&report).is_empty() && has(&report, Verdict::Ok, "directions", "+z"), "{output}");
}

#[tokio::test]
async fn position_that_repeats_the_command_is_noted() {
    let (address, echoing) = arm(Model { speed: 1e9, ..HONEST }).await;
    // The reply to a command reports the position of the command.
    echoing.lock().unwrap().echoes = true;
    let (report, output) = checked(&anywhere(address)).await;
    assert!(wrong(&report).is_empty() && has(&report, Verdict::Note, "measured", "within 4 ms"), "{output}");
    let (address, _) = arm(HONEST).await;
    let (report, output) = checked(&anywhere(address)).await;
    assert!(!has(&report, Verdict::Note, "measured", ""), "{output}");
}

#[tokio::test]
async fn refusal_ends_the_motion() {
    let (address, arm) = arm(Model { ceiling: 302.0, ..HONEST }).await;
    let at = Some([200.0, 50.0, 400.0]);
    let allowed = Some(Allowed::new(at, PositionUnit::Millimetres, 5.0, None).unwrap());
    let (report, output) = checked(&CheckConfig { allowed, ..config(address) }).await;
    let found = only_wrong(&report, "ceiling");
    assert!(found.check.as_str() == "command" && found.seen.contains("too high"), "{output}");
    assert!(arm.lock().unwrap().farthest < 6.0, "{output}");
    assert!(!output.contains(r#""z":310"#), "no command follows the refused one: {output}");
}

/// An invalid report of the position: the model, the check that finds it, and words of the finding.
type FaultyPlace = (Model, &'static str, &'static str);

#[tokio::test]
async fn implausible_report_moves_nothing() {
    let faults: [FaultyPlace; 6] = [
        (Model { reports: Some(|_| [0.0; 3]), ..HONEST }, "position", "exactly 0, 0, 0"),
        (Model { reports: Some(|at| at.map(|mm| mm / 1000.0)), ..HONEST }, "unit", "0.4 mm from the base"),
        (Model { reports: Some(|at| at.map(|mm| mm / 10.0)), ..HONEST }, "unit", "36.4 mm from the base"),
        (
            Model { reports: Some(|at| at.map(|mm| mm * 1000.0)), ..HONEST },
            "unit",
            "364005.5 mm from the base",
        ),
        (Model { extra: r#","fault":"joint 3""#, ..HONEST }, "position", "reports a fault: \"joint 3\""),
        (
            Model { extra: r#","moving":true"#, ..HONEST },
            "position",
            "although arm_check has sent no command",
        ),
    ];
    join_all(faults.map(|(model, check, words)| async move {
        let (address, arm) = arm(model).await;
        let config = CheckConfig { patience: Duration::from_millis(300), ..anywhere(address) };
        let (report, output) = answered(&config, operator(&[])).await;
        let report = report.unwrap();
        let found = only_wrong(&report, words);
        assert!(found.check.as_str() == check && found.seen.contains(words), "{output}");
        assert!(has(&report, Verdict::Note, "not checked", "along +x, +y and +z"), "{output}");
        assert_eq!(arm.lock().unwrap().commands, [], "{output}");
    }))
    .await;
}

#[tokio::test]
async fn operator_is_asked_again_if_the_arm_moved() {
    let (address, model_arm) = arm(HONEST).await;
    let moved = Arc::clone(&model_arm);
    let usual = operator(&[]);
    let (report, output) = answered(&anywhere(address), |question| {
        let mut arm = moved.lock().unwrap();
        if question.contains("Is the way free") && arm.at == HONEST.start {
            arm.at = [230.0, 50.0, 300.0];
        }
        usual(question)
    })
    .await;
    assert!(wrong(&report.unwrap()).is_empty(), "{output}");
    assert_eq!(output.matches("Is the way free").count(), 2, "{output}");
    assert_eq!(model_arm.lock().unwrap().commands[0].0, [230.0, 50.0, 300.0]);
}

#[tokio::test]
async fn wrong_motion_is_read_from_the_reported_position() {
    // The controller reads commands differently from its reports: everywhere, or only around the
    // position.
    let faults: [(&str, Reading, &str, &str); 6] = [
        (
            "x mirrored",
            |[x, y, z]| [400.0 - x, y, z],
            "direction x",
            "along -x (\"position\" moved by -5.0, ",
        ),
        ("x and y swapped", |[x, y, z]| [150.0 + y, x - 150.0, z], "direction x", "along +y"),
        ("z is dead", |[x, y, _]| [x, y, 300.0], "direction z", "did not move"),
        (
            "ten times",
            |at| [0, 1, 2].map(|axis| here()[axis] + (at[axis] - here()[axis]) * 10.0),
            "unit",
            "--unit cm",
        ),
        (
            "a thousand times",
            |at| [0, 1, 2].map(|axis| here()[axis] + (at[axis] - here()[axis]) * 1000.0),
            "unit",
            "--unit m",
        ),
        ("askew", |[x, y, z]| [x, y + (x - 200.0), z], "direction x", "another way"),
    ];
    join_all(faults.map(|(name, reads, check, words)| async move {
        let (address, arm) = arm(Model { reads, ..HONEST }).await;
        let (report, output) = checked(&anywhere(address)).await;
        assert!(has(&report, Verdict::Wrong, check, words), "{name}: {output}");
        let farthest = arm.lock().unwrap().farthest;
        assert!(farthest < 30.0, "{name}: it went {farthest} mm: {output}");
        let swapped = name == "x and y swapped";
        assert!(swapped == has(&report, Verdict::Wrong, "direction y", "along +x"), "{name}: {output}");
    }))
    .await;
}

fn here() -> [f64; 3] {
    HONEST.start
}

#[tokio::test]
async fn jump_at_first_command_is_stopped_and_explained() {
    let faults: [(Reading, &str); 3] = [
        (|[x, y, z]| [-x, y, z], "x is mirrored"),
        (|[x, y, z]| [y, x, z], "x and y are swapped"),
        (|at| at.map(|number| number * 10.0), "10 times their value"),
    ];
    join_all(faults.map(|(reads, words)| async move {
        let (address, arm) = arm(Model { reads, speed: 20.0, ..HONEST }).await;
        let (report, output) =
            checked(&CheckConfig { settle: Duration::from_millis(100), ..anywhere(address) }).await;
        let found = only_wrong(&report, words);
        assert!(found.check.as_str() == "first command" && found.seen.contains(words), "{output}");
        let arm = arm.lock().unwrap();
        assert_eq!((arm.commands.len(), arm.targets.len()), (1, 0), "{output}");
        assert!(arm.farthest < 100.0, "it was stopped after {} mm: {output}", arm.farthest);
    }))
    .await;
}

#[tokio::test]
async fn operator_observation_becomes_a_finding_with_settings() {
    let silent = Model { reports: None, ..HONEST };
    let faults: [(Answers, &str, &str); 8] = [
        (&[("Did it stay there", "no")], "first command", "went somewhere else"),
        (&[("by 0.005 mm", "yes")], "unit", "1000 times as far: set wire.position_unit: m"),
        (&[("by 0.05 mm", "yes")], "unit", "100 times as far"),
        (&[("by 0.5 mm", "yes")], "unit", "10 times as far: set wire.position_unit: cm"),
        (&[("+x. Did the arm go", "-x")], "direction x", "along -x: mirrored"),
        (&[("+y. Did the arm go", "0")], "direction y", "did not move"),
        (&[("+x. Did the arm go", "+x 50")], "unit", "10 times as far"),
        (&[("go on moving", "yes")], "queue", "went on moving"),
    ];
    join_all(faults.map(|(answers, check, words)| async move {
        let (address, _) = arm(silent).await;
        let (report, output) = answered(&anywhere(address), operator(answers)).await;
        let report = report.unwrap();
        let found = only_wrong(&report, words);
        assert!(found.check.as_str() == check && found.seen.contains(words), "{output}");
    }))
    .await;
    for (answers, settings) in [
        (
            &[("+x. Did the arm go", "-x")][..],
            "retarget.rotation_rpy: [0.0, 0.0, 0.0], retarget.scale: [-1.0, 1.0, 1.0]",
        ),
        (
            &[("+x. Did the arm go", "+y"), ("+y. Did the arm go", "-x")],
            "retarget.rotation_rpy: [0.0, 0.0, -1.5708], retarget.scale: [1.0, 1.0, 1.0]",
        ),
    ] {
        let (address, _) = arm(silent).await;
        let (_, output) = answered(&anywhere(address), operator(answers)).await;
        assert!(output.contains(settings), "{output}");
    }
}

#[tokio::test]
async fn operator_observation_overrides_the_report() {
    let (address, _) = arm(HONEST).await;
    let (report, output) = answered(&anywhere(address), operator(&[("+y. Did you see", "-y")])).await;
    let report = report.unwrap();
    let found = only_wrong(&report, "seen");
    assert!(found.check.as_str() == "direction y" && found.seen.ends_with("along -y: mirrored"), "{output}");
}

#[tokio::test]
async fn operator_who_leaves_ends_only_the_motion() {
    let (address, arm) = arm(Model { reports: None, ..HONEST }).await;
    let (report, output) = answered(&anywhere(address), operator(&[("by 0.005 mm", "(gone)")])).await;
    let report = report.unwrap();
    assert!(
        has(&report, Verdict::Note, "directions", "the operator did not report what the arm did"),
        "{output}"
    );
    let (commands, _) = output.rsplit_once("too little to see").unwrap();
    let arm = arm.lock().unwrap();
    assert!(arm.farthest < 1.0 && arm.commands.len() == commands.matches("→ {\"type\":\"command\"").count());
}

#[tokio::test]
async fn queue_is_found_by_the_duration_of_motion() {
    let slow = Model { speed: 25.0, ..HONEST };
    join_all([false, true].map(|queues| async move {
        let (address, _) = arm(Model { queues, ..slow }).await;
        let (report, output) = checked(&anywhere(address)).await;
        match queues {
            false => assert!(wrong(&report).is_empty(), "{output}"),
            true => {
                let found = only_wrong(&report, "queue");
                assert_eq!(found.check.as_str(), "queue", "{output}");
                assert!(found.advice.unwrap().remedy.contains("link.max_in_flight"));
            }
        }
    }))
    .await;
}

#[tokio::test]
async fn arm_that_homes_on_disconnect_gets_no_command() {
    let (address, homed) = arm(Model { homes: true, ..HONEST }).await;
    let (report, output) = checked(&anywhere(address)).await;
    let found = only_wrong(&report, "homes");
    assert!(
        found.check.as_str() == "position" && found.seen.contains("is now at x=300.0 y=0.0 z=300.0 mm"),
        "{output}"
    );
    let last = output.rfind(r#"→ {"type":"command""#).unwrap();
    assert!(last < output.find("before the connection was lost").unwrap(), "{output}");
    assert_eq!(homed.lock().unwrap().at, [300.0, 0.0, 300.0]);
}

#[tokio::test]
async fn controller_that_closes_at_heartbeat_gets_no_more() {
    let address = controller(|stream| async move {
        let (mut lines, mut out) = split(stream);
        while let Ok(Some(line)) = lines.next_line().await {
            let dies = line.contains("heartbeat");
            if dies || out.write_all(format!("{}\n", reply(&line)).as_bytes()).await.is_err() {
                break;
            }
        }
    })
    .await;
    let (report, output) = checked(&config(address)).await;
    let found = only_wrong(&report, "closes");
    assert!(
        found.check.as_str() == "bad line" && found.seen == "the controller closed the connection",
        "{output}"
    );
    assert_eq!(output.matches("→ {\"type\":\"heartbeat\"").count(), 1, "{output}");
    assert!(
        has(&report, Verdict::Ok, "command", "") && has(&report, Verdict::Ok, "reconnect", ""),
        "{output}"
    );
}

#[tokio::test]
async fn connection_stays_alive_while_the_operator_thinks() {
    let (address, arm) = arm(HONEST).await;
    let watched = Arc::clone(&arm);
    let (sender, answers) = mpsc::unbounded_channel();
    let mut output = String::new();
    let config = CheckConfig { heartbeat: true, ..anywhere(address) };
    let report = check::run(&config, Operator::answering(answers), |line| {
        output.extend([line, "\n"]);
        if line.starts_with("? Is the way free") {
            let (sender, watched) = (sender.clone(), Arc::clone(&watched));
            let before = watched.lock().unwrap().heartbeats;
            tokio::spawn(async move {
                while watched.lock().unwrap().heartbeats < before + 2 {
                    sleep(Duration::from_millis(10)).await;
                }
                sender.send("yes".to_owned()).unwrap();
            });
        } else if line.starts_with("? ") {
            sender.send(String::new()).unwrap();
        }
    })
    .await
    .unwrap();
    assert!(wrong(&report).is_empty(), "{output}");
}

/// Runs the executable with lines on its standard input.
async fn arm_check_with(arguments: &[&str], input: &'static str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arm_check"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, errors)
}

#[tokio::test]
async fn answers_are_read_from_the_standard_input() {
    let (address, arm) = arm(HONEST).await;
    let port = address.port().to_string();
    let (code, out, errors) = arm_check_with(&["127.0.0.1", &port], "").await;
    assert_eq!(code, Some(2), "{out}");
    assert!(errors.contains("got no answer") && errors.contains("give --yes"), "{errors}");
    let (code, out, _) = arm_check_with(&["127.0.0.1", &port], "no\n").await;
    assert_eq!(code, Some(2), "{out}");
    assert_eq!(arm.lock().unwrap().commands, []);
    let (code, out, errors) = arm_check_with(&["127.0.0.1", &port], "yes\n").await;
    assert_eq!(code, Some(0), "{out}{errors}");
    assert!(out.contains("? Is the way free"), "{out}");
}

/// Returns whether the client has disconnected. Asks the system, because the runtime learns of the
/// end later.
fn has_ended(stream: &TcpStream) -> bool {
    matches!(socket2::SockRef::from(stream).peek(&mut [std::mem::MaybeUninit::uninit()]), Ok(0))
}

/// Starts a controller that reports a position and lets a second client wait. If `reads_on`, it
/// reads to the end before it executes a line. The last executed command is its position.
async fn serial(reads_on: bool) -> SocketAddr {
    let place = std::sync::Arc::new(std::sync::Mutex::new([200.0, 0.0, 200.0]));
    controller(move |mut stream| {
        let place = std::sync::Arc::clone(&place);
        async move {
            let (mut rest, mut bytes) = (Vec::new(), [0; 4096]);
            while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                rest.extend_from_slice(&bytes[..count]);
                let is_gone = reads_on && has_ended(&stream);
                while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                    let line: Vec<u8> = rest.drain(..=end).collect();
                    let line = String::from_utf8(line).unwrap();
                    let value = serde_json::from_str::<serde_json::Value>(&line).unwrap_or_default();
                    let point = ["x", "y", "z"].map(|axis| value[axis].as_f64());
                    if let ([Some(x), Some(y), Some(z)], true, false) = (point, is_good(&line), is_gone) {
                        *place.lock().unwrap() = [x, y, z];
                    }
                    let status = if is_good(&line) { "ok" } else { "error" };
                    let at = *place.lock().unwrap();
                    let reply = format!("{{\"status\":\"{status}\",\"position\":{at:?},\"moving\":false}}\n");
                    let _ = stream.write_all(reply.as_bytes()).await;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn executing_a_disconnected_client_is_named() {
    for reads_on in [false, true] {
        let address = serial(reads_on).await;
        let config = CheckConfig { heartbeat: true, patience: Duration::from_millis(500), ..config(address) };
        let (report, output) = checked(&config).await;
        if reads_on {
            assert!(wrong(&report).is_empty(), "{output}");
            assert!(has(&report, Verdict::Ok, "gone client", "moves nothing"), "{output}");
        } else {
            let found = only_wrong(&report, "it executes commands of a disconnected client");
            assert_eq!(found.check.as_str(), "gone client");
            assert!(found.advice.unwrap().remedy.contains("before you execute the first line"));
        }
        let waiting = has(&report, Verdict::Note, "second client", "got no reply for 0.5 s")
            || has(&report, Verdict::Note, "second client", "got no reply for 500 ms");
        assert!(waiting, "{output}");
    }
}

#[tokio::test]
async fn refused_or_served_second_client_is_ok() {
    // The simulated arm serves all clients.
    let sim = ArmSim::start(ArmSimConfig { report_state: true, ..ArmSimConfig::default() }).await.unwrap();
    let (report, output) = checked(&CheckConfig { heartbeat: true, ..config(sim.local_addr()) }).await;
    assert!(has(&report, Verdict::Ok, "second client", "got an immediate reply"), "{output}");
    assert!(has(&report, Verdict::Ok, "gone client", ""), "{output}");
    assert!(wrong(&report).is_empty(), "{output}");
}
