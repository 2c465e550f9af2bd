//! What holds for any input, each target a function from bytes: libFuzzer calls them (`fuzz_targets/`), and so does
//! `tests/fuzz_corpus.rs` with every file of the corpus.
#![forbid(unsafe_code)]

mod input;
pub mod lines;
pub mod mapping;
pub mod parameters;
pub mod replies;
