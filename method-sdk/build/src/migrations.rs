//! The migrations of an application's own tables: `migrations/DATABASE/NNNN_name.sql`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::problem::Problem;

/// The folder beside Cargo.toml that holds the migrations.
pub const MIGRATIONS_FOLDER: &str = "migrations";

/// The databases that have migrations, by their names for `--database`.
const DATABASES: [&str; 3] = ["mysql", "postgres", "sqlite"];

/// A migration, as a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The database, such as `sqlite`.
    pub database: &'static str,
    /// The number in front of the name. Migrations are applied in the order of their numbers.
    pub version: i64,
    /// The file, such as `migrations/sqlite/0001_notes.sql`.
    pub file: PathBuf,
    /// The absolute path of the file.
    pub(crate) path: PathBuf,
    /// The SQL.
    pub sql: String,
}

/// Reads the migrations in the folder of a package, sorted by database and number. Without the folder there are none.
///
/// # Errors
/// Returns every file and folder that is no migration, sorted.
pub fn read_migrations(package: &Path) -> Result<Vec<Migration>, Vec<Problem>> {
    let root = package.join(MIGRATIONS_FOLDER);
    let (mut migrations, mut problems) = (BTreeMap::new(), BTreeSet::new());
    let mut problem = |file: PathBuf, message: String| {
        problems.insert(Problem { file, line: None, message });
    };
    for (folder, name) in entries(&root) {
        let place = Path::new(MIGRATIONS_FOLDER).join(&name);
        let Some(database) = DATABASES.into_iter().find(|database| *database == name) else {
            if folder.is_dir() || is_sql(&folder) {
                problem(place, "migrations are in `migrations/sqlite`, `migrations/postgres` and `migrations/mysql`; for MongoDB write `methods/_start.rs`".to_owned());
            }
            continue;
        };
        for (path, name) in entries(&folder).into_iter().filter(|(path, _)| is_sql(path)) {
            let file = place.join(&name);
            let Some(version) = version(&name) else {
                problem(file, "a migration has a number and a name, such as `0001_create_notes.sql`".to_owned());
                continue;
            };
            match fs::read_to_string(&path) {
                Ok(sql) => {
                    let migration = Migration { database, version, file: file.clone(), path, sql };
                    if let Some(other) = migrations.insert((database, version), migration) {
                        problem(file, format!("it has the number of {}; give it the next one", other.file.display()));
                    }
                }
                Err(error) => problem(file, format!("cannot read the file: {error}")),
            }
        }
    }
    if problems.is_empty() { Ok(migrations.into_values().collect()) } else { Err(problems.into_iter().collect()) }
}

/// Returns the entries of a folder that are not hidden, with their names, sorted.
fn entries(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let entries = entries.map(|entry| (entry.path(), entry.file_name().to_string_lossy().into_owned()));
    let mut entries: Vec<_> = entries.filter(|(_, name)| !name.starts_with('.')).collect();
    entries.sort();
    entries
}

fn is_sql(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "sql")
}

/// Returns the number of `0001_create_notes.sql`.
fn version(name: &str) -> Option<i64> {
    let (number, rest) = name.split_once('_')?;
    let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_number && rest.len() > ".sql".len())
}
