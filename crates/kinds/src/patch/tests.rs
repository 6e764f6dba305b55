#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::{MAX_OPERATIONS, json as json_patch, merge, strategic};
use crate::{PatchError, find};

fn services() -> &'static crate::Resource {
    find("", "v1", "services").unwrap()
}

fn pods() -> &'static crate::Resource {
    find("", "v1", "pods").unwrap()
}

fn deployments() -> &'static crate::Resource {
    find("apps", "v1", "deployments").unwrap()
}

/// (what it shows, resource, document, patch, expected)
type Case = (&'static str, &'static crate::Resource, Value, Value, Value);

fn cases() -> Vec<Case> {
    vec![
        (
            "ports merge by port",
            services(),
            json!({"spec": {"ports": [{"port": 80, "nodePort": 30080}, {"port": 443}]}}),
            json!({"spec": {"ports": [{"port": 80, "targetPort": 8080}, {"port": 81}]}}),
            json!({"spec": {"ports": [{"port": 80, "nodePort": 30080, "targetPort": 8080}, {"port": 81}, {"port": 443}]}}),
        ),
        (
            "an item is deleted by its key",
            services(),
            json!({"spec": {"ports": [{"port": 80}, {"port": 443}]}}),
            json!({"spec": {"ports": [{"port": 80, "$patch": "delete"}]}}),
            json!({"spec": {"ports": [{"port": 443}]}}),
        ),
        (
            "a list is replaced by directive",
            services(),
            json!({"spec": {"ports": [{"port": 80}, {"port": 443}]}}),
            json!({"spec": {"ports": [{"$patch": "replace"}, {"port": 1}]}}),
            json!({"spec": {"ports": [{"port": 1}]}}),
        ),
        (
            "null deletes, in maps and objects",
            services(),
            json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"externalName": "x"}}),
            json!({"metadata": {"labels": {"a": null}}, "spec": {"externalName": null}}),
            json!({"metadata": {"labels": {"b": "2"}}, "spec": {}}),
        ),
        (
            "a map is replaced by directive",
            services(),
            json!({"spec": {"selector": {"a": "1"}}}),
            json!({"spec": {"selector": {"$patch": "replace", "b": "2"}}}),
            json!({"spec": {"selector": {"b": "2"}}}),
        ),
        (
            "a map is emptied by directive",
            services(),
            json!({"spec": {"selector": {"a": "1"}, "type": "ClusterIP"}}),
            json!({"spec": {"selector": {"$patch": "delete"}}}),
            json!({"spec": {"selector": {}, "type": "ClusterIP"}}),
        ),
        (
            "kubectl edit sends the order of ports",
            services(),
            json!({"spec": {"ports": [{"port": 80, "name": "a"}, {"port": 443, "name": "b"}]}}),
            json!({"spec": {"$setElementOrder/ports": [{"port": 443}, {"port": 80}], "ports": [{"port": 80, "name": "c"}]}}),
            json!({"spec": {"ports": [{"port": 443, "name": "b"}, {"port": 80, "name": "c"}]}}),
        ),
        (
            "order alone",
            services(),
            json!({"spec": {"ports": [{"port": 1}, {"port": 2}, {"port": 3}]}}),
            json!({"spec": {"$setElementOrder/ports": [{"port": 3}, {"port": 1}]}}),
            json!({"spec": {"ports": [{"port": 2}, {"port": 3}, {"port": 1}]}}),
        ),
        (
            "items of others keep their place",
            services(),
            json!({"spec": {"ports": [{"port": 1}, {"port": 9}, {"port": 2}]}}),
            json!({"spec": {"$setElementOrder/ports": [{"port": 1}, {"port": 2}, {"port": 3}], "ports": [{"port": 3}]}}),
            json!({"spec": {"ports": [{"port": 1}, {"port": 9}, {"port": 2}, {"port": 3}]}}),
        ),
        (
            "primitive lists with merge strategy are sets",
            services(),
            json!({"metadata": {"finalizers": ["a", "b"]}}),
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["b", "c"]}}),
            json!({"metadata": {"finalizers": ["b", "c"]}}),
        ),
        (
            "other lists are replaced",
            services(),
            json!({"spec": {"externalIPs": ["1.2.3.4"]}}),
            json!({"spec": {"externalIPs": ["5.6.7.8"]}}),
            json!({"spec": {"externalIPs": ["5.6.7.8"]}}),
        ),
        (
            "retainKeys drops what is not named",
            deployments(),
            json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
            json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
            json!({"spec": {"strategy": {"type": "Recreate"}}}),
        ),
        (
            "retainKeys in merged items",
            pods(),
            json!({"spec": {"volumes": [{"name": "v", "emptyDir": {}}]}}),
            json!({"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"], "configMap": {"name": "c"}}]}}),
            json!({"spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}}),
        ),
        (
            "nested merge keys: set image",
            deployments(),
            json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "x", "env": [{"name": "E", "value": "1"}]}]}}}}),
            json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "y"}]}}}}),
            json!({"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "y", "env": [{"name": "E", "value": "1"}]}]}}}}),
        ),
        (
            "conditions merge by type",
            find("", "v1", "nodes").unwrap(),
            json!({"status": {"conditions": [{"type": "Ready", "status": "False", "reason": "r"}]}}),
            json!({"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}]}}),
            json!({"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "r"}, {"type": "DiskPressure", "status": "False"}]}}),
        ),
        (
            "directives in new values vanish",
            services(),
            json!({}),
            json!({"spec": {"$setElementOrder/ports": [{"port": 80}], "ports": [{"port": 80, "name": null}], "selector": {"a": null, "b": "1"}}}),
            json!({"spec": {"ports": [{"port": 80}], "selector": {"b": "1"}}}),
        ),
        (
            "a scalar becomes an object",
            services(),
            json!({"metadata": {"annotations": "odd"}}),
            json!({"metadata": {"annotations": {"a": "1"}}}),
            json!({"metadata": {"annotations": {"a": "1"}}}),
        ),
    ]
}

#[test]
fn strategic_merge_patches_as_upstream_does() {
    for (name, resource, mut doc, patch, expected) in cases() {
        strategic(resource, &mut doc, &patch).unwrap();
        assert_eq!(doc, expected, "{name}");
    }
}

#[test]
fn malformed_strategic_patches_are_refused() {
    let doc = json!({"metadata": {}, "spec": {"ports": [{"port": 80}], "selector": {"a": "1"}}});
    for patch in [
        json!([]),
        json!({"spec": {"ports": [{"name": "no key"}]}}),
        json!({"spec": {"ports": [80]}}),
        json!({"spec": {"selector": {"$patch": "explode"}}}),
        json!({"spec": {"$setElementOrder/ports": 1}}),
        json!({"spec": {"$setElementOrder/ports": [{"port": 80}], "ports": [{"port": 81}]}}),
        json!({"spec": {"$retainKeys": ["type"], "externalName": "x"}}),
        json!({"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}}),
    ] {
        let result = strategic(services(), &mut doc.clone(), &patch);
        assert!(matches!(result, Err(PatchError::Malformed(_))), "{patch}: {result:?}");
    }
}

#[test]
fn json_patches_apply_or_say_why_not() {
    let doc = json!({"spec": {"ports": [{"port": 80}]}});
    let mut patched = doc.clone();
    json_patch(&mut patched, &json!([{"op": "replace", "path": "/spec/ports/0/port", "value": 81}])).unwrap();
    assert_eq!(patched, json!({"spec": {"ports": [{"port": 81}]}}));
    let mut same = doc.clone();
    let failing = json!([{"op": "remove", "path": "/spec/ports"}, {"op": "test", "path": "/a", "value": 1}]);
    assert!(matches!(json_patch(&mut same, &failing), Err(PatchError::DoesNotApply(_))));
    assert_eq!(same, doc);
    for bad in [json!({}), json!([{"op": "explode", "path": "/a"}]), json!([1])] {
        assert!(matches!(json_patch(&mut doc.clone(), &bad), Err(PatchError::Malformed(_))), "{bad}");
    }
    let many = Value::Array(vec![json!({"op": "test", "path": "/spec", "value": 1}); MAX_OPERATIONS + 1]);
    assert!(matches!(json_patch(&mut doc.clone(), &many), Err(PatchError::TooManyOperations { .. })));
}

#[test]
fn merge_patches_delete_by_null_and_replace_lists() {
    let mut doc = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"ports": [{"port": 80}]}});
    merge(&mut doc, &json!({"metadata": {"labels": {"a": null, "b": "2"}}, "spec": {"ports": []}})).unwrap();
    assert_eq!(doc, json!({"metadata": {"labels": {"b": "2"}}, "spec": {"ports": []}}));
    assert!(merge(&mut doc, &json!([])).is_err());
}
