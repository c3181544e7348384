//! A server as a process: its start, its CPU time, its memory and its log.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::http;
use crate::interrupt::Interrupt;

/// The time limit of a start.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The time between two attempts to call a server that starts.
const ATTEMPT: Duration = Duration::from_micros(200);

/// The clock ticks of a second in `/proc/PID/stat`, which is 100 on every architecture of Linux (USER_HZ).
const TICKS: u64 = 100;

/// A server that runs on core 0. It is killed when the value is dropped.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    log: PathBuf,
    /// The time from the start to the first response.
    pub start: Duration,
}

impl Process {
    /// Starts a server on core 0, with its standard error in the file `log`, and waits until it answers `request`.
    ///
    /// # Errors
    /// Returns an error if the server ends, does not answer within a minute, or answers with an error.
    pub fn start(
        program: &Path,
        arguments: &[String],
        port: u16,
        log: PathBuf,
        request: &[u8],
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let file = File::options().create(true).append(true).open(&log)?;
        file.set_len(0)?;
        let began = Instant::now();
        let child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut process = Process { child, address, log, start: Duration::ZERO };
        while std::net::TcpStream::connect(address).is_err() {
            interrupt.check()?;
            if process.child.try_wait()?.is_some() || began.elapsed() > TIMEOUT {
                let log = fs::read_to_string(&process.log).unwrap_or_default();
                bail!("{} does not start: {}", program.display(), log.trim());
            }
            std::thread::sleep(ATTEMPT);
        }
        http::exchange(address, request).with_context(|| format!("the first call of {}", program.display()))?;
        process.start = began.elapsed();
        Ok(process)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the log has been written, counts its lines and empties it.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read.
    pub fn take_log_lines(&self) -> Result<u64> {
        let mut length = fs::metadata(&self.log)?.len();
        loop {
            std::thread::sleep(Duration::from_millis(50));
            let now = fs::metadata(&self.log)?.len();
            if now == length {
                break;
            }
            length = now;
        }
        let mut reader = std::io::BufReader::with_capacity(1 << 20, File::open(&self.log)?);
        let mut lines = 0;
        loop {
            let piece = std::io::BufRead::fill_buf(&mut reader)?;
            if piece.is_empty() {
                break;
            }
            lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
            let length = piece.len();
            std::io::BufRead::consume(&mut reader, length);
        }
        File::options().write(true).open(&self.log)?.set_len(0)?;
        Ok(lines)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.log);
    }
}

/// Returns the CPU time that a process has used, with that of its threads that have ended.
///
/// # Errors
/// Returns an error if the process has ended.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the server has ended")?;
    // The name of the program, in parentheses, may contain blanks; utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(") ").context("the format of /proc/PID/stat")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}

/// Returns the resident memory of a process in KiB.
///
/// # Errors
/// Returns an error if the process has ended.
pub fn resident_kib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the server has ended")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
