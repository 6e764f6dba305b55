//! How Events name objects.

use k8s_openapi::api::core::v1::ObjectReference;

/// How an Event names `object`.
pub fn reference<K>(object: &K) -> ObjectReference
where
    K: kube::Resource<DynamicType = ()>,
{
    let resource_version = object.meta().resource_version.clone();
    ObjectReference { resource_version, ..object.object_ref(&()) }
}
