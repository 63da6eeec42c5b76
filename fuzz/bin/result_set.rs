//! Runs the fuzz target `result_set` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::result_set::run(data));
