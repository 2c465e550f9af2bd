//! Functions of rcl that r2r 0.9.7 does not export. This is the only crate of the project that may
//! use `unsafe`.
//!
//! Each function, its reason, and the change of r2r that would make it unnecessary:
//!
//! - [`Arguments::parameters`] and [`read_parameter_file`]: `Node::load_params` matches only four
//!   forms of a node's name, merges all files before the caller can count their parameters, and
//!   discards the names of the files. Change: `Context::parameter_overrides()`, and the matching of
//!   rclcpp in `load_params`.
//! - [`Arguments::parse`]: `Context::create` panics if rcl rejects the arguments. Change: return
//!   `Err`.
//! - [`leave`]: when a `Node` is dropped, the middleware waits without limit for subscribers that
//!   have left. Change: a shutdown with a timeout.
//! - [`last_publisher`] and [`last_request_sent`]: r2r discards the publisher of a message and the
//!   send time of a request. Change: return `rmw_message_info_t` with a message, and call
//!   `rcl_take_request_with_info`.
//! - [`take_error`]: `Error` has rcl's code, but not rcl's text. Change: return the text with the
//!   code.
//!
//! Only rcl parses YAML files and command lines.

mod arguments;
mod copy;
mod error;
mod take;

pub use arguments::{Arguments, read_parameter_file};
pub use copy::{NodeParameters, Value};
pub use error::{RclError, take_error};
pub use take::{PublisherGid, last_publisher, last_request_sent, watch_publishers};

/// Ends this process immediately. Runs no destructor and no handler of `atexit`, because these may
/// wait for a thread that hangs in the middleware. Write all important data before you call it.
pub fn leave(code: i32) -> ! {
    unsafe extern "C" {
        fn _exit(code: std::ffi::c_int) -> !;
    }
    // SAFETY: the function takes no pointer and does not return. The C library of every Unix has
    // it.
    unsafe { _exit(code) }
}
