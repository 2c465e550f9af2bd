//! A running program with its connection.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::controller::Controller;
use crate::peer::Peer;
use crate::program::Program;
use crate::tracker::Tracker;

/// A running program and its connection. The connection is closed first.
pub struct Session<'a> {
    pub controller: Controller,
    pub peer: Peer<'a>,
    /// The time from the start of the process to its connection.
    pub connected_after: Duration,
}

impl<'a> Session<'a> {
    /// Starts a program and waits until it has connected. The program is the only subscriber of the
    /// tracker. `interrupted` becomes true if the process must end immediately.
    pub fn start(program: &'a Program, tracker: &Tracker, interrupted: &AtomicBool) -> anyhow::Result<Self> {
        tracker.wait_until_alone()?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let started = Instant::now();
        let mut peer = Peer::start(program, listener.local_addr()?.port())?;
        let stream = accept(&listener, &mut peer, interrupted)?;
        let connected_after = started.elapsed();
        Ok(Self { controller: Controller::start(stream)?, peer, connected_after })
    }

    /// Closes the connection and then ends the program properly.
    pub fn end(self) -> anyhow::Result<()> {
        let Self { controller, peer, .. } = self;
        drop(controller);
        peer.stop()
    }
}

fn accept(
    listener: &TcpListener,
    peer: &mut Peer<'_>,
    interrupted: &AtomicBool,
) -> anyhow::Result<TcpStream> {
    listener.set_nonblocking(true)?;
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(stream);
            }
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return Err(error.into()),
            Err(_) => std::thread::sleep(ACCEPT_PERIOD),
        }
        check_interrupt(interrupted)?;
        peer.check_alive()?;
        if Instant::now() > deadline {
            bail!("the program has not connected within {CONNECT_TIMEOUT:?}\n{}", peer.printed());
        }
    }
}

/// Returns an error if the process must end.
pub fn check_interrupt(interrupted: &AtomicBool) -> anyhow::Result<()> {
    if interrupted.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// The resolution of the measured connection time.
const ACCEPT_PERIOD: Duration = Duration::from_millis(1);
