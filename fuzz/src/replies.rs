//! What a controller says is heard the same however its bytes are cut into segments, fit to print, and within bounds.

use std::time::Duration;

use aether_bridge::arm::ReportedState;
use aether_bridge::text::MAX_SHORT_CHARS;
use aether_bridge::wire::{
    Incoming, LineFormat, MAX_LINE, OrderLines, PositionUnit, ReplyDecoder, WireConfig, WireError,
};
use bytes::BytesMut;
use tokio_util::codec::Decoder;

use super::input::{NEXT, assert_printable};

/// Four bytes say how the controller speaks and what lengths its segments have; the rest is what it says, where
/// [`NEXT`], said twice, stands for many times the byte before.
pub fn check(data: &[u8]) {
    let Some((&[speech, lengths @ ..], said)) = data.split_first_chunk::<4>() else { return };
    let (wire, stream) = (wire(speech), unrolled(said));
    let whole = Conversation::of(&wire, [&stream[..]]);
    let segments = segments(&stream, lengths);
    let cut = Conversation::of(&wire, segments.iter().copied());
    // Only where a segment ends with an object is there more to hear: it is not known whether a newline follows.
    let closed = wire.format == LineFormat::Json && segments.iter().any(|segment| segment.ends_with(b"}"));
    if closed && whole.end.is_err() {
        assert!(cut.heard.starts_with(&whole.heard), "{cut:?} of {whole:?}");
    } else {
        assert_eq!(cut, whole);
    }
    for conversation in [whole, cut] {
        conversation.heard.iter().for_each(check_heard);
        if let Err(why) = conversation.end {
            assert_printable(&why);
            assert!(why.chars().count() < 2000, "{why}");
        }
    }
}

/// What was heard, and how it ended.
#[derive(Debug, PartialEq)]
struct Conversation {
    heard: Vec<Incoming>,
    end: Result<(), String>,
}

impl Conversation {
    fn of<'a>(wire: &WireConfig, segments: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut heard = Vec::new();
        let end = hear(ReplyDecoder::new(wire), segments, &mut heard).map_err(|error| error.to_string());
        Self { heard, end }
    }
}

fn hear<'a>(
    mut decoder: ReplyDecoder,
    segments: impl IntoIterator<Item = &'a [u8]>,
    heard: &mut Vec<Incoming>,
) -> Result<(), WireError> {
    let mut buffer = BytesMut::new();
    for segment in segments {
        buffer.extend_from_slice(segment);
        while let Some(next) = decoder.decode(&mut buffer)? {
            heard.push(next);
        }
        assert!(buffer.len() <= MAX_LINE, "{} bytes are kept", buffer.len());
    }
    while let Some(next) = decoder.decode_eof(&mut buffer)? {
        heard.push(next);
    }
    assert!(buffer.is_empty(), "{buffer:?} is left");
    Ok(())
}

fn check_heard(heard: &Incoming) {
    let state = match heard {
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

/// How the controller speaks, by the bits of a byte.
fn wire(speech: u8) -> WireConfig {
    let has = |bit: u32| speech >> bit & 1 == 1;
    let texts = [if has(1) { "{x} {seq}" } else { "{x}" }, "STOP", "HEARTBEAT"];
    WireConfig {
        unit: [PositionUnit::Millimetres, PositionUnit::Centimetres, PositionUnit::Metres]
            [usize::from(speech >> 6) % 3],
        format: if has(0) { LineFormat::Text } else { LineFormat::Json },
        lines: OrderLines::text(texts, Duration::ZERO).expect("they are templates"),
        banner_lines: u32::from(speech >> 4 & 3),
        accept_state: has(2),
    }
}

/// Long lines out of few bytes.
fn unrolled(said: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(said.len());
    for &byte in said {
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

/// Cuts a stream into segments of these lengths, again and again; a long one into longer ones.
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
/// Beyond it nothing is repeated: the longest line, and more.
const LONGEST: usize = MAX_LINE + 1;
