//! The floor under the bridge's delay: one thread that waits on the node, takes a pose, formats the line and writes it
//! to a blocking socket. No link management, no safety rule, nothing of the crate: what ROS, the kernel and this
//! machine ask of anybody. Run by `delay`, as `floor PORT`; ends when the controller closes the connection.
//!
//! The one thing it does besides: replies are read and thrown away, 64 at a time or when no pose comes, after a line
//! has been written and so outside its delay. Left unread they would fill the socket's buffer and stall the controller.

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

/// Rounded to a micrometre, as the wire has it.
fn millimetres(metres: f64) -> f64 {
    (metres * 1e6).round() / 1e3
}
