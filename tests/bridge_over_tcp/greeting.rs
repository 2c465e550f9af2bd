//! Controllers with a greeting, late or missing; and replies without a newline.

use std::net::Ipv4Addr;
use std::time::Duration;

use aether_bridge::config::Value;
use aether_bridge::link::LinkState;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::scene::{PATIENCE, Scene};

const HERE: [f64; 3] = [0.2, 0.0, 0.2];
const OK: &[u8] = b"{\"status\":\"ok\"}\n";

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    timeout(PATIENCE, listener.accept()).await.expect("the bridge does not connect").unwrap().0
}

/// Returns the next line, without its newline.
async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    timeout(PATIENCE, stream.read_line(&mut line)).await.expect("no line was received").unwrap();
    line.trim_end().to_owned()
}

/// Returns all bytes until the bridge closes the connection.
async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("the connection was not closed");
    rest
}

fn greets(lines: i64) -> (&'static str, Value) {
    ("link.banner_lines", Value::Integer(lines))
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

/// Checks that no bytes were sent, although the hand has been followed for at least half a second.
async fn assert_nothing_sent(scene: &mut Scene, stream: &TcpStream) {
    scene.until("with a hand", |status| status.input_fault.is_empty()).await;
    for _ in 0..2 {
        scene.next_status().await;
    }
    let sent = stream.try_read(&mut [0; 64]);
    assert!(
        sent.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
        "{sent:?} was sent"
    );
}

#[tokio::test]
async fn nothing_is_sent_before_a_late_greeting() {
    let (listener, port) = listen().await;
    let settings = [
        greets(2),
        // This limits connecting, and not the greeting.
        ("link.connect_timeout", Value::Real(0.2)),
        ("link.banner_timeout", Value::Real(600.0)),
        ("link.heartbeat.period", Value::Real(0.01)),
        ("teleop.hold_behavior", text("stop")),
    ];
    let mut scene = Scene::start(port, &settings);
    scene.move_hand(Some(HERE));
    let mut stream = accept(&listener).await;
    let waiting = |received: u32| {
        format!(": waiting for 2 banner lines of 127.0.0.1:{port} (link.banner_lines), {received} so far")
    };
    let status = scene.until("waiting", |status| status.reason.ends_with(&waiting(0))).await;
    assert_eq!(status.state, LinkState::Connecting);
    assert_nothing_sent(&mut scene, &stream).await;
    // A greeting line may contain any bytes.
    stream.write_all(b"\xff\xfd\x2c\0Gr\xfc\xdf Gott\r\n").await.unwrap();
    scene.until("greeted by half", |status| status.reason.ends_with(&waiting(1))).await;
    scene.bridge.stop();
    let _ = scene.bridge.reset();
    assert_nothing_sent(&mut scene, &stream).await;
    scene.bridge.set_armed(true).unwrap();
    stream.write_all(b"ready\n").await.unwrap();
    let mut stream = BufReader::new(stream);
    for _ in 0..3 {
        let line = line(&mut stream).await;
        assert!(line.starts_with("{\"type\":"), "{line}");
        stream.write_all(OK).await.unwrap();
    }
    assert_eq!(scene.until("connected", |status| status.state == LinkState::Connected).await.last_error, "");
}

#[tokio::test]
async fn missing_greeting_is_named_in_the_error() {
    let (listener, port) = listen().await;
    let mut scene = Scene::start(port, &[greets(2), ("link.banner_timeout", Value::Real(0.2))]);
    scene.move_hand(Some(HERE));
    let mut stream = accept(&listener).await;
    stream.write_all(b"ready\nlogin: ").await.unwrap();
    let error = "1 of 2 banner lines have come within link.banner_timeout 0.2 s; \"login: \" was received without the \
                 newline (\\n) that ends a line; set link.banner_lines to";
    let status = scene.until("given up", |status| status.last_error.starts_with(error)).await;
    assert!(status.reason.contains("increase link.banner_timeout if"), "{}", status.reason);
    assert_eq!(rest(stream).await, b"", "a command was sent");
    let mut stream = accept(&listener).await;
    stream.write_all(b"ready\n").await.unwrap();
    drop(stream);
    let closed = "the controller closed the connection after 1 of 2 banner lines (link.banner_lines)";
    scene.until("closed", |status| status.last_error == closed).await;
}

#[tokio::test]
async fn token_follows_greeting_with_its_own_timeout() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("token-after-greeting");
    std::fs::write(&path, "sesame\n").unwrap();
    let (listener, port) = listen().await;
    let settings = [
        greets(1),
        ("link.auth.token_file", text(path.to_str().unwrap())),
        ("link.connect_timeout", Value::Real(0.3)),
        ("link.banner_timeout", Value::Real(600.0)),
    ];
    let mut scene = Scene::start(port, &settings);
    scene.move_hand(Some(HERE));
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let mut stream = BufReader::new(accept(&listener).await);
            // The greeting comes later than the time limit for connecting.
            tokio::time::sleep(Duration::from_millis(400)).await;
            if stream.write_all(b"ready\n").await.is_ok() {
                let _ = sender.send(line(&mut stream).await);
                while stream.write_all(OK).await.is_ok() && line(&mut stream).await.contains("command") {}
            }
        }
    });
    let hello = timeout(PATIENCE, received.recv()).await.expect("no hello was received").unwrap();
    assert_eq!(hello, "{\"type\":\"hello\",\"token\":\"sesame\"}");
    scene.until("welcomed", |status| status.state == LinkState::Connected).await;
    scene.tracking().await;
    std::fs::remove_file(path).unwrap();
}

#[tokio::test]
async fn connecting_controller_counts_after_its_greeting() {
    let port = listen().await.1;
    let settings = [
        ("link.transport", text("tcp_server")),
        ("link.min_clients", Value::Integer(1)),
        greets(1),
        ("link.banner_timeout", Value::Real(2.0)),
    ];
    let mut scene = Scene::start(port, &settings);
    scene.move_hand(Some(HERE));
    scene.until("listening", |status| status.state == LinkState::Listening).await;
    let silent = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let there = silent.local_addr().unwrap();
    let arriving = format!(": 0 of 1 connected to 127.0.0.1:{port}, 1 more connecting");
    scene.until("arriving", |status| status.reason.ends_with(&arriving)).await;
    let refused = format!("{there}: 0 of 1 banner lines have come within link.banner_timeout 2.0 s");
    let status = scene.until("refused", |status| status.last_error.starts_with(&refused)).await;
    assert_eq!((status.state, status.sent), (LinkState::Listening, 0));
    assert_eq!(rest(silent).await, b"");
    let mut greeter = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    greeter.write_all(b"r\xe9ady\n").await.unwrap();
    scene.until("connected", |status| status.state == LinkState::Connected).await;
    assert!(line(&mut BufReader::new(greeter)).await.contains("command"));
}

/// Starts a controller that replies to each line with these bytes.
async fn answers(reply: &'static [u8]) -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            while matches!(stream.read(&mut [0; 1024]).await, Ok(1..)) {
                stream.write_all(reply).await.unwrap();
            }
        }
    });
    port
}

#[tokio::test]
async fn unfinished_reply_is_quoted_in_the_error() {
    let format = || ("wire.format", text("text"));
    for (settings, reply, words) in [
        (vec![format()], &b"OK"[..], "\"OK\" was received without the newline (\\n)"),
        (vec![format()], b"OK\r", "\"OK\\r\" was received with a carriage return"),
        (vec![], b"{\"status\":\"ok\"}\0", "\"{\"status\":\"ok\"}\\0\" was received with NUL (byte 0)"),
        (vec![], b"{\"status\":\"ok\"};", "\"{\"status\":\"ok\"};\" was received with a semicolon"),
        (vec![], b"{\"status\":", "\"{\"status\":\" was received without the rest of the reply"),
    ] {
        let times = [("link.reply_timeout", Value::Real(0.1)), ("link.timeout", Value::Real(1.5))];
        let mut scene = Scene::start(answers(reply).await, &[settings, times.into()].concat());
        scene.move_hand(Some(HERE));
        let overdue = format!("holding: the controller does not reply: {words}");
        scene.until("overdue", |status| status.reason.starts_with(&overdue)).await;
        let status = scene.until("given up", |status| status.state == LinkState::Backoff).await;
        let given_up = format!("no reply for link.timeout 1.5 s: {words}");
        assert!(status.last_error.starts_with(&given_up), "{}", status.last_error);
        assert!(!status.last_error.contains("link.expect_reply"), "{}", status.last_error);
    }
}

#[tokio::test]
async fn invalid_datagram_is_quoted() {
    for (reply, words) in [
        (&b"OK"[..], "a datagram was ignored: a line is not a reply"),
        (b"{\"status\":\"ok\"}", "a reply has come without \"seq\""),
    ] {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((_, sender)) = socket.recv_from(&mut [0; 1024]).await {
                socket.send_to(reply, sender).await.unwrap();
            }
        });
        let settings = [
            ("link.transport", text("udp")),
            ("wire.extra_fields", Value::Texts(vec!["seq".into()])),
            ("link.reply_timeout", Value::Real(0.1)),
            ("link.timeout", Value::Real(1.5)),
        ];
        let mut scene = Scene::start(port, &settings);
        scene.move_hand(Some(HERE));
        let overdue = format!("holding: the controller does not reply: {words}");
        scene.until("overdue", |status| status.reason.starts_with(&overdue)).await;
        scene.until("given up", |status| status.last_error.contains(words)).await;
    }
}

#[tokio::test]
async fn byte_order_mark_is_accepted_nul_is_named() {
    let (listener, port) = listen().await;
    let mut scene = Scene::start(port, &[]);
    scene.move_hand(Some(HERE));
    let mut stream = BufReader::new(accept(&listener).await);
    let mark = "\u{feff}".as_bytes();
    for start in [mark, b"", b""] {
        line(&mut stream).await;
        stream.write_all(&[start, OK].concat()).await.unwrap();
    }
    scene.until("answered", |status| status.acknowledged == 3).await;
    line(&mut stream).await;
    stream.write_all(&[b"\0", OK].concat()).await.unwrap();
    let nul = "a line has NUL (byte 0) at its byte 0, but a reply must not have a NUL: \"\\0{";
    let status = scene.until("lost", |status| status.last_error.starts_with(nul)).await;
    assert!(
        status.last_error.ends_with("in C send strlen(reply) bytes, not sizeof(reply)"),
        "{}",
        status.last_error
    );
}

#[tokio::test]
async fn invalid_first_input_may_be_a_greeting() {
    let (listener, port) = listen().await;
    let mut scene = Scene::start(port, &[]);
    let mut stream = accept(&listener).await;
    stream.write_all(b"Gr\xfc\xdf Gott\n").await.unwrap();
    let status = scene.until("lost", |status| status.state == LinkState::Backoff).await;
    assert!(status.last_error.ends_with("; send nothing on connecting; or set link.banner_lines (--greeting of arm_check) to the number of lines"), "{}", status.last_error);
    scene.move_hand(Some(HERE));
    let mut stream = BufReader::new(accept(&listener).await);
    line(&mut stream).await;
    stream.write_all(b"Grbl 1.1h ['$' for help]\n").await.unwrap();
    let late = "; if the controller sends this on connecting, set link.banner_lines to the number of lines; if not: write";
    scene.until("lost again", |status| status.last_error.contains(late)).await;
}
