//! The command line: commands, and one option for every key; the only file that knows the parser behind it.

use std::ffi::{OsStr, OsString};

use structopt::StructOpt;
use structopt::clap::{App, AppSettings, Arg, ErrorKind};

use super::parse::sanitize;
use super::{KEYS, Key, Setting, Settings, names, suggest};

const CONFIG: &str = "config";
const VERSION: &str = "version";
/// The options that belong to one command.
const OF_COMMANDS: [&str; 3] = ["dev_restart", "dev_unsafe", "from"];

const HELP: &str = "`server --help` lists all";

const NOTES: &str = "\
Every option is also a key of server.conf (`port=8888`) and a variable of the environment
(`SIMPLEAPI_PORT`, or `SIMPLEAPI_PORT_FILE` for a file that holds the value). The command line
counts most, then the environment, then server.conf; of an option given twice, the last counts.
Other users of the machine can see the command line: passwords are better kept in a file.

Durations are `30s`, `15m`, `24h` or plain seconds; sizes are `64k`, `1m` or plain bytes.
In the names of options `-` and `_` are the same.";

#[derive(StructOpt)]
#[structopt(name = "server")]
struct Options {
    #[structopt(subcommand)]
    command: Option<Command>,
}

/// What the process is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, StructOpt)]
pub enum Command {
    /// Serves the methods, as does no command at all
    Serve,
    /// Lists the methods, each with its file and description
    Methods,
    /// Writes the file of a new method, ready to compile
    New {
        /// Name of the method, such as `a.b.c`
        name: String,
    },
    /// Development mode: a saved method is live at once; needs a build with the feature `dev`, such as `cargo dev` makes
    Dev(Dev),
    /// Verifies the configuration and the database
    Check,
    /// Makes, changes, removes and lists accounts; a password is asked for, or is the first line of standard input
    Account(Account),
    /// Takes over the accounts of an ancestor's database; sessions are not, people log in anew
    Import {
        /// Where: `mongodb://HOST/DATABASE` or `mysql://USER:PASSWORD@HOST/DATABASE`
        #[structopt(long, value_name = "URL")]
        from: String,
    },
}

/// How development mode is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, StructOpt)]
pub struct Dev {
    /// Listens on an address that other machines can reach: whoever can call is told what does not compile, and why
    #[structopt(long = "dev_unsafe")]
    pub dev_unsafe: bool,
    /// Rebuilds and restarts by itself after a change that cannot be loaded: of Cargo.toml, src/ or the server
    #[structopt(long = "dev_restart")]
    pub dev_restart: bool,
}

/// What to do with accounts.
#[derive(Clone, Debug, PartialEq, Eq, StructOpt)]
pub enum Account {
    /// Makes an account
    Create {
        /// Whose
        user_id: String,
    },
    /// Gives an account another password, and ends its sessions
    Passwd {
        /// Whose
        user_id: String,
    },
    /// Removes an account and its sessions
    Delete {
        /// Whose
        user_id: String,
    },
    /// Lists all accounts: when each was made (UTC), and its user id
    List,
}

/// Why the process ends before it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EarlyExit {
    /// Help or the version, as asked for: to standard output, with status 0.
    Help(String),
    /// What is wrong with the command line: to standard error, with status 2.
    Usage(String),
}

/// What the command line says.
pub(super) struct ArgSource {
    pub(super) command: Command,
    /// The configuration file to read instead of `server.conf`.
    pub(super) config: Option<OsString>,
    pub(super) settings: Settings,
}

/// Reads `args`, the program's name first.
pub(super) fn read(args: impl IntoIterator<Item = OsString>) -> Result<ArgSource, EarlyExit> {
    let args: Vec<_> = args.into_iter().map(with_underscores).collect();
    let unknown: Vec<_> = args.iter().filter_map(unknown).collect();
    if !unknown.is_empty() {
        return Err(EarlyExit::Usage(unknown.join("\n")));
    }
    let helps: Vec<_> = KEYS.iter().map(help).collect();
    let matches = app(&helps).get_matches_from_safe(args).map_err(|error| match error.kind {
        ErrorKind::HelpDisplayed => EarlyExit::Help(error.message),
        // Not sanitize: after `--mysql_password= ` it is the password.
        ErrorKind::UnknownArgument => {
            EarlyExit::Usage(format!("an argument is neither a command nor an option; {HELP}"))
        }
        _ => EarlyExit::Usage(error.message),
    })?;
    if matches.is_present(VERSION) {
        return Err(EarlyExit::Help(concat!("server ", env!("CARGO_PKG_VERSION")).to_owned()));
    }
    let settings = KEYS.iter().filter_map(|key| {
        let value = matches.value_of(key.name)?.to_owned();
        Some(Ok(Setting { origin: format!("--{}", key.name), key, value }))
    });
    Ok(ArgSource {
        settings: settings.collect(),
        config: matches.value_of_os(CONFIG).map(OsStr::to_owned),
        command: Options::from_clap(&matches).command.unwrap_or(Command::Serve),
    })
}

fn app(helps: &[String]) -> App<'_, '_> {
    let config = option(CONFIG, "PATH").help("File to read instead of server.conf; it must exist");
    let version = Arg::with_name(VERSION).long(VERSION).short("V").global(true);
    let version = version.help("Prints version information");
    let keys = (1..).zip(KEYS).zip(helps);
    let keys = keys.map(|((order, key), help)| option(key.name, key.value_name).help(help).display_order(order));
    Options::clap()
        .about("Serves the methods, unless a command says otherwise.")
        .settings(&[AppSettings::StrictUtf8, AppSettings::VersionlessSubcommands])
        .setting(AppSettings::DisableVersion) // the parser would print it by itself
        .set_term_width(0) // one line for each option
        .arg(config.display_order(0))
        .args(&keys.collect::<Vec<_>>())
        .arg(version)
        .after_help(NOTES)
}

fn option<'a>(name: &'a str, value_name: &'a str) -> Arg<'a, 'a> {
    Arg::with_name(name).long(name).value_name(value_name).takes_value(true).overrides_with(name).global(true)
}

fn help(key: &Key) -> String {
    let default = if key.default.is_empty() { "none" } else { key.default };
    format!("{} [default: {default}]", key.help)
}

/// `--max-body=1m` as `--max_body=1m`: the parser knows one spelling.
fn with_underscores(arg: OsString) -> OsString {
    let Some(option) = arg.to_str().and_then(|arg| arg.strip_prefix("--")) else {
        return arg;
    };
    let (name, value) = option.split_at(option.find('=').unwrap_or(option.len()));
    format!("--{}{value}", name.replace('-', "_")).into()
}

/// What to say about `arg` if it is an option that does not exist. Its value may be a secret.
fn unknown(arg: &OsString) -> Option<String> {
    let arg = arg.to_string_lossy();
    let name = arg.strip_prefix("--")?.split('=').next()?;
    let known = || names().chain([CONFIG, VERSION, "help"]).chain(OF_COMMANDS);
    if name.is_empty() || known().any(|known| known == name) {
        return None;
    }
    let meant = suggest(name, known()).map(|name| format!("did you mean `--{name}`? ")).unwrap_or_default();
    Some(format!("unknown option `--{}`; {meant}{HELP}", sanitize(name)))
}
