//! Runs the fuzz target `push_answer` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::push_answer::run(data));
