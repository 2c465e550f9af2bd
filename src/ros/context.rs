//! The process's ROS context, from its arguments.

use std::sync::{Arc, Mutex, PoisonError};

use super::arguments;

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The arguments are not understood, or a parameter file cannot be read.
    #[error("bad arguments: {0}")]
    Arguments(String),
    /// Something else in ROS.
    #[error("ROS failed: {0}")]
    Ros(#[from] r2r::Error),
}

/// The context of a program that takes no arguments of its own but `--ros-args …`.
///
/// # Errors
/// Arguments that are not known, or that rcl refuses.
pub fn context() -> Result<r2r::Context, ContextError> {
    arguments::check(std::env::args()).map_err(ContextError::Arguments)?;
    // r2r panics where rcl refuses the arguments; the panic's words are rcl's.
    let said = Arc::new(Mutex::new(String::from("ROS gives no reason")));
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new({
        let said = Arc::clone(&said);
        move |panic| {
            if let Some(words) = panic.payload().downcast_ref::<String>() {
                said.lock().unwrap_or_else(PoisonError::into_inner).clone_from(words);
            }
        }
    }));
    let created = std::panic::catch_unwind(r2r::Context::create);
    std::panic::set_hook(hook);
    let words = || std::mem::take(&mut *said.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(created.map_err(|_| ContextError::Arguments(words()))??)
}
