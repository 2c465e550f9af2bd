//! A simulated arm controller.
fn main() {}
