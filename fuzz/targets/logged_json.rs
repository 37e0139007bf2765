#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| serving::fuzzing::logged_json(data));
