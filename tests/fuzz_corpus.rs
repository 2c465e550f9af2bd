//! Runs the checks of the fuzz targets in `fuzz/` on every input of their corpora, with any
//! toolchain and without libFuzzer. Inputs that a fuzzer has found are added to the corpus, so that
//! these faults cannot return.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::fs;
use std::path::Path;

fn for_every_input(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs: Vec<_> = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty());
    for input in inputs {
        let bytes = fs::read(&input).unwrap();
        // The last printed name is the input that fails.
        println!("{}", input.display());
        check(&bytes);
    }
}

#[test]
fn replies() {
    for_every_input("replies", targets::replies::check);
}

#[test]
fn lines() {
    for_every_input("lines", targets::lines::check);
}

#[test]
fn parameters() {
    for_every_input("parameters", targets::parameters::check);
}

#[test]
fn mapping() {
    for_every_input("mapping", targets::mapping::check);
}
