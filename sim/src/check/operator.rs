//! The operator beside the arm, who agrees to the motion and reports what the arm did.

use tokio::sync::mpsc::UnboundedReceiver;

/// The source of the operator's answers.
#[derive(Debug)]
pub struct Operator {
    answers: Option<UnboundedReceiver<String>>,
}

impl Operator {
    /// An operator who has agreed in advance and is not asked.
    pub fn agreeing() -> Self {
        Self { answers: None }
    }

    /// An operator whose answers arrive on this channel, one line each, until the sender is
    /// dropped.
    pub fn answering(answers: UnboundedReceiver<String>) -> Self {
        Self { answers: Some(answers) }
    }

    /// Returns whether the operator is asked.
    pub(super) fn is_asked(&self) -> bool {
        self.answers.is_some()
    }

    /// Waits for the next answer. Returns `None` if there are no more answers.
    pub(super) async fn answer(&mut self) -> Option<String> {
        self.answers.as_mut()?.recv().await.map(|answer| answer.trim().to_owned())
    }
}
