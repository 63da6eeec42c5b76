//! Runs the fuzz target `msrpc_pdu` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rollcall_fuzz::targets::msrpc_pdu::run(data));
