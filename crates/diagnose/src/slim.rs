//! What a snapshot keeps of an object. Whatever no check reads is dropped when it is read: a snapshot stays small, and
//! environment variables, arguments, volumes and applied manifests, where people put secrets, never enter it.

use k8s_openapi::{
    Metadata,
    api::{
        core::v1::{Container, ContainerStatus, Endpoints, Event, Namespace, Node, Pod, Service},
        discovery::v1::EndpointSlice,
        networking::v1::{IPAddress, NetworkPolicy, ServiceCIDR},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

/// A copy of the whole manifest, with all that was in it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Keeps what checks read.
pub(crate) trait Slim {
    /// Drops the rest.
    fn slim(&mut self);
}

/// Who wrote what is not read, only when; and annotations only where they steer something.
fn metadata(object: &mut impl Metadata<Ty = ObjectMeta>, annotations: bool) {
    let metadata = object.metadata_mut();
    let newest = metadata.managed_fields.take().into_iter().flatten().max_by_key(|entry| entry.time.clone());
    metadata.managed_fields = newest.map(|mut entry| {
        entry.fields_v1 = None;
        vec![entry]
    });
    metadata.self_link = None;
    if annotations {
        metadata.annotations.as_mut().and_then(|annotations| annotations.remove(LAST_APPLIED));
        metadata.annotations.take_if(|annotations| annotations.is_empty());
    } else {
        metadata.annotations = None;
    }
}

impl Slim for Service {
    fn slim(&mut self) {
        metadata(self, true);
    }
}

impl Slim for EndpointSlice {
    fn slim(&mut self) {
        metadata(self, true);
        fit(&mut self.endpoints);
        self.endpoints.iter_mut().flatten().for_each(|endpoint| endpoint.addresses.shrink_to_fit());
    }
}

impl Slim for Endpoints {
    fn slim(&mut self) {
        metadata(self, true);
    }
}

impl Slim for Namespace {
    fn slim(&mut self) {
        metadata(self, false);
    }
}

impl Slim for NetworkPolicy {
    fn slim(&mut self) {
        metadata(self, false);
    }
}

impl Slim for ServiceCIDR {
    fn slim(&mut self) {
        metadata(self, false);
    }
}

impl Slim for IPAddress {
    fn slim(&mut self) {
        metadata(self, false);
    }
}

impl Slim for Event {
    fn slim(&mut self) {
        metadata(self, false);
        self.metadata.managed_fields = None;
    }
}

impl Slim for Node {
    fn slim(&mut self) {
        metadata(self, false);
        self.metadata.managed_fields = None;
        if let Some(status) = &mut self.status {
            status.images = None;
            status.volumes_attached = None;
            status.volumes_in_use = None;
        }
    }
}

impl Slim for Pod {
    fn slim(&mut self) {
        metadata(self, false);
        self.metadata.managed_fields = None;
        if let Some(status) = &mut self.status {
            let main = status.container_statuses.iter_mut().flatten();
            main.chain(status.init_container_statuses.iter_mut().flatten()).for_each(container_status);
            status.ephemeral_container_statuses = None;
            if let Some(conditions) = &mut status.conditions {
                conditions
                    .retain(|condition| !(condition.status == "True" && STEPS.contains(&condition.type_.as_str())));
            }
            // Vectors that grew while they were read have room for four: with 100,000 pods that is what counts.
            fit(&mut status.conditions);
            fit(&mut status.container_statuses);
            fit(&mut status.init_container_statuses);
            fit(&mut status.pod_ips);
        }
        let Some(spec) = &mut self.spec else { return };
        spec.volumes = None;
        spec.tolerations = None;
        spec.image_pull_secrets = None;
        spec.affinity = None;
        spec.security_context = None;
        spec.ephemeral_containers = None;
        spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()).for_each(container);
        spec.containers.shrink_to_fit();
        fit(&mut self.metadata.owner_references);
    }
}

/// Conditions that say nothing once they are True: `Ready` says it all.
const STEPS: [&str; 4] = ["Initialized", "ContainersReady", "PodScheduled", "PodReadyToStartContainers"];

fn fit<T>(list: &mut Option<Vec<T>>) {
    if let Some(list) = list {
        list.shrink_to_fit();
    }
}

/// What a container wrote last may be anything, the end of its log too.
fn container_status(status: &mut ContainerStatus) {
    let states = [&mut status.state, &mut status.last_state];
    let ended = states.into_iter().filter_map(|state| state.as_mut()?.terminated.as_mut());
    ended.for_each(|ended| ended.message = None);
    status.container_id = None;
    status.image_id = String::new();
}

/// Names, images, ports and probes stay; of what a probe runs, the program.
fn container(container: &mut Container) {
    let kept = Container {
        name: std::mem::take(&mut container.name),
        image: container.image.take(),
        ports: container.ports.take(),
        readiness_probe: container.readiness_probe.take(),
        liveness_probe: container.liveness_probe.take(),
        startup_probe: container.startup_probe.take(),
        restart_policy: container.restart_policy.take(),
        ..Container::default()
    };
    *container = kept;
    fit(&mut container.ports);
    for probe in [&mut container.readiness_probe, &mut container.liveness_probe, &mut container.startup_probe] {
        let Some(probe) = probe else { continue };
        // A header may carry a token, and an argument a password.
        if let Some(get) = &mut probe.http_get {
            get.http_headers = None;
        }
        if let Some(command) = probe.exec.as_mut().and_then(|exec| exec.command.as_mut()) {
            command.truncate(1);
        }
    }
}
