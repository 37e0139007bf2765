#![no_main]

libfuzzer_sys::fuzz_target!(|sent: &str| plan::fuzzing::path(sent));
