//! Link arguments of the programs that speak ROS.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_FEATURE_ROS").is_some() {
        // Installed, a program lies in lib/aether_bridge/ and the libraries of this package's messages in lib/. A
        // RUNPATH and not an RPATH, so that a workspace sourced on top still wins.
        println!("cargo::rustc-link-arg-bins=-Wl,--enable-new-dtags,-rpath,$ORIGIN/..");
    }
}
