//! The conformance check against a controller that conforms, and against controllers that are wrong on purpose, each in
//! its own way: every fault has to be named, and nothing else.

use std::{net::SocketAddr, process::Command, time::Duration};

use aether_bridge::arm::Gripper;
use aether_bridge::wire::PositionUnit;
use aether_sim::check::{self, Allowed, CheckConfig, Finding, Report, Verdict};
use aether_sim::{ArmSim, ArmSimConfig};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines},
    net::{
        TcpListener, TcpSocket, TcpStream, UdpSocket,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinSet,
    time::sleep,
};

const OK: &str = r#"{"status":"ok","message":"Command received"}"#;
const ERROR: &str = r#"{"status":"error","message":"no"}"#;

fn allowed() -> Allowed {
    Allowed::new([200.0, 0.0, 200.0], PositionUnit::Millimetres, 5.0, Gripper::Open).unwrap()
}

fn config(address: SocketAddr) -> CheckConfig {
    CheckConfig {
        // No reply of these tests is late, but for those that are meant to be, however busy the machine is.
        timeout: Duration::from_secs(20),
        silence: Duration::from_millis(150),
        ..CheckConfig::new(address.ip().to_string(), address.port(), Some(allowed()))
    }
}

/// Checks, and keeps what was said.
async fn checked(config: &CheckConfig) -> (Report, String) {
    let mut said = String::new();
    let report = check::run(config, |line| said.extend([line, "\n"])).await.unwrap();
    (report, said)
}

fn wrong(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).collect()
}

/// The one thing that is wrong.
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

/// A controller that does with each connection, one after another, what it is told.
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

/// A controller that makes its bytes for each line by a rule.
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

/// What a controller that conforms answers.
fn reply(line: &str) -> &'static str {
    if is_good(line) { OK } else { ERROR }
}

#[tokio::test]
async fn a_controller_that_conforms_has_nothing_wrong_whatever_it_is_asked_about() {
    for (unit, at) in [
        (PositionUnit::Millimetres, [200.0, 0.0, 200.0]),
        (PositionUnit::Centimetres, [20.0, 0.0, 20.0]),
        (PositionUnit::Metres, [0.2, 0.0, 0.2]),
    ] {
        let sim = ArmSim::start(ArmSimConfig { unit, report_state: true, ..ArmSimConfig::default() }).await;
        let sim = sim.unwrap();
        let everything = CheckConfig {
            unit,
            stop: true,
            heartbeat: true,
            seq: true,
            state: true,
            allowed: Some(Allowed::new(at, unit, 5.0, Gripper::Closed).unwrap()),
            ..config(sim.local_addr())
        };
        let (report, said) = checked(&everything).await;
        assert!(wrong(&report).is_empty(), "{said}");
        assert!(has(&report, Verdict::Ok, "order", "ok, error, ok, ok"), "{said}");
        for check in ["stop", "heartbeat", "state", "byte by byte", "two lines", "bad line", "reconnect"] {
            assert!(has(&report, Verdict::Ok, check, ""), "{check} is not among what is ok: {said}");
        }
    }
}

#[tokio::test]
async fn every_command_is_near_the_place_that_was_allowed_and_said_before() {
    let sim = ArmSim::start(ArmSimConfig::default()).await.unwrap();
    let (_, said) = checked(&CheckConfig { stop: true, ..config(sim.local_addr()) }).await;
    let announced = said.find("THE ARM WILL MOVE: first to x=200.0 y=0.0 z=200.0 mm").unwrap();
    assert!(announced < said.find("connect").unwrap(), "{said}");
    let record = sim.record();
    let commands: Vec<_> = (0..record.connections.len()).flat_map(|nth| record.commands_on(nth)).collect();
    assert!(commands.len() > 10);
    for command in commands {
        let [x, y, z] = command.position.coordinates();
        assert!((x - 0.2).hypot(y).hypot(z - 0.2) <= 0.005, "{command:?}");
        assert_eq!(command.gripper, Gripper::Open);
    }
    let lines = said.lines().filter(|line| line.starts_with('→'));
    for line in lines.filter(|line| line.contains("no_such_type")) {
        assert!(line.contains(r#""x":200.0,"y":0.0,"z":200.0,"gripper":"open"}"#), "{line}");
    }
}

#[tokio::test]
async fn without_motion_only_lines_are_sent_that_it_is_said_to_know() {
    for (stop, heartbeat) in [(false, false), (true, false), (false, true), (true, true)] {
        let sim = ArmSim::start(ArmSimConfig::default()).await.unwrap();
        let quiet = CheckConfig { allowed: None, stop, heartbeat, ..config(sim.local_addr()) };
        let (report, said) = checked(&quiet).await;
        assert!(wrong(&report).is_empty(), "{said}");
        let counts = sim.record().counts;
        assert_eq!((counts.commands, counts.bad_lines), (0, 0), "{said}");
        assert_eq!((counts.stops > 0, counts.heartbeats > 0), (stop, heartbeat), "{said}");
        assert!(said.starts_with("Nothing is sent that moves the arm"));
        assert!(has(&report, Verdict::Ok, "reconnect", "a new connection was taken"), "{said}");
    }
}

#[tokio::test]
async fn manners_that_are_allowed_are_not_wrong() {
    let split = ArmSimConfig { faults: vec!["split".parse().unwrap()], ..ArmSimConfig::default() };
    let slow = ArmSimConfig { faults: vec!["delay:0.05".parse().unwrap()], ..ArmSimConfig::default() };
    for config_of_sim in [split, slow] {
        let sim = ArmSim::start(config_of_sim).await.unwrap();
        let (report, said) = checked(&config(sim.local_addr())).await;
        assert!(wrong(&report).is_empty(), "{said}");
    }

    let crlf = by_rule(|line| format!("{}\r\n", reply(line)).into_bytes()).await;
    let (report, said) = checked(&config(crlf)).await;
    assert!(wrong(&report).is_empty() && has(&report, Verdict::Note, "line ends", r"\r\n"), "{said}");

    let strict = ArmSim::start(ArmSimConfig { strict: true, ..ArmSimConfig::default() }).await.unwrap();
    let (report, said) = checked(&config(strict.local_addr())).await;
    assert!(
        wrong(&report).is_empty() && has(&report, Verdict::Note, "unknown members", "wire.extra_fields"),
        "{said}"
    );

    let state =
        by_rule(|line| format!("{{\"type\":\"state\",\"moving\":true}}\n{}\n", reply(line)).into()).await;
    let (report, said) = checked(&config(state)).await;
    assert!(
        wrong(&report).is_empty() && has(&report, Verdict::Note, "unsolicited state", "wire.accept_state"),
        "{said}"
    );

    let odd = by_rule(|line| reply(line).replace('}', ",\"gripper\":0.5}\n").into_bytes()).await;
    let (report, said) = checked(&config(odd)).await;
    assert!(
        wrong(&report).is_empty() && has(&report, Verdict::Note, "state", "\"gripper\" is 0.5"),
        "{said}"
    );
}

/// A fault of replies: what is sent for a line, the check that finds it, and its words.
type FaultyReply = (fn(&str) -> Vec<u8>, &'static str, &'static str);

#[tokio::test]
async fn every_fault_of_a_reply_is_named_and_no_other() {
    let faults: [FaultyReply; 13] = [
        (|line| reply(line).into(), "newline", "came without its newline"),
        (|line| if is_good(line) { "OK\n" } else { "ERROR what?\n" }.into(), "JSON", "bare text came: OK\\n"),
        (
            |line| format!("{line}\n{}\n", reply(line)).into(),
            "echo",
            "it sent the line back: {\"type\":\"command\"",
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
        (|line| format!("{}\n", reply(line).replace('}', "\n}")).into(), "one line", "spread over 2 lines"),
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
            let (report, said) = checked(&config(by_rule(rule).await)).await;
            let found = only_wrong(&report, check);
            assert!(found.check.as_str() == check && found.seen.contains(words), "{check}: {said}");
            let advice = found.advice.unwrap();
            assert!(!advice.rule.is_empty() && !advice.remedy.is_empty());
            assert!(
                said.contains(&format!("WRONG {check}: ")) && said.contains("\n      mend:     "),
                "{said}"
            );
        });
    }
    while let Some(outcome) = checks.join_next().await {
        outcome.unwrap();
    }
}

#[tokio::test]
async fn a_newline_that_comes_long_after_its_reply_is_no_blank_line() {
    let address = controller(|stream| async move {
        let (mut lines, mut out) = split(stream);
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = out.write_all(reply(&line).as_bytes()).await;
            // The fault: longer than silence is listened to, and by itself.
            sleep(Duration::from_millis(400)).await;
            if out.write_all(b"\n").await.is_err() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let (report, said) = checked(&config(address)).await;
    assert_eq!(only_wrong(&report, "late newline").check.as_str(), "newline", "{said}");
}

#[tokio::test]
async fn a_reply_without_status_is_named() {
    let address = by_rule(|_| b"{\"message\":\"Command received\"}\n".to_vec()).await;
    let (report, _) = checked(&config(address)).await;
    let found = only_wrong(&report, "status");
    assert_eq!((found.check.as_str(), found.seen.contains("\"status\" is missing")), ("status", true));
    assert!(found.times > 5, "seen once more with every reply");
}

#[tokio::test]
async fn two_replies_to_each_line_are_named_and_do_not_look_like_a_wrong_order() {
    let sim =
        ArmSim::start(ArmSimConfig { faults: vec!["twice".parse().unwrap()], ..ArmSimConfig::default() });
    let (report, said) = checked(&config(sim.await.unwrap().local_addr())).await;
    let found = only_wrong(&report, "twice");
    assert!(
        found.check.as_str() == "one reply" && found.seen.contains("a line was answered more than once"),
        "{said}"
    );
    assert!(has(&report, Verdict::Note, "not checked", "which reply is for which line"), "{said}");
}

#[tokio::test]
async fn late_replies_are_named_with_the_time_they_took() {
    let faults = vec!["delay:0.2".parse().unwrap()];
    let sim = ArmSim::start(ArmSimConfig { faults, ..ArmSimConfig::default() }).await.unwrap();
    let timeout = Duration::from_millis(50);
    let (report, said) =
        checked(&CheckConfig { timeout, patience: Duration::from_secs(20), ..config(sim.local_addr()) })
            .await;
    let found = report.findings.iter().find(|finding| finding.check.as_str() == "in time").unwrap();
    assert_eq!(found.verdict, Verdict::Wrong, "{said}");
    assert!(
        found.seen.starts_with("a reply came after 2") && found.seen.ends_with("later than 50 ms"),
        "{found:?}"
    );
}

#[tokio::test]
async fn silence_is_named_once_and_nothing_more_is_sent() {
    let sim =
        ArmSim::start(ArmSimConfig { faults: vec!["silence".parse().unwrap()], ..ArmSimConfig::default() })
            .await;
    let sim = sim.unwrap();
    let patience = Duration::from_millis(300);
    let (report, said) = checked(&CheckConfig { patience, ..config(sim.local_addr()) }).await;
    let found = only_wrong(&report, "silence");
    assert!(found.check.as_str() == "reply" && found.seen == "no reply within 300 ms", "{said}");
    assert!(found.advice.unwrap().remedy.contains("link.expect_reply: false"));
    assert!(has(&report, Verdict::Note, "not checked", "it does not answer"), "{said}");
    assert_eq!(sim.record().counts.commands, 1);
}

#[tokio::test]
async fn a_wrong_order_is_seen_by_who_is_refused_and_by_seq() {
    // Answers what has come together from the last line to the first.
    let address = controller(|mut stream| async move {
        let mut buffer = vec![0; 4096];
        while let Ok(size @ 1..) = stream.read(&mut buffer).await {
            // A piece of a line is answered when the rest is there.
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
        let (report, said) = checked(&CheckConfig { seq, ..config(address) }).await;
        assert!(wrong(&report).iter().all(|finding| finding.check.as_str() == "order"), "{said}");
        let words = if seq {
            "the reply to line 5 was due, and that to line 6 came"
        } else {
            "were ok, ok, error, ok"
        };
        assert!(has(&report, Verdict::Wrong, "order", words), "{said}");
    }
}

#[tokio::test]
async fn a_seq_that_is_echoed_is_counted_and_one_that_is_made_up_is_named() {
    let echoing = by_rule(|line| echo_seq(line).into()).await;
    let (report, said) = checked(&CheckConfig { seq: true, ..config(echoing) }).await;
    assert!(
        wrong(&report).is_empty() && has(&report, Verdict::Ok, "seq", "replies had that of their line"),
        "{said}"
    );

    let made_up = by_rule(|line| reply(line).replace('}', ",\"seq\":4711}\n").into()).await;
    let (report, said) = checked(&CheckConfig { seq: true, ..config(made_up) }).await;
    assert_eq!(only_wrong(&report, "made up").check.as_str(), "seq", "{said}");
    assert!(said.contains("a reply has \"seq\" 4711, the line that it answers had 1"), "{said}");
}

#[tokio::test]
async fn a_controller_that_closes_after_each_reply_is_told_to_stay() {
    let address = controller(|stream| async move {
        let (mut lines, mut out) = split(stream);
        if let Ok(Some(line)) = lines.next_line().await {
            let _ = out.write_all(format!("{}\n", reply(&line)).as_bytes()).await;
        }
    })
    .await;
    let (report, said) = checked(&config(address)).await;
    assert!(has(&report, Verdict::Wrong, "stays connected", "it closed the connection"), "{said}");
    assert!(has(&report, Verdict::Note, "not checked", "it closes the connection"), "{said}");
    assert!(
        wrong(&report)
            .iter()
            .all(|finding| ["stays connected", "reconnect"].contains(&finding.check.as_str())),
        "{said}"
    );
}

#[tokio::test]
async fn a_greeting_is_named_unless_it_was_told_of() {
    let greeting = |stream: TcpStream| async move {
        let (mut lines, mut out) = split(stream);
        let _ = out.write_all(b"ARM 1.2\r\nready\n").await;
        while let Ok(Some(line)) = lines.next_line().await {
            if out.write_all(format!("{}\n", reply(&line)).as_bytes()).await.is_err() {
                break;
            }
        }
    };
    let (report, said) = checked(&config(controller(greeting).await)).await;
    let found = only_wrong(&report, "unannounced");
    assert!(
        found.check.as_str() == "greeting" && found.seen.contains(r"ARM 1.2\r\n came before the first line"),
        "{said}"
    );
    assert_eq!(found.times, 2);
    assert!(found.advice.unwrap().remedy.contains("link.banner_lines"));

    let told = CheckConfig { greeting: 2, ..config(controller(greeting).await) };
    let (report, said) = checked(&told).await;
    assert!(
        wrong(&report).is_empty() && has(&report, Verdict::Ok, "greeting", "2 on connecting, as told"),
        "{said}"
    );

    let too_many = CheckConfig {
        greeting: 3,
        patience: Duration::from_millis(500),
        ..config(controller(greeting).await)
    };
    let (report, said) = checked(&too_many).await;
    assert!(has(&report, Verdict::Wrong, "greeting", "2 of 3 lines came on connecting"), "{said}");
}

#[tokio::test]
async fn a_controller_that_takes_every_piece_for_a_line_is_told_about_streams() {
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
    let (report, said) = checked(&CheckConfig { patience, ..config(address) }).await;
    let found = wrong(&report);
    let pieces = found.iter().find(|finding| finding.check.as_str() == "byte by byte").expect(&said);
    assert!(pieces.seen.contains("a line was answered more than once"), "{said}");
    assert!(pieces.advice.unwrap().rule.contains("TCP is a stream"));
    assert!(found.iter().any(|finding| finding.check.as_str() == "two lines"), "{said}");
}

#[tokio::test]
async fn bad_lines_that_are_taken_or_end_the_connection_are_named() {
    let credulous = by_rule(|_| format!("{OK}\n").into()).await;
    let (report, said) = checked(&config(credulous)).await;
    assert!(has(&report, Verdict::Wrong, "unknown type", "no_such_type"), "{said}");
    assert!(has(&report, Verdict::Wrong, "bad line", "\"this is no JSON\" was answered with ok"), "{said}");
    assert_eq!(wrong(&report).len(), 2, "{said}");

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
    let (report, said) = checked(&config(touchy)).await;
    let found = only_wrong(&report, "ends at a bad line");
    assert!(found.check.as_str() == "bad line" && found.seen == "it closed the connection", "{said}");
    assert!(has(&report, Verdict::Ok, "reconnect", ""), "{said}");
}

#[tokio::test]
async fn commands_stops_and_heartbeats_that_are_refused_are_named_with_the_words_of_the_refusal() {
    let refusing = by_rule(|_| format!("{ERROR}\n").into()).await;
    let (report, said) = checked(&config(refusing)).await;
    assert!(has(&report, Verdict::Wrong, "command", "a line that is good was refused: \"no\""), "{said}");

    let sim = ArmSim::start(ArmSimConfig { commands_only: true, ..ArmSimConfig::default() }).await.unwrap();
    let (report, said) =
        checked(&CheckConfig { stop: true, heartbeat: true, ..config(sim.local_addr()) }).await;
    let checks: Vec<_> = wrong(&report).iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(checks, ["heartbeat", "stop"], "{said}");
    assert!(has(&report, Verdict::Wrong, "stop", "type is \\\"stop\\\", expected"), "{said}");
}

#[tokio::test]
async fn a_controller_that_takes_one_connection_and_no_other_is_named() {
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
    let (report, said) = checked(&config(address)).await;
    let found = only_wrong(&report, "one connection");
    assert!(found.check.as_str() == "reconnect" && found.seen.starts_with("no new connection: "), "{said}");
}

#[tokio::test]
async fn what_is_left_over_from_the_last_connection_is_named() {
    // Replies of a dead connection are said on the next.
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
                // The last line of the first connection is half a line.
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
    let (report, said) = checked(&config(address)).await;
    let found = only_wrong(&report, "left over");
    assert!(
        found.check.as_str() == "reconnect" && found.seen.contains("came before the first line was sent"),
        "{said}"
    );
    assert!(found.advice.unwrap().rule.contains("starts fresh"));

    // Half a line of a dead connection is glued to the first of the next.
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
    let (report, said) = checked(&config(address)).await;
    let found = only_wrong(&report, "glued");
    assert!(found.check.as_str() == "reconnect" && found.seen.contains("was refused"), "{said}");
}

#[tokio::test]
async fn state_that_was_promised_and_is_not_there_is_named() {
    let sim = ArmSim::start(ArmSimConfig::default()).await.unwrap();
    let (report, said) = checked(&CheckConfig { state: true, ..config(sim.local_addr()) }).await;
    let found = only_wrong(&report, "state");
    assert!(found.check.as_str() == "state" && found.seen.starts_with("0 of "), "{said}");
}

#[tokio::test]
async fn a_controller_that_dials_in_is_waited_for_and_checked_alike() {
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
    let mut said = String::new();
    let say = |line: &str| {
        said.extend([line, "\n"]);
        if let Some(rest) = line.strip_prefix("listening on ") {
            addresses.send(rest.split(',').next().unwrap().to_owned()).unwrap();
        }
    };
    let report = check::run(&listen, say).await.unwrap();
    assert!(wrong(&report).is_empty(), "{said}");
    assert!(has(&report, Verdict::Ok, "connect", "it dialled in"), "{said}");
}

/// The executable's exit code, output and errors.
async fn arm_check(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_arm_check"));
    command.args(arguments);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let [out, errors] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, errors)
}

/// A controller of datagrams: what it answers to a line, and whether to the sender or always to the first.
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
async fn datagrams_are_checked_with_seq_and_without_what_only_streams_have() {
    let udp = |address| CheckConfig { udp: true, seq: true, stop: true, ..config(address) };
    let wordy = |line: &str| echo_seq(line).replace("received", &"received ".repeat(300));
    let (report, said) = checked(&udp(datagrams(wordy, false).await)).await;
    assert!(wrong(&report).is_empty() && has(&report, Verdict::Ok, "seq", ""), "{said}");
    assert!(
        has(&report, Verdict::Ok, "stop", "") && has(&report, Verdict::Ok, "reconnect", "the new sender"),
        "{said}"
    );
    assert!(!said.contains("byte by byte"), "{said}");

    let (report, said) = checked(&udp(datagrams(|line| format!("{}\n", reply(line)), false).await)).await;
    let found = only_wrong(&report, "no seq");
    assert!(found.check.as_str() == "seq" && found.advice.unwrap().rule.contains("over UDP"), "{said}");

    let patience = Duration::from_millis(300);
    let stubborn = CheckConfig { patience, ..udp(datagrams(echo_seq, true).await) };
    let (report, said) = checked(&stubborn).await;
    let found = only_wrong(&report, "to the first");
    assert!(found.check.as_str() == "reply" && found.advice.unwrap().remedy.contains("sender"), "{said}");

    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = taken.local_addr().unwrap();
    drop(taken);
    let (report, said) = checked(&udp(nobody)).await;
    assert!(has(&report, Verdict::Wrong, "command", "nobody takes datagrams there"), "{said}");
}

#[tokio::test]
async fn the_exit_code_tells_conformant_wrong_and_not_checked_apart() {
    let sim = ArmSim::start(ArmSimConfig::default()).await.unwrap();
    let port = sim.local_addr().port().to_string();
    let (code, out, _) =
        arm_check(&["127.0.0.1", &port, "--at", "200", "-10", "200", "--stop", "--timeout", "20"]).await;
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("\nconformant: ") && out.contains(r#""y":-10.0"#), "{out}");

    let (code, out, _) =
        arm_check(&["127.0.0.1", &port, "--no-motion", "--heartbeat", "--state", "--timeout", "20"]).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("\nWRONG state: 0 of ") && out.contains("\nnot conformant: "), "{out}");

    // A port that is taken, and nobody listens on it.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, errors) = arm_check(&["127.0.0.1", &port, "--no-motion"]).await;
    assert_eq!(code, Some(2));
    assert!(errors.contains(&format!("cannot connect to 127.0.0.1:{port}: ")), "{errors}");

    for (arguments, words) in [
        (&["127.0.0.1", "5000"][..], "--at <X> <Y> <Z>"),
        (&["127.0.0.1", "5000", "--at", "1", "2"], "3 values required"),
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
async fn the_excerpt_in_the_readme_is_what_is_said() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let excerpt = readme.split("```text\n→ ").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let shouting = by_rule(|_| br#"{"status": "OK", "message": "Moving to 200.0"}"#.to_vec()).await;
    let (_, said) = checked(&config(shouting)).await;
    for line in excerpt.lines() {
        // Every run has times of its own.
        let line = line.strip_suffix("   0.3 ms").unwrap_or(line);
        assert!(said.contains(line), "{line}");
    }
}

#[tokio::test]
async fn the_help_has_an_example_and_says_that_the_arm_moves() {
    let (code, help, _) = arm_check(&["--help"]).await;
    assert_eq!(code, Some(0));
    for words in ["It moves the arm", "arm_check 192.168.1.50 5000 --at 200 0 200", "Exit code: 0"] {
        assert!(help.contains(words), "{words}");
    }
}
