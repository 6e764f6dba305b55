//! The processes of the machine: whose network they are in, which pod they belong to, and which sockets they hold.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    os::unix::fs::MetadataExt,
    path::Path,
};

use portolan_diagnose::evidence::Owner;
use portolan_netns::Namespace;

use crate::Place;

/// Most open files looked at to find the programs behind sockets.
const MOST_FILES: usize = 200_000;

#[derive(Debug)]
struct Process {
    pid: u32,
    /// Number of its network namespace; none if that may not be looked at.
    network: Option<u64>,
}

/// What `/proc` showed at one moment. Processes come and go: what vanishes half way is left out.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    all: Vec<Process>,
    /// Names of programs by the numbers of the sockets that they hold.
    sockets: HashMap<u64, String>,
}

impl Processes {
    pub(crate) fn read(problems: &mut Vec<String>) -> Self {
        let entries = match fs::read_dir("/proc") {
            Ok(entries) => entries,
            Err(error) => {
                problems.push(format!("cannot list processes in /proc: {error}"));
                return Self::default();
            }
        };
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let all: Vec<Process> = pids.map(|pid| Process { pid, network: network(pid).ok() }).collect();
        let hidden = all.iter().filter(|process| process.network.is_none()).count();
        if hidden > 0 {
            problems.push(format!(
                "cannot see the network of {hidden} of {} processes, so pods and programs may be missing; run as root",
                all.len()
            ));
        }
        let sockets = sockets(all.iter().map(|process| process.pid));
        Self { all, sockets }
    }

    /// The networks of pods, by the control groups of their processes; `node` is nobody's but the node's.
    pub(crate) fn pods(&self, node: &Namespace, problems: &mut Vec<String>) -> Vec<Place> {
        let mut networks: BTreeMap<u64, Place> = BTreeMap::new();
        for process in &self.all {
            let Some(network) = process.network.filter(|network| !networks.contains_key(network)) else { continue };
            let Ok(text) = fs::read_to_string(format!("/proc/{}/cgroup", process.pid)) else { continue };
            let Some(uid) = pod_uid(&text) else { continue };
            match Namespace::of_process(process.pid) {
                Ok(namespace) if namespace.is_same(node) => {}
                Ok(namespace) => {
                    networks.insert(network, Place { owner: Owner::PodUid(uid), namespace });
                }
                // It ended just now; another process of the pod may still be there.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => problems.push(format!("cannot enter the network of pod {uid}: {error}")),
            }
        }
        networks.into_values().collect()
    }

    /// The name of a program that holds the socket with this number.
    pub(crate) fn program(&self, socket: u64) -> Option<&str> {
        self.sockets.get(&socket).map(String::as_str)
    }
}

/// Who holds which socket: one pass over the open files of all processes.
fn sockets(pids: impl Iterator<Item = u32>) -> HashMap<u64, String> {
    let mut found = HashMap::new();
    let mut budget = MOST_FILES;
    for pid in pids {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        let files = files.flatten().take(budget).inspect(|_| budget -= 1);
        let held: Vec<u64> = files.filter_map(|file| socket_number(&fs::read_link(file.path()).ok()?)).collect();
        if held.is_empty() {
            continue;
        }
        let Ok(name) = fs::read_to_string(format!("/proc/{pid}/comm")) else { continue };
        found.extend(held.into_iter().map(|number| (number, name.trim_end().to_owned())));
    }
    found
}

fn network(pid: u32) -> io::Result<u64> {
    fs::metadata(format!("/proc/{pid}/ns/net")).map(|file| file.ino())
}

/// `socket:[12345]`
fn socket_number(link: &Path) -> Option<u64> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The uid in the names that the kubelet gives to the control groups of pods, with dashes as the API has it:
/// `/kubepods/burstable/podUID/...` or, where systemd names them, `kubepods-burstable-podU_I_D.slice`.
fn pod_uid(control_groups: &str) -> Option<String> {
    let of_line = |line: &str| {
        let path = line.splitn(3, ':').nth(2)?;
        let mut parts = path.split('/').skip_while(|part| !part.starts_with("kubepods"));
        parts.find_map(|part| {
            let name = part.strip_suffix(".slice").unwrap_or(part);
            let uid = match name.rsplit_once("-pod") {
                Some((_, uid)) => uid,
                None => name.strip_prefix("pod")?,
            };
            let fits = uid.len() >= 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || b"-_".contains(&byte));
            fits.then(|| uid.replace('_', "-"))
        })
    };
    control_groups.lines().find_map(of_line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_groups_name_their_pod() {
        const UID: &str = "3a1b2c4d-0000-4111-8222-123456789abc";
        let rows = [
            (
                "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod3a1b2c4d_0000_4111_8222_123456789abc.slice/cri-containerd-77.scope",
                Some(UID),
            ),
            ("0::/kubepods.slice/kubepods-pod3a1b2c4d_0000_4111_8222_123456789abc.slice/crio-1.scope", Some(UID)),
            ("12:cpu:/kubepods/besteffort/pod3a1b2c4d-0000-4111-8222-123456789abc/77", Some(UID)),
            ("0::/kubelet.slice/kubelet-kubepods.slice/x", None),
            // A static pod's uid is a hash without dashes.
            ("0::/kubepods/burstable/pod0123456789abcdef0123456789abcdef/1", Some("0123456789abcdef0123456789abcdef")),
            ("0::/system.slice/podman.service", None),
            ("0::/user.slice\n3:net_cls:/", None),
            ("", None),
        ];
        for (text, uid) in rows {
            assert_eq!(pod_uid(text).as_deref(), uid, "{text}");
        }
    }

    #[test]
    fn only_sockets_have_a_number() {
        assert_eq!(socket_number(Path::new("socket:[77]")), Some(77));
        assert_eq!(socket_number(Path::new("pipe:[77]")), None);
        assert_eq!(socket_number(Path::new("/dev/null")), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(?s).{0,80}", prefix in "(0::/kubepods/|0:|)") {
            pod_uid(&format!("{prefix}{text}"));
            socket_number(Path::new(&text));
        }
    }
}
