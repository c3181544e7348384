//! The report: docs/benchmarks.md and its plots, from the results of all parts.

mod plots;
mod tables;
mod targets;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::artifacts::Workspace;
use crate::parts::PARTS;
use crate::results::Results;

/// The document, and the folder of its plots.
const DOCUMENT: &str = "docs/benchmarks.md";
const PLOTS: &str = "docs/benchmarks";

/// The section that is not a part's.
const TARGETS: &str = "targets";

/// Rewrites the sections of the document whose parts have results, draws the plots, and prints the sections of
/// some parts and that of the targets.
///
/// # Errors
/// Returns an error if a file cannot be read or written.
pub fn write(workspace: &Workspace, shown: &[&str]) -> Result<()> {
    let read = |name| Some((name, Results::read(&workspace.folder, name)?));
    let results: BTreeMap<&str, Results> = PARTS.iter().filter_map(|part| read(part.name)).collect();
    let mut sections: Vec<(&str, String)> =
        PARTS.iter().filter_map(|part| Some((part.name, tables::section(results.get(part.name)?)))).collect();
    if !results.is_empty() {
        sections.push((TARGETS, targets::section(&results)));
    }
    let path = workspace.root.join(DOCUMENT);
    let mut document = fs::read_to_string(&path).with_context(|| format!("cannot read {DOCUMENT}"))?;
    for (name, text) in &sections {
        document = replace(&document, name, text).with_context(|| format!("{DOCUMENT} has no section {name}"))?;
        if *name == TARGETS || shown.contains(name) {
            println!("{name}\n\n{text}\n");
        }
    }
    fs::write(path, document)?;
    write_plots(&workspace.root.join(PLOTS), &results)?;
    eprintln!("wrote {DOCUMENT} and {PLOTS}/*.svg");
    Ok(())
}

fn write_plots(folder: &Path, results: &BTreeMap<&str, Results>) -> Result<()> {
    fs::create_dir_all(folder)?;
    if let Some(hello) = results.get("hello") {
        fs::write(folder.join("cpu.svg"), plots::cpu(hello)?)?;
        fs::write(folder.join("throughput.svg"), plots::throughput(hello)?)?;
        fs::write(folder.join("latency.svg"), plots::latency(hello)?)?;
    }
    if let Some(signed) = results.get("signed") {
        fs::write(folder.join("signed.svg"), plots::signed(signed)?)?;
    }
    Ok(())
}

/// Replaces the text between the markers of a section, or returns `None` if the document has none.
fn replace(document: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- bench/run {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = document.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{text}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn the_text_between_the_markers_of_a_section_is_replaced() {
        let document = "a\n<!-- bench/run x -->\nold\n<!-- end of x -->\nb\n";
        let expected = "a\n<!-- bench/run x -->\nnew\n<!-- end of x -->\nb\n";
        assert_eq!(replace(document, "x", "new").as_deref(), Some(expected));
        assert_eq!(replace(document, "y", "new"), None);
    }
}
