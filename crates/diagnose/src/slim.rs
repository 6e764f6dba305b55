//! What a snapshot keeps of an object. Whatever no check reads is dropped when it is read: a snapshot stays small, and
//! environment variables, arguments, volumes and applied manifests, where people put secrets, never enter it.

use k8s_openapi::{
    Metadata,
    api::{
        core::v1::{Container, Endpoints, Event, Namespace, Node, Pod, Service},
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
        let Some(spec) = &mut self.spec else { return };
        spec.volumes = None;
        spec.tolerations = None;
        spec.image_pull_secrets = None;
        spec.affinity = None;
        spec.security_context = None;
        spec.ephemeral_containers = None;
        spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()).for_each(container);
    }
}

/// Names, images, ports and probes stay.
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
    for probe in [&mut container.readiness_probe, &mut container.liveness_probe, &mut container.startup_probe] {
        // A header may carry a token.
        if let Some(get) = probe.as_mut().and_then(|probe| probe.http_get.as_mut()) {
            get.http_headers = None;
        }
    }
}
