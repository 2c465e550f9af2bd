//! Text from outside, made safe to print: in a terminal, a log and a ROS string. Names no other room.

/// Makes text safe as [`sanitize`] does, and cuts it after [`MAX_SHORT_CHARS`], with `…` at the end. Applying it twice
/// changes nothing.
pub fn sanitize_short(text: &str) -> String {
    if text.len() <= MAX_SHORT_CHARS {
        return sanitize(text);
    }
    match text.char_indices().nth(MAX_SHORT_CHARS - 1) {
        Some((cut, last)) if cut + last.len_utf8() < text.len() => sanitize(&text[..cut]) + "…",
        _ => sanitize(text),
    }
}

/// Makes text of any length safe: what [acts instead of being seen](is_control_like) becomes U+FFFD.
pub fn sanitize(text: &str) -> String {
    // Nearly all text is so, and the way below costs ten times as much.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars().map(|c| if is_control_like(c) { '\u{fffd}' } else { c }).collect()
}

/// Shows bytes as they came, by [`sanitize_short`]: NUL, tabs and what ends a line are visible.
pub fn show_bytes(bytes: &[u8]) -> String {
    let escapes = [('\n', "\\n"), ('\r', "\\r"), ('\t', "\\t"), ('\0', "\\0")];
    let text = String::from_utf8_lossy(bytes).into_owned();
    sanitize_short(&escapes.into_iter().fold(text, |text, (c, escape)| text.replace(c, escape)))
}

/// The most characters [`sanitize_short`] leaves.
pub const MAX_SHORT_CHARS: usize = 200;

/// Returns whether a character acts on a terminal or a reader instead of being seen.
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
    fn what_acts_on_a_terminal_or_a_reader_is_made_visible() {
        assert_eq!(sanitize_short("a\0b\x1b[31m\u{9b}2J\r\n\t\x7f"), "a�b�[31m�2J����");
        assert_eq!(sanitize_short("x\u{202e}y\u{2066}z\u{2028}\u{feff}\u{200b}"), "x�y�z���");
        assert_eq!(sanitize_short("Kommando empfangen: 好 ✓"), "Kommando empfangen: 好 ✓");
        assert_eq!(sanitize_short("\0a\x1b[31m\r\n\t\x1f"), "�a�[31m����");
        assert_eq!(sanitize_short("del\x7f"), "del�");
        assert_eq!(sanitize_short("Command received ~"), "Command received ~");
    }

    #[test]
    fn shown_bytes_have_visible_ends_and_do_not_act() {
        assert_eq!(show_bytes(b"{\"a\":1}\t\0\r\n\x1b[2J\xff"), "{\"a\":1}\\t\\0\\r\\n\u{fffd}[2J\u{fffd}");
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let fits = "é".repeat(MAX_SHORT_CHARS);
        assert_eq!(sanitize_short(&fits), fits);
        let cut = sanitize_short(&"é".repeat(MAX_SHORT_CHARS + 1));
        assert_eq!(cut.chars().count(), MAX_SHORT_CHARS);
        assert!(cut.ends_with("é…"));
        assert!(sanitize_short(&"x".repeat(MAX_SHORT_CHARS + 1)).ends_with("x…"));
    }
}
