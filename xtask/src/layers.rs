//! Holds the direction of dependencies: binary -> shells -> mechanism -> pure; shells never meet but through the API.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Lower numbers are lower layers; a crate may depend on crates of lower layers, and within `PURE` and `MECHANISM`
/// on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Pure,
    Mechanism,
    Shell,
    Binary,
    Dev,
}

const LAYERS: &[(Layer, &[&str])] = &[
    (Layer::Pure, &["portolan-alloc", "portolan-catalogue", "portolan-kinds", "portolan-objects"]),
    (
        Layer::Mechanism,
        &[
            "portolan-cloud",
            "portolan-diagnose",
            "portolan-events",
            "portolan-evidence",
            "portolan-netns",
            "portolan-nftables",
            "portolan-runtime",
        ],
    ),
    (
        Layer::Shell,
        &[
            "portolan-apiserver",
            "portolan-controllers",
            "portolan-dns",
            "portolan-lab",
            "portolan-node",
            "portolan-proxy",
            "portolan-statemetrics",
        ],
    ),
    (Layer::Binary, &["portolan"]),
    (Layer::Dev, &["portolan-peers", "portolan-testkit", "xtask"]),
];

/// What a pure crate must not touch: the runtime, the client, and sources of randomness or time are arguments there.
const IMPURE: &[&str] = &["kube", "tokio", "tokio-util", "hyper", "nix", "libc", "netlink-sys", "redb", "fastrand"];

/// Fails with every dependency that points the wrong way.
pub fn check() -> Result<()> {
    let metadata = metadata()?;
    let faults = faults(&dependencies(&metadata));
    if !faults.is_empty() {
        bail!("dependencies that point the wrong way:\n  {}", faults.join("\n  "));
    }
    Ok(())
}

fn metadata() -> Result<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(crate::root())
        .output()
        .context("cannot run cargo metadata")?;
    serde_json::from_slice(&output.stdout).context("cannot read cargo metadata")
}

/// The ordinary (not dev, not build) dependencies of each crate of the workspace.
fn dependencies(metadata: &Value) -> BTreeMap<String, Vec<String>> {
    let name = |value: &Value| value["name"].as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
    packages
        .iter()
        .map(|package| {
            let all = package["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
            let normal = all.iter().filter(|dependency| dependency["kind"].is_null()).map(name);
            (name(package), normal.collect())
        })
        .collect()
}

fn faults(dependencies: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut faults = Vec::new();
    for (package, needs) in dependencies {
        let Some(layer) = layer(package) else {
            faults.push(format!("{package} has no layer; give it one in xtask/src/layers.rs"));
            continue;
        };
        for need in needs {
            let wrong = match self::layer(need) {
                Some(other) => other > layer || (other == layer && layer >= Layer::Shell),
                None => layer == Layer::Pure && IMPURE.contains(&need.as_str()),
            };
            if wrong {
                faults.push(format!("{package} ({layer:?}) depends on {need}"));
            }
        }
    }
    faults
}

fn layer(package: &str) -> Option<Layer> {
    LAYERS.iter().find(|(_, crates)| crates.contains(&package)).map(|(layer, _)| *layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(package: &str, need: &str) -> Vec<String> {
        faults(&BTreeMap::from([(package.to_owned(), vec![need.to_owned()])]))
    }

    #[test]
    fn the_workspace_keeps_its_layers() {
        check().expect("layers");
    }

    /// The README says `cargo run --release -- demo`: with two programs among the default members cargo would ask which.
    #[test]
    fn cargo_run_knows_the_one_program() {
        let metadata = metadata().expect("metadata");
        let default = metadata["workspace_default_members"].as_array().expect("default members");
        let packages = metadata["packages"].as_array().expect("packages").iter();
        let targets = packages
            .filter(|package| default.contains(&package["id"]))
            .flat_map(|package| package["targets"].as_array().expect("targets").iter());
        let is_program = |target: &&Value| target["kind"].as_array().is_some_and(|kinds| kinds.contains(&"bin".into()));
        let programs: Vec<_> = targets.filter(is_program).map(|target| target["name"].clone()).collect();
        assert_eq!(programs, ["portolan"]);
    }

    /// `explain`, `diagnose` and their like are for every desktop: nothing that only Linux has may creep into them.
    #[test]
    fn the_ask_face_builds_without_linux() {
        let tree = ["tree", "-p", "portolan", "-e", "normal", "--target", "x86_64-pc-windows-gnu", "--prefix", "none"];
        let output = std::process::Command::new(env!("CARGO")).args(tree).output().expect("cargo tree");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        let names: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(names.contains(&"portolan-diagnose"), "{names:?}");
        let linux =
            ["nix", "netlink-sys", "netlink-packet-core", "portolan-netns", "portolan-nftables", "portolan-node"];
        let found: Vec<_> = linux.iter().filter(|name| names.contains(name)).collect();
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn shells_do_not_meet_and_pure_crates_stay_pure() {
        assert!(one("portolan-proxy", "portolan-nftables").is_empty());
        assert!(one("portolan-cloud", "portolan-nftables").is_empty());
        assert_eq!(one("portolan-proxy", "portolan-node").len(), 1);
        assert_eq!(one("portolan-events", "portolan-proxy").len(), 1);
        assert_eq!(one("portolan-objects", "tokio").len(), 1);
        assert_eq!(one("portolan-nowhere", "tokio").len(), 1);
    }
}
