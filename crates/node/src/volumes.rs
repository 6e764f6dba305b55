//! The volumes of a pod: `emptyDir`, `configMap` and `secret`, as directories below the node's root.
//!
//! Containers see the machine's own files, so a volume is bound over a directory that is there already, inside the
//! container's own mount namespace; nothing is ever made on the machine outside of the node's root. What cannot be
//! provided like that keeps the pod from starting, as a missing ConfigMap does: a program never runs without its files.
//! Contents are those of the pod's start; they do not follow later changes of the object.
//!
//! Upstream: `pkg/volume/{emptydir,configmap,secret}`, `pkg/kubelet/volumemanager`.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ffi::CString,
    fs::{self, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use k8s_openapi::api::core::v1::{ConfigMap, Container, KeyToPath, Pod, PodSpec, Secret, Volume, VolumeMount};
use kube::Api;
use portolan_runtime::describe;

use crate::{agent::Agent, logs, process::Mount};

/// Where every pod is given the token of its service account. No API here asks for one, and the machine has no such
/// directory: these mounts are left out.
const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Directory of the volumes in that of the pod. No container has such a name.
const DIRECTORY: &str = ".volumes";

/// A volume that cannot be provided. Worth trying again: objects appear, directories too.
#[derive(Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume \"{volume}\" : {cause}")]
pub struct VolumeError {
    volume: String,
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("the pod has no volume of that name")]
    Unknown,
    #[error(
        "{0} volumes are not supported by this node, which has emptyDir, configMap and secret only; use one of these or \
         remove the volume"
    )]
    Kind(String),
    #[error(
        "container {0} mounts it with a subPath, which is not supported by this node; mount the whole volume at a \
         directory"
    )]
    SubPath(String),
    #[error(
        "container {0} mounts it at {1}, which is not a directory of this machine; containers see the machine's files \
         and the node makes no directories there: create it, or mount the volume at one that exists, such as /mnt"
    )]
    NoDirectory(String, String),
    #[error("container {0} mounts it at {1}, inside another volume, which is not supported by this node")]
    Nested(String, String),
    #[error("{0} \"{1}\" not found")]
    Missing(&'static str, String),
    #[error("references non-existent {0} key: {1}")]
    Key(&'static str, String),
    #[error("the path {0} leads out of the volume")]
    Path(String),
    #[error("{0}")]
    Api(String),
    #[error("cannot write {0}: {1}")]
    File(PathBuf, io::Error),
}

impl Cause {
    fn of(self, volume: &str) -> VolumeError {
        VolumeError { volume: volume.into(), cause: self }
    }
}

/// The volumes of a pod that are there, by name.
#[derive(Debug, Default)]
pub struct Volumes(BTreeMap<String, Provided>);

#[derive(Debug)]
struct Provided {
    directory: PathBuf,
    read_only: bool,
}

impl Volumes {
    /// What is bound where in this container.
    pub fn mounts(&self, container: &Container) -> Vec<Mount> {
        let mounts = counted(container).filter_map(|mount| {
            let provided = self.0.get(&mount.name)?;
            Some(Mount {
                source: CString::new(provided.directory.as_os_str().as_encoded_bytes()).ok()?,
                target: CString::new(mount.mount_path.as_str()).ok()?,
                read_only: provided.read_only || mount.read_only == Some(true),
            })
        });
        mounts.collect()
    }
}

/// The mounts that have to be there.
fn counted(container: &Container) -> impl Iterator<Item = &VolumeMount> {
    container.volume_mounts.iter().flatten().filter(|mount| Path::new(&mount.mount_path) != Path::new(TOKEN_PATH))
}

/// Makes every volume that a container of the pod mounts.
///
/// # Errors
/// The text of a `FailedMount` event, for the first that cannot be made.
pub async fn provide(agent: &Agent, pod: &Pod, spec: &PodSpec) -> Result<Volumes, VolumeError> {
    let wanted = wanted(spec, |path| path.is_dir())?;
    let directory = agent.directory(pod).join(DIRECTORY);
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut provided = BTreeMap::new();
    for volume in wanted {
        let content = content(agent, namespace, volume).await.map_err(|cause| cause.of(&volume.name))?;
        let (path, read_only) = (directory.join(&volume.name), content.is_some());
        let to = path.clone();
        let made = tokio::task::spawn_blocking(move || make(&to, content)).await;
        let made = made.unwrap_or_else(|error| Err(Cause::File(path.clone(), io::Error::other(error))));
        made.map_err(|cause| cause.of(&volume.name))?;
        provided.insert(volume.name.clone(), Provided { directory: path, read_only });
    }
    Ok(Volumes(provided))
}

/// The volumes that are mounted, if they can be mounted there.
fn wanted(spec: &PodSpec, is_directory: impl Fn(&Path) -> bool) -> Result<Vec<&Volume>, VolumeError> {
    let mut wanted: BTreeMap<&str, &Volume> = BTreeMap::new();
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        for mount in counted(container) {
            let refused = |cause: Cause| Err(cause.of(&mount.name));
            let (name, path) = (container.name.clone(), mount.mount_path.clone());
            if let Entry::Vacant(slot) = wanted.entry(&mount.name) {
                match spec.volumes.iter().flatten().find(|volume| volume.name == mount.name) {
                    Some(volume) => drop(slot.insert(volume)),
                    None => return refused(Cause::Unknown),
                }
            }
            let sub_path = mount.sub_path.iter().chain(&mount.sub_path_expr).any(|path| !path.is_empty());
            let target = Path::new(&mount.mount_path);
            let inside = |other: &VolumeMount| {
                let other = Path::new(&other.mount_path);
                other != target && target.starts_with(other)
            };
            if let Some(kind) = unsupported(wanted[mount.name.as_str()]) {
                return refused(Cause::Kind(kind));
            } else if sub_path {
                return refused(Cause::SubPath(name));
            } else if !target.is_absolute() || target.parent().is_none() || !is_directory(target) {
                return refused(Cause::NoDirectory(name, path));
            } else if counted(container).any(inside) {
                return refused(Cause::Nested(name, path));
            }
        }
    }
    Ok(wanted.into_values().collect())
}

/// The kind of a volume, if it is one that is not provided.
fn unsupported(volume: &Volume) -> Option<String> {
    let fields = serde_json::to_value(volume).unwrap_or_default();
    let kinds = fields.as_object().into_iter().flat_map(|fields| fields.keys());
    let mut others = kinds.filter(|kind| !matches!(kind.as_str(), "name" | "emptyDir" | "configMap" | "secret"));
    others.next().cloned()
}

/// A file of a volume.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    path: PathBuf,
    mode: u32,
    bytes: Vec<u8>,
}

/// The files that the volume begins with; `None` for one that is the pod's to fill.
async fn content(agent: &Agent, namespace: &str, volume: &Volume) -> Result<Option<Vec<Content>>, Cause> {
    let failed = |error: kube::Error| Cause::Api(describe(&error));
    if let Some(source) = &volume.config_map {
        let objects = Api::<ConfigMap>::namespaced(agent.client.clone(), namespace);
        let found = objects.get_opt(&source.name).await.map_err(failed)?;
        let data = found.map(|object| {
            let texts = object.data.unwrap_or_default().into_iter().map(|(key, text)| (key, text.into_bytes()));
            let binary = object.binary_data.unwrap_or_default().into_iter().map(|(key, bytes)| (key, bytes.0));
            texts.chain(binary).collect()
        });
        let wish = Wish { optional: source.optional, items: source.items.as_deref(), mode: source.default_mode };
        return files("configmap", &source.name, data, &wish).map(Some);
    }
    let Some(source) = &volume.secret else { return Ok(None) };
    let name = source.secret_name.as_deref().unwrap_or_default();
    let objects = Api::<Secret>::namespaced(agent.client.clone(), namespace);
    let found = objects.get_opt(name).await.map_err(failed)?;
    let data = found.map(|object| object.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)));
    let wish = Wish { optional: source.optional, items: source.items.as_deref(), mode: source.default_mode };
    let mut files = files("secret", name, data.map(Iterator::collect), &wish)?;
    for file in &mut files {
        // Whoever else may use the machine has no business here.
        file.mode &= 0o700;
    }
    Ok(Some(files))
}

/// How a volume asks for the data of an object.
struct Wish<'a> {
    optional: Option<bool>,
    items: Option<&'a [KeyToPath]>,
    mode: Option<i32>,
}

fn files(
    kind: &'static str,
    name: &str,
    data: Option<BTreeMap<String, Vec<u8>>>,
    wish: &Wish<'_>,
) -> Result<Vec<Content>, Cause> {
    let optional = wish.optional == Some(true);
    let Some(mut data) = data else {
        return if optional { Ok(Vec::new()) } else { Err(Cause::Missing(kind, name.into())) };
    };
    let mode = |own: Option<i32>| own.or(wish.mode).unwrap_or(0o644).unsigned_abs() & 0o777;
    let Some(items) = wish.items.filter(|items| !items.is_empty()) else {
        let all = data.into_iter();
        return Ok(all.map(|(key, bytes)| Content { path: key.into(), mode: mode(None), bytes }).collect());
    };
    let mut files = Vec::new();
    for item in items {
        let path = PathBuf::from(&item.path);
        if path.as_os_str().is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Cause::Path(item.path.clone()));
        }
        match data.remove(&item.key) {
            Some(bytes) => files.push(Content { path, mode: mode(item.mode), bytes }),
            None if optional => {}
            None => return Err(Cause::Key(if kind == "secret" { kind } else { "config" }, item.key.clone())),
        }
    }
    Ok(files)
}

/// Makes the directory. What the pod put into a volume of its own stays. Blocking.
fn make(directory: &Path, content: Option<Vec<Content>>) -> Result<(), Cause> {
    let failed = |path: &Path, error: io::Error| Cause::File(path.to_owned(), error);
    let Some(content) = content else {
        logs::create_directory(directory).map_err(|error| failed(directory, error))?;
        // As upstream: for whatever user the containers run as. The directories above let nobody else in.
        return fs::set_permissions(directory, Permissions::from_mode(0o777)).map_err(|error| failed(directory, error));
    };
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(directory, error)),
        _ => {}
    }
    logs::create_directory(directory).map_err(|error| failed(directory, error))?;
    for Content { path, mode, bytes } in content {
        let path = directory.join(path);
        let parent = path.parent().unwrap_or(directory);
        logs::create_directory(parent).map_err(|error| failed(parent, error))?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| {
            file.write_all(&bytes)?;
            file.set_permissions(Permissions::from_mode(mode))
        });
        written.map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
