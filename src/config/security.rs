//! Reads the parameters of TLS and of the token.

use std::path::PathBuf;

use super::Parameters;
use super::table::*;
use crate::link::{Identity, TlsConfig};
use crate::params::{Declaration, Param, ParameterError};
use crate::wire::{HelloForm, LineFormat};

/// How the bridge authenticates itself to the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// The file with the token.
    pub token_file: PathBuf,
    /// The form of the line with the token.
    pub form: HelloForm,
}

/// Reads how the bridge sends the token; `None` if it sends no token.
pub(super) fn hello(p: &Parameters) -> Result<Option<AuthConfig>, ParameterError> {
    let Some(token_file) = file(p, &LINK_AUTH_TOKEN_FILE) else { return Ok(None) };
    if p.get(&LINK_TRANSPORT).is_udp() {
        let why = ", because a datagram with the token can be lost";
        return Err(p.condition_error(&LINK_AUTH_TOKEN_FILE, "be empty", &LINK_TRANSPORT, why));
    }
    let form = match p.get(&WIRE_FORMAT) {
        LineFormat::Text => HelloForm::Text,
        LineFormat::Json => HelloForm::Json { r#type: p.get(&WIRE_JSON_TYPE) },
    };
    Ok(Some(AuthConfig { token_file, form }))
}

/// Reads the files and names of TLS; `None` if TLS is off.
pub(super) fn tls(p: &Parameters) -> Result<Option<TlsConfig>, ParameterError> {
    if !p.get(&LINK_TLS_ENABLED) {
        return Ok(None);
    }
    let (needs_certificate, needs_ca) = match p.get(&LINK_TRANSPORT) {
        Transport::TcpClient => (false, true),
        Transport::TcpServer => (true, false),
        Transport::Udp => {
            let why = ", because datagrams are not encrypted";
            return Err(p.condition_error(&LINK_TLS_ENABLED, "be false", &LINK_TRANSPORT, why));
        }
    };
    let needs_file = |parameter: &Declaration, other: &Declaration| {
        Err(p.condition_error(parameter, "be the path of a file", other, ""))
    };
    let identity = match (file(p, &LINK_TLS_CERTIFICATE_FILE), file(p, &LINK_TLS_KEY_FILE)) {
        (Some(certificate_file), Some(key_file)) => Some(Identity { certificate_file, key_file }),
        (Some(_), None) => {
            return needs_file(&LINK_TLS_KEY_FILE, &LINK_TLS_CERTIFICATE_FILE);
        }
        (None, Some(_)) => {
            return needs_file(&LINK_TLS_CERTIFICATE_FILE, &LINK_TLS_KEY_FILE);
        }
        (None, None) if needs_certificate => {
            return needs_file(&LINK_TLS_CERTIFICATE_FILE, &LINK_TRANSPORT);
        }
        (None, None) => None,
    };
    let ca_file = file(p, &LINK_TLS_CA_FILE);
    if ca_file.is_none() && needs_ca {
        return needs_file(&LINK_TLS_CA_FILE, &LINK_TLS_ENABLED);
    }
    let named = Some(p.get(&LINK_TLS_SERVER_NAME)).filter(|name| !name.is_empty());
    Ok(Some(TlsConfig { ca_file, server_name: named.unwrap_or_else(|| p.get(&LINK_HOST)), identity }))
}

/// Returns the path in a parameter; `None` if it is empty.
fn file(p: &Parameters, parameter: &Param<String>) -> Option<PathBuf> {
    Some(p.get(parameter)).filter(|path| !path.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Value};
    use super::*;

    fn with(settings: &[(&str, &str)]) -> Result<Config, String> {
        let value = |text: &str| match text {
            "true" | "false" => Value::Boolean(text == "true"),
            text => Value::Text(text.into()),
        };
        let settings: Vec<_> = settings.iter().map(|(name, text)| (*name, value(text))).collect();
        let parameters = Parameters::with(&settings).map_err(|error| error.to_string())?;
        Config::new(&parameters).map_err(|error| error.to_string())
    }

    #[test]
    fn transport_decides_which_certificates_are_required() {
        let (on, ca) = (("link.tls.enabled", "true"), ("link.tls.ca_file", "/ca.pem"));
        let own = [("link.tls.certificate_file", "/own.pem"), ("link.tls.key_file", "/own.key")];
        let tls = |settings: &[(&str, &str)]| with(settings).map(|config| config.transport.tls);
        assert_eq!(tls(&[ca]), Ok(None));
        let client = tls(&[on, ca, ("link.host", "arm.lab")]).unwrap().unwrap();
        assert_eq!((client.server_name.as_str(), client.identity), ("arm.lab", None));
        let named = tls(&[on, ca, ("link.tls.server_name", "arm")]).unwrap().unwrap();
        assert_eq!(named.server_name, "arm");
        let server = ("link.transport", "tcp_server");
        assert!(tls(&[on, server, own[0], own[1]]).unwrap().unwrap().ca_file.is_none());
        for (settings, error) in [
            (
                vec![on],
                "'link.tls.ca_file' is ''; it must be the path of a file while 'link.tls.enabled' is true",
            ),
            (
                vec![on, ca, own[0]],
                "'link.tls.key_file' is ''; it must be the path of a file while 'link.tls.certificate_file' is '/own.pem'",
            ),
            (
                vec![on, ca, own[1]],
                "'link.tls.certificate_file' is ''; it must be the path of a file while 'link.tls.key_file' is '/own.key'",
            ),
            (
                vec![on, ca, server],
                "'link.tls.certificate_file' is ''; it must be the path of a file while 'link.transport' is 'tcp_server'",
            ),
            (
                vec![on, ca, ("link.transport", "udp"), ("link.expect_reply", "false")],
                "'link.tls.enabled' is true; it must be false while 'link.transport' is 'udp', because datagrams are not encrypted",
            ),
        ] {
            let found = tls(&settings).unwrap_err();
            assert!(found.contains(error), "{found}");
        }
    }

    #[test]
    fn token_line_uses_the_wire_format() {
        let file = ("link.auth.token_file", "/token");
        let form =
            |settings: &[(&str, &str)]| with(settings).map(|config| config.hello.map(|hello| hello.form));
        assert_eq!(form(&[]), Ok(None));
        assert_eq!(form(&[file]), Ok(Some(HelloForm::Json { r#type: "type".into() })));
        assert_eq!(
            form(&[file, ("wire.json.type", "cmd")]),
            Ok(Some(HelloForm::Json { r#type: "cmd".into() }))
        );
        assert_eq!(form(&[file, ("wire.format", "text")]), Ok(Some(HelloForm::Text)));
        let error = form(&[file, ("wire.json.type", "")]).unwrap_err();
        assert!(
            error.contains(
                "'wire.json.type' is ''; it must be a name while 'link.auth.token_file' is '/token'"
            ),
            "{error}"
        );
        let error = form(&[file, ("link.transport", "udp"), ("link.expect_reply", "false")]).unwrap_err();
        assert!(
            error.contains(
                "'link.auth.token_file' is '/token'; it must be empty while 'link.transport' is 'udp'"
            ),
            "{error}"
        );
    }
}
