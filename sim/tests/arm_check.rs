//! The conformance check against a controller that conforms, and against controllers that are wrong on purpose, each in
//! its own way: every fault has to be named, and nothing else.

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
use aether_sim::check::{self, Allowed, CheckConfig, CheckError, Finding, Person, Report, Verdict};
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
        // No reply of these tests is late, but for those that are meant to be, however busy the machine is.
        timeout: Duration::from_secs(20),
        silence: Duration::from_millis(150),
        settle: Duration::from_millis(150),
        ..CheckConfig::new(address.ip().to_string(), address.port(), Some(allowed()))
    }
}

/// Checks with a person who has agreed beforehand, and keeps what was said.
async fn checked(config: &CheckConfig) -> (Report, String) {
    let mut said = String::new();
    let report = check::run(config, Person::agreeing(), |line| said.extend([line, "\n"])).await.unwrap();
    (report, said)
}

/// Checks with a person whose answer to a question is what `answer` makes of it. `None`: the person has gone.
async fn answered(
    config: &CheckConfig,
    answer: impl Fn(&str) -> Option<String> + Send + Sync,
) -> (Result<Report, CheckError>, String) {
    let (sender, answers) = mpsc::unbounded_channel();
    let (mut said, mut sender) = (String::new(), Some(sender));
    let person = Person::answering(answers);
    let report = check::run(config, person, |line| {
        said.extend([line, "\n"]);
        if let Some(question) = line.strip_prefix("? ") {
            match (answer(question), &sender) {
                (Some(answer), Some(sender)) => sender.send(answer).unwrap(),
                _ => sender = None,
            }
        }
    })
    .await;
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
        let (report, said) = checked(&everything).await;
        assert!(wrong(&report).is_empty(), "{said}");
        assert!(has(&report, Verdict::Ok, "order", "ok, error, ok, ok"), "{said}");
        for check in [
            "stop",
            "heartbeat",
            "state",
            "byte by byte",
            "two lines",
            "bad line",
            "reconnect",
            "place",
            "first command",
            "directions",
            "queue",
        ] {
            assert!(has(&report, Verdict::Ok, check, ""), "{check} is not among what is ok: {said}");
        }
    }))
    .await;
}

#[tokio::test]
async fn every_command_is_near_the_place_that_was_allowed_and_said_before() {
    let sim = ArmSim::start(ArmSimConfig::default()).await.unwrap();
    let (_, said) = checked(&CheckConfig { stop: true, ..config(sim.local_addr()) }).await;
    let announced = said
        .find("THE ARM WILL MOVE:\n  from     x=200.0 y=0.0 z=200.0 mm, where it stands by your")
        .unwrap();
    assert!(announced < said.find(r#"→ {"type":"command""#).unwrap(), "{said}");
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
            "it sent the line back: {\"type\":\"heartbeat\"",
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
    assert_eq!(sim.record().counts.commands, 0);
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
            "the reply to line 6 was due, and that to line 7 came"
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
    let report = check::run(&listen, Person::agreeing(), say).await.unwrap();
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
        arm_check(&["127.0.0.1", &port, "--at", "200", "-10", "200", "--gripper", "open", "--yes", "--stop"])
            .await;
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
    for words in
        ["It moves the arm, and asks before", "arm_check 192.168.1.50 5000 --at 200 0 200", "Exit code: 0"]
    {
        assert!(help.contains(words), "{words}");
    }
}

/// One place for another.
type Reading = fn([f64; 3]) -> [f64; 3];

/// Words of a question, and the answer.
type Answers<'a> = &'a [(&'a str, &'a str)];

/// The arm behind a controller, in millimetres, and what the controller makes of it.
#[derive(Clone, Copy)]
struct Model {
    /// Where the arm goes for the numbers of a command.
    reads: Reading,
    /// What the controller says of where the arm is, if it says it.
    reports: Option<Reading>,
    /// In mm/s.
    speed: f64,
    /// Goes to all targets, one after another, and not to the newest.
    queues: bool,
    /// Goes somewhere else when a connection ends.
    homes: bool,
    /// Says where the arm is in answers to commands, and to nothing else.
    reports_to_commands: bool,
    /// Refuses what is higher, in mm.
    ceiling: f64,
    /// More members of a reply.
    says: &'static str,
    /// Where the arm stands first.
    stands: [f64; 3],
}

const HONEST: Model = Model {
    reads: |at| at,
    reports: Some(|at| at),
    speed: 100.0,
    queues: false,
    homes: false,
    reports_to_commands: false,
    ceiling: f64::INFINITY,
    says: r#","gripper":"closed""#,
    stands: [200.0, 50.0, 300.0],
};

/// An arm at work.
struct ModelArm {
    model: Model,
    at: [f64; 3],
    targets: VecDeque<[f64; 3]>,
    now: Instant,
    /// Each command: its numbers, the word for the gripper, and how far it is from the arm.
    commands: Vec<([f64; 3], String, f64)>,
    farthest: f64,
    heartbeats: usize,
    /// Is where it was sent when it answers.
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
        self.farthest = self.farthest.max(distance(self.at, self.model.stands));
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
        let (position, says) = (position.unwrap_or_default(), self.model.says);
        format!("{{\"status\":\"ok\"{position}{says}}}\n")
    }
}

/// A controller with an arm, and the arm.
async fn arm(model: Model) -> (SocketAddr, SharedArm) {
    let arm = ModelArm {
        model,
        at: model.stands,
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

/// Motion around where the arm stands, whatever it is; nothing is asked of the gripper.
fn anywhere(address: SocketAddr) -> CheckConfig {
    let allowed = Allowed::new(None, PositionUnit::Millimetres, 5.0, None).unwrap();
    CheckConfig { allowed: Some(allowed), ..config(address) }
}

/// Answers of a person who sees what the arm does: to the first question whose words are in the list.
fn person<'a>(answers: Answers<'a>) -> impl Fn(&str) -> Option<String> + Send + Sync + 'a {
    |question| {
        let usual = [
            ("Is the way free", "yes"),
            ("Where does its tool stand", "200 50 300"),
            ("open or closed now", "closed"),
            ("Did it stay there", "yes"),
            ("too little to see", "no"),
            ("Did it go there", "yes"),
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
async fn nothing_moves_before_a_person_has_said_yes() {
    for (consent, words) in
        [("no", "and not \"yes\""), ("", "and not \"yes\""), ("(gone)", "nobody answered")]
    {
        let (address, arm) = arm(HONEST).await;
        let config = CheckConfig { allowed: Some(allowed()), ..config(address) };
        let (report, said) = answered(&config, person(&[("Is the way free", consent)])).await;
        let error = report.unwrap_err().to_string();
        assert!(error.starts_with("nothing was moved") && error.contains(words), "{error}");
        assert_eq!(arm.lock().unwrap().commands, [], "{said}");
    }
}

#[tokio::test]
async fn an_arm_that_reports_is_moved_from_there_by_small_steps() {
    let (address, arm) = arm(HONEST).await;
    let at = Some([240.0, 50.0, 300.0]);
    let allowed = Some(Allowed::new(at, PositionUnit::Millimetres, 5.0, None).unwrap());
    let (report, said) = answered(&CheckConfig { allowed, ..config(address) }, person(&[])).await;
    let report = report.unwrap();
    assert!(wrong(&report).is_empty(), "{said}");
    for words in [
        "  from     x=200.0 y=50.0 z=300.0 mm, where the controller says that it stands\n",
        "then to x=240.0 y=50.0 z=300.0 mm, 40 mm away",
        "steps of 5 mm at most; long ways at 50 mm/s",
        "gripper  stays closed",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    for check in ["place", "first command", "directions", "queue"] {
        assert!(has(&report, Verdict::Ok, check, ""), "{check}: {said}");
    }
    let arm = arm.lock().unwrap();
    assert_eq!(arm.commands[0].0, [200.0, 50.0, 300.0]);
    assert!(arm.commands.iter().any(|(numbers, ..)| *numbers == [240.0, 50.0, 300.0]));
    for command in &arm.commands {
        assert_eq!(command.1, "closed");
    }
    let steps = arm.commands.windows(2).map(|pair| distance(pair[0].0, pair[1].0));
    assert!(steps.fold(0.0, f64::max) <= 5.0, "{said}");
}

#[tokio::test]
async fn a_person_says_where_an_arm_is_that_does_not_report() {
    let silent = Model { reports: None, says: "", ..HONEST };
    let (address, silent_arm) = arm(silent).await;
    let (report, said) = answered(&anywhere(address), person(&[])).await;
    let report = report.unwrap();
    assert!(wrong(&report).is_empty(), "{said}");
    assert!(said.contains("where it stands by your word. IF IT STANDS ELSEWHERE"), "{said}");
    for words in ["5 mm along +x, the arm did the same", "5 mm along +y", "5 mm along +z"] {
        assert!(has(&report, Verdict::Ok, "directions", words), "{said}");
    }
    assert!(has(&report, Verdict::Ok, "queue", "the arm stood still"), "{said}");
    {
        let arm = silent_arm.lock().unwrap();
        assert_eq!((arm.commands[0].0, arm.commands[0].1.as_str()), ([200.0, 50.0, 300.0], "closed"));
        assert!(arm.farthest < 5.1, "{}", arm.farthest);
    }

    for (question, answer, words) in [
        ("Where does its tool stand", "there", "could be understood"),
        ("Where does its tool stand", "1 2 nan", "could be understood"),
        ("Where does its tool stand", "(gone)", "nobody answered"),
        ("open or closed now", "ajar", "could be understood"),
        ("open or closed now", "(gone)", "nobody answered"),
    ] {
        let (address, arm) = arm(silent).await;
        let (report, said) = answered(&anywhere(address), person(&[(question, answer)])).await;
        let error = report.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(arm.lock().unwrap().commands, [], "{said}");
    }
}

#[tokio::test]
async fn a_script_says_what_the_controller_does_not() {
    let silent = Model { reports: None, says: "", ..HONEST };
    let at = Some([200.0, 50.0, 300.0]);
    for (at, gripper, words) in [(None, Some(Gripper::Open), "give --at"), (at, None, "give --gripper")] {
        let (address, arm) = arm(silent).await;
        let allowed = Some(Allowed::new(at, PositionUnit::Millimetres, 5.0, gripper).unwrap());
        let config = CheckConfig { allowed, ..config(address) };
        let error = check::run(&config, Person::agreeing(), |_| {}).await.unwrap_err().to_string();
        assert!(error.starts_with("nothing was moved") && error.contains(words), "{error}");
        assert_eq!(arm.lock().unwrap().commands, []);
    }
    let (address, arm) = arm(silent).await;
    let allowed = Some(Allowed::new(at, PositionUnit::Millimetres, 5.0, Some(Gripper::Open)).unwrap());
    let (report, said) = checked(&CheckConfig { allowed, ..config(address) }).await;
    assert!(wrong(&report).is_empty(), "{said}");
    assert!(said.contains("gripper  told to be open (--gripper): IT MOVES if it is not so now"), "{said}");
    for check in ["directions", "queue"] {
        assert!(has(&report, Verdict::Note, check, "with --yes nobody is asked"), "{said}");
    }
    assert_eq!(arm.lock().unwrap().commands[0].1, "open");
}

#[tokio::test]
async fn a_place_that_a_person_says_wrongly_is_found_by_the_first_reply() {
    let (address, arm) = arm(Model { reports_to_commands: true, speed: 20.0, ..HONEST }).await;
    let (report, said) = answered(&anywhere(address), person(&[("does its tool stand", "300 50 300")])).await;
    let report = report.unwrap();
    let found = only_wrong(&report, "elsewhere");
    assert!(found.check.as_str() == "first command" && found.seen.contains("x=200.0 y=50.0"), "{said}");
    {
        let arm = arm.lock().unwrap();
        assert!(arm.commands.len() == 1 && arm.farthest < 50.0, "{said}");
    }

    let (address, _) = self::arm(Model { reports_to_commands: true, ..HONEST }).await;
    let (report, said) = answered(&anywhere(address), person(&[])).await;
    let report = report.unwrap();
    assert!(wrong(&report).is_empty() && has(&report, Verdict::Ok, "directions", "+z"), "{said}");
}

#[tokio::test]
async fn a_position_that_is_the_command_is_noted() {
    let (address, echoing) = arm(Model { speed: 1e9, ..HONEST }).await;
    // The reply to a command tells the command.
    echoing.lock().unwrap().echoes = true;
    let (report, said) = checked(&anywhere(address)).await;
    assert!(wrong(&report).is_empty() && has(&report, Verdict::Note, "measured", "at once"), "{said}");
    let (address, _) = arm(HONEST).await;
    let (report, said) = checked(&anywhere(address)).await;
    assert!(!has(&report, Verdict::Note, "measured", ""), "{said}");
}

#[tokio::test]
async fn a_refusal_on_the_way_ends_the_way() {
    let (address, arm) = arm(Model { ceiling: 302.0, ..HONEST }).await;
    let at = Some([200.0, 50.0, 400.0]);
    let allowed = Some(Allowed::new(at, PositionUnit::Millimetres, 5.0, None).unwrap());
    let (report, said) = checked(&CheckConfig { allowed, ..config(address) }).await;
    let found = only_wrong(&report, "ceiling");
    assert!(found.check.as_str() == "command" && found.seen.contains("too high"), "{said}");
    assert!(arm.lock().unwrap().farthest < 6.0, "{said}");
    assert!(!said.contains(r#""z":310"#), "it was not sent behind what was refused: {said}");
}

/// A report that is no place: the model, the check that finds it, and its words.
type FaultyPlace = (Model, &'static str, &'static str);

#[tokio::test]
async fn a_report_that_cannot_be_a_place_moves_nothing() {
    let faults: [FaultyPlace; 6] = [
        (Model { reports: Some(|_| [0.0; 3]), ..HONEST }, "place", "exactly 0, 0, 0"),
        (Model { reports: Some(|at| at.map(|mm| mm / 1000.0)), ..HONEST }, "unit", "0.4 mm from the base"),
        (Model { reports: Some(|at| at.map(|mm| mm / 10.0)), ..HONEST }, "unit", "36.4 mm from the base"),
        (
            Model { reports: Some(|at| at.map(|mm| mm * 1000.0)), ..HONEST },
            "unit",
            "364005.5 mm from the base",
        ),
        (Model { says: r#","fault":"joint 3""#, ..HONEST }, "place", "reports a fault: \"joint 3\""),
        (Model { says: r#","moving":true"#, ..HONEST }, "place", "nobody here has sent it"),
    ];
    join_all(faults.map(|(model, check, words)| async move {
        let (address, arm) = arm(model).await;
        let config = CheckConfig { patience: Duration::from_millis(300), ..anywhere(address) };
        let (report, said) = answered(&config, person(&[])).await;
        let report = report.unwrap();
        let found = only_wrong(&report, words);
        assert!(found.check.as_str() == check && found.seen.contains(words), "{said}");
        assert!(has(&report, Verdict::Note, "not checked", "along +x, +y and +z"), "{said}");
        assert_eq!(arm.lock().unwrap().commands, [], "{said}");
    }))
    .await;
}

#[tokio::test]
async fn an_arm_that_is_moved_while_a_person_thinks_is_asked_about_again() {
    let (address, model_arm) = arm(HONEST).await;
    let moved = Arc::clone(&model_arm);
    let usual = person(&[]);
    let (report, said) = answered(&anywhere(address), |question| {
        let mut arm = moved.lock().unwrap();
        if question.contains("Is the way free") && arm.at == HONEST.stands {
            arm.at = [230.0, 50.0, 300.0];
        }
        usual(question)
    })
    .await;
    assert!(wrong(&report.unwrap()).is_empty(), "{said}");
    assert_eq!(said.matches("Is the way free").count(), 2, "{said}");
    assert_eq!(model_arm.lock().unwrap().commands[0].0, [230.0, 50.0, 300.0]);
}

#[tokio::test]
async fn what_the_arm_does_otherwise_is_read_from_its_position() {
    // What the controller makes of a command differs from what it reports only around the place, or everywhere.
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
        let (report, said) = checked(&anywhere(address)).await;
        assert!(has(&report, Verdict::Wrong, check, words), "{name}: {said}");
        let farthest = arm.lock().unwrap().farthest;
        assert!(farthest < 30.0, "{name}: it went {farthest} mm: {said}");
        let swapped = name == "x and y swapped";
        assert!(swapped == has(&report, Verdict::Wrong, "direction y", "along +x"), "{name}: {said}");
    }))
    .await;
}

fn here() -> [f64; 3] {
    HONEST.stands
}

#[tokio::test]
async fn an_arm_that_leaves_where_it_stands_is_stopped_and_its_leap_explained() {
    let faults: [(Reading, &str); 3] = [
        (|[x, y, z]| [-x, y, z], "x is mirrored"),
        (|[x, y, z]| [y, x, z], "x and y are swapped"),
        (|at| at.map(|number| number * 10.0), "10 times what they are"),
    ];
    join_all(faults.map(|(reads, words)| async move {
        let (address, arm) = arm(Model { reads, speed: 20.0, ..HONEST }).await;
        let (report, said) =
            checked(&CheckConfig { settle: Duration::from_millis(100), ..anywhere(address) }).await;
        let found = only_wrong(&report, words);
        assert!(found.check.as_str() == "first command" && found.seen.contains(words), "{said}");
        let arm = arm.lock().unwrap();
        assert_eq!((arm.commands.len(), arm.targets.len()), (1, 0), "{said}");
        assert!(arm.farthest < 100.0, "it was stopped after {} mm: {said}", arm.farthest);
    }))
    .await;
}

#[tokio::test]
async fn what_a_person_sees_is_a_finding_with_what_to_set() {
    let silent = Model { reports: None, ..HONEST };
    let faults: [(Answers, &str, &str); 8] = [
        (&[("Did it stay there", "no")], "first command", "went somewhere else"),
        (&[("by 0.005 mm", "yes")], "unit", "1000 times as far: set wire.position_unit: m"),
        (&[("by 0.05 mm", "yes")], "unit", "100 times as far"),
        (&[("by 0.5 mm", "yes")], "unit", "10 times as far: set wire.position_unit: cm"),
        (&[("+x. Did it go", "-x")], "direction x", "along -x: mirrored"),
        (&[("+y. Did it go", "0")], "direction y", "did not move"),
        (&[("+x. Did it go", "+x 50")], "unit", "10 times as far"),
        (&[("go on moving", "yes")], "queue", "went on moving"),
    ];
    join_all(faults.map(|(answers, check, words)| async move {
        let (address, _) = arm(silent).await;
        let (report, said) = answered(&anywhere(address), person(answers)).await;
        let report = report.unwrap();
        let found = only_wrong(&report, words);
        assert!(found.check.as_str() == check && found.seen.contains(words), "{said}");
    }))
    .await;
    for (answers, settings) in [
        (
            &[("+x. Did it go", "-x")][..],
            "retarget.rotation_rpy: [0.0, 0.0, 0.0], retarget.scale: [-1.0, 1.0, 1.0]",
        ),
        (
            &[("+x. Did it go", "+y"), ("+y. Did it go", "-x")],
            "retarget.rotation_rpy: [0.0, 0.0, -1.5708], retarget.scale: [1.0, 1.0, 1.0]",
        ),
    ] {
        let (address, _) = arm(silent).await;
        let (_, said) = answered(&anywhere(address), person(answers)).await;
        assert!(said.contains(settings), "{said}");
    }
}

#[tokio::test]
async fn what_a_person_sees_outweighs_what_is_reported() {
    let (address, _) = arm(HONEST).await;
    let (report, said) = answered(&anywhere(address), person(&[("+y. Did you see", "-y")])).await;
    let report = report.unwrap();
    let found = only_wrong(&report, "seen");
    assert!(found.check.as_str() == "direction y" && found.seen.ends_with("along -y: mirrored"), "{said}");
}

#[tokio::test]
async fn a_person_who_leaves_ends_motion_and_not_the_check() {
    let (address, arm) = arm(Model { reports: None, ..HONEST }).await;
    let (report, said) = answered(&anywhere(address), person(&[("by 0.005 mm", "(gone)")])).await;
    let report = report.unwrap();
    assert!(has(&report, Verdict::Note, "directions", "nobody says what the arm did"), "{said}");
    let (commands, _) = said.rsplit_once("too little to see").unwrap();
    let arm = arm.lock().unwrap();
    assert!(arm.farthest < 1.0 && arm.commands.len() == commands.matches("→ {\"type\":\"command\"").count());
}

#[tokio::test]
async fn a_queue_is_seen_by_how_long_the_arm_moves_on() {
    let slow = Model { speed: 25.0, ..HONEST };
    join_all([false, true].map(|queues| async move {
        let (address, _) = arm(Model { queues, ..slow }).await;
        let (report, said) = checked(&anywhere(address)).await;
        match queues {
            false => assert!(wrong(&report).is_empty(), "{said}"),
            true => {
                let found = only_wrong(&report, "queue");
                assert_eq!(found.check.as_str(), "queue", "{said}");
                assert!(found.advice.unwrap().remedy.contains("link.max_in_flight"));
            }
        }
    }))
    .await;
}

#[tokio::test]
async fn an_arm_that_homes_when_the_connection_is_lost_is_not_sent_on() {
    let (address, homed) = arm(Model { homes: true, ..HONEST }).await;
    let (report, said) = checked(&anywhere(address)).await;
    let found = only_wrong(&report, "homes");
    assert!(
        found.check.as_str() == "place" && found.seen.contains("is at x=300.0 y=0.0 z=300.0 mm now"),
        "{said}"
    );
    let last = said.rfind(r#"→ {"type":"command""#).unwrap();
    assert!(last < said.find("before the connection was lost").unwrap(), "{said}");
    assert_eq!(homed.lock().unwrap().at, [300.0, 0.0, 300.0]);
}

#[tokio::test]
async fn a_controller_that_closes_at_a_heartbeat_is_asked_no_more_of_them() {
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
    let (report, said) = checked(&config(address)).await;
    let found = only_wrong(&report, "closes");
    assert!(found.check.as_str() == "bad line" && found.seen == "it closed the connection", "{said}");
    assert_eq!(said.matches("→ {\"type\":\"heartbeat\"").count(), 1, "{said}");
    assert!(has(&report, Verdict::Ok, "command", "") && has(&report, Verdict::Ok, "reconnect", ""), "{said}");
}

#[tokio::test]
async fn a_connection_is_kept_alive_while_a_person_thinks() {
    let (address, arm) = arm(HONEST).await;
    let heard = Arc::clone(&arm);
    let (sender, answers) = mpsc::unbounded_channel();
    let mut said = String::new();
    let config = CheckConfig { heartbeat: true, ..anywhere(address) };
    let report = check::run(&config, Person::answering(answers), |line| {
        said.extend([line, "\n"]);
        if line.starts_with("? Is the way free") {
            let (sender, heard) = (sender.clone(), Arc::clone(&heard));
            let before = heard.lock().unwrap().heartbeats;
            tokio::spawn(async move {
                while heard.lock().unwrap().heartbeats < before + 2 {
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
    assert!(wrong(&report).is_empty(), "{said}");
}

/// The executable with lines on its standard input.
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
    assert!(errors.contains("nobody answered") && errors.contains("give --yes"), "{errors}");
    let (code, out, _) = arm_check_with(&["127.0.0.1", &port], "no\n").await;
    assert_eq!(code, Some(2), "{out}");
    assert_eq!(arm.lock().unwrap().commands, []);
    let (code, out, errors) = arm_check_with(&["127.0.0.1", &port], "yes\n").await;
    assert_eq!(code, Some(0), "{out}{errors}");
    assert!(out.contains("? Is the way free"), "{out}");
}

/// Whether the client has gone. Asks the system, because the runtime learns of the end later.
fn has_ended(stream: &TcpStream) -> bool {
    matches!(socket2::SockRef::from(stream).peek(&mut [std::mem::MaybeUninit::uninit()]), Ok(0))
}

/// A controller that says where its arm is, and leaves a second client waiting; `reads_on` tells whether it reads to the end before
/// it obeys. What it obeyed is at the end of its place.
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
async fn obeying_a_client_that_is_gone_is_named() {
    for reads_on in [false, true] {
        let address = serial(reads_on).await;
        let config = CheckConfig { heartbeat: true, patience: Duration::from_millis(500), ..config(address) };
        let (report, said) = checked(&config).await;
        if reads_on {
            assert!(wrong(&report).is_empty(), "{said}");
            assert!(has(&report, Verdict::Ok, "gone client", "moves nothing"), "{said}");
        } else {
            let found = only_wrong(&report, "it obeys whoever is gone");
            assert_eq!(found.check.as_str(), "gone client");
            assert!(found.advice.unwrap().remedy.contains("before you obey the first line"));
        }
        let waiting = has(&report, Verdict::Note, "second client", "was not answered for 0.5 s")
            || has(&report, Verdict::Note, "second client", "was not answered for 500 ms");
        assert!(waiting, "{said}");
    }
}

#[tokio::test]
async fn a_second_client_that_is_refused_or_served_is_fine() {
    // The simulated arm serves all.
    let sim = ArmSim::start(ArmSimConfig { report_state: true, ..ArmSimConfig::default() }).await.unwrap();
    let (report, said) = checked(&CheckConfig { heartbeat: true, ..config(sim.local_addr()) }).await;
    assert!(has(&report, Verdict::Ok, "second client", "answered at once"), "{said}");
    assert!(has(&report, Verdict::Ok, "gone client", ""), "{said}");
    assert!(wrong(&report).is_empty(), "{said}");
}
