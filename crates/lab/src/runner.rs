//! Runs one scenario: boots, applies, breaks, looks until the cause is named, repairs, looks until nothing is wrong.
//!
//! Called by `lab run` and `lab score`. Nothing is judged here but by [`Record`]; nothing sleeps but between two looks.

mod stage;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use kube::Client;
use portolan_catalogue::Lang;
use portolan_diagnose::{Diagnosis, Snapshot, SnapshotError};
use portolan_runtime::client::{ConnectError, connect};

use crate::{
    cluster::{Cluster, ClusterError},
    look::look,
    network::{Network, NetworkError},
    record::Record,
    scenario::Scenario,
};
use stage::Stage;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a healthy start or a repaired Service may look wrong.
const CLEAN_WITHIN: Duration = Duration::from_secs(90);
/// How long the last of the expected events may take.
const EVENTS_WITHIN: Duration = Duration::from_secs(30);
/// A network that runs answers at once.
const REACHABLE_WITHIN: Duration = Duration::from_secs(3);
/// What the API's log calls this program.
const AGENT: &str = "portolan-lab";

/// How scenarios are run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This program: `PROGRAM up` boots a network.
    pub program: PathBuf,
    /// The kubeconfig of a network that runs already.
    pub running: Option<PathBuf>,
    /// Whether to repair and to see the recovery.
    pub repairs: bool,
}

/// What happens, for people who watch.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A network is being booted, with these further arguments.
    Booting(&'a [String]),
    /// So many objects are applied.
    Applied(usize),
    /// All of them are well.
    Healthy,
    /// A step is about to be done.
    Step(String),
    /// An event has appeared or was counted up.
    Event(Heard),
    /// The diagnosis has another first finding.
    Says(Option<&'a str>),
    /// The cause was named first, or nobody named it in time.
    Diagnosed(&'a Diagnosis, bool),
    /// The repair begins.
    Repairing,
    /// The diagnosis is clean again.
    Recovered,
}

/// An event as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// `Normal` or `Warning`.
    pub severity: String,
    /// Its reason.
    pub reason: String,
    /// `KIND/NAME`.
    pub object: String,
    /// Its text.
    pub message: String,
    /// How often.
    pub count: i32,
}

/// Who is told of progress.
pub type Tell<'a> = &'a dyn Fn(Progress<'_>);

/// What came of it.
#[derive(Debug)]
pub struct Ran {
    /// The judgement.
    pub record: Record,
    /// What it rests on; none if it did not come that far.
    pub snapshot: Option<Snapshot>,
}

/// Why a scenario could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// No network.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// No way to its API.
    #[error("cannot connect to the network")]
    Connect(#[from] ConnectError),
    /// Something refused or did not come about.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// No diagnosis.
    #[error("cannot look at the Service")]
    Look(#[from] SnapshotError),
    /// Faults are switched in laboratories only.
    #[error("{0} is not a network of `portolan up`: faults are switched nowhere else")]
    NoLaboratory(String),
    /// It needs a network of its own.
    #[error("the scenario needs a network of its own; run it without --kubeconfig")]
    OwnOnly,
    /// Something of the same name is there.
    #[error("{0} exists already; run the scenario in a network of its own, or delete it")]
    Taken(String),
    /// The start does not look healthy.
    #[error("the healthy start is not diagnosed as healthy: {0}")]
    Unhealthy(String),
    /// The end does not look healthy.
    #[error("the repaired Service is not diagnosed as healthy: {0}")]
    NotRecovered(String),
}

/// Runs it. Errors are in the record: what came before them counts.
pub async fn run(scenario: &Scenario, settings: &Settings, tell: Tell<'_>) -> Ran {
    let mut ran = Ran { record: Record::new(scenario), snapshot: None };
    if let Err(error) = play(scenario, settings, tell, &mut ran).await {
        ran.record.problem = Some(chain(&error));
    }
    ran
}

async fn play(scenario: &Scenario, settings: &Settings, tell: Tell<'_>, ran: &mut Ran) -> Result<(), RunError> {
    let mut stage = raise(scenario, settings, tell).await?;
    let ears = stage.ears();
    let played = async {
        stage.apply().await?;
        tell(Progress::Applied(scenario.objects.len()));
        stage.await_health().await?;
        tell(Progress::Healthy);
        if scenario.begins_with_service() {
            clean(&stage.client(), scenario).await?.map_err(RunError::Unhealthy)?;
        }
        let since = stage.take_steps().await?;
        if scenario.is_look_alike() {
            watch(&stage.client(), scenario, since, tell, ran).await?;
        } else {
            search(&stage.client(), scenario, since, tell, ran).await?;
        }
        ears.await_reasons(&scenario.expect.reasons, EVENTS_WITHIN).await;
        if settings.repairs && !scenario.is_look_alike() {
            tell(Progress::Repairing);
            let start = Instant::now();
            stage.repair().await?;
            stage.await_health().await?;
            stage.await_service().await?;
            clean(&stage.client(), scenario).await?.map_err(RunError::NotRecovered)?;
            ran.record.seconds_to_recovery = Some(start.elapsed().as_secs_f64());
            tell(Progress::Recovered);
            ears.await_reasons(&scenario.expect.reasons, EVENTS_WITHIN).await;
        }
        Ok(())
    };
    // Listening never ends by itself.
    let result = tokio::select! {
        result = played => result,
        () = ears.listen(tell) => Ok(()),
    };
    ran.record.missing_reasons = ears.missing(&scenario.expect.reasons);
    // What is left over is worth a word only where somebody else uses the network.
    match stage.leave().await {
        Err(error) if settings.running.is_some() => result.and(Err(error)),
        _ => result,
    }
}

/// Whether this kubeconfig is of a network of `portolan up` that runs now.
pub async fn is_running_laboratory(kubeconfig: &Path) -> bool {
    let look = async { Ok::<_, RunError>(Cluster { client: client(kubeconfig).await? }.is_laboratory().await?) };
    matches!(tokio::time::timeout(REACHABLE_WITHIN, look).await, Ok(Ok(true)))
}

/// Boots a network, or makes sure that the given one may be used.
async fn raise<'a>(scenario: &'a Scenario, settings: &Settings, tell: Tell<'a>) -> Result<Stage<'a>, RunError> {
    if let Some(kubeconfig) = &settings.running {
        if scenario.needs_own_network() {
            return Err(RunError::OwnOnly);
        }
        let cluster = Cluster { client: client(kubeconfig).await? };
        if !cluster.is_laboratory().await? {
            return Err(RunError::NoLaboratory(kubeconfig.display().to_string()));
        }
        return Ok(Stage::new(scenario, cluster, None, tell));
    }
    tell(Progress::Booting(&scenario.expect.up));
    let network = Network::start(&settings.program, &scenario.expect.up, scenario.restarts()).await?;
    let cluster = Cluster { client: client(&network.kubeconfig()).await? };
    Ok(Stage::new(scenario, cluster, Some(network), tell))
}

async fn client(kubeconfig: &Path) -> Result<Client, ConnectError> {
    connect(Some(kubeconfig), None, AGENT).await
}

/// Looks until nothing is found; gives what is found for too long.
async fn clean(client: &Client, scenario: &Scenario) -> Result<Result<(), String>, RunError> {
    let start = Instant::now();
    loop {
        let (_, diagnosis) = look(client, &scenario.expect).await?;
        if diagnosis.findings.is_empty() {
            return Ok(Ok(()));
        }
        if start.elapsed() > CLEAN_WITHIN {
            return Ok(Err(claims(&diagnosis)));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn claims(diagnosis: &Diagnosis) -> String {
    let claim = |finding: &portolan_diagnose::Finding| format!("{} ({})", finding.code, finding.title.get(Lang::En));
    diagnosis.findings.iter().map(claim).collect::<Vec<_>>().join(", ")
}

/// Looks until the cause is named first, or too much time has passed.
async fn search(
    client: &Client,
    scenario: &Scenario,
    since: Instant,
    tell: Tell<'_>,
    ran: &mut Ran,
) -> Result<(), RunError> {
    let (expect, causes) = (&scenario.expect, scenario.expect.causes());
    let deadline = Duration::from_secs(expect.deadline_seconds);
    let mut last: Option<Option<&'static str>> = None;
    loop {
        let (snapshot, diagnosis) = look(client, expect).await?;
        let first = diagnosis.cause().map(|finding| finding.code);
        if last != Some(first) {
            tell(Progress::Says(first));
            last = Some(first);
        }
        let found = first.is_some_and(|code| causes.contains(&code));
        if found {
            ran.record.seconds_to_finding = Some(since.elapsed().as_secs_f64());
        } else {
            ran.record.detours.extend(first.map(str::to_owned));
            ran.record.detours.dedup();
        }
        if found || since.elapsed() > deadline {
            tell(Progress::Diagnosed(&diagnosis, found));
            ran.record.judge(expect, &snapshot, &diagnosis);
            ran.snapshot = Some(snapshot);
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Looks for a while and takes down the first look that finds something, or the last one.
async fn watch(
    client: &Client,
    scenario: &Scenario,
    since: Instant,
    tell: Tell<'_>,
    ran: &mut Ran,
) -> Result<(), RunError> {
    let end = Duration::from_secs(scenario.expect.watch_seconds);
    loop {
        let (snapshot, diagnosis) = look(client, &scenario.expect).await?;
        let quiet = diagnosis.findings.is_empty();
        if !quiet || since.elapsed() > end {
            tell(Progress::Diagnosed(&diagnosis, quiet));
            ran.record.judge(&scenario.expect, &snapshot, &diagnosis);
            ran.snapshot = Some(snapshot);
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = cause.source();
    }
    text
}
