//! TLS: authentication and encryption of the connection.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, Connection, Error as RustlsError, RootCertStore, ServerConfig,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::socket::{Socket, read_stream};

/// The trusted authorities and the bridge's own certificate. The files are PEM, and are read again
/// for every connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The authorities that sign the peer's certificate. Without this file, a bridge that listens
    /// requests no certificate.
    pub ca_file: Option<PathBuf>,
    /// The name or address that the controller's certificate must contain, if the bridge connects
    /// to the controller.
    pub server_name: String,
    /// The bridge's own certificate. A bridge that listens needs one.
    pub identity: Option<Identity>,
}

/// A certificate, the intermediate certificates up to its authority, and its private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificates: first the bridge's own, then the intermediate ones.
    pub certificate_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// Why TLS cannot be established.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file does not hold valid content.
    #[error("{parameter} '{path}' cannot be used: {problem}")]
    #[expect(missing_docs, reason = "the text explains each value")]
    File { parameter: &'static str, path: String, problem: String },
    /// No certificate can be issued for this name.
    #[error("link.tls.server_name, or link.host, is '{0}', which is neither a name nor an address")]
    ServerName(String),
    /// The files do not match.
    #[error("the files of link.tls.* cannot be used: {0}")]
    Files(String),
    /// The handshake failed.
    #[error("no TLS with the controller: {0}{hint}", hint = hint(.0))]
    Handshake(io::Error),
}

impl TlsConfig {
    /// Encrypts a connection that the bridge has opened.
    pub(super) async fn connect(&self, stream: TcpStream) -> Result<TlsSocket, TlsError> {
        let name = ServerName::try_from(self.server_name.clone())
            .map_err(|_| TlsError::ServerName(self.server_name.clone()))?;
        let connector = TlsConnector::from(Arc::new(self.client().await?));
        let (stream, session) =
            connector.connect(name, stream).await.map_err(TlsError::Handshake)?.into_inner();
        Ok(TlsSocket { stream, session: Mutex::new(session.into()) })
    }

    /// Encrypts a connection that a controller has opened.
    pub(super) async fn accept(&self, stream: TcpStream) -> Result<TlsSocket, TlsError> {
        let acceptor = TlsAcceptor::from(Arc::new(self.server().await?));
        let (stream, session) = acceptor.accept(stream).await.map_err(TlsError::Handshake)?.into_inner();
        Ok(TlsSocket { stream, session: Mutex::new(session.into()) })
    }

    async fn client(&self) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(files)?
            .with_root_certificates(self.authorities().await?);
        match &self.identity {
            None => Ok(builder.with_no_client_auth()),
            Some(identity) => builder
                .with_client_auth_cert(identity.certificates().await?, identity.key().await?)
                .map_err(files),
        }
    }

    async fn server(&self) -> Result<ServerConfig, TlsError> {
        let missing = || files("link.tls.certificate_file and link.tls.key_file are missing");
        let identity = self.identity.as_ref().ok_or_else(missing)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(files)?;
        let builder = match self.ca_file {
            None => builder.with_no_client_auth(),
            Some(_) => {
                let authorities = Arc::new(self.authorities().await?);
                let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider()).build();
                builder.with_client_cert_verifier(verifier.map_err(files)?)
            }
        };
        builder.with_single_cert(identity.certificates().await?, identity.key().await?).map_err(files)
    }

    async fn authorities(&self) -> Result<RootCertStore, TlsError> {
        let mut store = RootCertStore::empty();
        if let Some(path) = &self.ca_file {
            for certificate in certificates("link.tls.ca_file", path).await? {
                store.add(certificate).map_err(|error| unusable("link.tls.ca_file", path, error))?;
            }
        }
        Ok(store)
    }
}

impl Identity {
    async fn certificates(&self) -> Result<Certificates, TlsError> {
        certificates("link.tls.certificate_file", &self.certificate_file).await
    }

    async fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        let pem = read("link.tls.key_file", &self.key_file).await?;
        let problem = |error| match error {
            pem::Error::NoItemsFound => "it holds no private key (PEM)".to_owned(),
            error => error.to_string(),
        };
        PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|error| unusable("link.tls.key_file", &self.key_file, problem(error)))
    }
}

type Certificates = Vec<CertificateDer<'static>>;

async fn certificates(parameter: &'static str, path: &Path) -> Result<Certificates, TlsError> {
    let pem = read(parameter, path).await?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err(unusable(parameter, path, "it holds no certificate (PEM)")),
        found => found.map_err(|error| unusable(parameter, path, error)),
    }
}

async fn read(parameter: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(path).await.map_err(|error| unusable(parameter, path, error))
}

fn unusable(parameter: &'static str, path: &Path, problem: impl ToString) -> TlsError {
    TlsError::File { parameter, path: path.display().to_string(), problem: problem.to_string() }
}

fn files(error: impl ToString) -> TlsError {
    TlsError::Files(error.to_string())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Returns what to do about a connection that broke because of TLS.
pub(super) fn hint(error: &io::Error) -> &'static str {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(RustlsError::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "; no authority in link.tls.ca_file has signed its certificate"
        }
        Some(RustlsError::InvalidCertificate(CertificateError::NotValidForNameContext { .. })) => {
            "; is it the right controller? If so, set link.tls.server_name"
        }
        Some(RustlsError::InvalidMessage(_)) => "; does it speak TLS?",
        Some(RustlsError::AlertReceived(_)) => {
            "; does it require a client certificate, or a different one? See link.tls.certificate_file"
        }
        _ => "",
    }
}

/// An encrypted connection.
#[derive(Debug)]
pub(super) struct TlsSocket {
    stream: TcpStream,
    session: Mutex<Connection>,
}

impl TlsSocket {
    fn session(&self) -> MutexGuard<'_, Connection> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads and decrypts pending bytes.
    fn receive(&self, session: &mut Connection) -> io::Result<()> {
        let read = session.read_tls(&mut Raw(&self.stream));
        let processed = session.process_new_packets();
        // Send the reply to these packets, or the alert. If it cannot be sent now, it is sent
        // before the next line.
        let _ = self.flush(session);
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        read.map(drop)
    }

    fn flush(&self, session: &mut Connection) -> io::Result<()> {
        while session.wants_write() {
            session.write_tls(&mut Raw(&self.stream))?;
        }
        Ok(())
    }
}

impl Socket for TlsSocket {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.session().process_new_packets() {
            Ok(state) if state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed() => {
                self.stream.poll_read_ready(cx).map(drop)
            }
            // Data or an end from earlier reads is still pending.
            _ => Poll::Ready(()),
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_write_ready(cx).map(drop)
    }

    fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut session = self.session();
        loop {
            match read_text(&mut session, room) {
                // The last TLS packet may have contained no part of a line.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.receive(&mut session)?,
                read => return read,
            }
        }
    }

    /// Encrypts and writes a line. If it does not fit, the connection is dropped, because an
    /// encrypted line cannot be taken back and would be sent late.
    fn try_write(&self, line: &[u8]) -> io::Result<usize> {
        let mut session = self.session();
        self.flush(&mut session)?;
        session.writer().write_all(line)?;
        match self.flush(&mut session) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(io::Error::new(io::ErrorKind::WriteZero, "the controller's receive window is full"))
            }
            flushed => flushed.map(|()| line.len()),
        }
    }
}

fn read_text(session: &mut Connection, room: &mut [u8]) -> io::Result<usize> {
    match session.reader().read(room) {
        // Many programs close the connection without a TLS close message. If this cuts off a line,
        // the decoder detects it.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        read => read,
    }
}

/// The TCP stream below the TLS session.
struct Raw<'a>(&'a TcpStream);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        read_stream(self.0, buffer)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
