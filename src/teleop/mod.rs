//! May the arm move, and where to? Pure: events and `now` in, commands and deadlines out.
pub mod command;
