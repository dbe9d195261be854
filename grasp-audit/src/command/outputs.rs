//! The files that a command will write, tried before it begins: what takes minutes is not to end at a wrong path.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Files with the options that name them.
#[derive(Debug, Default)]
pub(crate) struct Outputs(Vec<(&'static str, PathBuf)>);

impl Outputs {
    /// One more file, when the option was given.
    pub(crate) fn and(self, option: &'static str, path: Option<&PathBuf>) -> Self {
        self.and_all(option, path.cloned())
    }

    /// Several files of one option.
    pub(crate) fn and_all(mut self, option: &'static str, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.0.extend(paths.into_iter().map(|path| (option, path)));
        self
    }

    /// Each can be written, and no two are the same. Nothing is changed, and nothing is left behind.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut seen: Vec<(&str, PathBuf)> = Vec::with_capacity(self.0.len());
        for (option, path) in &self.0 {
            try_to_write(path)
                .map_err(|why| format!("{option}: {} cannot be written: {why}", path.display()))?;
            let Some(place) = place(path) else { continue };
            if let Some((other, _)) = seen.iter().find(|(_, known)| *known == place) {
                let path = path.display();
                return Err(format!("{other} and {option} both write {path}; give each a file of its own"));
            }
            seen.push((option, place));
        }
        Ok(())
    }
}

fn try_to_write(path: &Path) -> std::io::Result<()> {
    match std::fs::metadata(path) {
        // to be opened and closed would be the end of a pipe's reader
        Ok(there) if !there.is_file() && !there.is_dir() => Ok(()),
        Ok(_) => OpenOptions::new().append(true).open(path).map(drop),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            OpenOptions::new().write(true).create_new(true).open(path)?;
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
    }
}

/// Where the file is, under whatever name it was given; none for what is no file, as a pipe.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(there) = path.canonicalize() {
        return there.is_file().then_some(there);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok()?;
    Some(folder.join(path.file_name()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_can_be_written_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        std::fs::write(&old, "kept").unwrap();
        Outputs::default().and("--json", Some(&old)).and("--html", Some(&new)).check().unwrap();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "kept");
        assert!(!new.exists());
    }

    #[test]
    fn what_cannot_be_written_is_told_with_its_option() {
        let folder = tempfile::tempdir().unwrap();
        let told =
            |path: &Path| Outputs::default().and("--json", Some(&path.to_owned())).check().unwrap_err();
        let nowhere = told(&folder.path().join("no/a.json"));
        assert!(nowhere.starts_with("--json: ") && nowhere.contains("No such file"), "{nowhere}");
        assert!(told(folder.path()).contains("Is a directory"));
    }

    #[test]
    fn one_file_under_two_names_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let both = |one: &str, other: &str| {
            let at = |name: &str| folder.path().join(name);
            Outputs::default().and("--json", Some(&at(one))).and("--html", Some(&at(other))).check()
        };
        std::fs::create_dir(folder.path().join("b")).unwrap();
        assert!(both("a", "b/../a").unwrap_err().starts_with("--json and --html both write "));
        std::fs::write(folder.path().join("a"), "").unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("c")).unwrap();
        assert!(both("a", "c").is_err() && both("a", "d").is_ok());
        let nothing = PathBuf::from("/dev/null");
        assert!(
            Outputs::default().and("--json", Some(&nothing)).and("--html", Some(&nothing)).check().is_ok()
        );
    }
}
