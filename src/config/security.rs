//! What the parameters of security mean.

use std::path::PathBuf;

use super::{ConfigError, Parameters};
use crate::link::{Identity, TlsConfig};
use crate::wire::HelloForm;

/// How a controller is told who speaks to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloConfig {
    /// Where the token is.
    pub token_file: PathBuf,
    /// How it is said.
    pub form: HelloForm,
}

pub(super) fn hello(p: &Parameters) -> Result<Option<HelloConfig>, ConfigError> {
    let path = p.text("hello.token_file");
    if path.is_empty() {
        return Ok(None);
    }
    if p.text("role") == "udp" {
        let relation = "empty, since a datagram that is lost greets nobody, with";
        return Err(ConfigError::relation(p, "hello.token_file", relation, "role"));
    }
    let form = match p.text("codec") {
        "text" => HelloForm::Text,
        _ => HelloForm::Json { r#type: p.text("json_fields.type").to_owned() },
    };
    Ok(Some(HelloConfig { token_file: path.into(), form }))
}

pub(super) fn tls(p: &Parameters) -> Result<Option<TlsConfig>, ConfigError> {
    if !p.boolean("tls.enabled") {
        return Ok(None);
    }
    let role = p.text("role");
    if role == "udp" {
        let relation = "false, since datagrams are not encrypted, with";
        return Err(ConfigError::relation(p, "tls.enabled", relation, "role"));
    }
    let file = |name| Some(p.text(name)).filter(|path| !path.is_empty()).map(PathBuf::from);
    let needed = |name, other| Err(ConfigError::relation(p, name, "the path of a file, with", other));
    let identity = match (file("tls.certificate_file"), file("tls.key_file")) {
        (Some(certificate_file), Some(key_file)) => Some(Identity { certificate_file, key_file }),
        (Some(_), None) => return needed("tls.key_file", "tls.certificate_file"),
        (None, Some(_)) => return needed("tls.certificate_file", "tls.key_file"),
        (None, None) if role == "tcp_server" => return needed("tls.certificate_file", "role"),
        (None, None) => None,
    };
    let ca_file = file("tls.ca_file");
    if ca_file.is_none() && role == "tcp_client" {
        return needed("tls.ca_file", "tls.enabled");
    }
    let name = [p.text("tls.server_name"), p.text("host")].into_iter().find(|name| !name.is_empty());
    Ok(Some(TlsConfig { ca_file, server_name: name.unwrap_or_default().to_owned(), identity }))
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Value};
    use super::*;

    fn with(settings: &[(&str, &str)]) -> Result<Config, String> {
        let mut parameters = Parameters::default();
        for (name, value) in settings {
            let value = match *value {
                "true" | "false" => Value::Boolean(*value == "true"),
                text => Value::Text(text.into()),
            };
            parameters.set(name, value).map_err(|error| error.to_string())?;
        }
        Config::new(&parameters).map_err(|error| error.to_string())
    }

    #[test]
    fn who_is_asked_to_show_what_follows_from_the_role() {
        let (on, ca) = (("tls.enabled", "true"), ("tls.ca_file", "/ca.pem"));
        let own = [("tls.certificate_file", "/own.pem"), ("tls.key_file", "/own.key")];
        let tls = |settings: &[(&str, &str)]| with(settings).map(|config| config.transport.tls);
        assert_eq!(tls(&[ca]), Ok(None));
        let client = tls(&[on, ca, ("host", "arm.lab")]).unwrap().unwrap();
        assert_eq!((client.server_name.as_str(), client.identity), ("arm.lab", None));
        let named = tls(&[on, ca, ("tls.server_name", "arm")]).unwrap().unwrap();
        assert_eq!(named.server_name, "arm");
        let server = ("role", "tcp_server");
        assert!(tls(&[on, server, own[0], own[1]]).unwrap().unwrap().ca_file.is_none());
        for (settings, error) in [
            (
                vec![on],
                "'tls.ca_file' is ''; it must be the path of a file, with 'tls.enabled', which is true",
            ),
            (
                vec![on, ca, own[0]],
                "'tls.key_file' is ''; it must be the path of a file, with 'tls.certificate_file'",
            ),
            (
                vec![on, ca, own[1]],
                "'tls.certificate_file' is ''; it must be the path of a file, with 'tls.key_file'",
            ),
            (
                vec![on, ca, server],
                "'tls.certificate_file' is ''; it must be the path of a file, with 'role'",
            ),
            (
                vec![on, ca, ("role", "udp"), ("expect_reply", "false")],
                "'tls.enabled' is true; it must be false, since datagrams are not encrypted, with 'role', which is 'udp'",
            ),
        ] {
            let found = tls(&settings).unwrap_err();
            assert!(found.contains(error), "{found}");
        }
    }

    #[test]
    fn a_hello_is_said_as_other_lines_are() {
        let file = ("hello.token_file", "/token");
        let form =
            |settings: &[(&str, &str)]| with(settings).map(|config| config.hello.map(|hello| hello.form));
        assert_eq!(form(&[]), Ok(None));
        assert_eq!(form(&[file]), Ok(Some(HelloForm::Json { r#type: "type".into() })));
        assert_eq!(
            form(&[file, ("json_fields.type", "cmd")]),
            Ok(Some(HelloForm::Json { r#type: "cmd".into() }))
        );
        assert_eq!(form(&[file, ("codec", "text")]), Ok(Some(HelloForm::Text)));
        let error = form(&[file, ("json_fields.type", "")]).unwrap_err();
        assert!(error.contains("'json_fields.type' is ''; it must be a name"), "{error}");
        let error = form(&[file, ("role", "udp"), ("expect_reply", "false")]).unwrap_err();
        assert!(error.contains("'hello.token_file' is '/token'; it must be empty"), "{error}");
    }
}
