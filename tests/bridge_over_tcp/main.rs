//! The whole bridge without ROS, over real sockets.

mod asleep;
mod blocked;
mod exchange;
mod greeting;
mod late;
mod memory;
mod pending_replies;
mod requests;
mod room;
mod scene;
mod security;
