#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| simpleapi_server::fuzzing::forwarded_headers(data));
