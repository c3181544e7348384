//! The command line: commands, and one option for every key. The only file that names the parser behind it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use structopt::StructOpt;
use structopt::clap::{App, AppSettings, Arg, ErrorKind};

use super::keys::{KEYS, Key, names, suggest};
use super::parse::sanitize;
use super::setting::{Setting, Settings};

const CONFIG: &str = "config";
const VERSION: &str = "version";
/// The options of single commands.
const COMMAND_OPTIONS: [&str; 7] = ["dev_poll", "dev_restart", "dev_unsafe", "from", "from_file", "git", "template"];

const HELP: &str = "run `server --help` for a list";

const NOTES: &str = "\
Every option is also a key of server.conf (`port=8888`) and an environment variable
(`SIMPLEAPI_PORT`, or `SIMPLEAPI_PORT_FILE` for a file that contains the value). The command line
takes precedence over the environment, and the environment over server.conf. If an option is given
twice, the last one counts. Other users of the machine can see the command line: keep passwords in
a file.

Durations are `30s`, `15m`, `24h` or plain seconds; sizes are `64k`, `1m` or plain bytes.
In the names of options `-` and `_` are the same.";

#[derive(StructOpt)]
#[structopt(name = "server")]
struct Options {
    #[structopt(subcommand)]
    command: Option<Command>,
}

/// The command of the process.
#[derive(Clone, Debug, PartialEq, Eq, StructOpt)]
pub(crate) enum Command {
    /// Serves the methods; the default command
    Serve,
    /// Lists the methods, each with its file and description
    Methods,
    /// Creates the file of a new method, ready to compile
    New {
        /// Name of the method, such as `a.b.c`
        name: String,
    },
    /// Prints the OpenAPI 3.1 document of the methods, read from their files without compiling them
    Openapi,
    /// Writes a client of the methods, read from their files: types and a function for each, which sign, verify and keep the session
    Client(Client),
    /// Compares the methods with contract.json, the lock of what callers rely on
    Contract(Contract),
    /// Writes an application of your own, which depends on the packages that this program was built from
    Init {
        /// New folder, whose name is that of the application's package
        directory: PathBuf,
        /// Git repository of the packages, instead of their folder on this machine
        #[structopt(long, value_name = "URL")]
        git: Option<String>,
        /// Example to begin with: `notes` has a table, tests, a client and a page
        #[structopt(long, value_name = "NAME", possible_values = &["notes"])]
        template: Option<String>,
    },
    /// Development mode: a saved method is live immediately; needs the feature `dev`, which `cargo dev` enables
    Dev(Dev),
    /// Verifies the configuration and the database
    Check,
    /// Applies the migrations of the application to the database; a server does so before it is ready
    Migrate,
    /// Creates, changes, deletes and lists accounts; a password is read from the terminal or from the first line of standard input
    Account(Account),
    /// Imports the accounts of the Python version's database; sessions are not imported, so users log in again
    Import {
        /// URL of the database: `mongodb://HOST/DATABASE` or `mysql://USER@HOST/DATABASE`; with a password use `--from_file`
        #[structopt(long, value_name = "URL", conflicts_with = "from_file")]
        from: Option<String>,
        /// File that contains the URL; without both options, the environment variable `SIMPLEAPI_IMPORT_FROM` is the URL
        #[structopt(long = "from_file", value_name = "PATH")]
        from_file: Option<PathBuf>,
    },
}

/// The options of development mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, StructOpt)]
pub(crate) struct Dev {
    /// Allows an address that other machines can reach; every caller then sees compile errors, with parts of the source
    #[structopt(long = "dev_unsafe")]
    pub(crate) dev_unsafe: bool,
    /// Rebuilds and restarts the server after a change that cannot be loaded: to Cargo.toml, src/ or the server
    #[structopt(long = "dev_restart")]
    pub(crate) dev_restart: bool,
    /// Looks for changes three times a second, for folders whose changes the system does not report, such as network drives
    #[structopt(long = "dev_poll")]
    pub(crate) dev_poll: bool,
}

/// The command for the lock of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, StructOpt)]
pub(crate) enum Contract {
    /// Lists the changes that break callers since the lock was written; fails if there are any
    Check,
    /// Writes the lock, with all changes
    Accept,
}

/// The command for clients.
#[derive(Clone, Debug, PartialEq, Eq, StructOpt)]
pub(crate) enum Client {
    /// api.ts and runtime.ts, for browsers and for Node 20 or later; no packages
    Typescript {
        /// Folder for the files
        directory: PathBuf,
    },
    /// api.py, for Python 3.11 or later; no packages
    Python {
        /// Folder for the file
        directory: PathBuf,
    },
}

/// The command for accounts.
#[derive(Clone, Debug, PartialEq, Eq, StructOpt)]
pub(crate) enum Account {
    /// Creates an account
    Create {
        /// User id of the account
        user_id: String,
    },
    /// Changes the password of an account, and ends its sessions
    Passwd {
        /// User id of the account
        user_id: String,
    },
    /// Deletes an account and its sessions
    Delete {
        /// User id of the account
        user_id: String,
    },
    /// Lists all accounts: time of creation (UTC), and user id
    List,
}

/// The reason why the process ends before it runs a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EarlyExit {
    /// The requested help or version, for standard output.
    Help(String),
    /// The errors in the command line, for standard error.
    Usage(String),
}

/// The settings on the command line, and its command.
pub(super) struct ArgSource {
    pub(super) command: Command,
    /// The configuration file to read instead of `server.conf`.
    pub(super) config: Option<OsString>,
    pub(super) settings: Settings,
}

/// Reads `args`, which start with the program's name.
pub(super) fn read(args: impl IntoIterator<Item = OsString>) -> Result<ArgSource, EarlyExit> {
    let args: Vec<_> = args.into_iter().map(with_underscores).collect();
    let unknown: Vec<_> = args.iter().filter_map(unknown_option).collect();
    if !unknown.is_empty() {
        return Err(EarlyExit::Usage(unknown.join("\n")));
    }
    let helps: Vec<_> = KEYS.iter().map(help).collect();
    let matches = app(&helps).get_matches_from_safe(args).map_err(|error| match error.kind {
        ErrorKind::HelpDisplayed => EarlyExit::Help(error.message),
        // The message does not show the argument: after `--mysql_password= ` it is the password.
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
    let version = version.help("Prints the version");
    let keys = (1..).zip(KEYS).zip(helps);
    let keys = keys.map(|((order, key), help)| option(key.name, key.value_name).help(help).display_order(order));
    Options::clap()
        .about("Serves the methods of this application.")
        .settings(&[AppSettings::StrictUtf8, AppSettings::VersionlessSubcommands])
        .setting(AppSettings::DisableVersion) // `--version` is an option of ours, also after a command
        .set_term_width(0) // one line per option
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

/// Turns `--max-body=1m` into `--max_body=1m`, the spelling that the parser knows.
fn with_underscores(arg: OsString) -> OsString {
    let Some(option) = arg.to_str().and_then(|arg| arg.strip_prefix("--")) else {
        return arg;
    };
    let (name, value) = option.split_at(option.find('=').unwrap_or(option.len()));
    format!("--{}{value}", name.replace('-', "_")).into()
}

/// Returns the error message if `arg` is an option that does not exist. It does not show the value, which may be a secret.
fn unknown_option(arg: &OsString) -> Option<String> {
    let arg = arg.to_string_lossy();
    let name = arg.strip_prefix("--")?.split('=').next()?;
    let known = || names().chain([CONFIG, VERSION, "help"]).chain(COMMAND_OPTIONS);
    if name.is_empty() || known().any(|known| known == name) {
        return None;
    }
    let suggestion = match suggest(name, known()) {
        Some(name) => format!("did you mean `--{name}`?"),
        None => HELP.to_owned(),
    };
    Some(format!("unknown option `--{}`; {suggestion}", sanitize(name)))
}
