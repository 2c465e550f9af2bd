//! Authentication by tokens and certificates.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aether_bridge::config::Value;
use aether_bridge::link::LinkState;
use aether_bridge::teleop::Target;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::scene::{PATIENCE, Scene};

const OK: &str = r#"{"status":"ok"}"#;
const HERE: [f64; 3] = [0.2, 0.0, 0.2];

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Serves one connection of a controller: replies with `answer` to each line, and passes on each
/// line.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    answer: impl Fn(&str) -> &'static str,
    lines: mpsc::UnboundedSender<String>,
) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while matches!(stream.read_line(&mut line).await, Ok(length) if length > 0) {
        let reply = answer(line.trim_end());
        let _ = lines.send(std::mem::take(&mut line));
        if stream.write_all(format!("{reply}\n").as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Starts a controller that listens, and serves one connection after the other. Returns its lines.
fn controller(listener: TcpListener, answer: fn(&str) -> &'static str) -> mpsc::UnboundedReceiver<String> {
    let (lines, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            converse(stream, answer, lines.clone()).await;
        }
    });
    received
}

async fn next(received: &mut mpsc::UnboundedReceiver<String>) -> String {
    timeout(PATIENCE, received.recv()).await.expect("no line was received").unwrap()
}

fn text(text: impl AsRef<Path>) -> Value {
    Value::Text(text.as_ref().to_str().unwrap().to_owned())
}

/// A file with a token, removed at the end of the test.
struct TokenFile(PathBuf);

impl TokenFile {
    fn new(name: &str, token: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&path, token).unwrap();
        Self(path)
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn doorkeeper(line: &str) -> &'static str {
    let hello = r#"{"type":"hello","token":"sesame"}"#;
    if line == hello || line.contains("command") {
        OK
    } else {
        r#"{"status":"error","message":"who are you?"}"#
    }
}

#[tokio::test]
async fn token_is_sent_once_before_all_commands() {
    let token = TokenFile::new("token-sent", "sesame\n");
    let (listener, port) = listen().await;
    let mut received = controller(listener, doorkeeper);
    let mut scene = Scene::start(port, &[("link.auth.token_file", text(&token.0))]);
    scene.move_hand(Some(HERE));
    assert_eq!(next(&mut received).await, "{\"type\":\"hello\",\"token\":\"sesame\"}\n");
    for _ in 0..3 {
        assert!(next(&mut received).await.starts_with("{\"type\":\"command\""));
    }
    scene.tracking().await;
    let status = scene.until("answered", |status| status.acknowledged > 5).await;
    assert_eq!(status.rejected, 0, "the hello does not count as a command");
}

#[tokio::test]
async fn rejected_token_prevents_commands_until_it_changes() {
    let token = TokenFile::new("token-refused", "open up");
    let (listener, port) = listen().await;
    let mut received = controller(listener, doorkeeper);
    let mut scene = Scene::start(port, &[("link.auth.token_file", text(&token.0))]);
    scene.move_hand(Some(HERE));
    let refused = "the controller rejected the token of link.auth.token_file: 'who are you?'";
    scene.until("refused", |status| status.last_error == refused && status.state == LinkState::Backoff).await;
    assert_eq!(next(&mut received).await, "{\"type\":\"hello\",\"token\":\"open up\"}\n");
    std::fs::write(&token.0, "sesame").unwrap();
    scene.tracking().await;
    while !next(&mut received).await.contains("sesame") {}
    assert!(next(&mut received).await.contains("command"));
}

#[tokio::test]
async fn error_names_missing_hello_reply_or_token() {
    let (listener, port) = listen().await;
    let silent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let token = TokenFile::new("token-silence", "sesame");
    let file = ("link.auth.token_file", text(&token.0));
    let mut scene = Scene::start(port, &[file.clone(), ("link.connect_timeout", Value::Real(0.2))]);
    let silence = "the controller has not replied to the hello within link.connect_timeout 0.2 s; if it expects no hello, leave";
    scene.until("silent", |status| status.last_error.starts_with(silence)).await;
    timeout(PATIENCE, silent).await.expect("its connection was never dropped").unwrap();

    std::fs::write(&token.0, "\n").unwrap();
    let (_listener, port) = listen().await;
    let mut scene = Scene::start(port, &[file]);
    let empty = "token-silence': its first line is empty; it must be the token";
    scene.until("without token", |status| status.last_error.ends_with(empty)).await;
    drop(token);
    scene.bridge.reconnect();
    scene
        .until("without file", |status| status.last_error.contains("cannot read link.auth.token_file"))
        .await;
}

#[tokio::test]
async fn token_is_sent_without_expected_replies() {
    let token = TokenFile::new("token-mute", "sesame");
    let (listener, port) = listen().await;
    let mut scene = Scene::start(
        port,
        &[("link.auth.token_file", text(&token.0)), ("link.expect_reply", Value::Boolean(false))],
    );
    scene.move_hand(Some(HERE));
    let (stream, _) = listener.accept().await.unwrap();
    let mut lines = BufReader::new(stream).lines();
    let mut line =
        async || timeout(PATIENCE, lines.next_line()).await.expect("no line was received").unwrap().unwrap();
    assert!(line().await.contains("sesame"));
    assert!(line().await.contains("command"));
    scene.tracking().await;
}

#[tokio::test]
async fn state_after_the_hello_reply_is_read() {
    let token = TokenFile::new("token-early", "sesame");
    let (listener, port) = listen().await;
    const WELCOME: &str = "{\"status\":\"ok\"}\n{\"type\":\"state\",\"position\":[210.0,0.0,200.0]}";
    let _received = controller(listener, |_| WELCOME);
    let settings = [("link.auth.token_file", text(&token.0)), ("wire.accept_state", Value::Boolean(true))];
    let mut scene = Scene::start(port, &settings);
    scene.until("connected", |status| status.state == LinkState::Connected).await;
    // No later input wakes the driver task.
    let reported = async {
        while scene.observed.lock().unwrap().arm_states.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, reported).await.expect("the state was not published");
}

#[tokio::test]
async fn hello_reply_contains_the_arm_position() {
    const BEFORE: &str = "{\"type\":\"state\",\"position\":[210.0,0.0,200.0]}\n{\"status\":\"ok\"}";
    const WITH_IT: &str = "{\"status\":\"ok\",\"position\":[210.0,0.0,200.0]}";
    let answers: [fn(&str) -> &'static str; 2] = [|_| BEFORE, |_| WITH_IT];
    for answer in answers {
        let token = TokenFile::new("token-place", "sesame");
        let (listener, port) = listen().await;
        let _received = controller(listener, answer);
        let settings =
            [("link.auth.token_file", text(&token.0)), ("wire.accept_state", Value::Boolean(true))];
        let mut scene = Scene::start(port, &settings);
        scene.until("connected", |status| status.state == LinkState::Connected).await;
        let reported = async {
            while scene.observed.lock().unwrap().arm_states.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, reported).await.expect("the position was not published");
    }
}

#[tokio::test]
async fn late_hello_reply_sends_no_old_target() {
    let token = TokenFile::new("token-late", "sesame");
    let (listener, port) = listen().await;
    let settings = [("link.auth.token_file", text(&token.0)), ("link.connect_timeout", Value::Real(60.0))];
    let mut scene = Scene::start(port, &settings);
    scene.move_hand(Some(HERE));
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut stream = BufReader::new(stream);
    stream.read_line(&mut String::new()).await.unwrap();
    scene.until("with a hand", |status| status.input_fault.is_empty()).await;
    scene.move_hand(None);
    scene.until("without a hand", |status| status.input_fault.starts_with("no new target")).await;
    stream.write_all(format!("{OK}\n").as_bytes()).await.unwrap();
    scene.until("connected", |status| status.state == LinkState::Connected).await;
    for _ in 0..2 {
        scene.next_status().await;
    }
    scene.shut_down().await;
    assert_eq!(end_of(stream).await, b"", "the controller received a command");
}

/// Returns a port that was free a moment ago, for the bridge to listen on.
async fn free_port() -> u16 {
    listen().await.1
}

async fn connect(port: u16) -> TcpStream {
    let connecting = async {
        loop {
            match TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    timeout(PATIENCE, connecting).await.expect("no bridge listened")
}

#[tokio::test]
async fn connecting_controller_counts_after_accepting_the_token() {
    let token = TokenFile::new("token-server", "sesame");
    let port = free_port().await;
    let mut scene = Scene::start(
        port,
        &[("link.transport", Value::Text("tcp_server".into())), ("link.auth.token_file", text(&token.0))],
    );
    scene.move_hand(Some(HERE));
    // This controller never replies, and must not block the others.
    let _silent = connect(port).await;
    let (lines, mut received) = mpsc::unbounded_channel();
    let stream = connect(port).await;
    tokio::spawn(converse(stream, doorkeeper, lines));
    assert!(next(&mut received).await.contains("sesame"));
    scene.tracking().await;
    assert!(next(&mut received).await.contains("command"));
}

fn pem(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls").join(name)
}

fn certificates(stem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(pem(&format!("{stem}.pem"))).unwrap().map(Result::unwrap).collect()
}

fn key(stem: &str) -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(pem(&format!("{stem}.key"))).unwrap()
}

fn authority() -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add(certificates("ca").remove(0)).unwrap();
    store
}

type Versions = &'static [&'static SupportedProtocolVersion];
const BOTH: Versions = &[&version::TLS12, &version::TLS13];

/// Returns the TLS server of a controller with this certificate. If `asks`, it requests a client
/// certificate.
fn tls_controller(stem: &str, asks: bool, versions: Versions) -> TlsAcceptor {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions);
    let builder = match asks {
        false => builder.unwrap().with_no_client_auth(),
        true => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authority()), provider);
            builder.unwrap().with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let config = builder.with_single_cert(certificates(stem), key(stem)).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// Serves one encrypted connection after the other. Returns the lines of all.
fn serve(listener: TcpListener, acceptor: TlsAcceptor) -> mpsc::UnboundedReceiver<String> {
    let (lines, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                converse(stream, |_| OK, lines.clone()).await;
            }
        }
    });
    received
}

fn tls() -> Vec<(&'static str, Value)> {
    vec![("link.tls.enabled", Value::Boolean(true)), ("link.tls.ca_file", text(pem("ca.pem")))]
}

fn own(stem: &str) -> [(&'static str, Value); 2] {
    let file = |ending| text(pem(&format!("{stem}.{ending}")));
    [("link.tls.certificate_file", file("pem")), ("link.tls.key_file", file("key"))]
}

#[tokio::test]
async fn both_tls_versions_work() {
    const EACH: [Versions; 2] = [&[&version::TLS12], &[&version::TLS13]];
    for versions in EACH {
        let (listener, port) = listen().await;
        let mut received = serve(listener, tls_controller("controller", true, versions));
        let mut scene = Scene::start(port, &[tls(), own("bridge").into()].concat());
        scene.move_hand(Some(HERE));
        scene.tracking().await;
        assert!(next(&mut received).await.contains("command"));
        let status = scene.until("answered", |status| status.acknowledged > 5).await;
        assert_eq!(status.rejected, 0);
        scene.shut_down().await;
    }
}

#[tokio::test]
async fn controller_with_wrong_certificate_receives_no_command() {
    let unknown = "no TLS with the controller: invalid peer certificate: UnknownIssuer; no authority in link.tls.ca_file has \
                   signed its certificate";
    let other_name = "; is it the right controller? If so, set link.tls.server_name";
    let wants = "; does it require a client certificate, or a different one? See link.tls.certificate_file";
    let other_ca = ("link.tls.ca_file", text(pem("other_ca.pem")));
    for (stem, asks, settings, error) in [
        ("controller", false, vec![other_ca], unknown),
        ("elsewhere", false, vec![], other_name),
        ("controller", true, vec![], wants),
        ("controller", true, own("stranger").into(), wants),
    ] {
        let (listener, port) = listen().await;
        let mut received = serve(listener, tls_controller(stem, asks, BOTH));
        let mut scene = Scene::start(port, &[tls(), settings].concat());
        scene.move_hand(Some(HERE));
        scene.until(error, |status| status.last_error.ends_with(error)).await;
        scene.shut_down().await;
        assert!(received.try_recv().is_err(), "the controller received a command");
    }
    let (listener, port) = listen().await;
    let _received = serve(listener, tls_controller("elsewhere", false, BOTH));
    let mut scene =
        Scene::start(port, &[tls(), vec![("link.tls.server_name", Value::Text("arm.lab".into()))]].concat());
    scene.move_hand(Some(HERE));
    scene.tracking().await;
}

#[tokio::test]
async fn error_names_controller_without_tls_or_silent() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(b"{\"status\":\"ready\"}\n").await;
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let mut scene = Scene::start(port, &tls());
    scene.until("plain", |status| status.last_error.ends_with("; does it speak TLS?")).await;

    let (_listener, port) = listen().await;
    let mut scene = Scene::start(port, &[tls(), vec![("link.connect_timeout", Value::Real(0.2))]].concat());
    let silence =
        format!("cannot connect to 127.0.0.1:{port}: no connection within link.connect_timeout 0.2 s");
    scene.until("silent", |status| status.last_error == silence).await;
}

#[tokio::test]
async fn error_names_parameter_and_path_of_invalid_files() {
    let no_file = Path::new("/no/such.pem");
    let readme = pem("README.md");
    for (settings, error) in [
        (vec![("link.tls.ca_file", text(no_file))], "link.tls.ca_file '/no/such.pem' cannot be used: "),
        (
            vec![("link.tls.ca_file", text(&readme))],
            "README.md' cannot be used: it holds no certificate (PEM)",
        ),
        (
            vec![
                ("link.tls.certificate_file", text(pem("bridge.pem"))),
                ("link.tls.key_file", text(pem("bridge.pem"))),
            ],
            "bridge.pem' cannot be used: it holds no private key (PEM)",
        ),
        (
            vec![
                ("link.tls.certificate_file", text(pem("bridge.pem"))),
                ("link.tls.key_file", text(pem("stranger.key"))),
            ],
            "the files of link.tls.* cannot be used: ",
        ),
        (
            vec![("link.tls.server_name", Value::Text("no name".into()))],
            "link.tls.server_name, or link.host, is 'no name', which is neither a name nor an address",
        ),
    ] {
        let (_listener, port) = listen().await;
        let mut scene = Scene::start(port, &[tls(), settings].concat());
        let status = scene.until(error, |status| status.last_error.contains(error)).await;
        assert_eq!(status.state, LinkState::Backoff);
    }
}

#[tokio::test]
async fn tls_peer_that_never_reads_gets_no_queue() {
    let (listener, port) = listen().await;
    socket2::SockRef::from(&listener).set_recv_buffer_size(2048).unwrap();
    let settings = vec![
        ("link.expect_reply", Value::Boolean(false)),
        ("teleop.command_rate", Value::Integer(0)),
        ("link.timeout", Value::Real(60.0)),
        ("link.tcp_user_timeout", Value::Real(60.0)),
    ];
    let mut scene = Scene::start(port, &[tls(), settings].concat());
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let _unread = tls_controller("controller", false, BOTH).accept(stream).await.unwrap();
    scene.move_hand(Some(HERE));
    scene.tracking().await;
    for i in 0..20_000 {
        let x = 0.2 + f64::from(i % 10) * 1e-4;
        scene.bridge.handle_target(Target::new(x, 0.0, 0.2, None));
    }
    let gone = "the connection broke: the controller's receive window is full";
    let status = scene.until("given up", |status| status.last_error == gone).await;
    assert!(status.sent < 5_000, "{} commands were queued in buffers", status.sent);
}

#[tokio::test]
async fn tls_connection_without_close_message_is_closed() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let acceptor = tls_controller("controller", false, BOTH);
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // The kernel closes the stream when it is dropped, without a TLS close message.
            drop(acceptor.accept(stream).await.map(|stream| stream.into_inner().0));
        }
    });
    let mut scene = Scene::start(port, &tls());
    scene.until("closed", |status| status.last_error == "the controller closed the connection").await;
}

#[tokio::test]
async fn text_before_tls_close_in_packet_is_read() {
    let (listener, port) = listen().await;
    let states = vec![("wire.accept_state", Value::Boolean(true))];
    let mut scene = Scene::start(port, &[tls(), states].concat());
    let (stream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    let mut stream = tls_controller("controller", false, BOTH).accept(stream).await.unwrap();
    scene.until("connected", |status| status.state == LinkState::Connected).await;
    let (_, session) = stream.get_mut();
    let words = b"{\"type\":\"state\",\"position\":[210.0,0.0,200.0]}\n";
    std::io::Write::write_all(&mut session.writer(), words).unwrap();
    session.send_close_notify();
    stream.flush().await.unwrap();
    // The TCP stream stays open.
    scene.until("closed", |status| status.last_error == "the controller closed the connection").await;
    assert_eq!(scene.observed.lock().unwrap().arm_states.len(), 1);
}

/// Connects to the bridge as a controller.
async fn join(port: u16, stem: Option<&str>) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(authority());
    let config = match stem {
        None => builder.with_no_client_auth(),
        Some(stem) => builder.with_client_auth_cert(certificates(stem), key(stem)).unwrap(),
    };
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, connect(port).await).await
}

#[tokio::test]
async fn connecting_controller_needs_a_valid_certificate() {
    let port = free_port().await;
    let role = vec![("link.transport", Value::Text("tcp_server".into()))];
    // The certificate of a listening controller also works for a listening bridge.
    let mut scene = Scene::start(port, &[tls(), own("controller").into(), role].concat());
    scene.move_hand(Some(HERE));
    // In plain text, without a certificate, with a foreign certificate, and silent: the bridge
    // accepts none of these, and none blocks another.
    let _silent = connect(port).await;
    let mut plain = connect(port).await;
    plain.write_all(b"{\"status\":\"ok\"}\n").await.unwrap();
    assert!(
        end_of(plain).await.iter().all(|byte| *byte != b'{'),
        "the controller received a command in plain text"
    );
    for stem in [None, Some("stranger")] {
        let received = match join(port, stem).await {
            Ok(stream) => end_of(stream).await,
            Err(_) => Vec::new(),
        };
        assert!(received.is_empty(), "{stem:?} received {received:?}");
    }
    let status = scene.until("anything", |_| true).await;
    assert_eq!((status.state, status.sent), (LinkState::Listening, 0));
    let (lines, mut received) = mpsc::unbounded_channel();
    let stream = join(port, Some("bridge")).await.unwrap();
    let address: SocketAddr = stream.get_ref().0.local_addr().unwrap();
    tokio::spawn(converse(stream, |_| OK, lines));
    assert!(next(&mut received).await.contains("command"));
    scene.tracking().await;
    scene.until("named", |status| status.peer.contains(&address.to_string())).await;
}

/// Returns all bytes until the other side ends the connection.
async fn end_of<S: AsyncRead + Unpin>(mut stream: S) -> Vec<u8> {
    let mut received = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut received)).await.expect("the connection never ended");
    received
}
