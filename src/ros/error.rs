//! Errors of ROS with rcl's text.

/// An error of ROS.
///
/// r2r returns only rcl's code. rcl keeps only the text of the last error of each thread. So
/// convert the code immediately, and on the same thread.
#[derive(Debug, thiserror::Error)]
#[error("ROS failed: {text}")]
pub struct RosError {
    text: String,
    /// rcl's code.
    pub code: r2r::Error,
}

impl RosError {
    /// Returns rcl's text without the words "ROS failed".
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
