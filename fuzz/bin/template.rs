//! Runs the fuzz target `template` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::template::run(data));
