//! `cargo xtask conformance`: upstream's own sig-network tests against a real cluster in which parts of Portolan have
//! taken the place of upstream's.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::oracle::{Background, Cluster, Oracle};

const HELP: &str = "\
Runs upstream's sig-network tests on a real cluster with parts of Portolan in it.

Usage: cargo xtask conformance --part PART [OPTIONS]

Parts:
  controllers   `portolan controllers` in place of upstream's endpoints, endpointslice, endpointslice-mirroring and
                service-lb controllers, under the rights of deploy/
  none          upstream alone, for comparison

Options:
  --oracle DIR    the scripts that run real Kubernetes
  --portolan P    the program to test (default: built in release mode)
  --out DIR       logs and tables (default: target/conformance)
  --only LIST     conformance or extra (default: both)
  --write         put the tables into docs/conformance.md
";

/// What upstream calls the controllers that `portolan controllers` replaces.
const REPLACED: &[&str] = &[
    "endpoints-controller",
    "endpointslice-controller",
    "endpointslice-mirroring-controller",
    "service-lb-controller",
];
/// Who the joined controllers are; see deploy/.
const ACCOUNT: (&str, &str) = ("kube-system", "portolan-controllers");

/// What was typed.
#[derive(Debug)]
struct Options {
    part: String,
    oracle: Option<PathBuf>,
    portolan: Option<PathBuf>,
    out: PathBuf,
    only: Option<String>,
    write: bool,
}

/// One list of tests.
struct Suite {
    name: &'static str,
    title: &'static str,
    /// The file of names beside the scripts.
    file: &'static str,
}

const SUITES: &[Suite] = &[
    Suite { name: "conformance", title: "Conformance tests of sig-network", file: "conformance-network.txt" },
    Suite { name: "extra", title: "Other tests of sig-network", file: "extra-network.txt" },
];

/// One line of a result table.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    result: String,
    seconds: String,
    test: String,
    /// Why it failed or was skipped.
    why: String,
}

/// Runs the task.
pub fn run(arguments: &[String]) -> Result<()> {
    let Some(options) = parse(arguments)? else {
        print!("{HELP}");
        return Ok(());
    };
    let oracle = Oracle::find(options.oracle.as_deref())?;
    oracle.run("build", &[])?;
    oracle.run("images", &[])?;
    fs::create_dir_all(&options.out)?;
    let directory = env::temp_dir().join(format!("portolan-conformance-{}", std::process::id()));
    let replaced = if options.part == "none" { &[][..] } else { REPLACED };
    let cluster = Cluster::up(&oracle, directory, replaced)?;
    let mut controllers = match options.part.as_str() {
        "none" => None,
        _ => Some(join(&oracle, &cluster, &options)?),
    };
    let mut tables = Vec::new();
    let mut failed = 0;
    for suite in SUITES.iter().filter(|suite| options.only.as_deref().is_none_or(|only| only == suite.name)) {
        let rows = e2e(&oracle, &cluster, suite, &options.out)?;
        failed += rows.iter().filter(|row| row.result == "FAIL").count();
        tables.push((suite, rows));
    }
    if let Some(controllers) = &mut controllers {
        controllers.check()?;
    }
    drop(controllers);
    drop(cluster);
    if options.write {
        let path = crate::root().join("docs/conformance.md");
        fs::write(&path, page(&tables)).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if failed > 0 {
        bail!("{failed} tests failed; logs are in {}", options.out.display());
    }
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Option<Options>> {
    let mut options = Options {
        part: String::new(),
        oracle: None,
        portolan: None,
        out: crate::target().join("conformance"),
        only: None,
        write: false,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--part" => options.part.clone_from(value()?),
            "--oracle" => options.oracle = Some(value()?.into()),
            "--portolan" => options.portolan = Some(value()?.into()),
            "--out" => options.out = value()?.into(),
            "--only" => options.only = Some(value()?.clone()),
            "--write" => options.write = true,
            "-h" | "--help" => return Ok(None),
            other => bail!("unknown option {other:?}; see --help"),
        }
    }
    if !matches!(options.part.as_str(), "controllers" | "none") {
        bail!("--part {:?}: controllers or none; see --help", options.part);
    }
    if let Some(only) = &options.only
        && !SUITES.iter().any(|suite| suite.name == only)
    {
        bail!("--only {only:?}: conformance or extra");
    }
    Ok(Some(options))
}

/// Starts our controllers under the service account of deploy/, which can do no more than it must.
fn join(oracle: &Oracle, cluster: &Cluster<'_>, options: &Options) -> Result<Background> {
    let portolan = match &options.portolan {
        Some(path) => path.clone(),
        None => crate::release("portolan")?,
    };
    let kubeconfig = cluster.kubeconfig();
    let kubectl = |arguments: &[&str]| -> Result<String> {
        let output =
            Command::new(oracle.program("kubectl")?).arg("--kubeconfig").arg(&kubeconfig).args(arguments).output()?;
        if !output.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let rights = options.out.join("rights.yaml");
    fs::write(&rights, rights_of(&fs::read_to_string(crate::root().join("deploy/controllers.yaml"))?))?;
    kubectl(&["apply", "-f", &rights.to_string_lossy()])?;
    let (namespace, account) = ACCOUNT;
    let token = kubectl(&["-n", namespace, "create", "token", account, "--duration", "24h"])?;
    let own = options.out.join("controllers.kubeconfig");
    fs::copy(&kubeconfig, &own)?;
    let own_kubeconfig = own.to_string_lossy().into_owned();
    let user = kubectl(&["config", "view", "-o", "jsonpath={.contexts[0].context.user}"])?;
    let set = Command::new(oracle.program("kubectl")?)
        .args(["--kubeconfig", &own_kubeconfig, "config", "set-credentials", &user, "--token", &token])
        .output()?;
    if !set.status.success() {
        bail!("kubectl config set-credentials: {}", String::from_utf8_lossy(&set.stderr).trim());
    }
    let mut command = Command::new(portolan);
    command.args(["--log", "info", "controllers", "--vocabulary", "upstream", "--kubeconfig", &own_kubeconfig]);
    command.args(["--metrics-bind-address", "127.0.0.1:0"]);
    Background::start(command, &options.out.join("controllers.log"))
}

/// The manifest without what runs: the program runs here, beside the cluster.
fn rights_of(manifest: &str) -> String {
    let documents = manifest.split("\n---\n").filter(|document| !document.contains("\nkind: Deployment\n"));
    documents.collect::<Vec<_>>().join("\n---\n")
}

/// Runs one list of tests and reads its table.
fn e2e(oracle: &Oracle, cluster: &Cluster<'_>, suite: &Suite, out: &Path) -> Result<Vec<Row>> {
    let out = out.join(suite.name);
    let status = oracle
        .script("e2e")
        .arg(cluster.kubeconfig())
        .arg("--focus-file")
        .arg(oracle.directory().join(suite.file))
        .arg("--out")
        .arg(&out)
        .status()
        .context("cannot run e2e")?;
    let table = out.join("table.tsv");
    let text = fs::read_to_string(&table).with_context(|| format!("e2e ({status}) left no {}", table.display()))?;
    let rows = rows(&text);
    if rows.is_empty() {
        bail!("e2e ({status}) ran no test of {}", suite.file);
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
fn page(tables: &[(&Suite, Vec<Row>)]) -> String {
    let mut text = String::from(
        "# Conformance\n\n\
         Upstream's own end-to-end tests of sig-network (Kubernetes 1.36) on a real cluster: kube-apiserver, etcd, kubelets, \
         kube-scheduler, kube-proxy and CoreDNS are upstream's. Of kube-controller-manager four controllers are switched off \
         (endpoints, endpointslice, endpointslice-mirroring, service-lb); `portolan controllers` has joined in their place, with the rights \
         that `deploy/controllers.yaml` gives.\n\n\
         `cargo xtask conformance --part controllers --write` repeats the run and writes this page.\n",
    );
    for (suite, rows) in tables {
        let count = |result: &str| rows.iter().filter(|row| row.result == result).count();
        let (passed, skipped) = (count("PASS"), count("SKIP"));
        let failed = rows.len() - passed - skipped;
        text += &format!("\n## {}\n\n{passed} passed, {failed} failed, {skipped} skipped.\n\n", suite.title);
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
        let manifest = fs::read_to_string(crate::root().join("deploy/controllers.yaml")).expect("the manifest");
        let rights = rights_of(&manifest);
        assert!(rights.contains("\nkind: ServiceAccount\n") && rights.contains("\nkind: ClusterRoleBinding\n"));
        assert!(manifest.contains("\nkind: Deployment\n") && !rights.contains("\nkind: Deployment\n"));
    }

    #[test]
    fn a_table_is_read_and_counted() {
        let rows = rows("PASS\t2.1\tServices b\t\nFAIL\t0.3\tServices a\tit broke\n");
        assert_eq!((&*rows[0].result, &*rows[0].test, &*rows[0].why), ("FAIL", "Services a", "it broke"));
        let page = page(&[(&SUITES[0], rows)]);
        assert!(page.contains("1 passed, 1 failed, 0 skipped."));
        assert!(page.contains("| PASS | 2.1 | Services b |\n") && page.contains("| Services a: it broke |\n"));
    }
}
