//! What failed in ROS, in rcl's words.

/// What failed in ROS.
///
/// r2r returns rcl's code alone. Make this of it right where it was returned, on the same thread: rcl keeps the text of
/// its last error for each thread.
#[derive(Debug, thiserror::Error)]
#[error("ROS failed: {text}")]
pub struct RosError {
    text: String,
    /// rcl's code.
    pub code: r2r::Error,
}

impl RosError {
    /// The text alone, for a sentence that goes on.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<r2r::Error> for RosError {
    fn from(code: r2r::Error) -> Self {
        let text = rcl_ext::take_error().unwrap_or_else(|| code.to_string());
        Self { text: super::convert::text(&text), code }
    }
}
