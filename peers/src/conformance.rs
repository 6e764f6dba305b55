//! Upstream's own sig-network tests on a real cluster in which parts of Portolan have taken the place of upstream's.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command as Blocking, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, ValueEnum};
use tokio::process::Command;

use crate::{oracle::controller, process::Process, side::Places};

/// What to run.
#[derive(Debug, Args)]
pub struct Options {
    /// What takes the place of upstream's.
    #[arg(long, value_enum)]
    part: Part,
    /// One list of tests only.
    #[arg(long, value_enum)]
    only: Option<List>,
    /// Put the tables into docs/conformance.md.
    #[arg(long)]
    write: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// `portolan controllers` in place of upstream's endpoints, endpointslice, endpointslice-mirroring and service-lb
    /// controllers, under the rights of deploy/.
    Controllers,
    /// Nothing: upstream alone, for comparison.
    None,
}

/// A list of tests beside the oracle's scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum List {
    /// The conformance tests of sig-network.
    Conformance,
    /// Others of sig-network.
    Extra,
}

impl List {
    const ALL: [Self; 2] = [Self::Conformance, Self::Extra];

    fn title(self) -> &'static str {
        match self {
            Self::Conformance => "Conformance tests of sig-network",
            Self::Extra => "Other tests of sig-network",
        }
    }

    /// The file of names.
    fn file(self) -> &'static str {
        match self {
            Self::Conformance => "conformance-network.txt",
            Self::Extra => "extra-network.txt",
        }
    }
}

/// What `portolan controllers` replaces. The last has no counterpart in a comparison: there is no cloud.
const REPLACED: &[&str] = &[controller::ENDPOINTS, controller::SLICES, controller::MIRRORING, "service-lb-controller"];
/// Who the joined controllers are; see deploy/.
const ACCOUNT: (&str, &str) = ("kube-system", "portolan-controllers");

/// One line of a result table.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    result: String,
    seconds: String,
    test: String,
    /// Why it failed or was skipped.
    why: String,
}

/// A whole real cluster; it goes when this does.
struct Cluster<'a> {
    places: &'a Places,
    directory: PathBuf,
}

impl<'a> Cluster<'a> {
    /// Starts a dual-stack control plane, three nodes in three zones, kube-proxy and DNS. `without` are controllers that
    /// stay off.
    async fn up(places: &'a Places, without: &[&str]) -> Result<Self> {
        let cluster = Self { places, directory: places.state.join("cluster") };
        let off: String = without.iter().map(|name| format!(",-{name}")).collect();
        let mut script = Command::new(places.oracle.join("cluster"));
        script.args(["up", "--nodes", "3", "--dir"]).arg(&cluster.directory);
        script.args(["--", "--dual-stack", "--kcm-controllers", &format!("*{off}")]);
        let status = script.status().await.context("cannot run the oracle's cluster script")?;
        ensure!(status.success(), "the cluster did not come up: {status}");
        Ok(cluster)
    }

    /// An administrator's kubeconfig.
    fn kubeconfig(&self) -> PathBuf {
        self.directory.join("admin.kubeconfig")
    }

    /// kubectl's answer.
    async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let output = Command::new(program("kubectl")?)
            .arg("--kubeconfig")
            .arg(self.kubeconfig())
            .args(arguments)
            .output()
            .await
            .context("cannot run kubectl")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kubectl {}: {}", arguments.join(" "), error.trim());
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        let mut script = Blocking::new(self.places.oracle.join("cluster"));
        match script.args(["down", "--dir"]).arg(&self.directory).stdin(Stdio::null()).status() {
            Ok(status) if status.success() => {}
            result => {
                tracing::warn!(directory = %self.directory.display(), ?result, "the cluster did not go down cleanly")
            }
        }
    }
}

/// A program that the oracle has built.
fn program(name: &str) -> Result<PathBuf> {
    let home = env::var_os("ORACLE_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache/k8s-oracle")));
    let path = home.context("neither ORACLE_HOME nor HOME is set")?.join("bin").join(name);
    ensure!(path.exists(), "{} is not built; run the oracle's build script", path.display());
    Ok(path)
}

/// Runs the tests; whether none has failed.
pub async fn run(options: &Options, places: &Places) -> Result<bool> {
    let replaced = if options.part == Part::None { &[][..] } else { REPLACED };
    let cluster = Cluster::up(places, replaced).await?;
    let log = places.out.join("controllers.log");
    let mut controllers = match options.part {
        Part::None => None,
        Part::Controllers => Some(join(&cluster, places, &log).await?),
    };
    let mut tables = Vec::new();
    for list in List::ALL.into_iter().filter(|list| options.only.is_none_or(|only| only == *list)) {
        tables.push((list, e2e(&cluster, places, list).await?));
    }
    if let Some(mut controllers) = controllers.take() {
        controllers.check("portolan controllers", &log)?;
        controllers.stop().await;
    }
    if options.write {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/conformance.md");
        fs::write(path, page(&tables)).with_context(|| format!("cannot write {path}"))?;
    }
    let failed = tables.iter().flat_map(|(_, rows)| rows).filter(|row| row.result == "FAIL").count();
    if failed > 0 {
        eprintln!("{failed} tests failed; logs are in {}", places.out.display());
    }
    Ok(failed == 0)
}

/// Starts our controllers under the service account of deploy/, which can do no more than it must.
async fn join(cluster: &Cluster<'_>, places: &Places, log: &Path) -> Result<Process> {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/controllers.yaml");
    let rights = places.out.join("rights.yaml");
    fs::write(&rights, rights_of(&fs::read_to_string(manifest).with_context(|| format!("cannot read {manifest}"))?))?;
    cluster.kubectl(&["apply", "-f", &rights.to_string_lossy()]).await?;
    let (namespace, account) = ACCOUNT;
    let token = cluster.kubectl(&["-n", namespace, "create", "token", account, "--duration", "24h"]).await?;
    let own = places.out.join("controllers.kubeconfig");
    fs::copy(cluster.kubeconfig(), &own)?;
    let own = own.to_string_lossy().into_owned();
    let user = cluster.kubectl(&["config", "view", "-o", "jsonpath={.contexts[0].context.user}"]).await?;
    // A later --kubeconfig counts.
    cluster.kubectl(&["--kubeconfig", &own, "config", "set-credentials", &user, "--token", &token]).await?;
    let arguments = [
        "--log=info",
        "controllers",
        "--vocabulary=upstream",
        "--metrics-bind-address=127.0.0.1:0",
        &format!("--kubeconfig={own}"),
    ];
    Process::start(&places.portolan, &arguments.map(str::to_owned), log)
}

/// The manifest without what runs: the program runs here, beside the cluster.
fn rights_of(manifest: &str) -> String {
    let documents = manifest.split("\n---\n").filter(|document| !document.contains("\nkind: Deployment\n"));
    documents.collect::<Vec<_>>().join("\n---\n")
}

/// Runs one list of tests and reads its table.
async fn e2e(cluster: &Cluster<'_>, places: &Places, list: List) -> Result<Vec<Row>> {
    let file = list.file();
    let out = places.out.join(file.trim_end_matches(".txt"));
    let mut script = Command::new(places.oracle.join("e2e"));
    script.arg(cluster.kubeconfig()).arg("--focus-file").arg(places.oracle.join(file)).arg("--out").arg(&out);
    let status = script.status().await.context("cannot run the oracle's e2e script")?;
    let table = out.join("table.tsv");
    let text = fs::read_to_string(&table).with_context(|| format!("e2e ({status}) left no {}", table.display()))?;
    let rows = rows(&text);
    if rows.is_empty() {
        bail!("e2e ({status}) ran no test of {file}");
    }
    Ok(rows)
}

/// The rows of a table: result, seconds, name, why; sorted by name.
fn rows(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = text
        .lines()
        .filter_map(|line| {
            let mut cells = line.split('\t').map(str::to_owned);
            let (result, seconds, test) = (cells.next()?, cells.next()?, cells.next()?);
            Some(Row { result, seconds, test, why: cells.next().unwrap_or_default() })
        })
        .collect();
    rows.sort_by(|a, b| a.test.cmp(&b.test));
    rows
}

/// docs/conformance.md.
fn page(tables: &[(List, Vec<Row>)]) -> String {
    let mut text = String::from(
        "# Conformance\n\n\
         Upstream's own end-to-end tests of sig-network (Kubernetes 1.36) on a real cluster: kube-apiserver, etcd, kubelets, \
         kube-scheduler, kube-proxy and CoreDNS are upstream's. Of kube-controller-manager four controllers are switched off \
         (endpoints, endpointslice, endpointslice-mirroring, service-lb); `portolan controllers` has joined in their place, with the rights \
         that `deploy/controllers.yaml` gives.\n\n\
         `cargo xtask conformance --part controllers --write` repeats the run and writes this page.\n",
    );
    for (list, rows) in tables {
        let count = |result: &str| rows.iter().filter(|row| row.result == result).count();
        let (passed, skipped) = (count("PASS"), count("SKIP"));
        let failed = rows.len() - passed - skipped;
        text += &format!("\n## {}\n\n{passed} passed, {failed} failed, {skipped} skipped.\n\n", list.title());
        text += "| result | seconds | test |\n|---|---:|---|\n";
        for row in rows {
            let why = if row.why.is_empty() { String::new() } else { format!(": {}", row.why) };
            text +=
                &format!("| {} | {} | {} |\n", row.result, row.seconds, (row.test.clone() + &why).replace('|', "\\|"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_all_but_the_deployment() {
        let manifest = include_str!("../../deploy/controllers.yaml");
        let rights = rights_of(manifest);
        assert!(rights.contains("\nkind: ServiceAccount\n") && rights.contains("\nkind: ClusterRoleBinding\n"));
        assert!(manifest.contains("\nkind: Deployment\n") && !rights.contains("\nkind: Deployment\n"));
    }

    #[test]
    fn a_table_is_read_and_counted() {
        let rows = rows("PASS\t2.1\tServices b\t\nFAIL\t0.3\tServices a\tit broke\n");
        assert_eq!((&*rows[0].result, &*rows[0].test, &*rows[0].why), ("FAIL", "Services a", "it broke"));
        let page = page(&[(List::Conformance, rows)]);
        assert!(page.contains("1 passed, 1 failed, 0 skipped."));
        assert!(page.contains("| PASS | 2.1 | Services b |\n") && page.contains("| Services a: it broke |\n"));
    }
}
