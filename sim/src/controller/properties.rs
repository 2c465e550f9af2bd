//! Properties of both sides of the wire, for any bytes, any message and any segments of a stream.

use aether_bridge::arm::{Command, Gripper, ReportedState};
use aether_bridge::geometry::{MAX_COORDINATE, Position};
use aether_bridge::text::sanitize_short;
use aether_bridge::wire::{
    CommandEncoder, Incoming, LineFormat, MAX_LINE, Order, PositionUnit, Reply, ReplyDecoder, ReplyStatus,
    WireConfig,
};
use bytes::BytesMut;
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::Index,
};
use tokio_util::codec::Decoder;

use super::{CommandDecoder, ReplyEncoder};

/// The size of one read of a transport.
const ONE_READ: usize = 8192;

fn unit() -> impl Strategy<Value = PositionUnit> {
    prop_oneof![Just(PositionUnit::Millimetres), Just(PositionUnit::Centimetres), Just(PositionUnit::Metres)]
}

fn position() -> impl Strategy<Value = Position> {
    let coordinate = || {
        prop_oneof![
            -MAX_COORDINATE..=MAX_COORDINATE,
            -1.0..1.0,
            -2e-6..2e-6,
            Just(-0.0),
            Just(MAX_COORDINATE)
        ]
    };
    [coordinate(), coordinate(), coordinate()].prop_map(|[x, y, z]| Position::new(x, y, z).unwrap())
}

fn gripper() -> impl Strategy<Value = Gripper> {
    prop_oneof![Just(Gripper::Open), Just(Gripper::Closed)]
}

fn order() -> impl Strategy<Value = Order> {
    let command = (position(), gripper())
        .prop_map(|(position, gripper)| Order::Command(Command { position, gripper, orientation: None }));
    prop_oneof![2 => command, 1 => Just(Order::Stop), 1 => Just(Order::Heartbeat)]
}

fn encode(unit: PositionUnit, order: Order, stream: &mut Vec<u8>) {
    CommandEncoder::new(&WireConfig { unit, ..WireConfig::default() }).encode_into(&order.into(), stream);
}

fn words() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..40).prop_map(|chars| sanitize_short(&chars.into_iter().collect::<String>()))
}

fn joints() -> impl Strategy<Value = Option<Vec<f64>>> {
    // Thousandths, which a decimal number represents exactly.
    option::of(vec((-7000..7000).prop_map(|thousandths| f64::from(thousandths) / 1000.0), 0..7))
}

fn reply() -> impl Strategy<Value = Reply> {
    let state = (
        option::of(position()),
        option::of(gripper()),
        option::of(any::<bool>()),
        option::of(words()),
        joints(),
    )
        .prop_map(|(position, gripper, moving, fault, joints)| {
            // A word such as "none" means that there is no fault.
            let fault = fault.map(|words| format!("fault: {words}"));
            let state =
                ReportedState { position, gripper, moving, fault, joints, ..ReportedState::default() };
            (state != ReportedState::default()).then_some(state)
        });
    let status = prop_oneof![Just(ReplyStatus::Ok), Just(ReplyStatus::Error)];
    (status, words(), option::of(any::<u64>()), state).prop_map(|(status, message, seq, state)| Reply {
        status,
        message,
        seq,
        state,
    })
}

fn reply_decoder(unit: PositionUnit) -> ReplyDecoder {
    ReplyDecoder::new(&WireConfig { unit, ..WireConfig::default() })
}

/// Cuts `stream` at `cuts` and decodes it piece by piece. Returns the items before the first error,
/// and whether there was no error.
fn decode_in_pieces<D: Decoder>(mut decoder: D, stream: &[u8], cuts: &[Index]) -> (Vec<D::Item>, bool) {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(stream.len());
    let (mut buffer, mut items, mut from) = (BytesMut::new(), Vec::new(), 0);
    for to in cuts {
        for read in stream[from..to].chunks(ONE_READ) {
            buffer.extend_from_slice(read);
            assert!(buffer.len() <= MAX_LINE + ONE_READ);
            loop {
                match decoder.decode(&mut buffer) {
                    Ok(Some(item)) => items.push(item),
                    Ok(None) => break,
                    Err(_) => return (items, false),
                }
            }
            assert!(buffer.len() <= MAX_LINE);
        }
        from = to;
    }
    let ended_well = decoder.decode_eof(&mut buffer).is_ok();
    (items, ended_well)
}

proptest! {
    #[test]
    fn replies_decode_the_same_with_any_cuts(
        unit in unit(), replies in vec(reply(), 0..6), cuts in vec(any::<Index>(), 0..40)
    ) {
        let mut stream = Vec::new();
        for reply in &replies {
            ReplyEncoder::new(unit).encode_into(reply, &mut stream);
        }
        let (received, ended_well) = decode_in_pieces(reply_decoder(unit), &stream, &cuts);
        prop_assert!(ended_well);
        let mut decoded: Vec<_> = received
            .into_iter()
            .map(|received| match received {
                Incoming::Reply(reply) => reply,
                Incoming::State(state) => panic!("{state:?}"),
            })
            .collect();
        for state in decoded.iter_mut().filter_map(|reply| reply.state.as_mut()) {
            prop_assert!(!state.raw.is_empty());
            state.raw.clear();
        }
        prop_assert_eq!(decoded, replies);
    }

    #[test]
    fn replies_decode_the_same_byte_by_byte(replies in vec(reply(), 1..4)) {
        let mut stream = Vec::new();
        for reply in &replies {
            ReplyEncoder::new(PositionUnit::Metres).encode_into(reply, &mut stream);
        }
        let (mut decoder, mut buffer, mut decoded) = (reply_decoder(PositionUnit::Metres), BytesMut::new(), 0);
        for byte in stream {
            buffer.extend_from_slice(&[byte]);
            decoded += usize::from(decoder.decode(&mut buffer).unwrap().is_some());
            prop_assert!(buffer.is_empty() || byte != b'\n');
        }
        prop_assert_eq!(decoded, replies.len());
    }

    #[test]
    fn orders_decode_as_they_were_encoded(
        unit in unit(), orders in vec(order(), 0..6), cuts in vec(any::<Index>(), 0..20)
    ) {
        let mut stream = Vec::new();
        for &order in &orders {
            encode(unit, order, &mut stream);
        }
        let (received, ended_well) = decode_in_pieces(CommandDecoder::new(unit), &stream, &cuts);
        prop_assert!(ended_well);
        let received: Vec<_> = received.into_iter().map(Result::unwrap).collect();
        let lines: String = received.iter().flat_map(|received| [received.line.as_str(), "\n"]).collect();
        prop_assert_eq!(lines.as_bytes(), stream);
        for received in &received {
            prop_assert!(received.extras.is_empty());
            prop_assert!(!received.line.contains("-0.0,") && !received.line.contains("-0.0\""));
        }
        prop_assert_eq!(received.into_iter().map(|received| received.order).collect::<Vec<_>>(), orders);
    }

    #[test]
    fn stop_with_extra_members_is_accepted(
        extras in btree_map("[a-z]{1,8}|[xyz]|gripper|\\PC{0,5}", r#"null|true|-?[1-9]{1,5}|"[a-z]*"|\[[1-9]?\]|\{\}"#, 0..6),
        place in any::<Index>(),
    ) {
        let mut extras = extras;
        extras.remove("type");
        let mut members: Vec<String> =
            extras.iter().map(|(key, value)| format!("{}:{value}", serde_json::Value::from(key.as_str()))).collect();
        members.insert(place.index(members.len() + 1), r#""type":"stop""#.to_owned());
        let line = format!("{{{}}}", members.join(","));
        let (received, ended_well) =
            decode_in_pieces(CommandDecoder::new(PositionUnit::Metres), format!("{line}\n").as_bytes(), &[]);
        prop_assert!(ended_well);
        let received = received[0].as_ref().unwrap();
        prop_assert_eq!((received.order, &received.line), (Order::Stop, &line));
        prop_assert_eq!(&received.extras, &extras.into_keys().collect::<Vec<_>>());
    }

    #[test]
    fn only_known_types_are_orders(
        word in "[a-z]{0,7}|stop|heartbeat|command|\\PC{0,8}"
    ) {
        let line = format!("{{\"type\":{}}}\n", serde_json::Value::from(word.as_str()));
        let decode = |decoder| decode_in_pieces(decoder, line.as_bytes(), &[]).0.remove(0);
        let decoder = || CommandDecoder::new(PositionUnit::Metres);
        prop_assert_eq!(decode(decoder()).is_ok(), word == "stop" || word == "heartbeat");
        // The other members of a command are missing here.
        let why = decode(decoder().commands_only()).unwrap_err().why;
        prop_assert_eq!(why.starts_with("type is"), word != "command", "{}", why);
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        runs in vec((prop_oneof![4 => any::<u8>(), 1 => Just(b'\n')], 1..400_usize), 0..60),
        cuts in vec(any::<Index>(), 0..8),
    ) {
        let bytes: Vec<u8> = runs.into_iter().flat_map(|(byte, times)| std::iter::repeat_n(byte, times)).collect();
        let whole = decode_in_pieces(reply_decoder(PositionUnit::Metres), &bytes, &[]);
        prop_assert_eq!(&whole, &decode_in_pieces(reply_decoder(PositionUnit::Metres), &bytes, &cuts));
        let whole = decode_in_pieces(CommandDecoder::new(PositionUnit::Metres), &bytes, &[]);
        prop_assert_eq!(&whole, &decode_in_pieces(CommandDecoder::new(PositionUnit::Metres), &bytes, &cuts));
        let text = WireConfig { format: LineFormat::Text, accept_state: true, ..WireConfig::default() };
        let whole = decode_in_pieces(ReplyDecoder::new(&text), &bytes, &[]);
        prop_assert_eq!(&whole, &decode_in_pieces(ReplyDecoder::new(&text), &bytes, &cuts));
    }

    #[test]
    fn almost_json_is_decoded_or_refused(
        lines in vec(r#"[{}\[\]":,\\a-u0-9.e+\-\n ]{0,40}|\{"status":"(ok|error|\\u0000)","[a-z]{0,8}":[\[\]{}0-9"]{0,9}\}"#, 0..8)
    ) {
        let stream = lines.join("\n");
        decode_in_pieces(reply_decoder(PositionUnit::Centimetres), stream.as_bytes(), &[]);
        decode_in_pieces(CommandDecoder::new(PositionUnit::Centimetres), stream.as_bytes(), &[]);
    }
}
