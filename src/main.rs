//! `bridge`: the ROS 2 node. Parameters become a [`Config`](aether_bridge::config::Config), which is run until SIGINT
//! or SIGTERM.
//!
//! Exit codes: 0 ended on request; 1 ROS failed; 2 the arguments or parameters are wrong.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use aether_bridge::app::{self, Bridge};
use aether_bridge::ros::{ContextError, NodeError, RosNode, arguments, console, rosout};
use anyhow::{Context, anyhow};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

fn main() -> ExitCode {
    if std::env::args().skip(1).any(|argument| argument == "--help" || argument == "-h") {
        let _ = writeln!(io::stdout(), "{}", arguments::HELP);
        return ExitCode::SUCCESS;
    }
    rosout::install(std::env::args());
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                console::say(&format!("aether_bridge: {line}"));
            }
            let misuse = matches!(
                error.downcast_ref(),
                Some(
                    NodeError::Context(ContextError::Arguments(_))
                        | NodeError::Parameters(_)
                        | NodeError::Source(_)
                )
            );
            ExitCode::from(if misuse { 2 } else { 1 })
        }
    }
}

fn run() -> anyhow::Result<()> {
    let (node, publishers, config) = RosNode::create()?;
    let bridge = Bridge::new(&config, publishers);
    let end = Arc::new(AtomicBool::new(false));
    let (ended, mut spin_ended) = oneshot::channel();
    let spin = thread::Builder::new().name("ros-spin".into()).spawn({
        let (bridge, end) = (bridge.clone(), Arc::clone(&end));
        move || {
            // Dropped at the end, by a panic too: then the channel closes.
            let _ended: oneshot::Sender<()> = ended;
            node.spin(&bridge, &end)
        }
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime
        .block_on(async {
            let mut interrupt = signal(SignalKind::interrupt())?;
            let mut terminate = signal(SignalKind::terminate())?;
            let shutdown = async {
                tokio::select! {
                    _ = interrupt.recv() => tracing::info!("SIGINT: shutting down"),
                    _ = terminate.recv() => tracing::info!("SIGTERM: shutting down"),
                    _ = &mut spin_ended => tracing::error!("the ROS thread has ended: shutting down"),
                }
            };
            app::drive(bridge, shutdown).await;
            std::io::Result::Ok(())
        })
        .context("no signal handlers")?;
    // A name that is still being resolved holds nobody up.
    runtime.shutdown_background();
    thread::sleep(LAST_WORDS);
    end.store(true, Ordering::Relaxed);
    spin.join().map_err(|_| anyhow!("the ROS thread panicked"))??;
    Ok(())
}

/// How long the last status has to reach its readers. A reader hears on one thread that a publisher is gone and on
/// another what it said last, and drops what comes from one that is gone.
const LAST_WORDS: Duration = Duration::from_millis(100);
