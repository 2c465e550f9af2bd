//! The controller of the arm. Replies to each line after a delay, or misbehaves as its mood
//! requires. A monitor checks its lines.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aether_bridge::geometry::Position;
use aether_bridge::wire::{Order, PositionUnit};
use aether_sim::controller::{CommandDecoder, CommandFault, ReceivedOrder};
use aether_sim::monitor::{ConformanceMonitor, Rules, Violation};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;
use tokio_util::codec::FramedRead;
use turmoil::net::{TcpListener, TcpStream};

use super::judge::HOME;

pub const PORT: u16 = 5000;

/// How the controller replies now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mood {
    /// With ok, after this delay.
    Well(Duration),
    Mute,
    Refusing,
    /// Each reply is sent twice.
    Stuttering,
    /// Half a reply, then the end of the connection.
    BreakingOff,
}

/// The controller, as shared by its task and the test.
#[derive(Clone)]
pub struct Arm(Arc<Mutex<Shared>>);

struct Shared {
    mood: Mood,
    monitor: ConformanceMonitor,
    connections: usize,
    lines: usize,
    /// The position of the arm. It reaches every position immediately.
    place: Position,
    violations: Vec<Violation>,
    start: Instant,
}

impl Shared {
    /// Returns the simulated time, which all hosts share.
    fn now(&self) -> Instant {
        self.start + turmoil::sim_elapsed().unwrap_or_default()
    }
}

type Line = Result<ReceivedOrder, CommandFault>;

impl Arm {
    /// Creates a controller whose lines must keep `rules`.
    #[allow(clippy::disallowed_methods)] // a first instant; the simulation's time is added to it
    pub fn new(rules: Rules) -> Self {
        Self(Arc::new(Mutex::new(Shared {
            mood: Mood::Well(Duration::from_millis(5)),
            monitor: ConformanceMonitor::new(rules, PositionUnit::default()),
            connections: 0,
            lines: 0,
            place: place(HOME),
            violations: Vec::new(),
            start: Instant::now(),
        })))
    }

    pub fn set_mood(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    fn mood(&self) -> Mood {
        self.0.lock().unwrap().mood
    }

    /// Homes the arm, as a restart of its controller does.
    pub fn home(&self) {
        self.0.lock().unwrap().place = place(HOMED);
    }

    /// Returns how many lines have been received.
    pub fn lines(&self) -> usize {
        self.0.lock().unwrap().lines
    }

    pub fn violations(&self) -> Vec<String> {
        self.0.lock().unwrap().violations.iter().map(ToString::to_string).collect()
    }

    /// Accepts connections until the host crashes.
    pub async fn run(self) -> turmoil::Result {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        {
            let mut shared = self.0.lock().unwrap();
            let now = shared.now();
            shared.monitor.handle_listening(now);
        }
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(self.clone().serve(stream));
        }
    }

    async fn serve(self, stream: TcpStream) {
        let connection = self.handle_connected();
        let (read, mut write) = stream.into_split();
        let mut lines = FramedRead::new(read, CommandDecoder::new(PositionUnit::default()));
        while let Some(Ok(line)) = lines.next().await {
            self.handle_line(connection, &line);
            let mood = self.mood();
            if mood != Mood::Refusing
                && let Ok(ReceivedOrder { order: Order::Command(command), .. }) = &line
            {
                self.0.lock().unwrap().place = command.position;
            }
            let (reply, replies) = match mood {
                Mood::Mute => continue,
                Mood::Refusing => (self.reply("error"), 1),
                Mood::Stuttering => (self.reply("ok").repeat(2), 2),
                Mood::BreakingOff => (self.reply("ok")[..7].to_owned(), 0),
                Mood::Well(_) => (self.reply("ok"), 1),
            };
            if let Mood::Well(think) = mood {
                tokio::select! {
                    biased;
                    () = sleep(think) => {}
                    // A line before the reply is too early.
                    line = lines.next() => {
                        if let Some(Ok(line)) = line {
                            self.handle_line(connection, &line);
                        }
                        return;
                    }
                }
            }
            self.handle_replied(connection, &reply, replies);
            if write.write_all(reply.as_bytes()).await.is_err() || mood == Mood::BreakingOff {
                return;
            }
        }
    }

    /// Returns a reply with the position of the arm.
    fn reply(&self, status: &str) -> String {
        let [x, y, z] = self.0.lock().unwrap().place.coordinates().map(|metres| metres * 1e3);
        format!("{{\"status\":\"{status}\",\"message\":\"\",\"position\":[{x},{y},{z}],\"moving\":false}}\n")
    }

    fn handle_connected(&self) -> usize {
        let mut shared = self.0.lock().unwrap();
        shared.connections += 1;
        let connection = shared.connections;
        shared.monitor.handle_connected(connection);
        connection
    }

    fn handle_line(&self, connection: usize, line: &Line) {
        let mut shared = self.0.lock().unwrap();
        shared.lines += 1;
        let now = shared.now();
        let found = shared.monitor.handle_line(now, connection, line);
        shared.violations.extend(found);
    }

    fn handle_replied(&self, connection: usize, text: &str, replies: u64) {
        let mut shared = self.0.lock().unwrap();
        let now = shared.now();
        shared.monitor.handle_replied(now, connection, text.as_bytes(), replies);
    }
}

fn place([x, y, z]: [f64; 3]) -> Position {
    Position::new(x, y, z).unwrap()
}

/// The position where a restarted controller homes its arm.
pub const HOMED: [f64; 3] = [0.26, 0.05, 0.15];
