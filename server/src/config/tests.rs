//! Tests of the configuration: precedence, the exact message of every error, and no secret in any message.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tempfile::TempDir;

use super::keys::{KEYS, Key};
use super::{Cli, Command, Config, Database, EarlyExit, LogLevel, Secret, parse};

const SERVER_CONF: &str = include_str!("../../../server.conf");
const DOCUMENTATION: &str = include_str!("../../../docs/configuration.md");

/// Creates a directory with a `server.conf`.
fn directory(conf: impl AsRef<[u8]>) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("server.conf"), conf).unwrap();
    directory
}

fn run(directory: &TempDir, environment: &[(&str, &str)], args: &[&str]) -> Result<Cli, EarlyExit> {
    let args = ["server"].iter().chain(args).map(OsString::from);
    let environment = environment.iter().map(|(name, value)| (name.into(), value.into()));
    parse(args, environment, directory.path())
}

fn config(conf: &str, environment: &[(&str, &str)], args: &[&str]) -> Config {
    run(&directory(conf), environment, args).unwrap().config.unwrap()
}

/// Returns every error, one per line.
fn errors(conf: impl AsRef<[u8]>, environment: &[(&str, &str)], args: &[&str]) -> String {
    run(&directory(conf), environment, args).unwrap().config.unwrap_err().to_string()
}

fn warnings(environment: &[(&str, &str)]) -> Vec<String> {
    run(&directory(""), environment, &[]).unwrap().warnings
}

fn usage_error(args: &[&str]) -> String {
    match run(&directory(""), &[], args) {
        Err(EarlyExit::Usage(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn help(args: &[&str]) -> String {
    match run(&directory(""), &[], args) {
        Err(EarlyExit::Help(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// Returns the error of `value` for `key`, without its origin.
fn value_error(key: &str, value: &str) -> String {
    let error = errors("", &[], &[&format!("--{key}={value}")]);
    error.strip_prefix(&format!("--{key}: ")).unwrap().to_owned()
}

#[test]
fn server_conf_names_every_key_with_its_help_and_default() {
    let entries: Vec<_> = KEYS.iter().map(|key| format!("\n# {}\n#{}={}\n", key.help, key.name, key.default)).collect();
    assert!(SERVER_CONF.ends_with(&entries.concat()), "server.conf should end with{}", entries.concat());
}

#[test]
fn the_documentation_lists_every_key_with_its_default_and_help() {
    let default = |key: &Key| if key.default.is_empty() { "none".to_owned() } else { format!("`{}`", key.default) };
    let rows: Vec<_> =
        KEYS.iter().map(|key| format!("| `{}` | {} | {} |\n", key.name, default(key), key.help)).collect();
    let table = format!("|---|---|---|\n{}\n", rows.concat());
    assert!(DOCUMENTATION.contains(&table), "docs/configuration.md should contain\n{table}");
}

#[test]
fn server_conf_yields_the_defaults_with_its_keys_commented_out_or_active() {
    assert_eq!(config(SERVER_CONF, &[], &[]), Config::default());
    let active: Vec<_> = SERVER_CONF
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.is_empty() && !rest.starts_with(' ')).unwrap_or(line))
        .collect();
    assert_eq!(active.iter().filter(|line| line.contains('=') && !line.starts_with('#')).count(), KEYS.len());
    assert_eq!(config(&active.join("\n"), &[], &[]), Config::default());
}

#[test]
fn a_missing_server_conf_yields_the_defaults() {
    let cli = run(&tempfile::tempdir().unwrap(), &[], &[]).unwrap();
    assert_eq!(cli.command, Command::Serve);
    assert_eq!(cli.config.unwrap(), Config::default());
    assert_eq!(cli.warnings, Vec::<String>::new());
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let config = Config::default();
    assert_eq!((config.address.to_string().as_str(), config.port), ("127.0.0.1", 8888));
    assert_eq!(config.database, Database::Sqlite);
    assert_eq!(config.session_ttl, Duration::from_secs(86_400));
    assert_eq!(config.max_body, 1_048_576);
    assert_eq!(config.request_timeout, Some(Duration::from_secs(30)));
    assert_eq!((config.mysql_user, config.mysql_password), (None, None));
    assert_eq!(config.log_level, LogLevel::Info);
}

#[test]
fn the_command_line_overrides_the_environment_and_the_environment_the_file() {
    let port = |conf, environment: &[_], args: &[_]| config(conf, environment, args).port;
    assert_eq!(port("port=1", &[], &[]), 1);
    assert_eq!(port("port=1", &[("SIMPLEAPI_PORT", "2")], &[]), 2);
    assert_eq!(port("port=1", &[("SIMPLEAPI_PORT", "2")], &["--port=3"]), 3);
    assert_eq!(port("port=1", &[], &["--port", "3", "--port", "4"]), 4);
}

#[test]
fn the_config_option_overrides_its_variable_and_the_variable_server_conf() {
    let directory = directory("port=1");
    fs::write(directory.path().join("b.conf"), "port=2").unwrap();
    fs::write(directory.path().join("c.conf"), "port=3").unwrap();
    let port = |environment: &[_], args: &[_]| run(&directory, environment, args).unwrap().config.unwrap().port;
    assert_eq!(port(&[], &[]), 1);
    assert_eq!(port(&[("SIMPLEAPI_CONFIG", "")], &[]), 1);
    assert_eq!(port(&[("SIMPLEAPI_CONFIG", "b.conf")], &[]), 2);
    assert_eq!(port(&[("SIMPLEAPI_CONFIG", "b.conf")], &["--config=c.conf"]), 3);
    assert_eq!(port(&[], &["--config", directory.path().join("c.conf").to_str().unwrap()]), 3);
}

#[test]
fn a_named_file_must_exist() {
    let expected = "no.conf: cannot read the file: No such file or directory (os error 2)";
    assert_eq!(errors("", &[], &["--config=no.conf"]), expected);
    assert_eq!(errors("", &[("SIMPLEAPI_CONFIG", "no.conf")], &[]), expected);
}

#[test]
fn the_file_may_contain_comments_quotes_blank_lines_and_either_newline() {
    let conf = "\u{feff}# comment\r\n\r\n  port = 1 # comment\r\nmysql-user='a # b' # comment\nmysql_host=\"#h\"\n\
                mongodb_host=a#b\nmongodb_database=#c\nmysql_password= \"it's\"\npostgres_url= # none\nsqlite_path=p\u{e4}th with \"quotes\"";
    let config = config(conf, &[], &[]);
    assert_eq!(config.port, 1);
    assert_eq!(config.mysql_user.unwrap(), "a # b");
    assert_eq!(config.mysql_host, "#h");
    assert_eq!(config.mongodb_host, "a#b");
    assert_eq!(config.mongodb_database, "#c");
    assert_eq!(config.mysql_password.unwrap().expose(), "it's");
    assert_eq!(config.postgres_url, None);
    assert_eq!(config.sqlite_path.to_str().unwrap(), "p\u{e4}th with \"quotes\"");
}

#[test]
fn every_error_is_reported_in_order_even_if_an_option_overrides_it() {
    let conf = b"port=x\nprot=1\nnonsense\n\xff=1\nport=2\nmysql_user='a\nmysql_host='a' b\ncompletely_other=1\n";
    let environment = [("SIMPLEAPI_PORT", "70000"), ("SIMPLEAPI_DATABASE", "mongo")];
    let expected = "\
server.conf:1: `x` is not a number from 0 to 65535
server.conf:2: unknown key `prot`; did you mean `port`?
server.conf:3: missing `=`; write `key=value`
server.conf:4: the text is not valid UTF-8
server.conf:5: `port` is already set on line 1; remove one of the two lines
server.conf:6: missing closing quote `'`
server.conf:7: unexpected text after the closing quote `'`; only a comment may follow
server.conf:8: unknown key `completely_other`
SIMPLEAPI_DATABASE: `mongo` is not one of `sqlite`, `mongodb`, `mysql`, `postgres`
SIMPLEAPI_PORT: `70000` is not a number from 0 to 65535
--max_body: `1g` is not a size; write `64k`, `1m` or plain bytes, from 1 to `1024m`";
    assert_eq!(errors(conf, &environment, &["--port=1", "--max-body=1g"]), expected);
}

#[test]
fn commands_that_need_no_configuration_ignore_a_broken_file() {
    let directory = directory("broken");
    assert_eq!(run(&directory, &[], &["methods"]).unwrap().command, Command::Methods);
    let new = run(&directory, &[], &["new", "a.b.c"]).unwrap();
    assert_eq!(new.command, Command::New { name: "a.b.c".to_owned() });
    assert!(new.config.is_err());
}

#[test]
fn options_may_precede_or_follow_the_command_with_dashes_or_underscores() {
    for args in [["--max-body=2k", "check"], ["check", "--max_body=2k"]] {
        let cli = run(&directory(""), &[], &args).unwrap();
        assert_eq!((cli.command, cli.config.unwrap().max_body), (Command::Check, 2048));
    }
    assert_eq!(run(&directory(""), &[], &["serve"]).unwrap().command, Command::Serve);
}

#[test]
fn an_invalid_command_line_is_rejected() {
    assert_eq!(
        usage_error(&["--prot=1", "methods", "--nonsense"]),
        "unknown option `--prot`; did you mean `--port`?\n\
         unknown option `--nonsense`; run `server --help` for a list"
    );
    let unexpected = "an argument is neither a command nor an option; run `server --help` for a list";
    for args in [["metods"].as_slice(), &["-x"], &["--port", "-5"], &["methods", "a"]] {
        assert_eq!(usage_error(args), unexpected, "{args:?}");
    }
    assert!(usage_error(&["--port"]).contains("'--port <PORT>' requires a value"));
    assert!(usage_error(&["--config"]).contains("'--config <PATH>' requires a value"));
    assert!(usage_error(&["new"]).contains("<name>"));
    let args = ["server".into(), OsString::from_vec(b"--port=\xff".to_vec())];
    assert!(matches!(parse(args, [], directory("").path()), Err(EarlyExit::Usage(_))));
}

#[test]
fn help_lists_every_option_in_order_with_its_default() {
    let text = help(&["--help"]);
    let mut rest = text.as_str();
    for key in KEYS {
        let default = if key.default.is_empty() { "none" } else { key.default };
        let option = rest.find(&format!("--{} <{}>", key.name, key.value_name)).expect(key.name);
        rest = &rest[option..];
        assert!(rest.lines().next().unwrap().ends_with(&format!("{} [default: {default}]", key.help)));
    }
    for command in ["check", "methods", "new", "serve", "--config", "the last one counts"] {
        assert!(text.contains(command), "{command}");
    }
    assert!(help(&["methods", "--help"]).contains("Lists the methods"));
    for args in [["--version"].as_slice(), &["-V"], &["methods", "--version"]] {
        assert_eq!(help(args), concat!("server ", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn a_variable_may_name_a_file_that_contains_the_value() {
    let directory = directory("");
    for (held, expected) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a", " a"), ("\u{feff}a", "a")] {
        fs::write(directory.path().join("secret"), held).unwrap();
        let cli = run(&directory, &[("SIMPLEAPI_MYSQL_PASSWORD_FILE", "secret")], &[]).unwrap();
        assert_eq!(cli.config.unwrap().mysql_password.unwrap().expose(), expected);
    }
    for other in [&[][..], &[("SIMPLEAPI_MYSQL_PASSWORD", "b")]] {
        let cli = run(&directory, &[&[("SIMPLEAPI_MYSQL_PASSWORD_FILE", "")], other].concat(), &[]).unwrap();
        let password = cli.config.unwrap().mysql_password;
        assert_eq!(
            password.as_ref().map(Secret::expose),
            other.first().map(|(_, value)| *value),
            "an empty name is none"
        );
    }
    assert_eq!(
        errors("", &[("SIMPLEAPI_PORT_FILE", "hunter2")], &[]),
        "SIMPLEAPI_PORT_FILE: cannot read the file: No such file or directory (os error 2)"
    );
    assert_eq!(
        errors("", &[("SIMPLEAPI_PORT", "1"), ("SIMPLEAPI_PORT_FILE", "server.conf")], &[]),
        "SIMPLEAPI_PORT_FILE: `SIMPLEAPI_PORT` is set as well; unset one of the two variables"
    );
}

#[test]
fn an_unknown_variable_is_a_warning() {
    assert_eq!(
        warnings(&[
            ("SIMPLEAPI_CONFG", "1"),
            ("SIMPLEAPI_MYSQL_PASWORD_FILE", "hunter2"),
            ("SIMPLEAPI_NONSENSE", "1"),
            ("SIMPLEAPI_PROT", "1"),
            ("SIMPLEAPI_TEST_MYSQL", "1"),
            ("SIMPLEAPI_CONTRACT", "deny"),
            ("SIMPLEAPI_DEV", "restart"),
            ("SIMPLEAPI_port", "1"),
            ("PORT", "1"),
        ]),
        [
            "ignoring the unknown environment variable `SIMPLEAPI_CONFG`; did you mean `SIMPLEAPI_CONFIG`?",
            "ignoring the unknown environment variable `SIMPLEAPI_MYSQL_PASWORD_FILE`; did you mean `SIMPLEAPI_MYSQL_PASSWORD_FILE`?",
            "ignoring the unknown environment variable `SIMPLEAPI_NONSENSE`",
            "ignoring the unknown environment variable `SIMPLEAPI_PROT`; did you mean `SIMPLEAPI_PORT`?",
            "ignoring the unknown environment variable `SIMPLEAPI_port`; did you mean `SIMPLEAPI_PORT`?",
        ]
    );
}

#[test]
fn a_variable_that_is_not_utf8_is_an_error() {
    let environment = [("SIMPLEAPI_MYSQL_USER".into(), OsString::from_vec(vec![0xff]))];
    let cli = parse(["server".into()], environment, directory("").path()).unwrap();
    assert_eq!(cli.config.unwrap_err().to_string(), "SIMPLEAPI_MYSQL_USER: the text is not valid UTF-8");
}

#[test]
fn durations_are_seconds_minutes_or_hours() {
    for (text, seconds) in [("30s", 30), ("15m", 900), ("24h", 86_400), ("7", 7), ("876000h", 3_153_600_000)] {
        let config = config("", &[], &[&format!("--session_ttl={text}")]);
        assert_eq!(config.session_ttl, Duration::from_secs(seconds), "{text}");
    }
    for text in ["", "s", "1.5s", "-1", "+1", "1d", "500ms", "1 s", " 1", "876001h", "99999999999999999999", "\u{663}s"]
    {
        let expected =
            format!("`{text}` is not a duration; write `30s`, `15m`, `24h` or plain seconds, up to 100 years");
        assert_eq!(value_error("session_ttl", text), expected);
    }
}

#[test]
fn zero_means_no_request_timeout_and_is_rejected_for_other_timeouts() {
    assert_eq!(config("request_timeout=0s", &[], &[]).request_timeout, None);
    assert_eq!(config("drain_timeout=0", &[], &[]).drain_timeout, Duration::ZERO);
    for key in ["session_ttl", "database_timeout", "first_byte_timeout", "idle_timeout", "body_timeout"] {
        assert_eq!(value_error(key, "0m"), "`0m` is too short; the minimum is `1s`");
    }
}

#[test]
fn numbers_and_sizes_have_bounds() {
    for (text, bytes) in [("1", 1), ("64k", 65_536), ("1024m", 1 << 30)] {
        assert_eq!(config("", &[], &[&format!("--max_body={text}")]).max_body, bytes);
    }
    for text in ["", "0", "0k", "-1", "1K", "1.5m", "1025m", "18446744073709551615m"] {
        let expected = format!("`{text}` is not a size; write `64k`, `1m` or plain bytes, from 1 to `1024m`");
        assert_eq!(value_error("max_body", text), expected);
    }
    for key in ["max_connections", "max_connections_per_address"] {
        assert_eq!(value_error(key, "0"), "`0` is not a number from 1 to 4294967295");
    }
    assert_eq!(value_error("database_connections", "0"), "`0` is not a number from 1 to 10000");
    assert_eq!(value_error("database_timeout", "800h"), "`800h` is not a duration from `1s` to `1h`");
    assert_eq!(value_error("mongodb_port", "0"), "`0` is not a number from 1 to 65535");
    assert_eq!(value_error("mysql_host", ""), "the value must not be empty");
    assert_eq!(value_error("address", "localhost"), "`localhost` is not an IP address such as `127.0.0.1` or `::1`");
}

#[test]
fn proxies_are_networks_or_addresses() {
    let config = config("trusted_proxies=10.0.0.0/8, 192.0.2.1,::1", &[], &[]);
    let networks: Vec<_> = config.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32", "::1/128"]);
    for (text, bad) in [("10.0.0.0/33", "10.0.0.0/33"), ("::1,,::2", ""), ("::1,proxy", "proxy")] {
        let expected = format!("`{bad}` is not an IP address or a network such as `10.0.0.0/8` or `fd00::/8`");
        assert_eq!(value_error("trusted_proxies", text), expected);
    }
}

#[test]
fn origins_are_exact_and_in_the_form_that_browsers_send() {
    let config =
        config("allow_origins=HTTPS://Example.com:443, http://localhost:3000,http://[::1]:80,tauri://a", &[], &[]);
    assert_eq!(config.allow_origins, ["https://example.com", "http://localhost:3000", "http://[::1]", "tauri://a"]);
    for text in [
        "example.com",
        "https://",
        "https://a/",
        "https://a/b",
        "https://a:",
        "https://a:0",
        "https://a:65536",
        "null",
        "https://u@a",
        "://a",
        "https://a b",
        "https://[::1",
        "https://\u{e4}.com",
        "https://a?b",
        "https://a:1:2",
    ] {
        let expected =
            "is not an origin; write `https://example.com` or `http://localhost:3000`, with nothing after it";
        assert_eq!(value_error("allow_origins", text), format!("`{text}` {expected}"));
    }
    for text in ["*", "https://*.example.com"] {
        let expected = "is not an exact origin; responses may carry a session, so list each origin by itself";
        assert_eq!(value_error("allow_origins", text), format!("`{text}` {expected}"));
    }
}

#[test]
fn a_secret_is_in_no_error_warning_or_debug() {
    let conf = "mongodb_url=hunter2\nmysql_url='hunter2\nmysql_password=hunter2\npostgres_url=\"a\" hunter2\nhunter2\n";
    let cli = run(&directory(conf), &[("SIMPLEAPI_MYSQL_URL", "hunter2")], &["--postgres_url=hunter2"]).unwrap();
    assert!(!format!("{cli:?}").contains("hunter2"));
    assert_eq!(
        cli.config.unwrap_err().to_string(),
        "server.conf:1: the URL must start with `mongodb://` or `mongodb+srv://`\n\
         server.conf:2: missing closing quote `'`\n\
         server.conf:4: unexpected text after the closing quote `\"`; only a comment may follow\n\
         server.conf:5: missing `=`; write `key=value`\n\
         SIMPLEAPI_MYSQL_URL: the URL must start with `mysql://` or `mariadb://`\n\
         --postgres_url: the URL must start with `postgres://` or `postgresql://`"
    );
    for args in [["--mysql_password=", "hunter2"], ["--mysql_pasword=hunter2", "x"], ["-mysql_password=hunter2", "x"]] {
        assert!(!usage_error(&args).contains("hunter2"), "{args:?}");
    }
    for key in KEYS.iter().filter(|key| key.is_secret) {
        let value = match key.name {
            "mongodb_url" => "mongodb://hunter2",
            "mysql_url" => "mysql://hunter2",
            "postgres_url" => "postgres://hunter2",
            _ => "hunter2",
        };
        let debug = format!("{:?}", config("", &[], &[&format!("--{}={value}", key.name)]));
        assert!(debug.contains(&format!("{}: Some(<redacted>)", key.name)) && !debug.contains("hunter2"), "{debug}");
    }
    assert_eq!(KEYS.iter().filter(|key| key.is_secret).count(), 4);
}

#[test]
fn a_file_with_a_secret_that_others_can_read_is_a_warning() {
    let warnings = |conf: &str, mode| {
        let directory = directory(conf);
        let path = directory.path().join("server.conf");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        run(&directory, &[], &[]).unwrap().warnings
    };
    let expected = "server.conf: every user of this machine can read `mysql_password`; run `chmod 600 server.conf`";
    assert_eq!(warnings("port=1\nmysql_password=hunter2", 0o644), [expected]);
    assert!(warnings("port=1\nmysql_password=hunter2", 0o640).is_empty());
    assert!(warnings("port=1\nmysql_password=", 0o644).is_empty());
}

#[test]
fn huge_values_are_accepted_and_shortened_in_messages() {
    let huge = "x".repeat(1 << 20);
    let config = config(&format!("mysql_password={huge}"), &[], &[]);
    assert_eq!(config.mysql_password, Some(Secret::from(huge.clone())));
    let shortened = format!("{}...", &huge[..64]);
    assert_eq!(
        errors(format!("port={huge}\n{huge}=1\n"), &[], &[]),
        format!(
            "server.conf:1: `{shortened}` is not a number from 0 to 65535\nserver.conf:2: unknown key `{shortened}`"
        )
    );
}

#[test]
fn control_characters_are_escaped_in_messages() {
    assert_eq!(value_error("port", "\u{1b}[2J\n"), "`\\u{1b}[2J\\n` is not a number from 0 to 65535");
}

/// Values at the ends of numbers, durations and sizes, and beyond them.
const EXTREMES: [&str; 16] = [
    "0",
    "1",
    "-1",
    "",
    "1s",
    "1h",
    "800h",
    "876000h",
    "10000000000s",
    "65535",
    "4294967295",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
    "1024m",
    "1000g",
];

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn every_key_at_its_extremes_serves_or_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = 0;
    for key in KEYS.iter().filter(|key| ["NUMBER", "DURATION", "SIZE", "PORT"].contains(&key.value_name)) {
        for value in EXTREMES {
            let mut config = Config { sqlite_path: directory.path().join("x.db"), ..Config::default() };
            config.shutdown_delay = Duration::ZERO;
            if let Err(error) = (key.set)(&mut config, value) {
                assert!(!error.to_string().is_empty());
                continue;
            }
            if key.name == "shutdown_delay" && !config.shutdown_delay.is_zero() {
                continue; // nothing is calculated with it, and the server would wait for it
            }
            let params = argon2::Params::new(8, 1, 1, None).unwrap();
            let methods = crate::server::static_table(method_sdk::Methods::from(&[][..])).unwrap();
            let access_log = std::sync::Arc::new(crate::log::EventAccessLog);
            let server = crate::Server::with_methods(
                methods,
                crate::startup::Startup::new(&[][..].into()),
                config,
                params,
                access_log,
            )
            .await;
            let server = server.unwrap_or_else(|error| panic!("{} = {value}: {error}", key.name));
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let serving = tokio::spawn(server.run(listener, async { stopped.await.unwrap_or_default() }));
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let get = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            tokio::io::AsyncWriteExt::write_all(&mut stream, get).await.unwrap();
            let mut reply = String::new();
            tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut reply).await.unwrap();
            assert!(reply.starts_with("HTTP/1.1 200"), "{} = {value}: {reply}", key.name);
            stop.send(()).unwrap();
            serving.await.unwrap();
            served += 1;
        }
    }
    assert!(served > 50, "{served}");
}
