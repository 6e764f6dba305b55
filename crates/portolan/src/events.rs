//! `portolan events`: what happened around a Service, in order.

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher},
};
use portolan_catalogue::Lang;
use portolan_diagnose::{
    Index, Snapshot,
    timeline::{self, Entry, What},
};
use portolan_objects::ObjectKey;

use crate::{
    cli::{Answer, Format},
    cluster::Cluster,
    diagnose::{read_snapshot, service_name},
    output,
};

/// A timeline: events of a Service, its slices, pods and nodes, with the changes of those objects between them
///
/// Events are lossy: the API server forgets them after an hour, the recorders merge similar ones and drop floods. Where some
/// are probably missing, the timeline says so. Without --for, all events of the namespace are shown.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  portolan events --for svc/web
  portolan events --for svc/web -f
  portolan events -n shop
  portolan events --for svc/web --from cluster.json.gz -o json")]
pub struct Options {
    /// The Service, as `svc/NAME`.
    #[arg(long = "for", value_name = "SERVICE")]
    service: Option<String>,
    /// All namespaces.
    #[arg(short = 'A', long, conflicts_with_all = ["service", "namespace"])]
    all_namespaces: bool,
    #[command(flatten)]
    cluster: Cluster,
    /// Go on with what happens from now on; ends with Ctrl-C.
    #[arg(short, long, conflicts_with = "from")]
    follow: bool,
    /// A snapshot that `portolan snapshot` wrote, instead of a cluster.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    answer: Answer,
}

/// After a change there are often more: they are read and shown together.
const TOGETHER: Duration = Duration::from_secs(1);

/// Whose timeline.
struct Question {
    service: Option<ObjectKey>,
    /// `None`: all.
    namespace: Option<String>,
}

/// Prints the timeline; exit code 1 if there is no such Service.
pub fn run(options: &Options) -> Result<ExitCode> {
    if let Some(file) = &options.from {
        let question = options.question("default")?;
        let entries = question.entries(&read_snapshot(file)?)?;
        return options.print(&entries);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = options.cluster.connect().await?;
        let question = options.question(&options.cluster.namespace(&client))?;
        if options.follow {
            return tokio::select! {
                followed = options.follow(&client, &question) => followed,
                stopped = tokio::signal::ctrl_c() => stopped.map(|()| ExitCode::SUCCESS).context("cannot wait for Ctrl-C"),
            };
        }
        options.print(&question.entries(&question.look(&client).await?)?)
    })
}

impl Question {
    async fn look(&self, client: &Client) -> Result<Snapshot> {
        let client = client.clone();
        let snapshot = match (&self.service, &self.namespace) {
            (Some(key), _) => portolan_diagnose::around(client, key).await,
            (None, Some(namespace)) => portolan_diagnose::namespace(client, namespace).await,
            (None, None) => portolan_diagnose::cluster(client).await,
        };
        snapshot.context("cannot look at the cluster")
    }

    fn entries(&self, snapshot: &Snapshot) -> Result<Vec<Entry>> {
        let index = Index::new(snapshot);
        let Some(key) = &self.service else {
            let here = |event: &Event| self.namespace.is_none() || event.metadata.namespace == self.namespace;
            return Ok(timeline::of_events(&index, here));
        };
        match timeline::of_service(&index, key) {
            Some(entries) => Ok(entries),
            None => {
                bail!("there is no Service {key}; `portolan diagnose svc/{} -n {}` says more", key.name, key.namespace)
            }
        }
    }
}

impl Options {
    fn question(&self, default: &str) -> Result<Question> {
        let namespace = self.cluster.namespace.clone().unwrap_or_else(|| default.to_owned());
        let name = self.service.as_deref().map(service_name).transpose()?;
        Ok(Question {
            service: name.map(|name| ObjectKey::new(namespace.clone(), name)),
            namespace: (!self.all_namespaces).then_some(namespace),
        })
    }

    fn print(&self, entries: &[Entry]) -> Result<ExitCode> {
        match self.answer.output {
            Format::Json => output::print_json(&entries)?,
            Format::Text if entries.is_empty() => eprintln!("portolan: nothing has happened, or it is forgotten"),
            Format::Text => output::print(&lines(entries, self.answer.lang()))?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// What is there, then what comes: each change of what is watched is a reason to look for entries that are new. A count
    /// that has gone up is one.
    async fn follow(&self, client: &Client, question: &Question) -> Result<ExitCode> {
        let mut changes = changes(client, question.namespace.as_deref());
        let mut shown: BTreeSet<Entry> = BTreeSet::new();
        loop {
            let entries = question.entries(&question.look(client).await?)?;
            let new: BTreeSet<Entry> = entries.into_iter().filter(|entry| !shown.contains(entry)).collect();
            let new: Vec<Entry> = new.into_iter().collect();
            if !new.is_empty() {
                self.print_more(&new)?;
            }
            shown.extend(new);
            let Some(()) = changes.next().await else { bail!("the watch of events ended") };
            tokio::time::sleep(TOGETHER).await;
            // What came meanwhile is in the next look.
            while futures::FutureExt::now_or_never(changes.next()).is_some() {}
        }
    }

    /// One JSON object per line, so that a pipe can read on.
    fn print_more(&self, entries: &[Entry]) -> Result<()> {
        match self.answer.output {
            Format::Json => entries.iter().try_for_each(|entry| output::print(&serde_json::to_string(entry)?)),
            Format::Text => output::print(&lines(entries, self.answer.lang())),
        }
    }
}

/// A tick for every change of an event or a slice: whatever happens to a Service, its pods or nodes shows in one of them.
fn changes(client: &Client, namespace: Option<&str>) -> BoxStream<'static, ()> {
    let events: Api<Event> = scoped(client, namespace);
    let slices: Api<k8s_openapi::api::discovery::v1::EndpointSlice> = scoped(client, namespace);
    let events = watcher(events, watcher::Config::default()).default_backoff().map(drop);
    let slices = watcher(slices, watcher::Config::default()).default_backoff().map(drop);
    futures::stream::select(events, slices).boxed()
}

fn scoped<T>(client: &Client, namespace: Option<&str>) -> Api<T>
where
    T: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
    T::DynamicType: Default,
{
    match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    }
}

/// One line per entry, in columns.
fn lines(entries: &[Entry], lang: Lang) -> String {
    let object = entries.iter().map(|entry| entry.object.len()).max().unwrap_or_default();
    let lines = entries.iter().map(|entry| {
        let (mark, text) = words(&entry.what, lang);
        format!("{}  {mark:<8} {:<object$}  {text}", local(entry.time), entry.object)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn local(time: Timestamp) -> String {
    time.to_zoned(jiff::tz::TimeZone::system()).strftime("%m-%d %H:%M:%S").to_string()
}

fn words(what: &What, lang: Lang) -> (&str, String) {
    match what {
        What::Event { type_, reason, from, message, count } => {
            let times = if *count > 1 { format!(" (x{count})") } else { String::new() };
            (type_, format!("{reason}{times} [{from}] {message}"))
        }
        What::Change { text } => ("-", text.get(lang).to_owned()),
        What::Gap { text } => ("GAP", text.get(lang).to_owned()),
    }
}
