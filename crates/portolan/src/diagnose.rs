//! `portolan diagnose`: from a Service to what is broken on its way, on a cluster or from a stored snapshot.

use std::{
    fs,
    io::IsTerminal,
    mem::ManuallyDrop,
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use kube::Client;
use portolan_catalogue::Lang;
use portolan_diagnose::{
    Ask, Diagnosis, From, Index, Report, Scope, Snapshot, diagnose, diagnose_all, evidence::NodeEvidence, render,
    stored,
};
use portolan_objects::ObjectKey;

use crate::{
    cli::{Form, Language},
    cluster::Cluster,
    output,
};

/// Walks a Service from its name to a socket in a pod and names what is broken, with evidence and what to do
///
/// Without a Service, all of the namespace are looked at, with -A all of the cluster; what several of them suffer from
/// together is told once. Only reads. Exit code 0: no fault found; 1: a fault; 2: could not look.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan diagnose svc/web
  portolan diagnose svc/web -n shop --context staging
  portolan diagnose svc/web --from-pod client-7
  portolan diagnose svc/web --from-outside 198.51.100.7
  portolan diagnose -A -o json
  portolan diagnose svc/web --watch
  portolan snapshot -A -f cluster.json.gz; portolan diagnose -A --from cluster.json.gz
  portolan diagnose svc/web --evidence node1.json      # from `portolan node-evidence` on node1")]
pub struct Options {
    /// The Service, as `svc/NAME` or `NAME`; without it, all of them.
    service: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["service", "namespace"])]
    all_namespaces: bool,
    #[command(flatten)]
    cluster: Cluster,
    /// The caller is this pod, `NAME` or `NAMESPACE/NAME`: what keeps this very pod from the Service counts as well.
    #[arg(long, value_name = "POD", requires = "service")]
    from_pod: Option<String>,
    /// The caller is outside the cluster, at this address if it is known.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, requires = "service", conflicts_with = "from_pod")]
    from_outside: Option<Option<IpAddr>>,
    /// A snapshot that `portolan snapshot` wrote, instead of a cluster.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["watch", "evidence"])]
    from: Option<PathBuf>,
    /// What `portolan node-evidence` printed on a node; may be given for several nodes.
    #[arg(long, value_name = "FILE")]
    evidence: Vec<PathBuf>,
    /// Look again and again, and print whenever the answer changes; ends with Ctrl-C.
    #[arg(short, long)]
    watch: bool,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Form::Text)]
    output: Form,
    #[command(flatten)]
    language: Language,
}

/// How often `--watch` looks.
const AGAIN: Duration = Duration::from_secs(2);

/// One Service, or several.
enum Answer {
    One(Box<Diagnosis>),
    Many(Report),
}

/// What is asked, once the namespace is known.
struct Question {
    service: Option<ObjectKey>,
    namespace: Option<String>,
    ask: Ask,
}

/// Looks, prints, and turns the finding into the exit code.
pub fn run(options: &Options) -> Result<ExitCode> {
    if let Some(file) = &options.from {
        // The process ends with the answer: to give back 100,000 pods one by one before that would take a fifth of the time.
        let snapshot = ManuallyDrop::new(read_snapshot(file)?);
        let default = match &snapshot.scope {
            Scope::Namespace(namespace) => namespace.clone(),
            Scope::Cluster | Scope::Manifests => "default".to_owned(),
        };
        let question = options.question(&default)?;
        question.fits(&snapshot, file)?;
        return options.print(&question.answer(&snapshot));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = options.cluster.connect().await?;
        let question = options.question(&options.cluster.namespace(&client))?;
        let evidence = read_evidence(&options.evidence)?;
        if options.watch {
            return options.watch(&client, &question, &evidence).await;
        }
        options.print(&question.look(&client, &evidence).await?)
    })
}

impl Question {
    async fn look(&self, client: &Client, evidence: &[NodeEvidence]) -> Result<Answer> {
        let (client, evidence) = (client.clone(), evidence.to_vec());
        if let Some(key) = &self.service {
            let diagnosis = portolan_diagnose::run(client, key, &self.ask, evidence).await;
            return Ok(Answer::One(Box::new(diagnosis.with_context(|| format!("cannot look at Service {key}"))?)));
        }
        let snapshot = portolan_diagnose::look_at_all(client, self.namespace.as_deref(), evidence).await;
        let snapshot = snapshot.context("cannot look at the cluster")?;
        Ok(self.answer(&snapshot))
    }

    fn answer(&self, snapshot: &Snapshot) -> Answer {
        match &self.service {
            Some(key) => Answer::One(Box::new(diagnose(&Index::new(snapshot), key, &self.ask))),
            None => Answer::Many(diagnose_all(snapshot, |key| {
                self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
            })),
        }
    }

    /// A snapshot of one namespace cannot answer for another one.
    fn fits(&self, snapshot: &Snapshot, file: &Path) -> Result<()> {
        let asked = self.service.as_ref().map(|key| &key.namespace).or(self.namespace.as_ref());
        match (&snapshot.scope, asked) {
            (Scope::Namespace(have), Some(asked)) if have != asked => {
                bail!("{} is a snapshot of namespace {have}, not of {asked}", file.display())
            }
            _ => Ok(()),
        }
    }
}

impl Options {
    fn question(&self, default: &str) -> Result<Question> {
        let namespace = self.cluster.namespace.clone().unwrap_or_else(|| default.to_owned());
        let name = self.service.as_deref().map(service_name).transpose()?;
        let from = match (&self.from_pod, &self.from_outside) {
            (Some(pod), _) => From::Pod(pod_key(pod, &namespace)),
            (None, Some(address)) => From::Outside(*address),
            (None, None) => From::Anywhere,
        };
        Ok(Question {
            service: name.map(|name| ObjectKey::new(namespace.clone(), name)),
            namespace: (!self.all_namespaces).then_some(namespace),
            ask: Ask { from },
        })
    }

    fn print(&self, answer: &Answer) -> Result<ExitCode> {
        let lang = self.language.get();
        match (self.output, answer) {
            (Form::Json, Answer::One(diagnosis)) => output::print_json(diagnosis)?,
            (Form::Json, Answer::Many(report)) => output::print_json(report)?,
            (Form::Text, answer) => output::print(&answer.text(lang, output::colour()))?,
            (Form::Md, Answer::One(diagnosis)) => output::print(&render::markdown(diagnosis, lang))?,
            (Form::Md, Answer::Many(report)) => output::print(&render::report_markdown(report, lang))?,
            (Form::Sarif, answer) => output::print_json(&render::sarif::findings(answer.findings(), lang))?,
        }
        Ok(ExitCode::from(answer.exit_code()))
    }

    /// Prints whenever the answer changes. What could not be read once is not the end: a cluster in trouble is watched.
    async fn watch(&self, client: &Client, question: &Question, evidence: &[NodeEvidence]) -> Result<ExitCode> {
        let mut shown: Option<String> = None;
        let mut code = ExitCode::SUCCESS;
        loop {
            match question.look(client, evidence).await {
                Ok(answer) if shown.as_ref() != Some(&answer.gist()) => {
                    if self.output == Form::Text {
                        output::say(heading(shown.is_none()));
                    }
                    code = self.print(&answer)?;
                    shown = Some(answer.gist());
                }
                Ok(_) => {}
                // The first look says whether there is anything to watch.
                Err(error) if shown.is_none() => return Err(error),
                Err(error) => eprintln!("portolan: {error:#}; looking again"),
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                stopped = tokio::signal::ctrl_c() => {
                    stopped.context("cannot wait for Ctrl-C")?;
                    return Ok(code);
                }
            }
        }
    }
}

fn heading(first: bool) -> String {
    let now = jiff::Zoned::now().strftime("%H:%M:%S");
    let clear = if std::io::stdout().is_terminal() && !first { "\x1b[2J\x1b[H" } else { "" };
    format!("{clear}--- {now}")
}

impl Answer {
    fn text(&self, lang: Lang, colour: bool) -> String {
        match self {
            Self::One(diagnosis) => render::text(diagnosis, lang, colour),
            Self::Many(report) => render::report_text(report, lang, colour),
        }
    }

    /// Each finding with the Service that it is about.
    fn findings(&self) -> Vec<(&str, &portolan_diagnose::Finding)> {
        match self {
            Self::One(diagnosis) => {
                diagnosis.findings.iter().map(|finding| (diagnosis.service.as_str(), finding)).collect()
            }
            Self::Many(report) => {
                let causes = report.causes.iter();
                causes
                    .flat_map(|cause| cause.services.iter().map(|service| (service.as_str(), &cause.finding)))
                    .collect()
            }
        }
    }

    /// What makes two answers differ: ages and counts do not.
    fn gist(&self) -> String {
        let findings = |title: &portolan_diagnose::Finding| format!("{} {:?}", title.code, title.subject);
        match self {
            Self::One(diagnosis) => {
                let states = diagnosis.links.iter().map(|link| format!("{:?}={:?}", link.id, link.state));
                states.chain(diagnosis.findings.iter().map(findings)).collect::<Vec<_>>().join(";")
            }
            Self::Many(report) => {
                let causes = report.causes.iter();
                let causes = causes.map(|cause| format!("{} {:?}", findings(&cause.finding), cause.services));
                causes.collect::<Vec<_>>().join(";")
            }
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::One(diagnosis) => diagnosis.exit_code(),
            Self::Many(report) => report.exit_code(),
        }
    }
}

/// A stored snapshot.
pub fn read_snapshot(file: &Path) -> Result<Snapshot> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    stored::read(&bytes).with_context(|| format!("cannot use {}", file.display()))
}

fn read_evidence(files: &[PathBuf]) -> Result<Vec<NodeEvidence>> {
    let read = |file: &PathBuf| -> Result<NodeEvidence> {
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what `portolan node-evidence` prints", file.display()))
    };
    files.iter().map(read).collect()
}

/// `svc/NAME` or `NAME`.
pub fn service_name(argument: &str) -> Result<&str> {
    match argument.split_once('/') {
        None => Ok(argument),
        Some(("svc" | "service" | "services", name)) => Ok(name),
        Some((kind, name)) => bail!("{kind}/{name}: only Services can be diagnosed; write svc/NAME"),
    }
}

/// `NAME`, `pod/NAME` or `NAMESPACE/NAME`.
fn pod_key(argument: &str, namespace: &str) -> ObjectKey {
    match argument.split_once('/') {
        None => ObjectKey::new(namespace, argument),
        Some(("pod" | "pods", name)) => ObjectKey::new(namespace, name),
        Some((namespace, name)) => ObjectKey::new(namespace, name),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn services_are_named_as_in_kubectl() {
        assert_eq!(service_name("svc/web").unwrap(), "web");
        assert_eq!(service_name("web").unwrap(), "web");
        assert!(service_name("pod/web").unwrap_err().to_string().contains("svc/NAME"));
    }

    #[test]
    fn callers_are_pods_of_this_or_another_namespace() {
        for (argument, expected) in [("a", "shop/a"), ("pod/a", "shop/a"), ("other/a", "other/a")] {
            assert_eq!(pod_key(argument, "shop").to_string(), expected);
        }
    }
}
