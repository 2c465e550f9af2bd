//! Checks addresses and file paths. An invalid address or path is rejected when it is set.
//! Otherwise the bridge would try to use it again and again.

use super::Parameters;
use super::table::*;
use crate::link::check_host;
use crate::params::{Param, ParameterError};
use crate::text::sanitize;

/// Checks every parameter that is an address or a file path.
pub(super) fn check(p: &Parameters) -> Result<(), ParameterError> {
    check_host(&p.get(&LINK_HOST)).map_err(|error| fault(p, &LINK_HOST, &error.to_string()))?;
    check_blanks(p, &LINK_TLS_SERVER_NAME)?;
    PATHS.into_iter().try_for_each(|path| check_path(p, path))
}

/// Checks a path. The bridge uses a path literally, so text that only a shell expands is an error.
fn check_path(p: &Parameters, parameter: &Param<String>) -> Result<(), ParameterError> {
    check_blanks(p, parameter)?;
    let path = p.get(parameter);
    let why = match path.chars().next() {
        Some('~') => "'~' is not expanded here: write the whole path, like '/home/robot/…'",
        Some('$') => "variables are not expanded here: write the whole path",
        _ if path.starts_with("file:") => "it is a URL: write the path alone, like '/home/robot/…'",
        _ => return Ok(()),
    };
    Err(fault(p, parameter, why))
}

/// Rejects blanks around a text, and control characters. An editor or a shell may have left them.
fn check_blanks(p: &Parameters, parameter: &Param<String>) -> Result<(), ParameterError> {
    let text = p.get(parameter);
    let trimmed = text.trim_matches(|c: char| c.is_whitespace() || c.is_control());
    if trimmed.len() < text.len() {
        let why = match trimmed {
            "" => "it is blank: leave it empty, or fill it in".to_owned(),
            trimmed => format!("it has blanks or control characters around it: write '{trimmed}'"),
        };
        return Err(fault(p, parameter, &why));
    }
    if text.contains(char::is_control) {
        return Err(fault(p, parameter, "it has a control character in it: write it without"));
    }
    Ok(())
}

fn fault(p: &Parameters, parameter: &Param<String>, why: &str) -> ParameterError {
    p.value_error(parameter, sanitize(why))
}

static PATHS: [&Param<String>; 4] =
    [&LINK_TLS_CA_FILE, &LINK_TLS_CERTIFICATE_FILE, &LINK_TLS_KEY_FILE, &LINK_AUTH_TOKEN_FILE];

#[cfg(test)]
mod tests {
    use super::super::{Config, Parameters, Value};
    use super::PATHS;

    fn rejected(name: &str, text: &str) -> String {
        let parameters = Parameters::with(&[(name, Value::Text(text.into()))]).unwrap();
        Config::new(&parameters).map(|_| format!("{name} {text:?} is accepted")).unwrap_err().to_string()
    }

    #[test]
    fn invalid_host_is_rejected_by_name() {
        assert_eq!(
            rejected("link.host", "[::1]"),
            "parameter 'link.host' is '[::1]'; it has brackets: write '::1'"
        );
        assert_eq!(
            rejected("link.host", "192.168.1.50:5000"),
            "parameter 'link.host' is '192.168.1.50:5000'; it has a port: set link.host to '192.168.1.50' and link.port to 5000"
        );
        let hostile = rejected("link.host", "a\u{1b}[2J\n\u{202e}b \u{9b}");
        assert!(
            hostile.starts_with("parameter 'link.host' is 'a\u{fffd}[2J\u{fffd}\u{fffd}b \u{fffd}'; "),
            "{hostile}"
        );
        assert!(!hostile.contains(['\u{1b}', '\n', '\u{202e}', '\u{9b}']), "{hostile:?}");
    }

    #[test]
    fn invalid_path_is_rejected_by_name() {
        for name in PATHS.map(|parameter| parameter.name) {
            for (path, words) in [
                ("~/ca.pem", "'~' is not expanded here"),
                ("~", "'~' is not expanded here"),
                ("$HOME/ca.pem", "variables are not expanded here"),
                ("file:///ca.pem", "it is a URL: write the path alone"),
                ("/ca.pem ", "write '/ca.pem'"),
                ("\t/ca.pem", "write '/ca.pem'"),
                ("/ca.pem\n", "write '/ca.pem'"),
                ("/ca\n.pem", "a control character"),
                (" ", "it is blank"),
            ] {
                let error = rejected(name, path);
                assert!(error.contains(words) && error.contains(&format!("'{name}'")), "{error}");
            }
            for path in ["", "/ca.pem", "ca.pem", "../a b/~x/$y.pem"] {
                let parameters = Parameters::with(&[(name, Value::Text(path.into()))]).unwrap();
                assert!(Config::new(&parameters).is_ok(), "{name} {path}");
            }
        }
        assert!(rejected("link.tls.server_name", "arm.lab ").contains("write 'arm.lab'"));
    }
}
