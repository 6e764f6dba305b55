//! Faults at run time: a ConfigMap says what is wrong, and this makes it so.
//!
//! ```text
//! ConfigMap kube-system/portolan-faults --watch--> list --settings--> wanted --differs from applied--> switches
//!                                                                                                        |
//!                                        annotations <-- the digest of what is in force, or what is wrong
//! ```
//!
//! What every thing that can be switched should be is a list of [`Setting`]s, of the same length and order for every
//! list of faults (`settings`); what differs from what is applied is done, whether that breaks or repairs. So the list
//! in the ConfigMap is the truth: what leaves it is repaired, and after a restart what is still in it is broken again.
//! The switchboard has an identity of its own that no fault of the API concerns.

mod apply;
mod network;
mod settings;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    runtime::watcher,
};
use portolan_lab::fault::{self, APPLIED, CONFIG_MAP, ERROR, KEY, NAMESPACE, digest};
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler, is_code};
use serde_json::json;
use tokio::{sync::Mutex, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use settings::{EDGE, Names, Setting, settings};

use super::machinery::Machinery;

/// What could not be switched is tried again after this long.
const RETRY: Duration = Duration::from_secs(2);

/// Keeps the world as the ConfigMap says until `stop`.
pub async fn run(client: Client, machinery: Arc<Mutex<Machinery>>, stop: CancellationToken) {
    let names = machinery.lock().await.names();
    let well = match settings(&[], &names) {
        Ok(well) => well,
        // An empty list names nothing that could be unknown.
        Err(words) => return warn!(words, "faults cannot be switched"),
    };
    let config_maps = Api::<ConfigMap>::namespaced(client.clone(), NAMESPACE);
    let ours = watcher::Config::default().fields(&format!("metadata.name={CONFIG_MAP}"));
    let inputs = Inputs::new().watch(config_maps.clone(), ours, |change| change);
    let options = Options {
        name: "faults",
        workers: 1,
        backoff: Backoff { base: Duration::from_millis(100), max: Duration::from_secs(5), attempts: None },
        timeout: Duration::from_secs(60),
    };
    let part = Switchboard { names, machinery, config_maps, declared: None, applied: well, trouble: None };
    portolan_runtime::run(part, inputs, options, Metrics::default(), stop).await;
}

/// Puts the list into the ConfigMap, in place of what is in it.
pub async fn declare(client: Client, list: &str) -> Result<()> {
    let config_maps = Api::<ConfigMap>::namespaced(client, NAMESPACE);
    let data = Some(BTreeMap::from([(KEY.to_owned(), list.to_owned())]));
    let metadata = ObjectMeta { name: Some(CONFIG_MAP.to_owned()), ..ObjectMeta::default() };
    let wanted = ConfigMap { metadata, data: data.clone(), ..ConfigMap::default() };
    match config_maps.create(&PostParams::default(), &wanted).await {
        Err(error) if is_code(&error, 409) => {
            let patch = Patch::Merge(json!({"data": data}));
            config_maps.patch(CONFIG_MAP, &PatchParams::default(), &patch).await.map(drop)
        }
        result => result.map(drop),
    }
    .context("cannot write the ConfigMap of the faults")
}

struct Switchboard {
    names: Names,
    machinery: Arc<Mutex<Machinery>>,
    config_maps: Api<ConfigMap>,
    declared: Option<Declared>,
    applied: Vec<Setting>,
    /// What could not be switched, and when that is tried again.
    trouble: Option<Trouble>,
}

/// What the ConfigMap says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Declared {
    list: Result<String, String>,
    annotations: Annotations,
}

/// What it is answered with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Annotations {
    applied: Option<String>,
    error: Option<String>,
}

struct Trouble {
    /// Of the list that asks for it.
    digest: String,
    again: Instant,
}

/// What to switch and what to say.
#[derive(Debug)]
struct Plan {
    switch: Vec<(usize, Setting)>,
    /// The digest of the list that this makes true.
    digest: Option<String>,
    /// What is said already, if there is a ConfigMap to say it in, and what is to be said of a list that cannot be read.
    said: Option<Annotations>,
    complaint: Option<String>,
}

struct Outcome {
    switched: Vec<(usize, Setting)>,
    trouble: Option<Trouble>,
}

impl Declared {
    fn of(config_map: &ConfigMap) -> Self {
        let text = config_map.data.as_ref().and_then(|data| data.get(KEY)).cloned();
        let annotation = |name| config_map.metadata.annotations.as_ref()?.get(name).cloned();
        Self {
            list: text.ok_or_else(|| format!("there is no key {KEY} in its data")),
            annotations: Annotations { applied: annotation(APPLIED), error: annotation(ERROR) },
        }
    }
}

impl Switchboard {
    /// What everything should be, and the digest of the list that says so; the error is told with it.
    fn wanted(&self) -> Result<(Vec<Setting>, String), (String, String)> {
        let list = match &self.declared {
            None => "",
            Some(Declared { list: Ok(list), .. }) => list,
            Some(Declared { list: Err(words), .. }) => return Err((digest(""), words.clone())),
        };
        let faults = fault::parse(list).map_err(|error| (digest(list), error.to_string()))?;
        let settings = settings(&faults, &self.names).map_err(|words| (digest(list), words))?;
        Ok((settings, digest(list)))
    }
}

impl Reconciler for Switchboard {
    type Input = Change<ConfigMap>;
    type Key = ();
    type Plan = Plan;
    type Outcome = Outcome;

    fn index(&mut self, change: Change<ConfigMap>, dirty: &mut Vec<()>) {
        self.declared = match change {
            Change::Reset(found) => found.first().map(Declared::of),
            Change::Apply(config_map) => Some(Declared::of(&config_map)),
            Change::Delete(_) => None,
        };
        dirty.push(());
    }

    fn plan(&mut self, (): &()) -> Option<Plan> {
        let said = self.declared.as_ref().map(|declared| declared.annotations.clone());
        let (wanted, digest) = match self.wanted() {
            Ok(wanted) => wanted,
            // The last list that could be read stays in force.
            Err((digest, words)) => {
                let complaint = Some(format!("{digest}: {words}"));
                let news = said.as_ref().is_some_and(|said| said.error != complaint);
                return news.then_some(Plan { switch: Vec::new(), digest: None, said, complaint });
            }
        };
        let differing =
            wanted.into_iter().enumerate().zip(&self.applied).filter(|((_, wanted), applied)| wanted != *applied);
        let switch: Vec<_> = differing.map(|(wanted, _)| wanted).collect();
        self.trouble.take_if(|trouble| trouble.digest != digest || trouble.again <= Instant::now());
        if self.trouble.is_some() {
            return None;
        }
        let done = Annotations { applied: Some(digest.clone()), error: None };
        let news = said.as_ref().is_some_and(|said| *said != done);
        (news || !switch.is_empty()).then_some(Plan { switch, digest: Some(digest), said, complaint: None })
    }

    fn apply(&self, (): (), plan: Plan) -> impl Future<Output = Result<Outcome, Failure>> + Send + 'static {
        let (machinery, config_maps) = (self.machinery.clone(), self.config_maps.clone());
        async move {
            let mut outcome = Outcome { switched: Vec::new(), trouble: None };
            let mut failures = Vec::new();
            for (index, setting) in plan.switch {
                match apply::apply(&mut *machinery.lock().await, &setting).await {
                    Ok(()) => {
                        info!(%setting, "switched");
                        outcome.switched.push((index, setting));
                    }
                    Err(error) => failures.push(format!("{setting}: {error:#}")),
                }
            }
            let mut complaint = plan.complaint;
            if let Some(digest) = plan.digest.as_ref().filter(|_| !failures.is_empty()) {
                let words = failures.join("; ");
                warn!(words, "cannot switch all faults, trying again");
                complaint = Some(format!("{digest}: {words}"));
                outcome.trouble = Some(Trouble { digest: digest.clone(), again: Instant::now() + RETRY });
            }
            if let Some(said) = plan.said {
                let applied = if complaint.is_none() { plan.digest } else { said.applied.clone() };
                say(&config_maps, &said, Annotations { applied, error: complaint }).await?;
            }
            Ok(outcome)
        }
    }

    fn applied(&mut self, (): &(), outcome: Outcome) -> Option<Duration> {
        for (index, setting) in outcome.switched {
            self.applied[index] = setting;
        }
        self.trouble = outcome.trouble;
        self.trouble.as_ref().map(|_| RETRY)
    }
}

/// Answers in the ConfigMap; one that is gone meanwhile needs no answer.
async fn say(config_maps: &Api<ConfigMap>, said: &Annotations, words: Annotations) -> Result<(), Failure> {
    if *said == words {
        return Ok(());
    }
    let patch = json!({"metadata": {"annotations": {APPLIED: words.applied, ERROR: words.error}}});
    match config_maps.patch(CONFIG_MAP, &PatchParams::default(), &Patch::Merge(patch)).await {
        Err(error) if !is_code(&error, 404) => Err(error.into()),
        _ => Ok(()),
    }
}
