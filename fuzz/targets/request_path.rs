#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| plan::fuzzing::request_path(data));
