//! Makes text from outside safe to print in a terminal, a log and a ROS string. Uses no other
//! module.

/// Makes text safe as [`sanitize`] does. If it is longer than [`MAX_SHORT_CHARS`], cuts it and ends
/// it with `…`. A second call changes nothing.
pub fn sanitize_short(text: &str) -> String {
    if text.len() <= MAX_SHORT_CHARS {
        return sanitize(text);
    }
    match text.char_indices().nth(MAX_SHORT_CHARS - 1) {
        Some((cut, last)) if cut + last.len_utf8() < text.len() => sanitize(&text[..cut]) + "…",
        _ => sanitize(text),
    }
}

/// Makes text of any length safe: replaces each [control-like character](is_control_like) with
/// U+FFFD.
pub fn sanitize(text: &str) -> String {
    // This check is fast, and true for nearly all texts. The replacement below takes ten times as
    // long as the check.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_control_like(c) { '\u{fffd}' } else { c }).collect()
}

/// Shows bytes as text, by [`sanitize_short`]. NUL, tabs and line ends are shown as escapes.
pub fn show_bytes(bytes: &[u8]) -> String {
    let escapes = [('\n', "\\n"), ('\r', "\\r"), ('\t', "\\t"), ('\0', "\\0")];
    let text = String::from_utf8_lossy(bytes).into_owned();
    sanitize_short(&escapes.into_iter().fold(text, |text, (c, escape)| text.replace(c, escape)))
}

/// The most characters that [`sanitize_short`] returns.
pub const MAX_SHORT_CHARS: usize = 200;

/// Returns whether a character acts on a terminal or a reader instead of being visible.
pub fn is_control_like(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}'     // zero-width characters and direction marks
            | '\u{2028}'..='\u{202e}'     // line and paragraph separators, embeddings and overrides
            | '\u{2060}'..='\u{206f}'     // invisible operators and isolates
            | '\u{fff9}'..='\u{fffb}'     // interlinear annotation
            | '\u{e0000}'..='\u{e007f}'   // tags
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_like_characters_are_made_visible() {
        assert_eq!(sanitize_short("a\0b\x1b[31m\u{9b}2J\r\n\t\x7f"), "a�b�[31m�2J����");
        assert_eq!(sanitize_short("x\u{202e}y\u{2066}z\u{2028}\u{feff}\u{200b}"), "x�y�z���");
        assert_eq!(sanitize_short("Kommando empfangen: 好 ✓"), "Kommando empfangen: 好 ✓");
        assert_eq!(sanitize_short("\0a\x1b[31m\r\n\t\x1f"), "�a�[31m����");
        assert_eq!(sanitize_short("del\x7f"), "del�");
        assert_eq!(sanitize_short("Command received ~"), "Command received ~");
    }

    #[test]
    fn shown_bytes_have_visible_line_ends() {
        assert_eq!(show_bytes(b"{\"a\":1}\t\0\r\n\x1b[2J\xff"), "{\"a\":1}\\t\\0\\r\\n\u{fffd}[2J\u{fffd}");
    }

    #[test]
    fn long_text_is_cut_and_marked() {
        let fits = "é".repeat(MAX_SHORT_CHARS);
        assert_eq!(sanitize_short(&fits), fits);
        let cut = sanitize_short(&"é".repeat(MAX_SHORT_CHARS + 1));
        assert_eq!(cut.chars().count(), MAX_SHORT_CHARS);
        assert!(cut.ends_with("é…"));
        assert!(sanitize_short(&"x".repeat(MAX_SHORT_CHARS + 1)).ends_with("x…"));
    }
}
