//! The SDK's shared library that this process runs with: which file it is, and whether that is still the same.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const NAME: &str = "libmethod_sdk_dylib.so";

/// The shared library, as it was when the process started.
pub(crate) struct Sdk {
    pub(crate) path: PathBuf,
    stamp: FileStamp,
}

/// Which file it is, and which version of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileStamp {
    inode: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl FileStamp {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(FileStamp { inode: file.ino(), bytes: file.size(), changed: (file.mtime(), file.mtime_nsec()) })
    }
}

impl Sdk {
    /// The one that is mapped into this process.
    ///
    /// # Errors
    /// There is none, or its file has been replaced since.
    pub(crate) fn loaded() -> Result<Self, String> {
        let maps = fs::read_to_string("/proc/self/maps").map_err(|error| format!("/proc/self/maps: {error}"))?;
        let (inode, path) = maps.lines().find_map(mapping).ok_or_else(|| {
            format!("{NAME} is not loaded: development mode needs a build by Cargo with the feature `dev`, such as `cargo dev` makes")
        })?;
        let stamp = FileStamp::of(&path).filter(|stamp| stamp.inode == inode).ok_or_else(|| Self::rebuilt(&path))?;
        Ok(Sdk { path, stamp })
    }

    /// Looks whether what is compiled against the file fits this process.
    ///
    /// # Errors
    /// The file is another by now.
    pub(crate) fn check(&self) -> Result<(), String> {
        if FileStamp::of(&self.path) == Some(self.stamp) { Ok(()) } else { Err(Self::rebuilt(&self.path)) }
    }

    /// What names this version of it, and with it of everything that was built in the same breath.
    pub(crate) fn version(&self) -> String {
        format!("{:?} {:?}", self.path, self.stamp)
    }

    fn rebuilt(path: &Path) -> String {
        format!(
            "method-sdk was rebuilt while this server runs ({}): restart it, until then nothing is loaded",
            path.display()
        )
    }
}

/// The inode and path of a line, if it is that of the library.
fn mapping(line: &str) -> Option<(u64, PathBuf)> {
    let mut words = line.split_ascii_whitespace();
    let inode = words.nth(4)?.parse().ok()?;
    let path = &line[line.find('/')?..];
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    path.ends_with(&format!("/{NAME}")).then(|| (inode, PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_maps_is_read_with_spaces_in_its_path() {
        let line =
            "7f0c0b682000-7f0c0b684000 r--p 00000000 fe:00 1234     /home/a b/target/debug/libmethod_sdk_dylib.so";
        assert_eq!(mapping(line), Some((1234, PathBuf::from("/home/a b/target/debug/libmethod_sdk_dylib.so"))));
        let deleted = format!("{line} (deleted)");
        assert_eq!(mapping(&deleted), mapping(line));
        assert_eq!(mapping("7f0c0b682000-7f0c0b684000 r--p 00000000 fe:00 1234     /lib/libc.so.6"), None);
        assert_eq!(mapping("7ffd1d7f5000-7ffd1d816000 rw-p 00000000 00:00 0        [stack]"), None);
    }
}
