//! Runs the fuzz target `ptim` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::ptim::run(data));
