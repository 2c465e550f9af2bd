//! The whole bridge but ROS, over real sockets.

mod exchange;
mod scene;
mod security;
