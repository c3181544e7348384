//! The server with the methods of this application.

fn main() -> std::process::ExitCode {
    simpleapi_server::main(simpleapi::methods())
}
