//! No unsafe code is ours: Cargo.toml forbids it in every target of the package, and every root of a program says so to
//! whoever opens it or compiles it by itself.

use std::fs;
use std::path::{Path, PathBuf};

const FORBIDDEN: &str = "\n#![forbid(unsafe_code)]\n";

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files in a folder that a program begins with: `name.rs`, or `name/main.rs`.
fn roots(folder: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .map(|path| if path.is_dir() { path.join("main.rs") } else { path })
        .filter(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "rs"))
}

#[test]
fn cargo_forbids_it_in_every_target() {
    let manifest = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    let lints = manifest.split("\n[lints.rust]\n").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap();
    assert!(lints.contains("unsafe_code = \"forbid\""), "{lints}");
}

#[test]
fn every_program_and_the_library_say_so() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = ["src/lib.rs", "src/main.rs", "fuzz/src/lib.rs"].map(|path| package.join(path));
    let roots: Vec<_> = named.into_iter().chain(roots("src/bin")).chain(roots("benches")).collect();
    assert!(roots.len() > 6, "{roots:?}");
    for root in roots {
        assert!(read(&root).contains(FORBIDDEN), "{} lacks{FORBIDDEN}", root.display());
    }
}
