#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

fn made(container: Value, sources: &Sources) -> Result<Vec<(String, String)>, String> {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "web-1", "namespace": "shop", "uid": "u1", "labels": {"app": "web", "tier": "a"}},
        "spec": {"nodeName": "node1", "containers": []},
    }))
    .unwrap();
    let container: Container = serde_json::from_value(container).unwrap();
    let facts = Facts { pod_ip: "10.244.1.5".into(), host_ip: "172.30.0.11".into() };
    variables(&pod, &container, &facts, sources, vec![("PATH".into(), "/bin".into())])
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

#[test]
fn references_to_earlier_variables_are_expanded() {
    let variables = pairs(&[("A", "1"), ("B", "x")]);
    let rows = [
        ("plain", "plain"),
        ("$(A)-$(B)", "1-x"),
        ("$(NO)", "$(NO)"),
        ("$$(A)", "$(A)"),
        ("$A $", "$A $"),
        ("$(open", "$(open"),
        ("$(A)$(A)", "11"),
    ];
    for (text, expected) in rows {
        assert_eq!(expand(text, &variables), expected, "{text}");
    }
}

#[test]
fn the_downward_api_tells_the_pod_about_itself() {
    let field = |name: &str, path: &str| json!({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let env = json!({"name": "c", "env": [
        field("N", "metadata.name"), field("NS", "metadata.namespace"), field("UID", "metadata.uid"),
        field("L", "metadata.labels['app']"), field("ALL", "metadata.labels"), field("NODE", "spec.nodeName"),
        field("IP", "status.podIP"), field("HOST", "status.hostIP"),
        {"name": "URL", "value": "http://$(IP):80"}, {"name": "PATH", "value": "/mine:$(PATH)"},
    ]});
    let expected = pairs(&[
        ("N", "web-1"),
        ("NS", "shop"),
        ("UID", "u1"),
        ("L", "web"),
        ("ALL", "app=\"web\"\ntier=\"a\""),
        ("NODE", "node1"),
        ("IP", "10.244.1.5"),
        ("HOST", "172.30.0.11"),
        ("URL", "http://10.244.1.5:80"),
        ("PATH", "/mine:/bin"),
    ]);
    assert_eq!(made(env, &Sources::default()), Ok(expected));
    let unknown = json!({"name": "c", "env": [field("X", "spec.nonsense")]});
    assert_eq!(made(unknown, &Sources::default()), Err("unsupported fieldPath: spec.nonsense".into()));
}

#[test]
fn config_maps_and_secrets_are_looked_up_and_missed() {
    let container = json!({"name": "c",
    "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "no", "optional": true}}],
    "env": [
        {"name": "K", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "O", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "gone", "optional": true}}},
    ]});
    let parsed: Container = serde_json::from_value(container.clone()).unwrap();
    let names = references(&parsed);
    assert_eq!(names.config_maps.into_iter().collect::<Vec<_>>(), ["cm"]);
    assert_eq!(names.secrets.into_iter().collect::<Vec<_>>(), ["no", "s"]);

    let values = |k: &str, v: &str| Some(Values::from([(k.to_owned(), v.to_owned())]));
    let mut sources = Sources::default();
    assert_eq!(made(container.clone(), &sources), Err("configmap \"cm\" not found".into()));
    sources.config_maps.insert("cm".into(), values("a", "1"));
    sources.secrets.insert("s".into(), values("other", "1"));
    let missing = made(container.clone(), &sources);
    assert_eq!(missing, Err("couldn't find key k in Secret shop/s".into()));
    sources.secrets.insert("s".into(), values("k", "v"));
    assert_eq!(made(container, &sources), Ok(pairs(&[("PATH", "/bin"), ("P_a", "1"), ("K", "v")])));
}
