//! What no API would do: objects changed in the store of a stopped network, and broken directories of its nodes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use redb::{Database, ReadableDatabase, TableDefinition};
use serde_json::Value;

use crate::scenario::StoreEdit;

/// The API server's table of objects: resource, namespace and name, with a NUL between them.
const STATE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("state");

/// Merges the patches into the stored objects.
pub(super) fn store(data: &Path, edits: &[StoreEdit]) -> Result<(), String> {
    if edits.is_empty() {
        return Ok(());
    }
    let file = Database::open(data.join("store.redb")).map_err(|error| error.to_string())?;
    edits.iter().try_for_each(|edit| change(&file, edit).map_err(|error| format!("{}: {error}", edit.name)))
}

fn change(file: &Database, edit: &StoreEdit) -> Result<(), Box<dyn std::error::Error>> {
    let place = format!("{}\0{}\0{}", edit.resource, edit.namespace, edit.name);
    let read = file.begin_read()?.open_table(STATE)?;
    let mut object: Value = match read.get(place.as_str())? {
        Some(json) => serde_json::from_slice(json.value())?,
        None => return Err("there is no such object".into()),
    };
    drop(read);
    let write = file.begin_write()?;
    {
        let mut table = write.open_table(STATE)?;
        if edit.patch.is_null() {
            table.remove(place.as_str())?;
        } else {
            json_patch::merge(&mut object, &edit.patch);
            table.insert(place.as_str(), serde_json::to_vec(&object)?.as_slice())?;
        }
    }
    Ok(write.commit()?)
}

/// Where a node of this network keeps the logs of a container. The pod is `NAMESPACE_NAME`.
pub(super) fn logs(home: &Path, pod: &str, container: &str) -> Option<PathBuf> {
    let folders = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let nodes = folders(home.to_owned()).flat_map(|data| folders(data.join("nodes")));
    let mut pods = nodes.flat_map(|node| folders(node.join("pods")));
    let is_it =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{pod}_")));
    pods.find(is_it).map(|found| found.join(container))
}

/// A directory becomes a file, or the file goes: its owner makes the directory anew.
pub(super) fn break_directory(path: &Path, broken: bool) -> io::Result<()> {
    match (broken, path.is_dir()) {
        (true, true) => {
            fs::remove_dir_all(path)?;
            fs::write(path, "not a directory")
        }
        (true, false) => fs::write(path, "not a directory"),
        (false, true) => Ok(()),
        (false, false) => match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        },
    }
}
