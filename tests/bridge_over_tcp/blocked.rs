//! The operator's stop while the reader of the log or of the topics does not read.
#![allow(clippy::disallowed_methods)] // the hand's pace

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use aether_bridge::app::{Bridge, drive};
use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::status::{Observer, SentCommand, Status};
use aether_bridge::teleop::Target;
use tokio::sync::oneshot;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

use super::memory::OK;
use super::scene::PATIENCE;

/// A reader that can stop reading. While the gate is shut, a thread that publishes or logs waits.
struct Gate {
    is_shut: AtomicBool,
    waiting: Sender<()>,
    opened: Mutex<Receiver<()>>,
}

impl Gate {
    fn pass(&self) {
        if self.is_shut.load(Ordering::SeqCst) {
            let _ = self.waiting.send(());
            let _ = self.opened.lock().unwrap().recv();
        }
    }
}

struct Topics(Arc<Gate>);

impl Observer for Topics {
    fn handle_command(&mut self, _: &SentCommand) {
        self.0.pass();
    }

    fn handle_status(&mut self, _: &Status) {
        self.0.pass();
    }
}

struct Log(Arc<Gate>);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.0.pass();
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Replies to every line of a bridge, and passes on each line.
fn accept_lines(listener: &TcpListener, lines: &Sender<String>) {
    let (mut stream, _) = listener.accept().unwrap();
    for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
        let _ = stream.write_all(OK);
        let _ = lines.send(line);
    }
}

fn gate() -> (Arc<Gate>, Receiver<()>, Sender<()>) {
    let ((waiting, waits), (open, opened)) = (channel(), channel());
    (Arc::new(Gate { is_shut: AtomicBool::new(false), waiting, opened: Mutex::new(opened) }), waits, open)
}

/// Runs a bridge that follows a hand, shuts one gate until a thread waits at it, and then stops the
/// bridge.
fn assert_stop_gets_through(
    topics: Arc<Gate>,
    log: Arc<Gate>,
    shut: &Gate,
    waits: &Receiver<()>,
    open: Sender<()>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut parameters = Parameters::default();
    parameters.set("link.port", Value::Integer(listener.local_addr().unwrap().port().into())).unwrap();
    parameters.set("teleop.settle_time", Value::Real(0.1)).unwrap();
    parameters.set("teleop.hold_behavior", Value::Text("stop".into())).unwrap();
    parameters.set("arm.assume_position", Value::Text("home".into())).unwrap();
    let bridge = Bridge::new(&Config::new(&parameters).unwrap(), Topics(topics));
    let dispatch = Dispatch::new(Log(log));
    let (sent, lines) = channel();
    let (end, ended) = oneshot::channel::<()>();
    let over = AtomicBool::new(false);
    let logging = |work: &dyn Fn()| tracing::dispatcher::with_default(&dispatch, work);
    thread::scope(|scope| {
        let ended = Mutex::new(Some(ended));
        let (bridge, logging, over) = (&bridge, &logging, &over);
        scope.spawn(move || accept_lines(&listener, &sent));
        scope.spawn(move || {
            logging(&|| {
                let ended = ended.lock().unwrap().take().unwrap();
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(drive(bridge.clone(), async { drop(ended.await) }));
            });
        });
        scope.spawn(move || {
            logging(&|| {
                for step in (0..20).cycle().take_while(|_| !over.load(Ordering::SeqCst)) {
                    bridge.handle_target(Target::new(0.2 + f64::from(step) * 1e-4, 0.0, 0.2, None));
                    thread::sleep(Duration::from_millis(10));
                }
            });
        });
        let line = || lines.recv_timeout(PATIENCE);
        let first = line();
        shut.is_shut.store(true, Ordering::SeqCst);
        let waiting = waits.recv_timeout(PATIENCE);
        let stop = scope.spawn(move || logging(&|| bridge.stop()));
        let stop_line = std::iter::from_fn(|| line().ok()).find(|line| line.contains("stop"));
        let is_answered = stop.is_finished();
        // All threads end, whatever the result is.
        shut.is_shut.store(false, Ordering::SeqCst);
        over.store(true, Ordering::SeqCst);
        drop(open);
        drop(end);
        assert!(first.is_ok() && waiting.is_ok(), "{first:?}, {waiting:?}");
        assert_eq!(stop_line.as_deref(), Some(r#"{"type":"stop"}"#));
        assert!(!is_answered, "nothing was in the way of the stop");
    });
}

#[test]
fn stop_is_sent_while_the_log_blocks() {
    let ((topics, ..), (log, waits, open)) = (gate(), gate());
    assert_stop_gets_through(topics, Arc::clone(&log), &log, &waits, open);
}

#[test]
fn stop_is_sent_while_the_topics_block() {
    let ((topics, waits, open), (log, ..)) = (gate(), gate());
    assert_stop_gets_through(Arc::clone(&topics), log, &topics, &waits, open);
}
