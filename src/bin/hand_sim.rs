//! A simulated hand.
fn main() {
    println!("{:?}", r2r::geometry_msgs::msg::PoseStamped::default());
}
