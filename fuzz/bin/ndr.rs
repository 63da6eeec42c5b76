//! Runs the fuzz target `ndr` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::ndr::run(data));
