//! `server methods`: the list of methods; and the warning about demos that other machines can call.

use std::net::IpAddr;
use std::path::Path;

use method_build::Package;
use method_sdk::Methods;

use super::error::CommandError;

/// The methods that come with the server as examples.
const DEMOS: &str = "demo.";

/// A row of the list: the name, the file, and the first line of the description.
pub(super) struct MethodRow([String; 3]);

impl MethodRow {
    fn new(name: &str, file: &str, description: &str) -> Self {
        MethodRow([name, file, description.lines().next().unwrap_or_default()].map(str::to_owned))
    }

    pub(super) fn name(&self) -> &str {
        &self.0[0]
    }
}

/// Returns the methods of the application: those of its table, or in development mode those of its files.
pub(super) fn rows(methods: Methods) -> Result<Vec<MethodRow>, CommandError> {
    let Some(development) = methods.development.filter(|development| development.reloads) else {
        let rows = methods.table.iter().map(|method| MethodRow::new(method.name, method.file, method.description));
        return Ok(rows.collect());
    };
    let tree = method_build::read(&Path::new(development.directory).join("methods"), Package::default())
        .map_err(CommandError::Methods)?;
    let row = |method: &method_build::Method| {
        MethodRow::new(&method.name, &method.file.to_string_lossy(), &method.description)
    };
    Ok(tree.methods().iter().map(row).collect())
}

/// Formats the methods as a table, one per line.
pub(super) fn list(rows: &[MethodRow]) -> String {
    let width = |column: usize| rows.iter().map(|MethodRow(cells)| cells[column].len()).max().unwrap_or(0);
    let (names, files) = (width(0), width(1));
    let line = |MethodRow([name, file, description]): &MethodRow| {
        format!("{name:names$}  {file:files$}  {description}").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns a warning if `address` serves demo methods to other machines.
pub(super) fn demo_warning<'a>(names: impl IntoIterator<Item = &'a str>, address: IpAddr) -> Option<String> {
    let count = names.into_iter().filter(|name| name.starts_with(DEMOS)).count();
    (count > 0 && !address.to_canonical().is_loopback()).then(|| {
        let methods = if count == 1 { "method is" } else { "methods are" };
        format!("{count} demo {methods} served beyond loopback, on {address}; delete `methods/demo` before production")
    })
}
