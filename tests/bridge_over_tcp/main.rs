//! The whole bridge but ROS, over real sockets.

mod asleep;
mod blocked;
mod exchange;
mod greeting;
mod heard;
mod late;
mod memory;
mod requests;
mod room;
mod scene;
mod security;
