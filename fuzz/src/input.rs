//! Splits the bytes of an input into texts, and checks texts that are shown.

use aether_bridge::text::MAX_SHORT_CHARS;
use aether_bridge::text::sanitize_short;

/// Splits an input into texts at a byte that no UTF-8 text contains.
pub fn texts(data: &[u8], separator: u8) -> impl Iterator<Item = String> {
    data.split(move |&byte| byte == separator).map(|text| String::from_utf8_lossy(text).into_owned())
}

/// Separates the texts of an input.
pub const NEXT: u8 = 0xff;
/// Separates the elements of a list in one text.
pub const NEXT_OF_LIST: u8 = 0xfe;

/// Checks that a text of any length has no character that acts on a terminal or on another reader.
pub fn assert_printable(text: &str) {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return;
    }
    let chars: Vec<char> = text.chars().collect();
    for piece in chars.chunks(MAX_SHORT_CHARS) {
        let piece: String = piece.iter().collect();
        assert_eq!(sanitize_short(&piece), piece, "in {text:?}");
    }
}
