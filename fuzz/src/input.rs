//! How bytes are read as what a target takes, and what is asked of every text that is shown.

use aether_bridge::text::MAX_SHORT_CHARS;
use aether_bridge::text::sanitize_short;

/// The texts of an input: what lies between bytes that no text has.
pub fn texts(data: &[u8], separator: u8) -> impl Iterator<Item = String> {
    data.split(move |&byte| byte == separator).map(|text| String::from_utf8_lossy(text).into_owned())
}

/// Separates the texts of an input.
pub const NEXT: u8 = 0xff;
/// Separates the texts of a list in one of them.
pub const NEXT_OF_LIST: u8 = 0xfe;

/// That nothing in it acts on a terminal or a reader, however long it is.
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
