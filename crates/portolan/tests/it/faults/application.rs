//! Faults of the application: the built-in echo image as its environment says.

use serde_json::{Value, json};

use super::Lab;

/// Switches the pods of `web` to these variables and waits for the new ones; gives the address of one.
fn switch(lab: &Lab, variables: &[(&str, &str)]) -> String {
    let variables: Vec<Value> = variables.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let patch = json!([{"op": "add", "path": "/spec/template/spec/containers/0/env", "value": variables}]).to_string();
    lab.kubectl.ok(&["patch", "deployment", "web", "--type=json", "-p", &patch]).unwrap();
    lab.kubectl.ok(&["rollout", "status", "deployment/web", "--timeout=60s"]).unwrap();
    let pods = lab.kubectl.ok(&["get", "pods", "-l", "app=web", "-o", "json"]).unwrap();
    let pods: Value = serde_json::from_str(&pods).unwrap();
    let lives = |pod: &&Value| pod["metadata"]["deletionTimestamp"].is_null();
    let living: Vec<_> = pods["items"].as_array().unwrap().iter().filter(lives).collect();
    assert_eq!(living.len(), 1, "{living:?}");
    living[0]["status"]["podIP"].as_str().unwrap().to_owned()
}

#[test]
fn the_echo_image_misbehaves_as_applications_do() {
    let Some(lab) = Lab::start("the_echo_image_misbehaves_as_applications_do", &[]) else { return };
    lab.echo("web", 1, &json!({"terminationGracePeriodSeconds": 0}));
    for (variables, target, outcome) in [
        (&[("ECHO_LISTEN", "all")][..], "http://POD:8080/", "answered HTTP/1.1 200"),
        (&[("ECHO_LISTEN", "loopback")], "tcp://POD:8080", "refused"),
        (&[("ECHO_LISTEN", "none")], "tcp://POD:8080", "refused"),
        (&[("ECHO_PROTOCOL", "silent")], "http://POD:8080/", "connected"),
        (&[("ECHO_PROTOCOL", "garbage")], "http://POD:8080/", "answered"),
        (&[("ECHO_PROTOCOL", "udp-only")], "tcp://POD:8080", "refused"),
        (&[("ECHO_PROTOCOL", "udp-only")], "udp://POD:8080", "answered"),
        (&[("ECHO_DELAY_MILLISECONDS", "60000")], "http://POD:8080/", "connected"),
        (&[("ECHO_READY", "false")], "http://POD:8080/ready", "answered HTTP/1.1 503"),
        (&[("ECHO_READY", "true")], "http://POD:8080/ready", "answered HTTP/1.1 200"),
    ] {
        let target = target.replace("POD", &switch(&lab, variables));
        crate::until(&format!("{variables:?}: {target} to come to {outcome}"), 20, || {
            let found = lab.probe("node1", None, &target);
            let garbage = variables[0].1 != "garbage" || !found.contains("HTTP");
            if found.starts_with(outcome) && garbage { Ok(()) } else { Err(found) }
        });
    }
    lab.network.stop().unwrap();
}
