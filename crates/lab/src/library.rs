//! All scenarios: those in the program, or those of a directory.

use std::{fs, io, path::Path};

use crate::scenario::{LoadError, Scenario, Texts};

/// What `build.rs` found: name, and the three files.
const EMBEDDED: &[(&str, [&str; 3])] = include!(concat!(env!("OUT_DIR"), "/scenarios.rs"));

/// Scenarios in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Library {
    scenarios: Vec<Scenario>,
}

/// Why there is no library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LibraryError {
    /// The directory cannot be read.
    #[error("cannot read scenarios from {path}")]
    Directory {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A scenario is wrong.
    #[error(transparent)]
    Scenario(#[from] LoadError),
    /// Nothing is there.
    #[error("{0} has no scenario: a scenario is a folder with objects.yaml and expect.yaml")]
    Empty(String),
}

impl Library {
    /// Those that this program brings along.
    ///
    /// # Errors
    /// If one is wrong.
    pub fn embedded() -> Result<Self, LibraryError> {
        let read = |(name, [objects, fault, expect]): &(&str, [&str; 3])| {
            Scenario::parse(name, Texts { objects, fault, expect })
        };
        Ok(Self { scenarios: EMBEDDED.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Those of a directory, each in its folder.
    ///
    /// # Errors
    /// If a file cannot be read, or one is wrong.
    pub fn read(directory: &Path) -> Result<Self, LibraryError> {
        let failed = |source| LibraryError::Directory { path: directory.display().to_string(), source };
        let mut folders: Vec<_> = fs::read_dir(directory).map_err(failed)?.collect::<Result<_, _>>().map_err(failed)?;
        folders.retain(|entry| entry.path().join("expect.yaml").exists());
        folders.sort_by_key(fs::DirEntry::file_name);
        let mut scenarios = Vec::new();
        for folder in folders {
            let name = folder.file_name().to_string_lossy().into_owned();
            let text = |file: &str| match fs::read_to_string(folder.path().join(file)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
                other => other.map_err(failed),
            };
            let (objects, fault, expect) = (text("objects.yaml")?, text("fault.yaml")?, text("expect.yaml")?);
            scenarios.push(Scenario::parse(&name, Texts { objects: &objects, fault: &fault, expect: &expect })?);
        }
        match scenarios.is_empty() {
            true => Err(LibraryError::Empty(directory.display().to_string())),
            false => Ok(Self { scenarios }),
        }
    }

    /// All of them.
    pub fn scenarios(&self) -> &[Scenario] {
        &self.scenarios
    }

    /// The one with this name.
    pub fn get(&self, name: &str) -> Option<&Scenario> {
        self.scenarios.iter().find(|scenario| scenario.name == name)
    }

    /// Those of the names (all if there are none) and of the family (of all if there is none).
    ///
    /// # Errors
    /// The first name that nobody has.
    pub fn choose(&self, names: &[String], family: Option<&str>) -> Result<Vec<&Scenario>, String> {
        if let Some(unknown) = names.iter().find(|name| self.get(name).is_none()) {
            return Err(unknown.clone());
        }
        let wanted = |scenario: &&Scenario| {
            (names.is_empty() || names.contains(&scenario.name))
                && family.is_none_or(|family| scenario.expect.family == family)
        };
        Ok(self.scenarios.iter().filter(wanted).collect())
    }

    /// The families, each once.
    pub fn families(&self) -> Vec<&str> {
        let mut families: Vec<_> = self.scenarios.iter().map(|scenario| scenario.expect.family.as_str()).collect();
        families.sort_unstable();
        families.dedup();
        families
    }
}
