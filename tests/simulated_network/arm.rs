//! The arm's controller: one client after the other, a reply to each line after a while, or what its mood makes of that.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::sleep;
use turmoil::net::{TcpListener, TcpStream};

pub const PORT: u16 = 5000;

/// How it answers at present.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mood {
    /// With ok, after this long.
    Well(Duration),
    Mute,
    Refusing,
    /// Twice.
    Stuttering,
    /// Half a reply, and the end of the connection.
    BreakingOff,
}

/// What the controller and those who look at it share.
#[derive(Clone)]
pub struct Arm(Arc<Mutex<Shared>>);

struct Shared {
    mood: Mood,
    /// The numbers of all lines, on whatever connection.
    heard: BTreeSet<u64>,
    violations: Vec<String>,
}

impl Arm {
    pub fn new() -> Self {
        let mood = Mood::Well(Duration::from_millis(5));
        Self(Arc::new(Mutex::new(Shared { mood, heard: BTreeSet::new(), violations: Vec::new() })))
    }

    pub fn set_mood(&self, mood: Mood) {
        self.0.lock().unwrap().mood = mood;
    }

    fn mood(&self) -> Mood {
        self.0.lock().unwrap().mood
    }

    /// How many lines have come.
    pub fn lines(&self) -> usize {
        self.0.lock().unwrap().heard.len()
    }

    /// What it has seen that must never be.
    pub fn violations(&self) -> Vec<String> {
        self.0.lock().unwrap().violations.clone()
    }

    fn complain(&self, what: String) {
        self.0.lock().unwrap().violations.push(what);
    }

    /// Takes connections, each as soon as it comes, until the host crashes.
    pub async fn run(self) -> turmoil::Result {
        let listener = TcpListener::bind(("0.0.0.0", PORT)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(self.clone().serve(stream));
        }
    }

    async fn serve(self, stream: TcpStream) {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        let mut last = 0;
        while let Ok(Some(line)) = lines.next_line().await {
            last = self.hear(&line, last);
            let mood = self.mood();
            let reply = match mood {
                Mood::Mute => continue,
                Mood::Refusing => "{\"status\":\"error\",\"message\":\"no\"}\n".to_owned(),
                Mood::Stuttering => OK.repeat(2),
                Mood::BreakingOff => OK[..7].to_owned(),
                Mood::Well(_) => OK.to_owned(),
            };
            if let Mood::Well(think) = mood {
                // What comes before the answer has been given comes too early.
                tokio::select! {
                    biased;
                    () = sleep(think) => {}
                    line = lines.next_line() => match line {
                        Ok(Some(line)) => return self.complain(format!("before the answer to the last: {line}")),
                        _ => return,
                    }
                }
            }
            if write.write_all(reply.as_bytes()).await.is_err() || mood == Mood::BreakingOff {
                return;
            }
        }
    }

    /// Takes a line that follows number `last` on its connection; returns its own number. What a network holds back may
    /// come after lines of a later connection, but nothing comes twice.
    fn hear(&self, line: &str, last: u64) -> u64 {
        let seq = serde_json::from_str::<Value>(line).ok().and_then(|line| line["seq"].as_u64()).unwrap_or(0);
        let mut shared = self.0.lock().unwrap();
        if seq <= last || !shared.heard.insert(seq) {
            shared.violations.push(format!("after line {last}, once more or without a number: {line}"));
        }
        seq
    }
}

const OK: &str = "{\"status\":\"ok\"}\n";
