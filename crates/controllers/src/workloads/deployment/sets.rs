//! Readings of a Deployment and its ReplicaSets: templates, revisions, counts. Pure.
//! Upstream: `pkg/controller/deployment/util/deployment_util.go`.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, ReplicaSet, ReplicaSetSpec},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};

/// Label that tells the pods of one template from those of another.
pub(super) const HASH_LABEL: &str = "pod-template-hash";
/// Annotation: number of the template in the Deployment's history.
pub(super) const REVISION: &str = "deployment.kubernetes.io/revision";
/// Annotation on a set: what the Deployment wanted when the set was last scaled.
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
/// Annotation on a set: the same with the surge.
pub(super) const MAXIMUM: &str = "deployment.kubernetes.io/max-replicas";
/// Annotations of the Deployment that are not its sets' business.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    "deployment.kubernetes.io/revision-history",
    DESIRED,
    MAXIMUM,
    "deprecated.deployment.rollback.to",
];

/// The numbers that a Deployment's strategy allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Pods wanted.
    pub replicas: i32,
    /// Pods above that at most.
    pub surge: i32,
    /// Pods below that at most.
    pub unavailable: i32,
}

impl Limits {
    pub fn of(spec: &DeploymentSpec) -> Self {
        let replicas = spec.replicas.unwrap_or(1);
        if is_recreate(spec) {
            return Self { replicas, surge: 0, unavailable: replicas };
        }
        let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.clone());
        let (surge, unavailable) =
            rolling.map(|rolling| (rolling.max_surge, rolling.max_unavailable)).unwrap_or_default();
        let quarter = || IntOrString::String("25%".into());
        let surge = share(&surge.unwrap_or_else(quarter), replicas, Round::Up);
        let mut unavailable = share(&unavailable.unwrap_or_else(quarter), replicas, Round::Down);
        if surge == 0 && unavailable == 0 {
            // Otherwise no pod could ever be replaced.
            unavailable = 1;
        }
        Self { replicas, surge, unavailable: unavailable.min(replicas) }
    }

    pub fn maximum(self) -> i32 {
        self.replicas + self.surge
    }

    pub fn minimum(self) -> i32 {
        self.replicas - self.unavailable
    }
}

#[derive(Clone, Copy)]
enum Round {
    Up,
    Down,
}

fn share(value: &IntOrString, of: i32, round: Round) -> i32 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::String(text) => {
            let percent: i64 = text.trim_end_matches('%').parse().unwrap_or(0);
            let scaled = percent * i64::from(of);
            let rounded = match round {
                Round::Up => (scaled + 99).div_euclid(100),
                Round::Down => scaled.div_euclid(100),
            };
            rounded.try_into().unwrap_or(i32::MAX)
        }
    }
}

pub(super) fn is_recreate(spec: &DeploymentSpec) -> bool {
    spec.strategy.as_ref().and_then(|strategy| strategy.type_.as_deref()) == Some("Recreate")
}

/// Pods that a set is asked for.
pub(super) fn wanted(set: &ReplicaSet) -> i32 {
    set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// Pods of a set that are available.
pub(super) fn available(set: &ReplicaSet) -> i32 {
    set.status.as_ref().and_then(|status| status.available_replicas).unwrap_or(0)
}

/// A number in a set's annotation.
pub(super) fn number(set: &ReplicaSet, annotation: &str) -> Option<i32> {
    set.metadata.annotations.as_ref()?.get(annotation)?.parse().ok()
}

pub(super) fn revision(set: &ReplicaSet) -> i64 {
    let text = set.metadata.annotations.as_ref().and_then(|all| all.get(REVISION));
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The set made from this template, if there is one; the oldest, should there be several.
pub(super) fn with_template<'a>(
    template: &PodTemplateSpec,
    sets: impl Iterator<Item = &'a ReplicaSet>,
) -> Option<&'a ReplicaSet> {
    let plain = without_hash(template.clone());
    sets.filter(|set| {
        let theirs = set.spec.as_ref().and_then(|spec| spec.template.clone());
        theirs.map(without_hash).as_ref() == Some(&plain)
    })
    .min_by_key(|set| (set.metadata.creation_timestamp.clone().map(|time| time.0), set.metadata.name.clone()))
}

fn without_hash(mut template: PodTemplateSpec) -> PodTemplateSpec {
    let metadata = template.metadata.get_or_insert_default();
    if let Some(labels) = &mut metadata.labels {
        labels.remove(HASH_LABEL);
    }
    template
}

/// A short name of a template: FNV-1a over its JSON, in letters that spell no words. The collision count makes another
/// name if the first one belongs to somebody else.
pub(super) fn template_hash(template: &PodTemplateSpec, collisions: i32) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    // A template consists of strings, numbers and maps with string keys.
    let json = serde_json::to_vec(&without_hash(template.clone())).unwrap_or_default();
    let seed = if collisions > 0 { collisions.to_le_bytes().to_vec() } else { Vec::new() };
    let hash = json
        .iter()
        .chain(&seed)
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.to_string().bytes().map(|digit| char::from(LETTERS[usize::from(digit) % LETTERS.len()])).collect()
}

/// The Deployment's annotations that its sets carry too.
pub(super) fn inherited(deployment: &Deployment) -> BTreeMap<String, String> {
    let all = deployment.metadata.annotations.clone().unwrap_or_default();
    all.into_iter().filter(|(key, _)| !OWN.contains(&key.as_str())).collect()
}

/// A set for the Deployment's present template.
pub(super) fn new_set(deployment: &Deployment, spec: &DeploymentSpec, replicas: i32, revision: i64) -> ReplicaSet {
    let collisions = deployment.status.as_ref().and_then(|status| status.collision_count).unwrap_or(0);
    let hash = template_hash(&spec.template, collisions);
    let mut template = spec.template.clone();
    let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
    labels.insert(HASH_LABEL.into(), hash.clone());
    let labels = labels.clone();
    let mut selector = spec.selector.clone();
    selector.match_labels.get_or_insert_default().insert(HASH_LABEL.into(), hash.clone());
    let limits = Limits::of(spec);
    let mut annotations = inherited(deployment);
    annotations.insert(REVISION.into(), revision.to_string());
    annotations.insert(DESIRED.into(), limits.replicas.to_string());
    annotations.insert(MAXIMUM.into(), limits.maximum().to_string());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", deployment.metadata.name.as_deref().unwrap_or_default())),
            namespace: deployment.metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(annotations),
            owner_references: Some(vec![owner(deployment)]),
            ..ObjectMeta::default()
        },
        spec: Some(ReplicaSetSpec {
            replicas: Some(replicas),
            min_ready_seconds: spec.min_ready_seconds,
            selector,
            template: Some(template),
        }),
        status: None,
    }
}

/// The reference that makes the Deployment the controller of a set.
pub(super) fn owner(deployment: &Deployment) -> OwnerReference {
    OwnerReference {
        api_version: "apps/v1".into(),
        kind: "Deployment".into(),
        name: deployment.metadata.name.clone().unwrap_or_default(),
        uid: deployment.metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
