#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| serving::fuzzing::kserve_v1(data));
