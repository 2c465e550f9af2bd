//! The bridge.
fn main() {
    println!("{:?}", r2r::aether_bridge::msg::LinkStatus::default());
}
