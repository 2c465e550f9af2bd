//! The arm controller: reads lines on a thread of its own, answers each at once, and says when each came.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Instant;

use serde::Deserialize;

use crate::tracker;

/// A line that came.
pub struct Arrival {
    /// When the bytes had been read.
    pub at: Instant,
    /// When the reply had been written.
    pub answered: Instant,
    /// Which target it is for, or the line as it came if it is for none.
    pub seq: Result<u32, String>,
}

/// A controller with a connection. Closes it when dropped.
pub struct Controller {
    /// The lines, as they come. Disconnected once the peer has closed.
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
                    let answered = Instant::now();
                    if sender.send(Arrival { at, answered, seq: parse(&line) }).is_err() {
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
        // Fails where the peer has closed already; either way the thread's read returns.
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
    let as_it_came = || String::from_utf8_lossy(line).trim_end().to_owned();
    let Line { x, y, z } = serde_json::from_slice(line).map_err(|_| as_it_came())?;
    tracker::sequence([x, y, z]).ok_or_else(as_it_came)
}
