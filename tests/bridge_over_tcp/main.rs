//! The whole bridge but ROS, over real sockets.

mod exchange;
mod late;
mod room;
mod scene;
mod security;
