//! Runs the fuzz target `directory_object` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::directory_object::run(data));
