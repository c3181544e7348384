//! Results: the samples of a part, in `target/bench/results/PART.json`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::interrupt::Interrupt;
use crate::machine::{self, Machine};
use crate::options::Settings;

/// Measurements by name. The name ends with the unit.
pub type Values = BTreeMap<String, f64>;

/// One measurement of one server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// The workload, such as `64 connections`.
    pub case: String,
    pub server: String,
    /// From 1. Samples of one round are measured one after the other.
    pub round: usize,
    pub values: Values,
}

/// The results of a part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    pub part: String,
    /// The day on which the part began.
    pub date: String,
    pub machine: Machine,
    pub settings: Settings,
    /// The sentences about what was left out, and why.
    pub notes: Vec<String>,
    pub samples: Vec<Sample>,
}

impl Results {
    /// Reads the results of a part, or returns `None` if it has not been measured.
    pub fn read(folder: &Path, part: &str) -> Option<Self> {
        let text = fs::read(path(folder, part)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Returns the values of a measurement in all rounds, in their order.
    pub fn values(&self, case: &str, server: &str, name: &str) -> Vec<f64> {
        self.rounds(case, server, name).into_iter().map(|(_, value)| value).collect()
    }

    /// Returns the median of a measurement.
    pub fn median(&self, case: &str, server: &str, name: &str) -> Option<f64> {
        median(self.values(case, server, name))
    }

    /// Returns the median of the ratios of two servers' measurements, each within one round.
    pub fn ratio(&self, case: &str, server: &str, base: &str, name: &str) -> Option<f64> {
        ratio(self.rounds(case, server, name), &self.rounds(case, base, name))
    }

    /// Returns the median of the ratios of one server's measurements in two cases, each within one round.
    pub fn ratio_of_cases(&self, server: &str, case: &str, base: &str, name: &str) -> Option<f64> {
        ratio(self.rounds(case, server, name), &self.rounds(base, server, name))
    }

    /// Returns the cases in the order of their first samples.
    pub fn cases(&self) -> Vec<&str> {
        distinct(self.samples.iter().map(|sample| sample.case.as_str()))
    }

    /// Returns the servers in the order of their first samples.
    pub fn servers(&self) -> Vec<&str> {
        distinct(self.samples.iter().map(|sample| sample.server.as_str()))
    }

    fn rounds(&self, case: &str, server: &str, name: &str) -> Vec<(usize, f64)> {
        let samples = self.samples.iter().filter(|sample| sample.case == case && sample.server == server);
        samples.filter_map(|sample| Some((sample.round, *sample.values.get(name)?))).collect()
    }
}

/// Returns the median; of an even number of values, the mean of the middle two.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Returns the median of the ratios of values of the same round.
fn ratio(values: Vec<(usize, f64)>, base: &[(usize, f64)]) -> Option<f64> {
    let in_round = |round: usize| base.iter().find(|(other, _)| *other == round).map(|(_, value)| *value);
    median(values.into_iter().filter_map(|(round, value)| Some(value / in_round(round)?)).collect())
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

fn path(folder: &Path, part: &str) -> PathBuf {
    folder.join("results").join(format!("{part}.json"))
}

/// Collects the samples of a part and writes each to its file.
pub struct Recorder<'a> {
    path: PathBuf,
    pub results: Results,
    interrupt: &'a Interrupt,
}

impl<'a> Recorder<'a> {
    /// Begins a part, or with `resume` continues it, if its results are of the same machine, commit and settings.
    ///
    /// # Errors
    /// Returns an error if the date is unknown.
    pub fn new(
        folder: &Path,
        part: &str,
        machine: &Machine,
        settings: &Settings,
        resume: bool,
        interrupt: &'a Interrupt,
    ) -> Result<Self> {
        let is_same = |results: &Results| results.machine == *machine && results.settings.continues(settings);
        let mut results = match Results::read(folder, part).filter(|results| resume && is_same(results)) {
            Some(results) => results,
            None => Results {
                part: part.to_owned(),
                date: machine::today()?,
                machine: machine.clone(),
                settings: settings.clone(),
                notes: Vec::new(),
                samples: Vec::new(),
            },
        };
        results.settings = settings.clone();
        results.notes.clear();
        Ok(Recorder { path: path(folder, part), results, interrupt })
    }

    /// Adds what is left out, and why.
    pub fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.results.notes.contains(&note) {
            self.results.notes.push(note);
        }
    }

    /// Returns `true` if the measurement has been taken before.
    pub fn has(&self, case: &str, server: &str, round: usize) -> bool {
        let is_it = |sample: &Sample| sample.case == case && sample.server == server && sample.round == round;
        self.results.samples.iter().any(is_it)
    }

    /// Adds a sample and writes the file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn add(&mut self, case: &str, server: &str, round: usize, values: Values) -> Result<()> {
        self.results.samples.push(Sample { case: case.to_owned(), server: server.to_owned(), round, values });
        let text = serde_json::to_vec_pretty(&self.results)?;
        let new = self.path.with_extension("json.new");
        fs::write(&new, text)?;
        fs::rename(new, &self.path).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Measures every case of every server in every round, in turns: the order is reversed in every second round.
    ///
    /// # Errors
    /// Returns the error of the first measurement that fails.
    pub fn rounds<C>(
        &mut self,
        cells: &[(String, String, C)],
        mut measure: impl FnMut(&C, usize) -> Result<Values>,
    ) -> Result<()> {
        let rounds = self.results.settings.rounds;
        let total = rounds * cells.len();
        let (mut done, mut measured, began) = (0, 0_u32, Instant::now());
        for round in 1..=rounds {
            let mut order: Vec<&(String, String, C)> = cells.iter().collect();
            if round % 2 == 0 {
                order.reverse();
            }
            for (case, server, cell) in order {
                done += 1;
                if self.has(case, server, round) {
                    continue;
                }
                self.interrupt.check()?;
                let values = measure(cell, round)
                    .inspect_err(|_| eprintln!("{}: {case}, {server} failed", self.results.part))?;
                measured += 1;
                let left = began.elapsed() / measured * u32::try_from(total - done)?;
                eprintln!(
                    "{}, round {round} of {rounds}, {done}/{total}, {} left: {case}, {server}: {}",
                    self.results.part,
                    show(left),
                    describe(&values)
                );
                self.add(case, server, round, values)?;
            }
        }
        Ok(())
    }
}

fn show(left: Duration) -> String {
    match left.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds.div_ceil(60)),
    }
}

fn describe(values: &Values) -> String {
    values.iter().map(|(name, value)| format!("{name} {value:.1}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_of_an_even_number_of_values_is_the_mean_of_the_middle_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }
}
