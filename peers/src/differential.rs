//! One sequence of changes into two clusters; at every quiet point both have to say the same.

mod report;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufWriter, Write},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    canonical::{self, State},
    compare::{self, Difference, Packing},
    deliberate,
    generate::{Generator, NAMESPACES, Step},
    request::{self, Answer, Request},
    side::{Places, Side},
};

/// The second peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Against {
    /// Our API server with our controllers.
    Apiserver,
    /// A real kube-apiserver with our controllers.
    KubeApiserver,
    /// One after the other.
    Both,
    /// Upstream once more: shows that generator and comparison are sound.
    Upstream,
}

/// How to run.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How many steps.
    #[arg(long, default_value_t = 2000)]
    pub steps: usize,
    /// The seed of the sequence.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The second peer.
    #[arg(long, value_enum, default_value_t = Against::Both)]
    pub against: Against,
    /// Our controllers that take part; upstream's do the rest, where the API server is a real one.
    #[arg(long, value_delimiter = ',', default_value = "endpoints,endpointslice,mirroring,servicecidr")]
    pub controllers: Vec<String>,
    /// Compare after so many steps.
    #[arg(long, default_value_t = 20)]
    pub quiet_every: usize,
    /// Without the crowds of pods.
    #[arg(long)]
    pub no_bursts: bool,
    /// Repeat the steps of a file instead of making new ones.
    #[arg(long)]
    pub replay: Option<std::path::PathBuf>,
    /// With --replay: leave out steps that name Services or Endpoints other than this one (namespace/name).
    #[arg(long, requires = "replay")]
    pub only: Option<String>,
    /// Stop after so many subjects that differ.
    #[arg(long, default_value_t = 10)]
    pub most: usize,
}

/// Both have to be equal and unchanged for this long.
const CALM: Duration = Duration::from_millis(200);
/// Without change for so long: whatever is still different has not been noticed by somebody. Upstream delays what edits of
/// slices cause by one second.
const STUCK: Duration = Duration::from_millis(2500);
/// The last wait: the grace period of a ServiceCIDR is ten seconds.
const FINAL: Duration = Duration::from_secs(12);
/// The last wait if only mirrored slices differ: upstream can fail for a while when it reuses slices.
const MIRRORED: Duration = Duration::from_secs(65);
/// No quiet point takes longer.
const LONGEST: Duration = Duration::from_secs(180);

/// What one comparison found.
#[derive(Debug, Default, Serialize)]
pub struct Outcome {
    /// The first peer.
    pub first: String,
    /// The second peer.
    pub second: String,
    /// The seed.
    pub seed: u64,
    /// Steps carried out.
    pub steps: usize,
    /// Requests sent to each peer.
    pub requests: usize,
    /// Requests that both refused.
    pub refused: usize,
    /// Comparisons.
    pub quiet_points: usize,
    /// Subjects compared, over all quiet points.
    pub subjects: usize,
    /// Endpoints in the slices compared.
    pub endpoints: usize,
    /// Quiet points at which upstream had to be touched to notice a change.
    pub upstream_late: usize,
    /// Quiet points at which the second peer had to be touched to notice what a node says.
    pub ours_late: usize,
    /// The division into slices.
    pub packing: Packing,
    /// Objects with a trigger time on both sides.
    pub triggers_both: usize,
    /// Objects with a trigger time on one side only.
    pub triggers_one: usize,
    /// Writes to slices and Endpoints, first peer.
    pub writes_first: u64,
    /// Writes to slices and Endpoints, second peer.
    pub writes_second: u64,
    /// Differences that are meant, by what they are.
    pub deliberate: BTreeMap<String, usize>,
    /// Answers with the same status but other words: code, first, second.
    pub worded_otherwise: BTreeSet<(String, String)>,
    /// What differs and should not.
    pub found: Vec<Found>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// A difference that is not meant.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// After which step.
    pub step: usize,
    /// What kind: `state`, `late`, `answer`, `slices`.
    pub kind: &'static str,
    /// What.
    pub difference: Difference,
}

/// Runs the comparison; false if something differs.
pub async fn run(options: &Options, places: &Places) -> Result<bool> {
    let seconds = match options.against {
        Against::Both => vec![Against::KubeApiserver, Against::Apiserver],
        one => vec![one],
    };
    let mut same = true;
    for second in seconds {
        let first = Side::upstream(places, "first");
        let ours = &options.controllers;
        let (first, second) = match second {
            Against::Apiserver => tokio::try_join!(first, Side::portolan(places, "portolan", ours))?,
            Against::Upstream => tokio::try_join!(first, Side::upstream(places, "second"))?,
            _ => tokio::try_join!(first, Side::joined(places, "joined", ours))?,
        };
        let mut run = Run::new(options, places, first, second)?;
        run.everything().await?;
        same &= report::finish(&run.outcome, places)?;
    }
    Ok(same)
}

struct Run<'a> {
    options: &'a Options,
    places: &'a Places,
    first: Side,
    second: Side,
    /// Whether the second peer may be as late as the first.
    both_upstream: bool,
    outcome: Outcome,
    kept: BufWriter<File>,
    /// Subjects already reported; quiet until they agree again.
    known: BTreeSet<String>,
    touched: usize,
    /// Services of which upstream has lost track.
    lost: BTreeSet<String>,
}

impl<'a> Run<'a> {
    fn new(options: &'a Options, places: &'a Places, first: Side, second: Side) -> Result<Self> {
        let path = places.out.join(format!("steps-{}-{}.jsonl", second.label, options.seed));
        let kept = BufWriter::new(File::create(&path).with_context(|| format!("cannot create {}", path.display()))?);
        let outcome = Outcome {
            first: first.label.clone(),
            second: second.label.clone(),
            seed: options.seed,
            ..Outcome::default()
        };
        let both_upstream = options.against == Against::Upstream;
        let known = BTreeSet::new();
        Ok(Self {
            options,
            places,
            first,
            second,
            both_upstream,
            outcome,
            kept,
            known,
            touched: 0,
            lost: BTreeSet::new(),
        })
    }

    async fn everything(&mut self) -> Result<()> {
        let begun = Instant::now();
        tokio::try_join!(self.first.prepare(&NAMESPACES), self.second.prepare(&NAMESPACES))?;
        match &self.options.replay {
            None => self.generated().await?,
            Some(file) => self.repeated(file).await?,
        }
        self.quiet_point().await?;
        for (side, writes) in
            [(&self.first, &mut self.outcome.writes_first), (&self.second, &mut self.outcome.writes_second)]
        {
            *writes = side.mirror.writes(request::SLICES) + side.mirror.writes(request::ENDPOINTS);
        }
        self.outcome.seconds = begun.elapsed().as_secs_f64();
        Ok(())
    }

    async fn generated(&mut self) -> Result<()> {
        let start = Timestamp::new(Timestamp::now().as_second(), 0).context("the clock")?;
        let mut generator = Generator::new(self.options.seed, start, !self.options.no_bursts);
        for _ in 0..self.options.steps {
            let step = generator.next_step();
            let answers = self.step(&step).await?;
            if answers.iter().any(|answer| !answer.succeeded()) {
                generator.refused(&step, &answers);
            }
            if self.pause().await? {
                break;
            }
        }
        Ok(())
    }

    async fn repeated(&mut self, file: &std::path::Path) -> Result<()> {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        for line in text.lines() {
            let step: Step = serde_json::from_str(line).context("a line that is no step")?;
            if self.options.only.as_deref().is_some_and(|only| !concerns(&step, only)) {
                continue;
            }
            self.step(&step).await?;
            if self.pause().await? {
                break;
            }
        }
        Ok(())
    }

    /// After a step: compares if it is time. True if enough has been found.
    async fn pause(&mut self) -> Result<bool> {
        if self.outcome.steps.is_multiple_of(self.options.quiet_every) {
            self.quiet_point().await?;
        }
        if self.outcome.steps.is_multiple_of(200) {
            eprintln!("  {} steps, {} differences", self.outcome.steps, self.outcome.found.len());
        }
        let subjects: BTreeSet<&String> = self.outcome.found.iter().map(|found| &found.difference.subject).collect();
        Ok(subjects.len() >= self.options.most)
    }

    /// Gives one step to both, and compares what they answer.
    async fn step(&mut self, step: &Step) -> Result<Vec<Answer>> {
        if step.after_rest {
            self.quiet_point().await?;
        }
        serde_json::to_writer(&mut self.kept, step).context("cannot keep the step")?;
        self.kept.write_all(b"\n").and_then(|()| self.kept.flush()).context("cannot keep the step")?;
        self.outcome.steps += 1;
        self.outcome.requests += step.requests.len();
        self.lost.extend(step.loses.clone());
        for request in step.requests.iter().filter(|request| request.verb == request::Verb::Delete) {
            self.lost.retain(|service| request.path != service_path(service));
        }
        tracing::debug!(step = self.outcome.steps, title = %step.title, "step");
        let (first, second) = tokio::try_join!(self.first.perform(step), self.second.perform(step))?;
        let requests = step.requests.iter().filter(|request| request.verb != request::Verb::Barrier);
        let first: Vec<Answer> = first;
        for (request, (one, other)) in requests.zip(first.iter().zip(&second)) {
            self.answers(request, one, other);
        }
        Ok(first)
    }

    fn answers(&mut self, request: &Request, one: &Answer, other: &Answer) {
        self.outcome.refused += usize::from(!one.succeeded() && !other.succeeded());
        if one.code == other.code && one.reason == other.reason {
            if one.message != other.message {
                self.outcome.worded_otherwise.insert((one.message.clone(), other.message.clone()));
            }
            return;
        }
        let difference = Difference {
            subject: format!("answer to {:?} {}", request.verb, request.path),
            path: request.body.to_string(),
            first: json!(one),
            second: json!(other),
        };
        self.keep("answer", difference);
    }

    fn keep(&mut self, kind: &'static str, difference: Difference) {
        if let Some(deliberate) = deliberate::explain(&difference, &self.lost) {
            *self.outcome.deliberate.entry(deliberate.what.to_owned()).or_default() += 1;
            return;
        }
        if !self.known.contains(&difference.subject) || kind == "answer" {
            eprintln!("{}", report::one(self.outcome.seed, self.outcome.steps, kind, &difference));
        }
        self.outcome.found.push(Found { step: self.outcome.steps, kind, difference });
    }

    /// Waits until nothing moves any more, and compares.
    async fn quiet_point(&mut self) -> Result<()> {
        self.first.check()?;
        self.second.check()?;
        self.outcome.quiet_points += 1;
        let begun = Instant::now();
        let mut settled = self.settle(begun, STUCK).await?;
        if !settled.differences.is_empty() {
            self.touch().await?;
            let before = settled;
            settled = self.settle(begun, STUCK).await?;
            self.blame(&before, &settled);
            if !settled.differences.is_empty() {
                settled = self.settle(begun, FINAL).await?;
            }
            let mirrored =
                |difference: &Difference| difference.subject.ends_with("by endpointslicemirroring-controller.k8s.io");
            if !settled.differences.is_empty() && settled.differences.iter().all(mirrored) {
                settled = self.settle(begun, MIRRORED).await?;
            }
        }
        self.judge(&settled);
        Ok(())
    }

    /// Both states once they are equal and calm, or once nothing has changed for `patience`.
    async fn settle(&self, begun: Instant, patience: Duration) -> Result<Settled> {
        let mut looked: Option<(Instant, Instant)> = None;
        let waited = Instant::now();
        loop {
            let changes = (self.first.mirror.changed(), self.second.mirror.changed());
            let calm = changes.0.elapsed().min(changes.1.elapsed());
            let over = begun.elapsed() > LONGEST;
            let patient = calm.min(waited.elapsed()) > patience || over;
            if (calm > CALM && looked != Some(changes)) || patient {
                looked = Some(changes);
                let settled = self.look();
                if settled.differences.is_empty() || patient {
                    return Ok(settled);
                }
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    fn look(&self) -> Settled {
        let (first, second) = (canonical::state(&self.first), canonical::state(&self.second));
        let mut differences = compare::differences(&first, &second);
        differences.retain(|difference| {
            !self.known.contains(&difference.subject) && deliberate::explain(difference, &self.lost).is_none()
        });
        Settled { first, second, differences }
    }

    /// Changes every Service a little, on both sides: a controller that has missed something looks again.
    async fn touch(&mut self) -> Result<()> {
        self.touched += 1;
        let body = json!({"metadata": {"annotations": {"peers/touched": self.touched.to_string()}}});
        let services = self.first.mirror.objects(request::SERVICES);
        let requests = services
            .keys()
            .filter(|key| NAMESPACES.contains(&key.0.as_str()))
            .map(|key| Request::merge(request::SERVICES, &key.0, &key.1, body.clone()))
            .collect();
        let step =
            Step { title: "touch every Service".to_owned(), parallel: true, after_rest: false, loses: None, requests };
        tokio::try_join!(self.first.perform(&step), self.second.perform(&step))?;
        Ok(())
    }

    /// Who had to be touched to get it right? Upstream may; ours may only for what a node says, where both are late.
    fn blame(&mut self, before: &Settled, after: &Settled) {
        let (mut late, mut ours_late) = (false, false);
        let nodes = self.first.mirror.objects(request::NODES);
        for (subject, differences) in compare::by_subject(&before.differences) {
            let moved = |old: &State, new: &State| old.subjects.get(subject) != new.subjects.get(subject);
            let (first, second) = (moved(&before.first, &after.first), moved(&before.second, &after.second));
            late |= first;
            if second && !first && !self.both_upstream && !subject.starts_with("Service ") {
                for difference in differences {
                    if compare::about_nodes(difference, &nodes) {
                        ours_late = true;
                    } else {
                        self.keep("late", difference.clone());
                    }
                }
            }
        }
        self.outcome.ours_late += usize::from(ours_late);
        self.outcome.upstream_late += usize::from(late);
    }

    fn judge(&mut self, settled: &Settled) {
        let (first, second) = (&settled.first, &settled.second);
        self.outcome.subjects += first.subjects.len();
        let packing = compare::packing(first, second);
        self.outcome.packing.groups += packing.groups;
        self.outcome.packing.alike += packing.alike;
        self.outcome.endpoints += first.packing.values().flatten().sum::<usize>();
        self.outcome.packing.first += packing.first;
        self.outcome.packing.second += packing.second;
        self.outcome.triggers_both += first.triggers.intersection(&second.triggers).count();
        self.outcome.triggers_one += first.triggers.symmetric_difference(&second.triggers).count();
        for difference in compare::differences(first, second) {
            if deliberate::explain(&difference, &self.lost).is_some() || !self.known.contains(&difference.subject) {
                self.keep("state", difference);
            }
        }
        for group in compare::wasteful(first, second) {
            let subject = format!("division of {group}");
            if self.known.insert(subject.clone()) {
                self.keep(
                    "slices",
                    Difference { subject, path: String::new(), first: Value::Null, second: Value::Null },
                );
            }
        }
        let differing: BTreeSet<String> =
            compare::differences(first, second).into_iter().map(|difference| difference.subject).collect();
        for subject in differing.difference(&self.known.clone()) {
            report::keep(&self.outcome, self.places, [&self.first, &self.second], subject);
        }
        self.known.retain(|subject| subject.starts_with("division of"));
        self.known.extend(differing);
    }
}

fn service_path(service: &str) -> String {
    let (namespace, name) = service.split_once('/').unwrap_or_default();
    request::SERVICES.object(namespace, name)
}

struct Settled {
    first: State,
    second: State,
    differences: Vec<Difference>,
}

/// Whether a step belongs to the story of one Service: everything but the stories of others.
fn concerns(step: &Step, only: &str) -> bool {
    let (namespace, name) = only.split_once('/').unwrap_or(("one", only));
    let of = |collection: request::Collection| {
        let (all, mine) = (collection.path(namespace), collection.object(namespace, name));
        let others = NAMESPACES.map(|namespace| collection.path(namespace));
        move |path: &str| (others.iter().any(|other| path.starts_with(other)) || path.starts_with(&all)) && path != mine
    };
    let (service, endpoints) = (of(request::SERVICES), of(request::ENDPOINTS));
    !step.requests.iter().all(|request| {
        let created = request.verb == request::Verb::Create && request.body["metadata"]["name"] == name;
        !created && (service(&request.path) || endpoints(&request.path))
    })
}
