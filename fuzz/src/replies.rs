//! Checks any bytes of a controller. The decoded lines do not depend on the segments of the stream.
//! Their texts are printable and within the limits of length.

use std::time::Duration;

use aether_bridge::arm::ReportedState;
use aether_bridge::text::MAX_SHORT_CHARS;
use aether_bridge::wire::{
    Incoming, LineFormat, MAX_LINE, OrderLines, PositionUnit, ReplyDecoder, WireConfig, WireError,
};
use bytes::BytesMut;
use tokio_util::codec::Decoder;

use super::input::{NEXT, assert_printable};

/// Runs the checks. The first four bytes select the settings and the lengths of the segments. The
/// rest is the stream. In it, two bytes [`NEXT`] repeat the byte before them many times.
pub fn check(data: &[u8]) {
    let Some((&[settings, lengths @ ..], sent)) = data.split_first_chunk::<4>() else { return };
    let (wire, stream) = (wire(settings), unrolled(sent));
    let whole = Conversation::of(&wire, [&stream[..]]);
    let segments = segments(&stream, lengths);
    let cut = Conversation::of(&wire, segments.iter().copied());
    // Segments that end with an object may give more lines, because the decoder then does not wait
    // for a newline.
    let closed = wire.format == LineFormat::Json && segments.iter().any(|segment| segment.ends_with(b"}"));
    if closed && whole.end.is_err() {
        assert!(cut.incoming.starts_with(&whole.incoming), "{cut:?} of {whole:?}");
    } else {
        assert_eq!(cut, whole);
    }
    for conversation in [whole, cut] {
        conversation.incoming.iter().for_each(check_incoming);
        if let Err(why) = conversation.end {
            assert_printable(&why);
            assert!(why.chars().count() < 2000, "{why}");
        }
    }
}

/// The decoded lines of a stream, and its end.
#[derive(Debug, PartialEq)]
struct Conversation {
    incoming: Vec<Incoming>,
    end: Result<(), String>,
}

impl Conversation {
    fn of<'a>(wire: &WireConfig, segments: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut incoming = Vec::new();
        let end = decode(ReplyDecoder::new(wire), segments, &mut incoming).map_err(|error| error.to_string());
        Self { incoming, end }
    }
}

fn decode<'a>(
    mut decoder: ReplyDecoder,
    segments: impl IntoIterator<Item = &'a [u8]>,
    incoming: &mut Vec<Incoming>,
) -> Result<(), WireError> {
    let mut buffer = BytesMut::new();
    for segment in segments {
        buffer.extend_from_slice(segment);
        while let Some(next) = decoder.decode(&mut buffer)? {
            incoming.push(next);
        }
        assert!(buffer.len() <= MAX_LINE, "{} bytes are kept", buffer.len());
    }
    while let Some(next) = decoder.decode_eof(&mut buffer)? {
        incoming.push(next);
    }
    assert!(buffer.is_empty(), "{buffer:?} is left");
    Ok(())
}

fn check_incoming(incoming: &Incoming) {
    let state = match incoming {
        Incoming::Reply(reply) => {
            assert_shown(&reply.message);
            reply.state.as_ref()
        }
        Incoming::State(state) => Some(state),
    };
    if let Some(ReportedState { fault, joints, unreadable, raw, .. }) = state {
        fault.iter().chain([raw]).for_each(|text| assert_shown(text));
        unreadable.iter().flat_map(|fault| [&fault.value, &fault.why]).for_each(|text| assert_shown(text));
        assert!(joints.iter().flatten().all(|joint| joint.is_finite()), "{joints:?}");
    }
}

fn assert_shown(text: &str) {
    assert!(text.len() <= MAX_SHORT_CHARS || text.chars().count() <= MAX_SHORT_CHARS, "{text}");
    assert_printable(text);
}

/// Returns the settings that the bits of a byte select.
fn wire(settings: u8) -> WireConfig {
    let has = |bit: u32| settings >> bit & 1 == 1;
    let texts = [if has(1) { "{x} {seq}" } else { "{x}" }, "STOP", "HEARTBEAT"];
    WireConfig {
        unit: [PositionUnit::Millimetres, PositionUnit::Centimetres, PositionUnit::Metres]
            [usize::from(settings >> 6) % 3],
        format: if has(0) { LineFormat::Text } else { LineFormat::Json },
        lines: OrderLines::text(texts, Duration::ZERO).expect("they are templates"),
        banner_lines: u32::from(settings >> 4 & 3),
        accept_state: has(2),
    }
}

/// Makes long lines from few bytes: repeats the byte before two bytes [`NEXT`].
fn unrolled(sent: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(sent.len());
    for &byte in sent {
        match stream[..] {
            [.., before, NEXT] if byte == NEXT && stream.len() < LONGEST => {
                stream.pop();
                stream.resize(stream.len() + MANY, before);
            }
            _ => stream.push(byte),
        }
    }
    stream
}

/// Splits a stream into segments. Repeats the three lengths. A long stream has proportionally
/// longer segments.
fn segments(stream: &[u8], lengths: [u8; 3]) -> Vec<&[u8]> {
    let longer = 1 + stream.len() / 500;
    let mut lengths = lengths.into_iter().map(|length| (usize::from(length) + 1) * longer).cycle();
    let (mut segments, mut rest) = (Vec::new(), stream);
    while !rest.is_empty() {
        let (segment, after) = rest.split_at(lengths.next().unwrap_or(1).min(rest.len()));
        segments.push(segment);
        rest = after;
    }
    segments
}

const MANY: usize = 1000;
/// The length of the stream from which nothing is repeated. It is more than the longest line.
const LONGEST: usize = MAX_LINE + 1;
