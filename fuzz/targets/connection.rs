#![no_main]

use std::sync::LazyLock;

use simpleapi_server::fuzzing::Application;

static APPLICATION: LazyLock<Application> = LazyLock::new(|| Application::new(simpleapi::methods()));

libfuzzer_sys::fuzz_target!(|data: &[u8]| APPLICATION.connection(data));
