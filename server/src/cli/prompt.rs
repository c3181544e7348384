//! Passwords from a terminal, whose echo is restored however the prompt ends.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process;

use futures_util::future::select_all;
use rustix::process::{Signal as ProcessSignal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end a process.
const ENDING: [SignalKind; 7] = [
    SignalKind::alarm(),
    SignalKind::hangup(),
    SignalKind::interrupt(),
    SignalKind::quit(),
    SignalKind::terminate(),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
];

/// The terminal of the process, which does not show what is typed. Dropping it restores the terminal.
struct HiddenInput {
    terminal: File,
    shown: Termios,
    hidden: Termios,
}

impl HiddenInput {
    fn new() -> io::Result<Self> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let shown = tcgetattr(&terminal)?;
        let mut hidden = shown.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        hidden.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(&terminal, OptionalActions::Flush, &hidden)?;
        Ok(HiddenInput { terminal, shown, hidden })
    }

    fn show(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.terminal, OptionalActions::Now, &self.shown)?)
    }

    fn hide(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.terminal, OptionalActions::Now, &self.hidden)?)
    }
}

impl Drop for HiddenInput {
    fn drop(&mut self) {
        let _ = self.show();
    }
}

/// Asks for a password on the terminal, which does not show it.
///
/// A signal that ends the process, such as that of Ctrl-C, restores the terminal first, and so does Ctrl-Z.
pub(super) async fn password(prompt: &'static str) -> io::Result<String> {
    // First the handlers: no signal finds the terminal changed and no handler.
    let mut ending = ENDING.into_iter().map(signal).collect::<io::Result<Vec<_>>>()?;
    let mut stop = signal(SignalKind::from_raw(ProcessSignal::TSTP.as_raw()))?;
    let input = HiddenInput::new()?;
    let mut output = &input.terminal;
    let reader = BufReader::new(input.terminal.try_clone()?);
    output.write_all(prompt.as_bytes())?;
    let mut line = tokio::task::spawn_blocking(move || reader.lines().next());
    loop {
        tokio::select! {
            line = &mut line => return line?.unwrap_or(Ok(String::new())),
            index = first(&mut ending) => {
                input.show()?;
                output.write_all(b"\n")?;
                process::exit(128 + ENDING[index].as_raw_value()); // as a shell reports a command that a signal has ended
            }
            _ = stop.recv() => {
                input.show()?;
                kill_process(getpid(), ProcessSignal::STOP)?; // returns when the process continues
                input.hide()?;
                output.write_all(prompt.as_bytes())?;
            }
        }
    }
}

/// Waits for a signal and returns its index.
async fn first(signals: &mut [Signal]) -> usize {
    select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await.1
}
