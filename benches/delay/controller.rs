//! The arm controller. A separate thread reads the lines, replies to each immediately, and records
//! its arrival time.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use serde::Deserialize;

use crate::tracker;

/// A received line.
pub struct Arrival {
    /// The time after the bytes were read.
    pub at: Instant,
    /// The time after the reply was written.
    pub replied: Instant,
    /// The sequence number of the line's target, or the line itself if it does not match a target.
    pub seq: Result<u32, String>,
}

/// A controller with a connection. Closes the connection on drop.
pub struct Controller {
    /// The received lines. The channel is disconnected after the peer has closed the connection.
    pub arrivals: Receiver<Arrival>,
    stream: TcpStream,
    thread: Option<JoinHandle<()>>,
}

impl Controller {
    pub fn start(stream: TcpStream) -> anyhow::Result<Self> {
        stream.set_nodelay(true)?;
        let (sender, arrivals) = channel();
        let mut socket = stream.try_clone()?;
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            let mut line = Vec::new();
            loop {
                let read = match socket.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(read) => read,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(_) => return,
                };
                let at = Instant::now();
                for part in buffer[..read].split_inclusive(|&byte| byte == b'\n') {
                    line.extend_from_slice(part);
                    if !part.ends_with(b"\n") {
                        continue;
                    }
                    if socket.write_all(REPLY).is_err() {
                        return;
                    }
                    let replied = Instant::now();
                    if sender.send(Arrival { at, replied, seq: parse(&line) }).is_err() {
                        return;
                    }
                    line.clear();
                }
            }
        });
        Ok(Self { arrivals, stream, thread: Some(thread) })
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // This fails if the peer has already closed the connection. In both cases the read of the
        // thread returns.
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const REPLY: &[u8] = b"{\"status\":\"ok\",\"message\":\"Command received\"}\n";

#[derive(Deserialize)]
struct Line {
    x: f64,
    y: f64,
    z: f64,
}

fn parse(line: &[u8]) -> Result<u32, String> {
    let text = || String::from_utf8_lossy(line).trim_end().to_owned();
    let Line { x, y, z } = serde_json::from_slice(line).map_err(|_| text())?;
    tracker::sequence([x, y, z]).ok_or_else(text)
}
