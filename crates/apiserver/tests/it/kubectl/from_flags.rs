//! Objects that kubectl makes from flags travel as protobuf; they must be those that the same object in JSON makes.

use super::*;

/// What `kubectl create` is asked for, and what `kubectl get` calls the outcome.
const FROM_FLAGS: [(&str, &str); 9] = [
    ("deployment web --image=portolan/echo --replicas=2 --port=8080", "deployment web"),
    ("service clusterip web --tcp=80:8080", "service web"),
    ("service clusterip headless --clusterip=None", "service headless"),
    ("service nodeport nodes --tcp=80:8080 --node-port=30080", "service nodes"),
    ("service loadbalancer balanced --tcp=443:https", "service balanced"),
    ("service externalname elsewhere --external-name=example.org", "service elsewhere"),
    ("configmap web --from-literal=a=1 --from-file=bytes=bytes", "configmap web"),
    ("secret generic web --from-literal=password=hunter2", "secret web"),
    ("serviceaccount web", "serviceaccount web"),
];

/// An object without what differs from one to the next.
async fn settled(kubectl: &Kubectl, object: &str) -> Value {
    let mut object: Value = serde_json::from_str(&kubectl.ok(&format!("get {object} -o json")).await).unwrap();
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.retain(|key, _| !["uid", "resourceVersion", "creationTimestamp", "managedFields"].contains(&key.as_str()));
    if object["spec"]["clusterIP"] != "None"
        && let Some(spec) = object["spec"].as_object_mut()
    {
        spec.retain(|key, _| !["clusterIP", "clusterIPs"].contains(&key.as_str()));
    }
    for port in object["spec"]["ports"].as_array_mut().into_iter().flatten() {
        port.as_object_mut().unwrap().retain(|key, value| key != "nodePort" || value == 30080);
    }
    object
}

async fn makes_the_same_as_json(test: &str, minor: &str) {
    let Some(kubectl) = Kubectl::start(test, minor).await else { return };
    std::fs::write(kubectl.home.path().join("bytes"), [0, 0xff, 1]).unwrap();
    let output = kubectl.run("create namespace flags -v=8").await;
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("Content-Type: application/vnd.kubernetes.protobuf"), "protobuf is what is tested: {log}");
    assert!(output.status.success(), "{log}");
    kubectl.says("get namespace flags", &["Active"]).await;
    for (what, object) in FROM_FLAGS {
        kubectl.says(&format!("-n flags create {what}"), &["created"]).await;
        let from_protobuf = settled(&kubectl, &format!("-n flags {object}")).await;
        let written = kubectl.ok(&format!("-n flags create {what} --dry-run=client -o json")).await;
        kubectl.ok(&format!("-n flags delete {object}")).await;
        std::fs::write(kubectl.home.path().join("object.json"), written).unwrap();
        kubectl.says("-n flags create -f object.json", &["created"]).await;
        assert_eq!(from_protobuf, settled(&kubectl, &format!("-n flags {object}")).await, "kubectl create {what}");
    }
    drains(&kubectl).await;
    refusals(&kubectl).await;
    kubectl.stop.cancel();
    drop(kubectl.server);
}

/// Without evictions, drain deletes pods with options in protobuf.
async fn drains(kubectl: &Kubectl) {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "drained", "namespace": "default"},
        "spec": {"nodeName": "n1", "containers": [{"name": "echo", "image": "portolan/echo"}]},
    });
    for object in [node, pod] {
        std::fs::write(kubectl.home.path().join("object.json"), object.to_string()).unwrap();
        kubectl.ok("create -f object.json").await;
    }
    let drain = "drain n1 --force --disable-eviction --grace-period=0 --timeout=20s";
    kubectl.says(drain, &["node/n1 drained"]).await;
    assert!(kubectl.fails("get pod drained").await.contains("NotFound"), "a grace period of 0 is heeded");
}

async fn refusals(kubectl: &Kubectl) {
    let taken = kubectl.fails("create service nodeport high --tcp=80 --node-port=40000 -n flags").await;
    assert!(taken.contains("spec.ports[0].nodePort"), "{taken}");
    assert!(kubectl.fails("create namespace flags").await.contains("already exists"));
    assert!(kubectl.fails("create configmap UPPER").await.contains("metadata.name"));
    kubectl.ok("create deployment dry --image=portolan/echo --dry-run=server").await;
    assert!(kubectl.fails("get deployment dry").await.contains("NotFound"));
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_1_32_makes_objects_from_flags() {
    makes_the_same_as_json("kubectl_1_32_makes_objects_from_flags", "1.32").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_1_36_makes_objects_from_flags() {
    makes_the_same_as_json("kubectl_1_36_makes_objects_from_flags", "1.36").await;
}
