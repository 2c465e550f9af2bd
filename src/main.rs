//! `bridge`: the ROS 2 node. Runs with the given parameters until SIGINT, SIGTERM or SIGHUP.
//!
//! Exit codes: 0 ended on request; 1 ROS failed; 2 wrong arguments, parameters or environment.
#![allow(clippy::disallowed_methods)] // the shutdown of the process has a deadline

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use aether_bridge::app::{self, Bridge, StateFile};
use aether_bridge::ros::{Arguments, ContextError, NodeError, RosNode, arguments, console, rosout};
use anyhow::{Context, anyhow};
use futures_util::future::OptionFuture;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

fn main() -> ExitCode {
    let result = match Arguments::new(std::env::args_os()) {
        Ok(arguments) if arguments.has(&["--help", "-h"]) => {
            let _ = writeln!(io::stdout(), "{}", arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Ok(arguments) => {
            rosout::install(&arguments);
            run(&arguments)
        }
        Err(error) => Err(NodeError::from(ContextError::Arguments(error)).into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                console::print_error(&format!("aether_bridge: {line}"));
            }
            let misuse = matches!(
                error.downcast_ref(),
                Some(
                    NodeError::Context(ContextError::Arguments(_) | ContextError::Start(_))
                        | NodeError::Parameters(_)
                        | NodeError::Source(_)
                )
            );
            ExitCode::from(if misuse { 2 } else { 1 })
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (mut node, publishers, config) = RosNode::create(arguments)?;
    let bridge = Bridge::new(&config, publishers);
    let state_file = StateFile::of(&node.full_name()?, |name| std::env::var(name).ok());
    let found = state_file.begin();
    if let Some(warning) = &found.warning {
        tracing::warn!("{warning}");
    }
    let (notes, state_writer) = state_file.keep(|warning| tracing::warn!("{warning}"))?;
    bridge.restore(found.restored, notes);
    let mut on_request = true;
    let end = Arc::new(AtomicBool::new(false));
    let (stopped, mut spin_stopped) = oneshot::channel::<()>();
    let (report, spin_result) = mpsc::channel();
    let spin = thread::Builder::new().name("ros-spin".into()).spawn({
        let (bridge, end) = (bridge.clone(), Arc::clone(&end));
        move || {
            // These senders are dropped before the node, also after a panic. Dropping a node can
            // take seconds, or hang, and the arm must not wait for that.
            let (report, _stopped) = (report, stopped);
            let _ = report.send(node.spin(&bridge, &end));
        }
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime
        .block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let mut hangup = unless_ignored(SignalKind::hangup())?;
            let mut signalled = async || {
                tokio::select! {
                    _ = interrupt.recv() => tracing::info!("SIGINT: shutting down"),
                    _ = terminate.recv() => tracing::info!("SIGTERM: shutting down"),
                    Some(_) = OptionFuture::from(hangup.as_mut().map(Signal::recv)) => tracing::info!("SIGHUP: shutting down"),
                }
            };
            let shutdown = async {
                tokio::select! {
                    () = signalled() => {}
                    _ = &mut spin_stopped => {
                        on_request = false;
                        return tracing::error!("the ROS thread has ended: shutting down");
                    }
                }
                if let Some(limit) = bridge.park() {
                    tracing::info!("the arm goes home first (arm.park); another signal ends that");
                    tokio::select! {
                        () = signalled() => {}
                        _ = tokio::time::timeout(limit, at_home(&bridge)) => {}
                    }
                }
            };
            app::drive(bridge.clone(), shutdown).await;
            io::Result::Ok(())
        })
        .context("no signal handlers")?;
    // A pending name resolution must not delay the end of the process.
    runtime.shutdown_background();
    if !state_writer.end(on_request, STATE_PATIENCE) {
        tracing::warn!(
            "the state file has not been written in time: after the next start an operator must arm"
        );
    }
    thread::sleep(SHUTDOWN_FLUSH);
    end.store(true, Ordering::Relaxed);
    let patience = Instant::now() + PATIENCE;
    let result = match spin_result.recv_timeout(PATIENCE) {
        Ok(result) => result.map_err(Into::into),
        Err(RecvTimeoutError::Disconnected) => Err(anyhow!("the ROS thread panicked")),
        Err(RecvTimeoutError::Timeout) => Ok(()),
    };
    if ends_by(patience, &spin) {
        return result;
    }
    // The ROS thread has not ended in time. The middleware still holds the node, because a reader
    // that was killed has not confirmed the messages sent to it.
    if let Err(error) = &result {
        console::print_error(&format!("aether_bridge: {error:#}"));
    }
    rcl_ext::leave(i32::from(result.is_err()))
}

/// Completes when the arm no longer moves home: it has arrived, or something has stopped it.
async fn at_home(bridge: &Bridge) {
    while bridge.is_going_home() {
        tokio::time::sleep(PARK_POLL_PERIOD).await;
    }
}

/// Returns the stream of a signal, or `None` if this process was started with the signal ignored,
/// as `nohup` does with SIGHUP.
fn unless_ignored(kind: SignalKind) -> io::Result<Option<Signal>> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    let is_ignored = ignored & 1 << (kind.as_raw_value() - 1) != 0;
    if is_ignored { Ok(None) } else { signal(kind).map(Some) }
}

/// Waits for a thread to end. Returns whether it has ended before the deadline.
fn ends_by<T>(deadline: Instant, thread: &thread::JoinHandle<T>) -> bool {
    while !thread.is_finished() && Instant::now() < deadline {
        thread::sleep(POLL_PERIOD);
    }
    thread.is_finished()
}

/// The time that readers have to receive the last status. A reader drops messages of a publisher
/// that has ended. `rcl_publisher_wait_for_all_acked` would be the API, but r2r lacks it and does
/// not expose the handle of a publisher.
const SHUTDOWN_FLUSH: Duration = Duration::from_millis(100);
/// The time that the ROS thread has to end: its last wait takes up to 0.1 s, and dropping the node
/// takes milliseconds.
const PATIENCE: Duration = Duration::from_millis(300);
/// The period at which the bridge checks whether the arm is at home.
const PARK_POLL_PERIOD: Duration = Duration::from_millis(20);
/// The time that the disk has to store the state file.
const STATE_PATIENCE: Duration = Duration::from_millis(500);
const POLL_PERIOD: Duration = Duration::from_millis(5);
