//! Runs the fuzz target `syslog_message` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::syslog_message::run(data));
