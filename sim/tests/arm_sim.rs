//! The simulated controller over real sockets: the protocol, the record, and every fault.

use std::{io, time::Duration};

use aether_bridge::arm::Gripper;
use aether_bridge::geometry::Position;
use aether_bridge::wire::{Order, PositionUnit};
use aether_sim::{ArmSim, ArmSimConfig, Clients, Ended, Event, Fault, Rules};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};

const COMMAND: &str = r#"{"type":"command","x":120.0,"y":35.5,"z":210.0,"gripper":"closed"}"#;
const STOP: &str = r#"{"type":"stop"}"#;
const HEARTBEAT: &str = r#"{"type":"heartbeat"}"#;
const OK: &str = "{\"status\":\"ok\",\"message\":\"Command received\"}\n";

/// A client of the controller.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(sim: &ArmSim) -> Self {
        let stream = TcpStream::connect(sim.local_addr()).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    async fn send(&mut self, line: &str) {
        self.0.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Returns the next line with its newline, or a part of it if the stream ends before.
    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        within(self.0.read_line(&mut line)).await.map(|_| line)
    }

    async fn ask(&mut self, line: &str) -> String {
        self.send(line).await;
        self.line().await.unwrap()
    }

    /// Returns everything up to the end, and how the stream ended.
    async fn rest(&mut self) -> (String, io::Result<()>) {
        let mut rest = Vec::new();
        let end = within(self.0.read_to_end(&mut rest)).await.map(|_| ());
        (String::from_utf8(rest).unwrap(), end)
    }

    /// Returns whether nothing comes for a while.
    async fn receives_nothing(&mut self) -> bool {
        timeout(Duration::from_millis(150), self.0.fill_buf()).await.is_err()
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(Duration::from_secs(20), future).await.expect("it takes far too long")
}

async fn sim() -> ArmSim {
    ArmSim::start(ArmSimConfig::default()).await.unwrap()
}

/// Starts a controller with a fault in the notation of the command line.
async fn faulty(fault: &str) -> ArmSim {
    let faults = vec![fault.parse().unwrap()];
    ArmSim::start(ArmSimConfig { faults, ..ArmSimConfig::default() }).await.unwrap()
}

fn is_reset(end: &io::Result<()>) -> bool {
    end.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn command_replies_are_exact_and_recorded_in_order() {
    let sim = sim().await;
    let mut client = Client::connect(&sim).await;
    for x in 0..3 {
        assert_eq!(client.ask(&COMMAND.replace("120.0", &format!("{x}.5"))).await, OK);
    }
    let record = within(sim.wait_for_commands(3)).await;
    let xs: Vec<f64> = record.commands_on(0).map(|command| command.position.coordinates()[0]).collect();
    assert_eq!(xs, [0.0005, 0.0015, 0.0025]);
    assert_eq!(record.received[2].line, COMMAND.replace("120.0", "2.5"));
    assert!(record.received.is_sorted_by_key(|received| received.at));
    assert_eq!(record.connections[0].most_unanswered, 1);
}

#[tokio::test]
async fn invalid_line_gets_error_and_connection_stays() {
    let config = ArmSimConfig { reach: Some(0.5), strict: true, ..ArmSimConfig::default() };
    let sim = ArmSim::start(config).await.unwrap();
    let mut client = Client::connect(&sim).await;
    for (line, message) in [
        (COMMAND.replace("command", "move"), r#"type is \"move\", expected \"command\""#),
        (COMMAND.replace("120.0", "\"far\""), r#"x is \"far\", expected a number"#),
        (COMMAND.replace("\"y\"", "\"why\""), "y is missing or null, expected a number"),
        (COMMAND.replace("closed", "ajar"), r#"gripper is \"ajar\", expected \"open\" or \"closed\""#),
        (COMMAND.replace("120.0", "600"), "is 0.637 m from the base, beyond the reach of 0.5 m"),
        (COMMAND.replace("{", "{\"seq\":1,"), r#"unknown members [\"seq\"]"#),
        (String::new(), "not a JSON object of a command"),
        ("\u{1b}[2J".to_owned(), "not a JSON object of a command"),
    ] {
        let reply = client.ask(&line).await;
        assert!(
            reply.starts_with("{\"status\":\"error\",\"message\":\"") && reply.contains(message),
            "{reply}"
        );
    }
    assert_eq!(client.ask(COMMAND).await, OK);
    let counts = sim.record().counts;
    assert_eq!((counts.commands, counts.bad_lines, counts.error_replies), (1, 8, 8));
}

#[tokio::test]
async fn undecodable_bytes_end_the_connection() {
    let sim = sim().await;
    for (nth, (bytes, why)) in
        (1..).zip([(vec![b'{'; 5000], "longer than 4096 bytes"), (vec![0xff, b'\n'], "not UTF-8")])
    {
        let mut client = Client::connect(&sim).await;
        client.0.write_all(&bytes).await.unwrap();
        let record = within(sim.wait_for(|record| record.counts.disconnections == nth)).await;
        let (_, ended) = record.connections.last().unwrap().ended.clone().unwrap();
        assert!(matches!(&ended, Ended::MalformedMessage(text) if text.contains(why)), "{ended}");
        assert_eq!(client.rest().await.0, "");
    }
}

#[tokio::test]
async fn second_of_one_client_is_disconnected_immediately() {
    let config = ArmSimConfig { clients: Clients::One, ..ArmSimConfig::default() };
    let sim = ArmSim::start(config).await.unwrap();
    let mut first = Client::connect(&sim).await;
    assert_eq!(first.ask(COMMAND).await, OK);
    let mut second = Client::connect(&sim).await;
    assert_eq!(second.rest().await.0, "");
    assert_eq!(first.ask(COMMAND).await, OK);
    drop(first);
    assert_eq!(Client::connect(&sim).await.ask(COMMAND).await, OK);
    assert_eq!(sim.record().counts.refused_connections, 1);
}

#[tokio::test]
async fn each_client_has_its_own_record() {
    let sim = sim().await;
    let (mut first, mut second) = (Client::connect(&sim).await, Client::connect(&sim).await);
    within(sim.wait_for(|record| record.counts.connections == 2)).await;
    second.ask(&COMMAND.replace("closed", "open")).await;
    first.ask(COMMAND).await;
    let record = sim.record();
    assert_eq!(record.commands_on(0).map(|command| command.gripper).collect::<Vec<_>>(), [Gripper::Closed]);
    assert_eq!(record.commands_on(1).map(|command| command.gripper).collect::<Vec<_>>(), [Gripper::Open]);
}

#[tokio::test]
async fn arm_speed_and_reported_unit_are_as_configured() {
    let home = Position::new(0.1, 0.0, 0.2).unwrap();
    let config = ArmSimConfig {
        home,
        speed: 1e-9,
        report_state: true,
        unit: PositionUnit::Centimetres,
        ..ArmSimConfig::default()
    };
    let sim = ArmSim::start(config).await.unwrap();
    let reply = Client::connect(&sim).await.ask(&COMMAND.replace("210.0", "21")).await;
    assert_eq!(
        reply,
        "{\"status\":\"ok\",\"message\":\"Command received\",\"position\":{\"x\":10.0,\"y\":0.0,\"z\":20.0},\
         \"gripper\":\"closed\",\"moving\":true}\n"
    );
    assert!(sim.state().moving);
    assert_eq!(sim.state().position, home);
}

#[tokio::test]
async fn stop_halts_the_arm_until_the_next_command() {
    let sim = ArmSim::start(ArmSimConfig { report_state: true, ..ArmSimConfig::default() }).await.unwrap();
    let mut client = Client::connect(&sim).await;
    let far_away = COMMAND.replace("120.0", "90000.0");
    client.ask(&far_away).await;
    let home = ArmSimConfig::default().home;
    within(async {
        while sim.state().position == home {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let reply = client.ask(STOP).await;
    let halted = sim.state();
    assert!(halted.position != home && !halted.moving && halted.gripper == Gripper::Closed, "{halted:?}");
    assert!(
        reply.starts_with("{\"status\":\"ok\",\"message\":\"Stop received\",\"position\":{\"x\":"),
        "{reply}"
    );
    assert!(reply.ends_with("\"gripper\":\"closed\",\"moving\":false}\n"), "{reply}");
    assert_eq!(client.ask(STOP).await, reply, "it stays at the reported position");
    assert!(client.ask(&far_away).await.contains("\"moving\":true"));

    let record = sim.record();
    let stops: Vec<bool> = record.orders_on(0).map(|order| order == Order::Stop).collect();
    assert_eq!(stops, [false, true, true, false]);
    assert_eq!(record.commands_on(0).count(), 2);
    assert_eq!((record.counts.commands, record.counts.stops, record.counts.bad_lines), (2, 2, 0));
    assert_eq!(record.received[1].line, STOP);
}

#[tokio::test]
async fn heartbeat_is_counted_and_moves_nothing() {
    let sim = ArmSim::start(ArmSimConfig { speed: 1e-6, ..ArmSimConfig::default() }).await.unwrap();
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(COMMAND).await, OK);
    assert_eq!(client.ask(HEARTBEAT).await, OK.replace("Command", "Heartbeat"));
    assert!(sim.state().moving);
    let counts = sim.record().counts;
    assert_eq!((counts.commands, counts.stops, counts.heartbeats, counts.bad_lines), (1, 0, 1, 0));
}

#[tokio::test]
async fn greeting_comes_first() {
    let greeting = vec!["AetherArm 3".to_owned(), "ready".to_owned()];
    let sim = ArmSim::start(ArmSimConfig { greeting, ..ArmSimConfig::default() }).await.unwrap();
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.line().await.unwrap(), "AetherArm 3\n");
    assert_eq!(client.line().await.unwrap(), "ready\n");
    assert_eq!(client.ask(COMMAND).await, OK);
}

#[tokio::test]
async fn only_the_right_token_is_accepted() {
    let config = ArmSimConfig { token: Some("sesame".into()), ..ArmSimConfig::default() };
    let sim = ArmSim::start(config).await.unwrap();
    for (line, why) in
        [(r#"{"type":"hello","token":"open up"}"#, "the token is wrong"), (COMMAND, "as the first line")]
    {
        let mut client = Client::connect(&sim).await;
        let refused = client.ask(line).await;
        assert!(refused.starts_with("{\"status\":\"error\"") && refused.contains(why), "{refused}");
        assert!(client.line().await.unwrap_or_default().is_empty(), "the connection stayed open");
    }
    let mut client = Client::connect(&sim).await;
    let welcome = client.ask(r#"{"type":"hello","token":"sesame"}"#).await;
    assert_eq!(welcome, "{\"status\":\"ok\",\"message\":\"Welcome\"}\n");
    assert_eq!(client.ask(COMMAND).await, OK);
    assert_eq!(
        sim.record().counts.commands,
        1,
        "a hello is not a command, and a client without a token sends none"
    );
}

#[tokio::test]
async fn line_number_is_echoed() {
    let sim = sim().await;
    let mut client = Client::connect(&sim).await;
    let line = r#"{"type":"heartbeat","seq":17}"#;
    let reply = "{\"status\":\"ok\",\"message\":\"Heartbeat received\",\"seq\":17}\n";
    assert_eq!(client.ask(line).await, reply);
    let refused = client.ask(r#"{"type":"command","seq":18}"#).await;
    assert!(refused.starts_with("{\"status\":\"error\""), "{refused}");
}

#[tokio::test]
async fn silence_longer_than_ttl_halts_the_arm() {
    let config = ArmSimConfig { speed: 0.01, ..ArmSimConfig::default() };
    let sim = ArmSim::start(config).await.unwrap();
    let mut events = sim.events();
    let mut client = Client::connect(&sim).await;
    client.ask(&COMMAND.replace("\"closed\"", "\"closed\",\"ttl\":100")).await;
    assert!(sim.state().moving);
    // A line without a `ttl` ends the limit.
    client.ask(COMMAND).await;
    assert!(client.receives_nothing().await);
    assert_eq!(sim.record().counts.expiries, 0);
    assert!(sim.state().moving);
    client.ask(&COMMAND.replace("\"closed\"", "\"closed\",\"ttl\":1")).await;
    within(sim.wait_for(|record| record.counts.expiries == 1)).await;
    assert!(!sim.state().moving);
    let halted = within(async {
        loop {
            if let Event::Expired { ttl, .. } = events.recv().await.unwrap() {
                return ttl;
            }
        }
    });
    assert_eq!(halted.await, Duration::from_millis(1));
}

#[tokio::test]
async fn refused_stop_halts_nothing() {
    for (config, line, message) in [
        (
            ArmSimConfig { commands_only: true, ..ArmSimConfig::default() },
            STOP,
            r#"type is \"stop\", expected \"command\""#,
        ),
        (
            ArmSimConfig { strict: true, ..ArmSimConfig::default() },
            r#"{"type":"stop","x":1}"#,
            r#"unknown members [\"x\"], expected only type"#,
        ),
        (
            ArmSimConfig { faults: vec!["error:not now@1".parse().unwrap()], ..ArmSimConfig::default() },
            STOP,
            "not now",
        ),
    ] {
        let sim = ArmSim::start(ArmSimConfig { speed: 1e-6, ..config }).await.unwrap();
        let mut client = Client::connect(&sim).await;
        assert_eq!(client.ask(COMMAND).await, OK);
        assert_eq!(client.ask(line).await, format!("{{\"status\":\"error\",\"message\":\"{message}\"}}\n"));
        assert!(sim.state().moving);
    }
}

#[tokio::test]
async fn silent_controller_executes_stop_without_reply() {
    let sim = ArmSim::start(ArmSimConfig { speed: 1e-6, ..ArmSimConfig::default() }).await.unwrap();
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(COMMAND).await, OK);
    sim.set_fault(Some(Fault::Silence));
    client.send(STOP).await;
    within(sim.wait_for_stops(1)).await;
    assert!(client.receives_nothing().await);
    assert!(!sim.state().moving);
}

#[tokio::test]
async fn delayed_reply_reveals_lines_sent_ahead() {
    let sim = faulty("delay:0.1x1").await;
    let mut client = Client::connect(&sim).await;
    let three = format!("{COMMAND}\n{COMMAND}\n{COMMAND}");
    assert_eq!(client.ask(&three).await, OK);
    assert!(sim.received()[0].at.elapsed() >= Duration::from_millis(100));
    assert_eq!((client.line().await.unwrap().as_str(), client.line().await.unwrap().as_str()), (OK, OK));
    assert_eq!(sim.record().connections[0].most_unanswered, 3);
}

#[tokio::test]
async fn silent_controller_executes_command_without_reply() {
    let sim = sim().await;
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(COMMAND).await, OK);
    sim.set_fault(Some(Fault::Silence));
    client.send(&COMMAND.replace("closed", "open")).await;
    within(sim.wait_for_commands(2)).await;
    assert!(client.receives_nothing().await);
    assert_eq!(sim.state().gripper, Gripper::Open);
    sim.set_fault(None);
    assert_eq!(client.ask(COMMAND).await, OK);
    assert_eq!(sim.record().counts.replies, 2);
}

#[tokio::test]
async fn half_open_controller_reads_after_the_fault_ends() {
    let sim = sim().await;
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(COMMAND).await, OK);
    sim.set_fault(Some(Fault::HalfOpen));
    client.send(COMMAND).await;
    let mut late = Client::connect(&sim).await;
    late.send(COMMAND).await;
    assert!(client.receives_nothing().await && late.receives_nothing().await);
    assert_eq!(sim.record().counts.commands, 1);
    sim.set_fault(None);
    assert_eq!((client.line().await.unwrap().as_str(), late.line().await.unwrap().as_str()), (OK, OK));
}

#[tokio::test]
async fn connection_can_go_half_open_after_commands() {
    let sim = faulty("half-open@1").await;
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(COMMAND).await, OK);
    client.send(&format!("{COMMAND}\n{COMMAND}")).await;
    within(sim.wait_for_commands(2)).await;
    assert!(client.receives_nothing().await);
    assert_eq!(sim.record().counts.commands, 2);
    // The controller does not notice that the client disconnects.
    drop(client);
    let mut other = Client::connect(&sim).await;
    other.send(COMMAND).await;
    within(sim.wait_for_commands(3)).await;
    assert_eq!(sim.record().connected(), 2);
}

#[tokio::test]
async fn reset_mid_line_sends_half_a_reply() {
    let sim = faulty("reset-mid-line@1").await;
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(COMMAND).await, OK);
    client.send(COMMAND).await;
    let mut half = vec![0; OK.len() / 2];
    within(client.0.read_exact(&mut half)).await.unwrap();
    assert_eq!(half, OK.as_bytes()[..OK.len() / 2]);
    let (rest, end) = client.rest().await;
    assert!(rest.is_empty() && is_reset(&end), "{rest:?} {end:?}");
    let record = within(sim.wait_for(|record| record.connected() == 0)).await;
    let (_, why) = record.connections[0].ended.clone().unwrap();
    assert_eq!(why, Ended::Fault(Fault::ResetMidLine));
}

#[tokio::test]
async fn close_mid_line_sends_half_a_reply() {
    let sim = faulty("close-mid-line").await;
    let mut client = Client::connect(&sim).await;
    client.send(COMMAND).await;
    let (rest, end) = client.rest().await;
    assert_eq!(rest, OK[..OK.len() / 2]);
    assert!(end.is_ok(), "{end:?}");
}

#[tokio::test]
async fn split_reply_comes_in_pieces() {
    let sim = faulty("split").await;
    let mut client = Client::connect(&sim).await;
    client.send(COMMAND).await;
    let (mut text, mut pieces) = (String::new(), 0);
    while !text.ends_with('\n') {
        let piece = within(client.0.fill_buf()).await.unwrap();
        text.push_str(std::str::from_utf8(piece).unwrap());
        let length = piece.len();
        client.0.consume(length);
        pieces += 1;
    }
    assert_eq!(text, OK);
    assert!(pieces > 1);
}

#[tokio::test]
async fn merged_replies_come_in_one_piece() {
    let sim = faulty("merge").await;
    let mut client = Client::connect(&sim).await;
    client.send(COMMAND).await;
    within(sim.wait_for_commands(1)).await;
    assert!(client.receives_nothing().await);
    client.send(COMMAND).await;
    let piece = within(client.0.fill_buf()).await.unwrap();
    assert_eq!(std::str::from_utf8(piece).unwrap(), OK.repeat(2));
    let length = piece.len();
    client.0.consume(length);
    // A held reply is still sent if the fault ends.
    client.send(COMMAND).await;
    within(sim.wait_for_commands(3)).await;
    sim.set_fault(None);
    assert_eq!(client.line().await.unwrap(), OK);
}

#[tokio::test]
async fn reply_can_be_duplicate_or_any_line() {
    let sim = faulty("twice@0x1").await;
    let mut client = Client::connect(&sim).await;
    assert_eq!((client.ask(COMMAND).await.as_str(), client.line().await.unwrap().as_str()), (OK, OK));
    sim.set_fault(Some(Fault::Line("{\"status\":\"maybe\"}".to_owned())));
    assert_eq!(client.ask(COMMAND).await, "{\"status\":\"maybe\"}\n");
}

#[tokio::test]
async fn malformed_replies_are_possible() {
    for (fault, start) in
        [("binary", &b"{\"status\":\"\xff\"}\n"[..]), ("flood", &[b'x'; 5000]), ("drip", b"..")]
    {
        let sim = faulty(fault).await;
        let mut client = Client::connect(&sim).await;
        client.send(COMMAND).await;
        let mut answer = vec![0; start.len()];
        within(client.0.read_exact(&mut answer)).await.unwrap();
        assert_eq!(answer, start, "{fault}");
    }
    // The drip ends with the fault, and its line gets no reply.
    let sim = faulty("drip@0x1").await;
    let mut client = Client::connect(&sim).await;
    client.send(COMMAND).await;
    within(client.0.read_exact(&mut [0])).await.unwrap();
    sim.set_fault(None);
    assert!(client.ask(COMMAND).await.trim_start_matches('.') == OK);
}

#[tokio::test]
async fn monitor_records_connects_and_disconnects() {
    let sim = ArmSim::start(ArmSimConfig { monitor: Some(Rules::default()), ..ArmSimConfig::default() });
    let sim = sim.await.unwrap();
    let violations = || sim.record().counts.violations;
    let mut events = sim.events();
    let at =
        |x: f64| COMMAND.replace("120.0", &format!("{x:?}")).replace("35.5", "0.0").replace("210.0", "200.0");
    let mut client = Client::connect(&sim).await;
    // The steps are so short that their speed is allowed however fast the replies come.
    for step in 0..5 {
        assert_eq!(client.ask(&at(202.0 + 0.001 * f64::from(step))).await, OK);
    }
    assert_eq!(violations(), 0);
    // Two lines in one segment: the second was sent before the reply to the first.
    client.send(&format!("{}\n{}", at(202.004), at(202.004))).await;
    assert_eq!((client.line().await.unwrap(), client.line().await.unwrap()), (OK.to_owned(), OK.to_owned()));
    assert_eq!(violations(), 1);
    // 502 mm in one step is too fast unless the machine stops for 2 s. Then the stream ends in the
    // middle of a line.
    client.ask(&at(-300.0)).await;
    assert_eq!(violations(), 2);
    client.0.write_all(b"{\"type\":").await.unwrap();
    drop(client);
    within(sim.wait_for(|record| record.counts.violations == 3)).await;
    let mut rules = Vec::new();
    while let Ok(event) = events.try_recv() {
        if let Event::Violation(violation) = event {
            rules.push(violation.rule.as_str());
        }
    }
    assert_eq!(rules, ["pace", "speed", "form"]);
}

#[tokio::test]
async fn stopped_controller_is_not_a_silent_client() {
    let sim = ArmSim::start(ArmSimConfig { monitor: Some(Rules::default()), ..ArmSimConfig::default() });
    let sim = sim.await.unwrap();
    let at =
        |x: f64| COMMAND.replace("120.0", &format!("{x:?}")).replace("35.5", "0.0").replace("210.0", "200.0");
    for (looks, violations) in [(false, 0), (true, 1)] {
        let mut client = Client::connect(&sim).await;
        client.ask(&at(200.0)).await;
        client.ask(&at(200.0)).await;
        if looks {
            tokio::time::sleep(Duration::from_millis(700)).await;
        } else {
            sim.set_fault(Some(Fault::HalfOpen));
        }
        client.send(&at(203.0)).await;
        if !looks {
            // This blocks the only thread of the runtime, and so the controller.
            std::thread::sleep(Duration::from_millis(700));
            sim.set_fault(None);
        }
        assert_eq!(client.line().await.unwrap(), OK);
        assert_eq!(sim.record().counts.violations, violations, "polls the socket: {looks}");
    }
}

#[tokio::test]
async fn error_reply_refuses_and_moves_nothing() {
    let sim = faulty("error:joint \"3\" limit@0x1").await;
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(COMMAND).await, "{\"status\":\"error\",\"message\":\"joint \\\"3\\\" limit\"}\n");
    assert_eq!((sim.state().gripper, sim.state().moving), (Gripper::Open, false));
    assert_eq!(client.ask(COMMAND).await, OK);
    assert_eq!((sim.record().counts.commands, sim.record().counts.error_replies), (2, 1));
}

#[tokio::test]
async fn restart_after_crash_uses_the_same_port() {
    let sim = ArmSim::start(ArmSimConfig { speed: 1e-6, ..ArmSimConfig::default() }).await.unwrap();
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(COMMAND).await, OK);
    assert!(sim.state().moving);
    sim.crash().await;
    assert_eq!(sim.record().connected(), 0, "crash() returned before the crash was complete");
    assert!(!sim.state().moving, "the arm of a crashed controller moves on");
    let (rest, end) = client.rest().await;
    assert!(rest.is_empty() && is_reset(&end), "{rest:?} {end:?}");
    let refused = TcpStream::connect(sim.local_addr()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(sim.record().connections[0].ended.clone().unwrap().1, Ended::Crash);
    sim.crash().await;
    assert_eq!(sim.record().counts.crashes, 1, "a crashed controller crashes again");

    sim.restart().await.unwrap();
    assert_eq!(Client::connect(&sim).await.ask(COMMAND).await, OK);
    sim.restart().await.unwrap();
    assert_eq!(sim.record().counts.crashes, 2, "a running controller crashes before its restart");
    assert_eq!(Client::connect(&sim).await.ask(COMMAND).await, OK);
}

#[tokio::test]
async fn triggered_restart_comes_back_by_itself() {
    let sim = faulty("restart:0.05@2").await;
    let mut events = sim.events();
    let mut client = Client::connect(&sim).await;
    assert_eq!((client.ask(COMMAND).await.as_str(), client.ask(COMMAND).await.as_str()), (OK, OK));
    client.send(COMMAND).await;
    let (rest, end) = client.rest().await;
    assert!(rest.is_empty() && is_reset(&end), "{rest:?} {end:?}");
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(Event::Listening(_))) {
        seen.push(within(events.recv()).await.unwrap());
    }
    assert!(seen.contains(&Event::Crashed));
    let mut client = Client::connect(&sim).await;
    for _ in 0..3 {
        assert_eq!(client.ask(COMMAND).await, OK);
    }
}

#[tokio::test]
async fn crash_without_trigger_is_immediate_until_recovery() {
    let sim = sim().await;
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(COMMAND).await, OK);
    sim.set_fault(Some(Fault::Crash));
    within(sim.wait_for(|record| record.counts.crashes == 1)).await;
    sim.recover();
    within(sim.wait_for(|record| record.listening)).await;
    assert_eq!(Client::connect(&sim).await.ask(COMMAND).await, OK);
}

#[tokio::test]
async fn dropped_controller_closes_port_and_connections() {
    let sim = sim().await;
    let address = sim.local_addr();
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(COMMAND).await, OK);
    drop(sim);
    assert_eq!(client.rest().await.0, "");
    let refused = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn taken_port_and_invalid_numbers_are_refused() {
    let first = sim().await;
    let taken = ArmSimConfig { port: first.local_addr().port(), ..ArmSimConfig::default() };
    assert_eq!(ArmSim::start(taken).await.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    for config in [
        ArmSimConfig { speed: 0.0, ..ArmSimConfig::default() },
        ArmSimConfig { speed: f64::NAN, ..ArmSimConfig::default() },
        ArmSimConfig { reach: Some(-1.0), ..ArmSimConfig::default() },
    ] {
        assert_eq!(ArmSim::start(config).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
