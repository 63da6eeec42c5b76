//! Runs the fuzz target `syslog_frames` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::syslog_frames::run(data));
