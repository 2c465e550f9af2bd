//! What the parameters of security mean.

use std::path::PathBuf;

use super::Parameters;
use super::table::*;
use crate::link::{Identity, TlsConfig};
use crate::params::{Param, ParameterError};
use crate::wire::{HelloForm, LineFormat};

/// How a controller is told who speaks to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// Where the token is.
    pub token_file: PathBuf,
    /// How it is said.
    pub form: HelloForm,
}

pub(super) fn hello(p: &Parameters) -> Result<Option<AuthConfig>, ParameterError> {
    let Some(token_file) = file(p, &LINK_AUTH_TOKEN_FILE) else { return Ok(None) };
    if p.get(&LINK_TRANSPORT).is_udp() {
        let relation = "empty, since a datagram that is lost greets nobody, with";
        return Err(p.relation_error(&LINK_AUTH_TOKEN_FILE, relation, &LINK_TRANSPORT));
    }
    let form = match p.get(&WIRE_FORMAT) {
        LineFormat::Text => HelloForm::Text,
        LineFormat::Json => HelloForm::Json { r#type: p.get(&WIRE_JSON_TYPE) },
    };
    Ok(Some(AuthConfig { token_file, form }))
}

pub(super) fn tls(p: &Parameters) -> Result<Option<TlsConfig>, ParameterError> {
    if !p.get(&LINK_TLS_ENABLED) {
        return Ok(None);
    }
    let (needs_certificate, needs_ca) = match p.get(&LINK_TRANSPORT) {
        Transport::TcpClient => (false, true),
        Transport::TcpServer => (true, false),
        Transport::Udp => {
            let relation = "false, since datagrams are not encrypted, with";
            return Err(p.relation_error(&LINK_TLS_ENABLED, relation, &LINK_TRANSPORT));
        }
    };
    let needed = "the path of a file, with";
    let identity = match (file(p, &LINK_TLS_CERTIFICATE_FILE), file(p, &LINK_TLS_KEY_FILE)) {
        (Some(certificate_file), Some(key_file)) => Some(Identity { certificate_file, key_file }),
        (Some(_), None) => {
            return Err(p.relation_error(&LINK_TLS_KEY_FILE, needed, &LINK_TLS_CERTIFICATE_FILE));
        }
        (None, Some(_)) => {
            return Err(p.relation_error(&LINK_TLS_CERTIFICATE_FILE, needed, &LINK_TLS_KEY_FILE));
        }
        (None, None) if needs_certificate => {
            return Err(p.relation_error(&LINK_TLS_CERTIFICATE_FILE, needed, &LINK_TRANSPORT));
        }
        (None, None) => None,
    };
    let ca_file = file(p, &LINK_TLS_CA_FILE);
    if ca_file.is_none() && needs_ca {
        return Err(p.relation_error(&LINK_TLS_CA_FILE, needed, &LINK_TLS_ENABLED));
    }
    let named = Some(p.get(&LINK_TLS_SERVER_NAME)).filter(|name| !name.is_empty());
    Ok(Some(TlsConfig { ca_file, server_name: named.unwrap_or_else(|| p.get(&LINK_HOST)), identity }))
}

/// Returns the path that a parameter has, unless it is empty.
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
    fn who_is_asked_to_show_what_follows_from_the_role() {
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
                "'link.tls.ca_file' is ''; it must be the path of a file, with 'link.tls.enabled', which is true",
            ),
            (
                vec![on, ca, own[0]],
                "'link.tls.key_file' is ''; it must be the path of a file, with 'link.tls.certificate_file'",
            ),
            (
                vec![on, ca, own[1]],
                "'link.tls.certificate_file' is ''; it must be the path of a file, with 'link.tls.key_file'",
            ),
            (
                vec![on, ca, server],
                "'link.tls.certificate_file' is ''; it must be the path of a file, with 'link.transport'",
            ),
            (
                vec![on, ca, ("link.transport", "udp"), ("link.expect_reply", "false")],
                "'link.tls.enabled' is true; it must be false, since datagrams are not encrypted, with 'link.transport', which is 'udp'",
            ),
        ] {
            let found = tls(&settings).unwrap_err();
            assert!(found.contains(error), "{found}");
        }
    }

    #[test]
    fn a_hello_is_said_as_other_lines_are() {
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
        assert!(error.contains("'wire.json.type' is ''; it must be a name"), "{error}");
        let error = form(&[file, ("link.transport", "udp"), ("link.expect_reply", "false")]).unwrap_err();
        assert!(error.contains("'link.auth.token_file' is '/token'; it must be empty"), "{error}");
    }
}
