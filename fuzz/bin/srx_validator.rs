//! Runs the fuzz target `srx_validator` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::srx_validator::run(data));
