//! The process: reads its command line, runs a command, and prints its result.
//!
//! | file | |
//! |---|---|
//! | `serve.rs`, `methods.rs`, `new.rs`, `openapi.rs`, `client.rs`, `lock.rs`, `init.rs`, `check.rs`, `migrate.rs`, `account.rs`, `import.rs` | the commands |
//! | `error.rs` | their errors, and the exit status of each |
//! | `formatting.rs` | whether the files of methods are formatted |
//! | `contract.rs` | the contract of an application, read from its files |
//! | `package.rs` | the name, the version and the edition of an application |
//! | `prompt.rs` | passwords that a person types |
//! | `output.rs` | everything that is printed outside the log |

mod account;
mod check;
mod client;
mod contract;
mod error;
pub(crate) mod formatting;
mod import;
mod init;
mod lock;
mod methods;
mod migrate;
mod new;
mod openapi;
pub(crate) mod output;
mod package;
mod prompt;
mod serve;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use method_sdk::Methods;

use crate::account::AccountService;
use crate::config::{self, Cli, Command, Config, EarlyExit};
use crate::runtime::block_on;
use error::CommandError;
use output::{exit_usage, print, warn};

/// Runs the command on the command line with the methods of an application: the whole of an application's `main`.
///
/// Exits with status 0 if the command succeeds, 1 if it fails, and 2 if the command line or the configuration is invalid.
///
/// # Example
/// ```no_run
/// # mod simpleapi { pub fn methods() -> &'static [method_sdk::Method] { &[] } }
/// fn main() -> std::process::ExitCode {
///     simpleapi_server::main(simpleapi::methods())
/// }
/// ```
pub fn main(methods: impl Into<Methods>) -> ExitCode {
    let directory = env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let cli = match config::parse(env::args_os(), env::vars_os(), &directory) {
        Ok(cli) => cli,
        Err(EarlyExit::Help(text)) => return print(text.trim_end()),
        Err(EarlyExit::Usage(text)) => return exit_usage(&text),
    };
    for warning in &cli.warnings {
        warn(warning);
    }
    run(cli, methods.into(), &directory).unwrap_or_else(|error| error.exit())
}

fn run(cli: Cli, methods: Methods, directory: &Path) -> Result<ExitCode, CommandError> {
    let Cli { command, config, config_file, .. } = cli;
    Ok(match command {
        Command::Serve => serve::serve(methods, config?)?,
        Command::Methods => print(&methods::list(&methods::rows(methods)?)),
        Command::New { name } => print(&new::create(directory, &name)?),
        Command::Openapi => {
            let folder = contract::folder(&methods, directory)?;
            print(&openapi::openapi(&contract::read(&methods, &folder, warn)?))
        }
        Command::Client(client) => {
            let folder = contract::folder(&methods, directory)?;
            print(&client::client(&contract::read(&methods, &folder, warn)?, directory, &client)?)
        }
        Command::Contract(command) => {
            let folder = contract::folder(&methods, directory)?;
            // The types that are any JSON are listed by the other commands.
            let contract = contract::read(&methods, &folder, |_| {})?;
            print(&lock::lock(&contract, &folder, command)?)
        }
        Command::Init { directory: new, git, template } => {
            print(&init::init(directory, &new, git.as_deref(), template.is_some())?)
        }
        Command::Check => print(&check::check(methods, config?, &config_file, directory)?),
        Command::Migrate => {
            print(&with_accounts(config?, async |accounts| migrate::migrate(accounts, &methods).await)?)
        }
        Command::Account(command) => {
            print(&with_accounts(config?, async |accounts| account::account(accounts, &command).await)?)
        }
        Command::Import { from, from_file } => {
            let url = import::source_url(from, from_file.as_deref())?;
            print(&with_accounts(config?, async |accounts| import::import(accounts, url).await)?)
        }
        #[cfg(feature = "dev")]
        Command::Dev(options) => crate::dev::run(methods, config?, &options),
        #[cfg(not(feature = "dev"))]
        Command::Dev(_) => return Err(CommandError::NoDevelopmentMode),
    })
}

/// Opens the accounts of the configured database and runs `command` with them.
fn with_accounts<E>(
    config: Config,
    command: impl AsyncFnOnce(&AccountService) -> Result<String, E>,
) -> Result<String, CommandError>
where
    CommandError: From<E>,
{
    block_on(async {
        let accounts = serve::open_accounts(config).await?;
        Ok(command(&accounts).await?)
    })?
}
