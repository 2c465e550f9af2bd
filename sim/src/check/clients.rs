//! Checks with other clients: a second client beside the first, and a client that disconnects
//! before its line is read.

use aether_bridge::wire::advice::Advice;
use tokio::time::{Duration, Instant, sleep};

use super::finding::{Check, Finding};
use super::line::{Line, Writer};
use super::peer::Incoming;
use super::session::{Disconnected, Pace, Session, time_of};

const WAITS: Advice = Advice {
    rule: "a client that is not served gets an error immediately; in the backlog of the listening \
           socket its first command would wait",
    remedy: "accept() while you serve another, send {\"status\":\"error\",\"message\":\"another client is served\"}, and close",
};

const GONE: Advice = Advice {
    rule: "a command of a client that has disconnected moves nothing: the end of the connection follows its lines",
    remedy: "read everything that has come, up to the end, before you execute the first line of a connection",
};

/// Checks what happens to a second client while the first is served. `line` is a line that moves
/// nothing, if there is one.
pub(super) async fn second(session: &mut Session<'_>, line: Option<Line>) {
    let check = Check::SecondClient;
    let (patience, silence) = (session.config.patience, session.config.silence);
    let Ok(mut other) = session.open_another().await else {
        return session.find(Finding::ok(check, "its connection was refused"));
    };
    let mut received = other.next(Instant::now() + silence, silence).await;
    if matches!(received, Incoming::Nothing) {
        let Some(line) = line else {
            return session
                .find(Finding::note(check, "its connection was accepted; there is no line to test it with"));
        };
        session.print(&format!("→ {}   (a second client)", line.text));
        if other.send(&line.bytes()).await.is_ok() {
            received = other.next(Instant::now() + patience, silence).await;
        }
    }
    session.find(match received {
        Incoming::Nothing => {
            let seen =
                format!("its connection was accepted, but its line got no reply for {}", time_of(patience));
            Finding { advice: Some(WAITS), ..Finding::note(check, seen) }
        }
        Incoming::Reply(raw, _) => Finding::ok(check, format!("it got an immediate reply: {}", raw.shown())),
        Incoming::End(_) => Finding::ok(check, "its connection was closed immediately"),
    });
}

/// Checks whether the controller executes a command whose client has disconnected before the
/// command is read. The command goes `step` (in the wire's unit) away from the present position of
/// the arm. The command and the end of its connection arrive in one segment.
pub(super) async fn gone(
    session: &mut Session<'_>,
    writer: &mut Writer,
    step: f64,
) -> Result<(), Disconnected> {
    let check = Check::GoneClient;
    let Some((place, at)) = writer.place().zip(place_of(session, writer).await?) else {
        session.find(Finding::note(
            check,
            "not checked: no reply to a heartbeat reports the position of the arm",
        ));
        return Ok(());
    };
    let [x, y, z] = at;
    let Some(line) = writer.command_to([x + step, y, z]) else { return Ok(()) };
    session.hang_up();
    session.print(&format!("→ {}   (then disconnected)", line.text));
    if let Ok(other) = session.open_another().await {
        // If sending fails, there is nothing to execute.
        let _ = other.send_and_leave(&line.bytes()).await;
    }
    if !session.connect_again().await {
        return Err(Disconnected::Closed);
    }
    let deadline = Instant::now() + TIME_TO_MOVE;
    let moved = loop {
        // An arm that went elsewhere may have homed at the end of the connection. That is another
        // finding.
        let Some([now, ..]) = place_of(session, writer).await? else { break false };
        let is_there = (now - (x + step)).abs() < step.abs() / 2.0;
        if is_there || Instant::now() > deadline {
            break is_there;
        }
        sleep(POLL_PERIOD).await;
    };
    session.find(match moved {
        true => Finding::wrong(
            check,
            "a command was executed although its client had disconnected before it was read",
            GONE,
        ),
        false => Finding::ok(check, "a command of a disconnected client moves nothing"),
    });
    // Move the arm back to the position where it is checked.
    if let Some(line) = writer.command_to(place.at).filter(|_| moved) {
        session.ask(check, &[line], Pace::OnePiece, super::advice::NO_REPLY).await?;
    }
    Ok(())
}

/// Asks the controller for the position of the arm. Returns `None` if the controller does not
/// report it.
async fn place_of(session: &mut Session<'_>, writer: &mut Writer) -> Result<Option<[f64; 3]>, Disconnected> {
    if session.arm.cannot_be_asked || session.arm.positions == 0 {
        return Ok(None);
    }
    let known = session.arm.positions;
    let line = writer.heartbeat();
    session.ask(Check::GoneClient, &[line], Pace::OnePiece, super::advice::NO_REPLY).await?;
    Ok(session.arm.position.filter(|_| session.arm.positions > known))
}

/// How long an arm may take to start moving.
const TIME_TO_MOVE: Duration = Duration::from_secs(1);
const POLL_PERIOD: Duration = Duration::from_millis(20);
