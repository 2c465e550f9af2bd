//! aether_bridge: from a hand in front of a webcam to a robot arm behind a TCP socket, safely.
pub mod app;
pub mod config;
pub mod link;
pub mod sim;
pub mod status;
pub mod teleop;
pub mod wire;
