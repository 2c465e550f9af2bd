//! The wire: one JSON object a line.
