//! Quotes for texts that YAML would read as another value.
//!
//! `ros2 param dump` writes a text with PyYAML. PyYAML writes `y` without quotes, and rcl reads `y`
//! as true. `ros2 param load` reads each text as YAML a second time. This changes `"open"` to the
//! word open, and `{"speed":50}` is no longer a text. Therefore the node adds single quotes to such
//! a text when it reports the value. It removes one pair of single quotes from each text that it
//! receives. So rcl and `ros2 param load` can both set a dumped value again.

use std::borrow::Cow;
use std::net::IpAddr;

/// Returns the reported form of a text: in single quotes, unless YAML reads the text without quotes
/// as the same text.
pub(super) fn quoted(text: &str) -> String {
    let has_quotes = text.len() > 1 && text.starts_with('\'') && text.ends_with('\'');
    if text.is_empty() || is_plain(text) && !has_quotes {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// Returns a received text without its pair of single quotes, if it has one.
pub(super) fn unquoted(text: &str) -> Cow<'_, str> {
    match text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        Some(inner) if inner.contains("''") => inner.replace("''", "'").into(),
        Some(inner) => inner.into(),
        None => text.into(),
    }
}

/// Returns whether every YAML parser reads these characters without quotes as this text.
fn is_plain(text: &str) -> bool {
    // YAML reads an IPv6 address of decimal digits without "::" as a number to base 60.
    let address = text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4() || text.contains("::"));
    let begins_as_word =
        text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_' || first == '/');
    // A number or a date has at most one point, and only the letters in OF_NUMBERS.
    let begins_with_digit = text.starts_with(|first: char| first.is_ascii_digit())
        && (text.matches('.').count() > 1
            || text.contains(|letter: char| letter.is_ascii_alphabetic() && !OF_NUMBERS.contains(letter)));
    let is_indicator = text.contains(": ") || text.contains(" #") || text.ends_with(':');
    address && !is_indicator
        || (begins_as_word || begins_with_digit)
            && !is_indicator
            && text.trim() == text
            && !text.contains(char::is_control)
            && !NO_TEXT.contains(&text.to_ascii_lowercase().as_str())
            && !text.to_ascii_lowercase().starts_with("nan(")
}

/// The letters of hexadecimal, octal and binary numbers, of exponents and of dates.
const OF_NUMBERS: &str = "abcdefABCDEFxXpPoOtTzZ";
/// The words that YAML 1.1 or rcl reads as a boolean, as null or as a number.
const NO_TEXT: &[&str] =
    &["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_texts_of_yaml_are_quoted() {
        for text in [
            "y", "N", "Yes", "off", "true", "null", "~", "nan", "Inf", "1", "0.01", "1e5", "0x10", ".5",
            "-1", "1:30", "0x1p3", "NaN(1)", "::", "fe80::",
        ] {
            assert_eq!(quoted(text), format!("'{text}'"));
        }
        for text in [
            "\"open\"",
            "{\"speed\":50}",
            "{{x}}",
            "[1",
            "- a",
            "a: b",
            "a #b",
            "@a",
            "%a",
            "# a",
            "1:2:3:4:5:6:7:8",
        ] {
            assert_eq!(quoted(text), format!("'{text}'"));
        }
    }

    #[test]
    fn plain_texts_get_no_quotes() {
        for text in [
            "",
            "127.0.0.1",
            "127.0.0.1x",
            "3dof_arm",
            "::1",
            "fe80::1",
            "arm.local",
            "target_pose",
            "/ik/target",
            "geometry_msgs/msg/Pose",
            "hands[0].x",
            "COMMAND MOVE {x} {y} {z} {gripper:OPEN|CLOSED}",
            "year",
        ] {
            assert_eq!(quoted(text), text);
        }
    }

    #[test]
    fn unquoted_reverses_quoted() {
        for text in ["y", "it's", "'", "''", "'a'", "'it''s'", "{\"a\":'b'}", "a", ""] {
            assert_eq!(unquoted(&quoted(text)), text);
        }
        assert_eq!(unquoted("'y'"), "y");
        assert_eq!(unquoted("'"), "'");
    }
}
