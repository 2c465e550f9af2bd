//! Other clients than the one that is served: one that comes beside it, and one that is gone before its line is read.

use aether_bridge::wire::advice::Advice;
use tokio::time::{Duration, Instant, sleep};

use super::finding::{Check, Finding};
use super::line::{Line, Writer};
use super::peer::Incoming;
use super::session::{Disconnected, Pace, Session, time_of};

const WAITS: Advice = Advice {
    rule: "a client that is not served is told so at once: in the backlog of the listening socket its first command would wait",
    remedy: "accept() while you serve another, send {\"status\":\"error\",\"message\":\"another client is served\"}, and close",
};

const GONE: Advice = Advice {
    rule: "a client that is gone moves nothing: the end of the connection comes behind its lines",
    remedy: "read all that has come, to the end, before you obey the first line of a connection",
};

/// Finds out what becomes of a second client while the first is served. `line` is one that moves nothing, if there is one.
pub(super) async fn second(session: &mut Session<'_>, line: Option<Line>) {
    let check = Check::SecondClient;
    let (patience, silence) = (session.config.patience, session.config.silence);
    let Ok(mut other) = session.open_another().await else {
        return session.find(Finding::ok(check, "it was refused"));
    };
    let mut heard = other.next(Instant::now() + silence, silence).await;
    if matches!(heard, Incoming::Nothing) {
        let Some(line) = line else {
            return session
                .find(Finding::note(check, "its connection was taken; there is nothing to ask it"));
        };
        session.say(&format!("→ {}   (a second client)", line.text));
        if other.send(&line.bytes()).await.is_ok() {
            heard = other.next(Instant::now() + patience, silence).await;
        }
    }
    session.find(match heard {
        Incoming::Nothing => {
            let seen =
                format!("its connection was taken, and its line was not answered for {}", time_of(patience));
            Finding { advice: Some(WAITS), ..Finding::note(check, seen) }
        }
        Incoming::Reply(raw, _) => Finding::ok(check, format!("it was answered at once: {}", raw.shown())),
        Incoming::End(_) => Finding::ok(check, "it was sent away at once"),
    });
}

/// Finds out whether a command is obeyed whose client is gone before it is read, `step` of the wire's unit away from where the arm
/// is. The command and the end of its connection come in one segment.
pub(super) async fn gone(
    session: &mut Session<'_>,
    writer: &mut Writer,
    step: f64,
) -> Result<(), Disconnected> {
    let check = Check::GoneClient;
    let Some((place, at)) = writer.place().zip(place_of(session, writer).await?) else {
        session.find(Finding::note(check, "not seen: no reply to a heartbeat says where the arm is"));
        return Ok(());
    };
    let [x, y, z] = at;
    let Some(line) = writer.command_to([x + step, y, z]) else { return Ok(()) };
    session.hang_up();
    session.say(&format!("→ {}   (and gone)", line.text));
    if let Ok(other) = session.open_another().await {
        // If it cannot be sent there is nothing to be obeyed.
        let _ = other.send_and_leave(&line.bytes()).await;
    }
    if !session.connect_again().await {
        return Err(Disconnected::Closed);
    }
    let deadline = Instant::now() + TIME_TO_MOVE;
    let moved = loop {
        // An arm that went elsewhere goes home when a connection ends, say: that is another finding.
        let Some([now, ..]) = place_of(session, writer).await? else { break false };
        let is_there = (now - (x + step)).abs() < step.abs() / 2.0;
        if is_there || Instant::now() > deadline {
            break is_there;
        }
        sleep(BETWEEN_LOOKS).await;
    };
    session.find(match moved {
        true => Finding::wrong(check, "a command was obeyed whose client was gone before it was read", GONE),
        false => Finding::ok(check, "a command whose client is gone moves nothing"),
    });
    // Back to where the arm is checked.
    if let Some(line) = writer.command_to(place.at).filter(|_| moved) {
        session.ask(check, &[line], Pace::AtOnce, super::advice::NO_REPLY).await?;
    }
    Ok(())
}

/// Asks where the arm is. `None`: the controller does not say.
async fn place_of(session: &mut Session<'_>, writer: &mut Writer) -> Result<Option<[f64; 3]>, Disconnected> {
    if session.arm.cannot_be_asked || session.arm.positions == 0 {
        return Ok(None);
    }
    let known = session.arm.positions;
    let line = writer.heartbeat();
    session.ask(Check::GoneClient, &[line], Pace::AtOnce, super::advice::NO_REPLY).await?;
    Ok(session.arm.position.filter(|_| session.arm.positions > known))
}

/// How long an arm is given that sets out.
const TIME_TO_MOVE: Duration = Duration::from_secs(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
