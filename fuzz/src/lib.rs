//! Properties that hold for any input. Each target is a function of bytes. libFuzzer calls the
//! functions (`fuzz_targets/`). `tests/fuzz_corpus.rs` calls them with every file of the corpus.
#![forbid(unsafe_code)]

mod input;
pub mod lines;
pub mod mapping;
pub mod parameters;
pub mod replies;
