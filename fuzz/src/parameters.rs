//! Checks any parameter values. Either a value is accepted unchanged, or it is rejected with a
//! printable reason that names the parameter.

use std::sync::LazyLock;

use aether_bridge::config::table::BridgeTable;
use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::params::Table;
use aether_bridge::teleop::Teleop;
use aether_bridge::text::sanitize_short;
use aether_bridge::wire::ReplyDecoder;

use super::input::{NEXT, NEXT_OF_LIST, assert_printable, texts};

/// Runs the checks. The input has settings like `limits.speed=r0.2`: a name, the letter of a type,
/// and the value.
pub fn check(data: &[u8]) {
    let mut wanted = DEFAULTS.parameters().clone();
    let (mut accepted, mut unknown) = (0, 0);
    for setting in data.split(|&byte| byte == NEXT).take(SETTINGS) {
        let cut = setting.iter().position(|&byte| byte == b'=').unwrap_or(setting.len());
        let (name, value) = (String::from_utf8_lossy(&setting[..cut]), &setting[cut..]);
        unknown += u32::from(BridgeTable::find(&name).is_none());
        if unknown > UNKNOWN {
            return;
        }
        accepted += u32::from(check_set(&mut wanted, &name, read(value.get(1..).unwrap_or_default())));
    }
    if accepted > 0 {
        check_all(&wanted);
    }
}

fn check_all(wanted: &Parameters) {
    match Config::new(wanted) {
        Ok(config) => check_config(&config, wanted),
        Err(error) => {
            let error = error.to_string();
            assert_reason(&error);
            let names_one = error.split('\'').any(|word| BridgeTable::find(word).is_some());
            assert!(names_one || error.contains("wire.json.*"), "{error}");
        }
    }
}

/// Checks one setting. Returns whether it was accepted.
fn check_set(wanted: &mut Parameters, name: &str, value: Value) -> bool {
    // The log prints the value in this form.
    assert_printable(&value.to_string());
    let before = wanted.value(name).cloned();
    match wanted.set(name, value.clone()) {
        Ok(()) => {
            let stored = wanted.value(name).expect("a parameter that was set has a value");
            let same = match (stored, &value) {
                (Value::Real(real), Value::Integer(integer)) => *real == *integer as f64,
                (Value::Reals(reals), Value::Integers(integers)) => {
                    reals.iter().copied().eq(integers.iter().map(|integer| *integer as f64))
                }
                (stored, value) => stored == value,
            };
            assert!(same, "{name} was set to {value} and is {stored}");
            true
        }
        Err(error) => {
            let error = error.to_string();
            assert_reason(&error);
            assert!(error.contains(&format!("'{}'", sanitize_short(name))), "{error} does not name {name:?}");
            assert_eq!(wanted.value(name), before.as_ref());
            false
        }
    }
}

fn check_config(config: &Config, wanted: &Parameters) {
    assert_eq!(config.parameters(), wanted);
    assert!(config.teleop.workspace.contains(config.teleop.home), "{:?}", config.teleop);
    Teleop::new(config.teleop.clone());
    ReplyDecoder::new(&config.wire);
}

fn assert_reason(reason: &str) {
    assert_printable(reason);
    assert!(reason.len() < LONGEST, "a reason of {} bytes", reason.len());
}

/// Parses a value. Its first letter is its type.
fn read(text: &[u8]) -> Value {
    let (kind, rest) = text.split_first().unwrap_or((&b' ', &[]));
    let text = String::from_utf8_lossy(rest);
    let real = |text: &str| text.parse().unwrap_or(f64::NAN);
    let integer = |text: &str| text.parse().unwrap_or(i64::MIN);
    let list = || texts(rest, NEXT_OF_LIST);
    match kind {
        b'b' => Value::Boolean(text == "true"),
        b'i' => Value::Integer(integer(&text)),
        b'r' => Value::Real(real(&text)),
        b't' => Value::Text(text.into_owned()),
        b'I' => Value::Integers(list().map(|text| integer(&text)).collect()),
        b'R' => Value::Reals(list().map(|text| real(&text)).collect()),
        b'T' => Value::Texts(list().collect()),
        _ => Value::Other("value of no known type"),
    }
}

static DEFAULTS: LazyLock<Config> =
    LazyLock::new(|| Config::new(&Parameters::default()).expect("the defaults are valid"));

/// The most unknown names in an input. Each costs a comparison with all known names, and more of
/// them test nothing new.
const UNKNOWN: u32 = 1;
/// The most settings in an input. More settings do not give new contradictions.
const SETTINGS: usize = 6;
/// The longest acceptable reason in bytes.
const LONGEST: usize = 10_000;
