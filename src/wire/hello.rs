//! The line by which the bridge shows a controller that it may speak to it.

use std::fmt;

use serde_json::json;

/// A line with a token. What it holds is not for logs: it shows itself by its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello(Vec<u8>);

/// Why there is no token in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is nothing on the first line.
    #[error("its first line is empty; it must be the token")]
    Empty,
    /// It would not fit into a line.
    #[error("its first line has {0} bytes; a token has at most {MAX_TOKEN}")]
    Long(usize),
    /// It is no text.
    #[error("its first line has control characters; a token is text")]
    Control,
}

/// How the token is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelloForm {
    /// `{"type":"hello","token":"..."}`
    Json {
        /// The member that says what kind of line it is.
        r#type: String,
    },
    /// The token and nothing else.
    Text,
}

impl Hello {
    /// The line that shows the first line of `text`.
    ///
    /// # Errors
    /// When the first line is no token.
    pub fn new(form: &HelloForm, text: &str) -> Result<Self, TokenError> {
        let token = text.lines().next().unwrap_or_default();
        match token.len() {
            0 => return Err(TokenError::Empty),
            length if length > MAX_TOKEN => return Err(TokenError::Long(length)),
            _ if token.chars().any(char::is_control) => return Err(TokenError::Control),
            _ => {}
        }
        let mut line = match form {
            HelloForm::Json { r#type } => {
                format!("{{{}:\"hello\",\"token\":{}}}", json!(r#type), json!(token))
            }
            HelloForm::Text => token.to_owned(),
        }
        .into_bytes();
        line.push(b'\n');
        Ok(Self(line))
    }

    /// The line, with its newline.
    pub fn line(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Hello {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hello({} bytes)", self.0.len())
    }
}

/// Much longer than any key.
const MAX_TOKEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(form: &HelloForm, text: &str) -> String {
        String::from_utf8(Hello::new(form, text).unwrap().line().to_vec()).unwrap()
    }

    #[test]
    fn the_first_line_is_the_token() {
        let text = "se\"cret\r\nwhat it is for\n";
        let json = HelloForm::Json { r#type: "cmd".into() };
        assert_eq!(line(&json, text), "{\"cmd\":\"hello\",\"token\":\"se\\\"cret\"}\n");
        assert_eq!(line(&HelloForm::Text, text), "se\"cret\n");
    }

    #[test]
    fn what_is_no_token_is_refused_and_one_is_shown_to_nobody_else() {
        for (text, error) in [
            ("", TokenError::Empty),
            ("\nsecret", TokenError::Empty),
            (&"x".repeat(1025), TokenError::Long(1025)),
            ("a\tb", TokenError::Control),
            ("a\0b", TokenError::Control),
        ] {
            assert_eq!(Hello::new(&HelloForm::Text, text), Err(error), "{text:?}");
        }
        assert_eq!(format!("{:?}", Hello::new(&HelloForm::Text, "secret").unwrap()), "Hello(7 bytes)");
    }
}
