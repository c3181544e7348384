//! The SDK's shared library in this process: its file, and whether the file is still the same.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

const NAME: &str = "libmethod_sdk_dylib.so";

/// The shared library, as it was when the process started.
pub(crate) struct Sdk {
    pub(crate) path: PathBuf,
    stamp: FileStamp,
}

/// Why nothing can be compiled against the SDK of this process.
#[derive(Debug, Error)]
pub(crate) enum SdkError {
    #[error("cannot read /proc/self/maps: {0}")]
    Maps(#[source] io::Error),
    #[error(
        "{NAME} is not loaded: development mode needs a build by Cargo with the feature `dev`, such as that of `cargo dev`"
    )]
    NotLoaded,
    #[error("method-sdk was rebuilt while this server is running ({}): restart it; until then nothing is loaded", .0.display())]
    Rebuilt(PathBuf),
}

/// A version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileStamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl FileStamp {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(FileStamp { inode: file.ino(), bytes: file.size(), modified: (file.mtime(), file.mtime_nsec()) })
    }
}

impl Sdk {
    /// Returns the shared library that is mapped into this process.
    ///
    /// # Errors
    /// There is none, or its file has been replaced since the process started.
    pub(crate) fn loaded() -> Result<Self, SdkError> {
        let maps = fs::read_to_string("/proc/self/maps").map_err(SdkError::Maps)?;
        let (inode, path) = maps.lines().find_map(parse_mapping).ok_or(SdkError::NotLoaded)?;
        match FileStamp::of(&path).filter(|stamp| stamp.inode == inode) {
            Some(stamp) => Ok(Sdk { path, stamp }),
            None => Err(SdkError::Rebuilt(path)),
        }
    }

    /// Checks that a library compiled against the file fits this process.
    ///
    /// # Errors
    /// The file has been replaced.
    pub(crate) fn check(&self) -> Result<(), SdkError> {
        if FileStamp::of(&self.path) == Some(self.stamp) { Ok(()) } else { Err(SdkError::Rebuilt(self.path.clone())) }
    }

    /// Returns a text that identifies this version of the library, and with it all that was built together with it.
    pub(crate) fn version(&self) -> String {
        format!("{:?} {:?}", self.path, self.stamp)
    }
}

/// Returns the inode and the path of a line of `/proc/self/maps`, if it maps the library.
fn parse_mapping(line: &str) -> Option<(u64, PathBuf)> {
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
    fn a_mapping_may_have_spaces_in_its_path() {
        let line =
            "7f0c0b682000-7f0c0b684000 r--p 00000000 fe:00 1234     /home/a b/target/debug/libmethod_sdk_dylib.so";
        let expected = Some((1234, PathBuf::from("/home/a b/target/debug/libmethod_sdk_dylib.so")));
        assert_eq!(parse_mapping(line), expected);
        assert_eq!(parse_mapping(&format!("{line} (deleted)")), expected);
        assert_eq!(parse_mapping("7f0c0b682000-7f0c0b684000 r--p 00000000 fe:00 1234     /lib/libc.so.6"), None);
        assert_eq!(parse_mapping("7ffd1d7f5000-7ffd1d816000 rw-p 00000000 00:00 0        [stack]"), None);
    }
}
