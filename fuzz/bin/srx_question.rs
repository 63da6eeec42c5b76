//! Runs the fuzz target `srx_question` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::srx_question::run(data));
