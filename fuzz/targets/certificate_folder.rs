#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| manifest::fuzzing::certificate_folder(data));
