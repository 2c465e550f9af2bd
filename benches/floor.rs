//! The lower limit (floor) of the bridge's delay. One thread waits for the node, takes a pose,
//! formats the line and writes it to a blocking socket. The program has no link management, no
//! safety rule and no code of the bridge. So it measures the delay of ROS, the kernel and this
//! machine. `delay` starts it as `floor PORT`. It ends when the controller closes the connection.
//!
//! It also reads the replies and discards them, 64 at a time or when no pose arrives. It does so
//! after it has written a line, so the read does not add to the delay of this line. Unread replies
//! would fill the buffer of the socket and block the controller.

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use r2r::QosProfile;
use r2r::geometry_msgs::msg::PoseStamped;

fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: floor PORT")?.parse()?;
    let mut node = r2r::Node::create(r2r::Context::create()?, "floor", "")?;
    let qos = QosProfile::default().keep_last(1).best_effort();
    let mut poses = node.subscribe::<PoseStamped>("target_pose", qos)?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_millis(1)))?;

    let mut line = Vec::with_capacity(128);
    let mut unread = 0;
    loop {
        node.spin_once(Duration::from_millis(100));
        let taken = poses.next().now_or_never().flatten();
        if let Some(PoseStamped { pose, .. }) = &taken {
            let [x, y, z] = [pose.position.x, pose.position.y, pose.position.z].map(millimetres);
            line.clear();
            writeln!(line, r#"{{"type":"command","x":{x:?},"y":{y:?},"z":{z:?},"gripper":"open"}}"#)?;
            if stream.write_all(&line).is_err() {
                return Ok(());
            }
            unread += 1;
        }
        if taken.is_none() || unread >= 64 {
            match stream.read(&mut [0; 8192]) {
                Ok(0) => return Ok(()),
                Ok(_) => unread = 0,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return Ok(()),
            }
        }
    }
}

/// Converts metres to millimetres, rounded to a micrometre as in the protocol.
fn millimetres(metres: f64) -> f64 {
    (metres * 1e6).round() / 1e3
}
