//! What r2r 0.9.7 keeps to itself of rcl, in the one crate of this project that may use `unsafe`.
//!
//! | here | why r2r does not serve | what upstream would have to change |
//! |---|---|---|
//! | [`Arguments::parameters`], [`read_parameter_file`] | `Node::load_params` matches four forms of a node's name, merges all files before one can count, and drops the name of the file | `Context::parameter_overrides()`, and rclcpp's matching in `load_params` |
//! | [`Arguments::parse`] | `Context::create` panics if rcl refuses the arguments | return `Err` |
//! | [`leave`] | dropping a `Node` waits in the middleware for readers that are gone, without a bound | a shutdown with a time-out |
//! | [`last_publisher`], [`last_request_sent`] | a message loses its publisher, a request when it was sent | the `rmw_message_info_t` beside a message, `rcl_take_request_with_info` |
//! | [`take_error`] | `Error` has rcl's code and loses rcl's text | a text beside the code |
//!
//! rcl stays the only reader of YAML and of command lines.

mod arguments;
mod copy;
mod error;
mod take;

pub use arguments::{Arguments, read_parameter_file};
pub use copy::{NodeParameters, Value};
pub use error::{RclError, take_error};
pub use take::{PublisherGid, last_publisher, last_request_sent, watch_publishers};

/// Ends this process at once: no destructor runs and no handler of `atexit`, which may wait for a thread that hangs in the
/// middleware. Call it once all that matters is written.
pub fn leave(code: i32) -> ! {
    unsafe extern "C" {
        fn _exit(code: std::ffi::c_int) -> !;
    }
    // SAFETY: takes no pointer and does not return; the C library of every Unix has it.
    unsafe { _exit(code) }
}
