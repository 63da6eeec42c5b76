//! Runs the fuzz target `srx_token` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::srx_token::run(data));
