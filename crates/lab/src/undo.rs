//! Puts objects back as they were before the steps of a scenario.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::cluster::{Cluster, ClusterError, Reference, until};

/// How long an object that is being deleted may take to go by itself, once the faults are off.
const LEAVING: Duration = Duration::from_secs(40);
/// How long it may take after its finalizers were taken away.
const GONE: Duration = Duration::from_secs(20);

/// Objects that steps have touched, as they were before; `None` if they did not exist.
#[derive(Debug, Default)]
pub(crate) struct Undo {
    before: Vec<(Reference, Option<Value>)>,
}

impl Undo {
    /// To be called before an object is changed.
    pub async fn remember(&mut self, cluster: &Cluster, reference: &Reference) -> Result<(), ClusterError> {
        if self.before.iter().all(|(known, _)| known != reference) {
            self.before.push((reference.clone(), cluster.get(reference).await?));
        }
        Ok(())
    }

    /// What did not exist before goes, but for `kept`; then the others come back, in the order in which they were touched.
    /// Goes on after an error and gives the first one.
    pub async fn put_back(self, cluster: &Cluster, kept: &Reference) -> Result<(), ClusterError> {
        let (old, new): (Vec<_>, Vec<_>) = self.before.into_iter().partition(|(_, before)| before.is_some());
        let new = new.into_iter().rev().filter(|(reference, _)| reference != kept);
        let mut result = Ok(());
        for (reference, before) in new.chain(old) {
            let done = restore(cluster, &reference, before).await;
            result = result.and(done);
        }
        result
    }
}

async fn restore(cluster: &Cluster, reference: &Reference, before: Option<Value>) -> Result<(), ClusterError> {
    let mut now = cluster.get(reference).await?;
    let Some(before) = before else {
        if now.is_some() {
            // A grace period is of no use to anybody here.
            cluster.delete(reference, (reference.kind.kind == "Pod").then_some(0)).await?;
            see_off(cluster, reference).await?;
        }
        return Ok(());
    };
    if now.as_ref().is_some_and(|now| is_leaving(now) || is_another_pod(&before, now)) {
        cluster.delete(reference, Some(0)).await?;
        see_off(cluster, reference).await?;
        now = None;
    }
    match now {
        None => cluster.create(reference, &fresh(before)).await,
        Some(now) => cluster.replace(reference, &over(before, &now)).await,
    }
}

/// Waits until the object is gone; what holds it longer than is reasonable is taken away.
async fn see_off(cluster: &Cluster, reference: &Reference) -> Result<(), ClusterError> {
    let what = format!("the end of {reference}");
    let gone = async || match cluster.get(reference).await? {
        None => Ok(Ok(())),
        Some(now) => Ok(Err(format!("finalizers {}", now["metadata"]["finalizers"]))),
    };
    if until(&what, LEAVING, &gone).await.is_ok() {
        return Ok(());
    }
    cluster.release(reference).await?;
    until(&what, GONE, gone).await
}

fn is_leaving(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// A pod does not change its spec, and one that has run to its end does not start again.
fn is_another_pod(before: &Value, now: &Value) -> bool {
    let is_over = matches!(now["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    now["kind"] == "Pod" && (is_over || before["metadata"]["uid"] != now["metadata"]["uid"])
}

/// The object without what the API gave it, to be created anew.
fn fresh(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = metadata(&mut object) {
        const GIVEN: [&str; 8] = [
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "generation",
            "managedFields",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "ownerReferences",
        ];
        GIVEN.iter().for_each(|field| drop(metadata.remove(*field)));
    }
    object
}

/// The object as it was, in the place of the one that is there now.
fn over(mut before: Value, now: &Value) -> Value {
    if let Some(metadata) = metadata(&mut before) {
        // It may have been made anew by somebody else.
        for field in ["resourceVersion", "uid", "creationTimestamp"] {
            metadata.insert(field.to_owned(), now["metadata"][field].clone());
        }
        metadata.remove("managedFields");
    }
    before
}

fn metadata(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.get_mut("metadata").and_then(Value::as_object_mut)
}

/// What went with something else, as the Endpoints go with their Service, is made again.
pub(crate) async fn complete(cluster: &Cluster, objects: &[Value]) -> Result<(), ClusterError> {
    for object in objects {
        let reference = Reference::of(object)?;
        if cluster.get(&reference).await?.is_none() {
            cluster.create(&reference, object).await?;
        }
    }
    Ok(())
}

/// For a network that others use too: takes away what a scenario brought.
pub(crate) async fn remove(cluster: &Cluster, objects: &[Value]) -> Result<(), ClusterError> {
    let mut result = Ok(());
    for object in objects.iter().rev() {
        let reference = Reference::of(object)?;
        let done = async {
            cluster.delete(&reference, (reference.kind.kind == "Pod").then_some(0)).await?;
            see_off(cluster, &reference).await
        };
        result = result.and(done.await);
    }
    result
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_api_gave_is_not_asked_for_again() {
        let object =
            json!({"metadata": {"name": "web", "uid": "1", "resourceVersion": "7"}, "spec": {"a": 1}, "status": {}});
        assert_eq!(fresh(object.clone()), json!({"metadata": {"name": "web"}, "spec": {"a": 1}}));
        let now = json!({"metadata": {"name": "web", "uid": "2", "resourceVersion": "9"}, "spec": {"a": 2}});
        let over = over(object, &now);
        assert_eq!(over["metadata"]["resourceVersion"], "9");
        assert_eq!(over["spec"]["a"], 1);
    }
}
