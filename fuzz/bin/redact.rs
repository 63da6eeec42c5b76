//! Runs the fuzz target `redact` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::redact::run(data));
