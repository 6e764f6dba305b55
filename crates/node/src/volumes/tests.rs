#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

fn spec(volume: Value, mount: Value) -> PodSpec {
    let mut mount = mount;
    mount["name"] = json!("v");
    let mut volume = volume;
    volume["name"] = json!("v");
    let token = json!({"name": "kube-api-access-x", "mountPath": TOKEN_PATH, "readOnly": true});
    serde_json::from_value(json!({"volumes": [volume], "containers": [{"name": "c", "volumeMounts": [mount, token]}]}))
        .unwrap()
}

/// What is said, without the part that all texts begin with; empty if nothing is.
fn said(spec: &PodSpec) -> String {
    let checked = wanted(spec, |path| path == Path::new("/mnt"));
    let text = checked.err().map(|error| error.to_string()).unwrap_or_default();
    text.strip_prefix("MountVolume.SetUp failed for volume \"v\" : ").unwrap_or(&text).to_owned()
}

#[test]
fn what_cannot_be_provided_is_named_with_what_to_do() {
    let at = |path: &str| json!({"mountPath": path});
    let empty = || json!({"emptyDir": {}});
    let rows = [
        (empty(), at("/mnt"), ""),
        (json!({}), at("/mnt"), ""),
        (json!({"secret": {"secretName": "s"}}), at("/mnt"), ""),
        (json!({"hostPath": {"path": "/"}}), at("/mnt"), "hostPath volumes are not supported by this node"),
        (json!({"persistentVolumeClaim": {"claimName": "c"}}), at("/mnt"), "persistentVolumeClaim volumes are not"),
        (empty(), json!({"mountPath": "/mnt", "subPath": "a"}), "container c mounts it with a subPath"),
        (empty(), at("/no/such"), "container c mounts it at /no/such, which is not a directory of this machine"),
        (empty(), at("/"), "container c mounts it at /, which is not"),
        (empty(), at("mnt"), "container c mounts it at mnt, which is not"),
    ];
    for (volume, mount, expected) in rows {
        let said = said(&spec(volume.clone(), mount.clone()));
        assert!(said.starts_with(expected) && said.is_empty() == expected.is_empty(), "{volume} {mount}: {said}");
    }
    let mut unknown = spec(empty(), at("/mnt"));
    unknown.volumes = None;
    assert_eq!(said(&unknown), "the pod has no volume of that name");
    // What nobody mounts does no harm.
    unknown.containers[0].volume_mounts = None;
    unknown.volumes = serde_json::from_value(json!([{"name": "v", "hostPath": {"path": "/"}}])).unwrap();
    assert_eq!(said(&unknown), "");
}

#[test]
fn keys_become_files() {
    let data = || Some(BTreeMap::from([("a".to_owned(), b"1".to_vec()), ("b".to_owned(), b"2".to_vec())]));
    let items: Vec<KeyToPath> = serde_json::from_value(json!([{"key": "b", "path": "d/x", "mode": 0o400}])).unwrap();
    let wrong: Vec<KeyToPath> = serde_json::from_value(json!([{"key": "b", "path": "../x"}])).unwrap();
    let gone: Vec<KeyToPath> = serde_json::from_value(json!([{"key": "z", "path": "z"}])).unwrap();
    let wish = |items, optional| Wish { optional, items, mode: None };
    let made = |data, wish: &Wish<'_>| files("configmap", "cm", data, wish).map_err(|cause| cause.to_string());
    let file = |path: &str, mode, text: &str| Content { path: path.into(), mode, bytes: text.into() };
    assert_eq!(made(data(), &wish(None, None)), Ok(vec![file("a", 0o644, "1"), file("b", 0o644, "2")]));
    assert_eq!(made(data(), &wish(Some(&items), None)), Ok(vec![file("d/x", 0o400, "2")]));
    assert_eq!(made(data(), &wish(Some(&wrong), None)), Err("the path ../x leads out of the volume".into()));
    assert_eq!(made(data(), &wish(Some(&gone), None)), Err("references non-existent config key: z".into()));
    assert_eq!(made(data(), &wish(Some(&gone), Some(true))), Ok(vec![]));
    assert_eq!(made(None, &wish(None, None)), Err("configmap \"cm\" not found".into()));
    assert_eq!(made(None, &wish(None, Some(true))), Ok(vec![]));
}

#[test]
fn a_volume_is_made_afresh_unless_it_is_the_pods_own() {
    let home = tempfile::tempdir().unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let secret = home.path().join("pod/.volumes/s");
    let file = |path: &str| Content { path: path.into(), mode: 0o600, bytes: b"x".to_vec() };
    make(&secret, Some(vec![file("old")])).unwrap();
    make(&secret, Some(vec![file("d/new")])).unwrap();
    assert!(!secret.join("old").exists());
    assert_eq!((mode(&secret.join("d/new")), mode(&secret.join("d")) & 0o007), (0o600, 0));
    let empty = home.path().join("pod/.volumes/e");
    make(&empty, None).unwrap();
    fs::write(empty.join("kept"), "").unwrap();
    make(&empty, None).unwrap();
    assert!(empty.join("kept").exists());
    assert_eq!((mode(&empty), mode(&home.path().join("pod")) & 0o007), (0o777, 0));
}
