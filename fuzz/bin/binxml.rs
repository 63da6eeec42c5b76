//! Runs the fuzz target `binxml` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::binxml::run(data));
