//! The person beside the arm, who is asked before it moves and says what it did.

use tokio::sync::mpsc::UnboundedReceiver;

/// Who answers the questions.
#[derive(Debug)]
pub struct Person {
    answers: Option<UnboundedReceiver<String>>,
}

impl Person {
    /// A person who has agreed beforehand, and is asked nothing.
    pub fn agreeing() -> Self {
        Self { answers: None }
    }

    /// A person whose answers come here, a line each. When the sender is dropped there are no more.
    pub fn answering(answers: UnboundedReceiver<String>) -> Self {
        Self { answers: Some(answers) }
    }

    /// Whether there is anybody to ask.
    pub(super) fn is_asked(&self) -> bool {
        self.answers.is_some()
    }

    /// Waits for the next answer; `None` if there are no more.
    pub(super) async fn answer(&mut self) -> Option<String> {
        self.answers.as_mut()?.recv().await.map(|answer| answer.trim().to_owned())
    }
}
