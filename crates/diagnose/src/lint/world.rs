//! All objects of one call, typed and indexed: what rules ask questions of.

use std::{collections::HashMap, path::Path};

use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet},
        batch::v1::{CronJob, Job},
        core::v1::{Pod, PodSpec, PodTemplateSpec, Service},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use portolan_objects::{ObjectKey, selector::Selector, service};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{annotations::Provider, objects::Object};
use crate::nearest::Labels;

/// A Service and where it is written.
pub(super) struct Served<'a> {
    pub(super) object: &'a Object,
    pub(super) service: Service,
}

/// Something that makes pods, or a pod.
pub(super) struct Maker<'a> {
    pub(super) object: &'a Object,
    /// The pod as it would be, named after its maker.
    pub(super) pod: Pod,
    /// Where the pod's `metadata` and `spec` are: `spec.template.`, or empty for a pod.
    pub(super) path: &'static str,
    /// How many it wants; `None` where the kind does not say.
    pub(super) replicas: Option<i32>,
}

impl Maker<'_> {
    /// What its pods are labelled with.
    pub(super) fn labels(&self) -> Option<&Labels> {
        self.pod.metadata.labels.as_ref()
    }

    /// What they run.
    pub(super) fn spec(&self) -> Option<&PodSpec> {
        self.pod.spec.as_ref()
    }

    /// Path of one of the pod's fields in the maker's manifest.
    pub(super) fn field(&self, field: &str) -> String {
        format!("{}{field}", self.path)
    }

    /// A Job's pods end; what keeps a server alive is not asked of them.
    pub(super) fn is_server(&self) -> bool {
        !matches!(self.object.kind.as_str(), "Job" | "CronJob")
    }
}

/// Everything.
pub(super) struct World<'a> {
    pub(super) objects: &'a [Object],
    pub(super) services: Vec<Served<'a>>,
    pub(super) makers: Vec<Maker<'a>>,
    /// The cloud that was asked for.
    pub(super) provider: Option<Provider>,
    /// Objects whose fields do not have the types of their kind, and what serde says.
    pub(super) misfits: Vec<(&'a Object, String)>,
    /// Makers by namespace, label and value.
    by_label: HashMap<(&'a str, String, String), Vec<usize>>,
    services_by_key: HashMap<&'a ObjectKey, Vec<usize>>,
    makers_in: HashMap<&'a str, usize>,
}

impl<'a> World<'a> {
    pub(super) fn new(objects: &'a [Object], provider: Option<Provider>) -> Self {
        let mut world = Self {
            objects,
            services: Vec::new(),
            makers: Vec::new(),
            provider,
            misfits: Vec::new(),
            by_label: HashMap::new(),
            services_by_key: HashMap::new(),
            makers_in: HashMap::new(),
        };
        for object in objects {
            if object.kind == "Service" && object.api_version == "v1" {
                if let Some(service) = world.typed::<Service>(object) {
                    world.services_by_key.entry(&object.key).or_default().push(world.services.len());
                    world.services.push(Served { object, service });
                }
            } else if let Some(maker) = world.maker(object) {
                world.add(maker);
            }
        }
        world
    }

    fn typed<T: DeserializeOwned>(&mut self, object: &'a Object) -> Option<T> {
        let mut value = object.value.clone();
        value["metadata"]["namespace"] = Value::from(object.key.namespace.as_str());
        match serde_json::from_value(value) {
            Ok(typed) => Some(typed),
            Err(error) => {
                self.misfits.push((object, error.to_string()));
                None
            }
        }
    }

    fn maker(&mut self, object: &'a Object) -> Option<Maker<'a>> {
        const TEMPLATE: &str = "spec.template.";
        // Defaults are the API server's: one replica where none is said.
        let (template, path, replicas) = match (object.api_version.as_str(), object.kind.as_str()) {
            ("apps/v1", "Deployment") => {
                let spec = self.typed::<Deployment>(object)?.spec?;
                (spec.template, TEMPLATE, spec.replicas.or(Some(1)))
            }
            ("apps/v1", "StatefulSet") => {
                let spec = self.typed::<StatefulSet>(object)?.spec?;
                (spec.template, TEMPLATE, spec.replicas.or(Some(1)))
            }
            ("apps/v1", "ReplicaSet") => {
                let spec = self.typed::<ReplicaSet>(object)?.spec?;
                (spec.template?, TEMPLATE, spec.replicas.or(Some(1)))
            }
            ("apps/v1", "DaemonSet") => (self.typed::<DaemonSet>(object)?.spec?.template, TEMPLATE, None),
            ("batch/v1", "Job") => (self.typed::<Job>(object)?.spec?.template, TEMPLATE, None),
            ("batch/v1", "CronJob") => {
                let template = self.typed::<CronJob>(object)?.spec.job_template.spec?.template;
                (template, "spec.jobTemplate.spec.template.", None)
            }
            ("v1", "Pod") => {
                let pod = self.typed::<Pod>(object)?;
                (PodTemplateSpec { metadata: Some(pod.metadata), spec: pod.spec }, "", Some(1))
            }
            _ => return None,
        };
        let labels = template.metadata.and_then(|metadata| metadata.labels);
        let name = Some(object.key.name.clone());
        let namespace = Some(object.key.namespace.clone());
        let metadata = ObjectMeta { name, namespace, labels, ..ObjectMeta::default() };
        Some(Maker { object, pod: Pod { metadata, spec: template.spec, status: None }, path, replicas })
    }

    fn add(&mut self, maker: Maker<'a>) {
        let namespace = maker.object.key.namespace.as_str();
        for (key, value) in maker.labels().into_iter().flatten() {
            self.by_label.entry((namespace, key.clone(), value.clone())).or_default().push(self.makers.len());
        }
        *self.makers_in.entry(namespace).or_default() += 1;
        self.makers.push(maker);
    }

    /// How many makers of pods a namespace has.
    pub(super) fn makers_in(&self, namespace: &str) -> usize {
        self.makers_in.get(namespace).copied().unwrap_or_default()
    }

    /// The Service of this name, if these files have it; of several (one for each environment) the one nearest to
    /// who asks.
    pub(super) fn service(&self, key: &ObjectKey, asking: &Object) -> Option<&Served<'a>> {
        let places = self.services_by_key.get(key)?;
        let all = places.iter().filter_map(|place| self.services.get(*place));
        all.reduce(|best, other| {
            let closer = closeness(asking, other.object) > closeness(asking, best.object);
            if closer { other } else { best }
        })
    }

    /// Makers whose pods the Service selects.
    pub(super) fn behind(&self, served: &Served<'_>) -> Vec<&Maker<'a>> {
        let Some(selector) = service::selector(&served.service) else { return Vec::new() };
        let asked = served.service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let makers = self.selected(&served.object.key.namespace, &selector, asked);
        // Where folders are environments, the pods of another one are not meant.
        let nearest = makers.iter().map(|maker| closeness(served.object, maker.object)).max();
        makers.into_iter().filter(|maker| Some(closeness(served.object, maker.object)) == nearest).collect()
    }

    /// Makers of a namespace whose pods have these labels; looked up by the rarest of them.
    fn selected(&self, namespace: &str, selector: &Selector, asked: Option<&Labels>) -> Vec<&Maker<'a>> {
        let lists = asked.into_iter().flatten().map(|(key, value)| {
            let found = self.by_label.get(&(namespace, key.clone(), value.clone()));
            found.map(Vec::as_slice).unwrap_or_default()
        });
        let rarest = lists.min_by_key(|list| list.len()).unwrap_or_default();
        let makers = rarest.iter().filter_map(|place| self.makers.get(*place));
        makers.filter(|maker| maker.labels().is_some_and(|labels| selector.matches(labels))).collect()
    }
}

/// Whether both are in one file or one folder.
pub(super) fn together(one: &Object, other: &Object) -> bool {
    closeness(one, other) == usize::MAX
}

/// How many folders two files share; files of one folder are as close as one file.
fn closeness(one: &Object, other: &Object) -> usize {
    if one.file == other.file {
        return usize::MAX;
    }
    let folder = |object: &Object| -> Vec<String> {
        let folder = Path::new(&object.file).parent().unwrap_or(Path::new(""));
        folder.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
    };
    let (one, other) = (folder(one), folder(other));
    if one == other { usize::MAX } else { one.iter().zip(&other).take_while(|(a, b)| a == b).count() }
}
