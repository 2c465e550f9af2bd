//! The line that authenticates the bridge to a controller.

use std::fmt;

use serde_json::json;

/// A line with a token. `Debug` prints only its length, because the token must not appear in a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello(Vec<u8>);

/// Why the first line of a text is not a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The first line is empty.
    #[error("its first line is empty; it must be the token")]
    Empty,
    /// The token is too long for a line. Has the token's length in bytes.
    #[error("its first line has {0} bytes; a token has at most {MAX_TOKEN}")]
    Long(usize),
    /// The token has a control character.
    #[error("its first line has control characters; a token is text")]
    Control,
}

/// The format of the line with the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HelloForm {
    /// `{"type":"hello","token":"..."}`
    Json {
        /// The name of the member with the kind of the line.
        r#type: String,
    },
    /// Only the token.
    Text,
}

impl Hello {
    /// Creates the line whose token is the first line of `text`.
    ///
    /// # Errors
    /// The first line is not a token.
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

    /// Returns the line, including its newline.
    pub fn line(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Hello {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Hello({} bytes)", self.0.len())
    }
}

/// The longest token in bytes. It is much longer than any key.
const MAX_TOKEN: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(form: &HelloForm, text: &str) -> String {
        String::from_utf8(Hello::new(form, text).unwrap().line().to_vec()).unwrap()
    }

    #[test]
    fn first_line_is_the_token() {
        let text = "se\"cret\r\nwhat it is for\n";
        let json = HelloForm::Json { r#type: "cmd".into() };
        assert_eq!(line(&json, text), "{\"cmd\":\"hello\",\"token\":\"se\\\"cret\"}\n");
        assert_eq!(line(&HelloForm::Text, text), "se\"cret\n");
    }

    #[test]
    fn invalid_token_is_rejected_and_debug_hides_tokens() {
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
