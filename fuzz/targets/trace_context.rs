#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| traces::fuzzing::trace_context(data));
