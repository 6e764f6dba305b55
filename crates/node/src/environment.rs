//! The environment and command line of a container: pure, given the objects that it refers to.
//! Upstream: `pkg/kubelet/kubelet_pods.go` (makeEnvironmentVariables), `third_party/forked/golang/expansion`.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret};

/// Values by key, as a ConfigMap or a Secret holds them.
pub type Values = BTreeMap<String, String>;

/// What a container's environment may refer to outside of its pod; `None` is "looked for and not there".
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// ConfigMaps of the pod's namespace, by name.
    pub config_maps: BTreeMap<String, Option<Values>>,
    /// Secrets of the pod's namespace, by name.
    pub secrets: BTreeMap<String, Option<Values>>,
}

/// The names of what a container refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// ConfigMaps.
    pub config_maps: BTreeSet<String>,
    /// Secrets.
    pub secrets: BTreeSet<String>,
}

/// What has to be looked up before [`variables`] can be made.
pub fn references(container: &Container) -> References {
    let mut names = References::default();
    for source in container.env_from.iter().flatten() {
        names.config_maps.extend(source.config_map_ref.iter().map(|r| r.name.clone()));
        names.secrets.extend(source.secret_ref.iter().map(|r| r.name.clone()));
    }
    for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        names.config_maps.extend(source.config_map_key_ref.iter().map(|r| r.name.clone()));
        names.secrets.extend(source.secret_key_ref.iter().map(|r| r.name.clone()));
    }
    names
}

/// The values of a ConfigMap.
pub fn config_map_values(object: ConfigMap) -> Values {
    object.data.unwrap_or_default()
}

/// The values of a Secret; bytes that are no text are shown as text as well as they can be.
pub fn secret_values(object: Secret) -> Values {
    let data = object.data.unwrap_or_default();
    data.into_iter().map(|(key, value)| (key, String::from_utf8_lossy(&value.0).into_owned())).collect()
}

/// What the node knows about a pod before the API does.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The pod's address.
    pub pod_ip: String,
    /// The node's address.
    pub host_ip: String,
}

/// The container's variables, in the order in which later ones may refer to earlier ones. `base` comes first and is
/// overridden by name.
///
/// # Errors
/// The text of upstream's `CreateContainerConfigError` when something that is not optional is missing.
pub fn variables(
    pod: &Pod,
    container: &Container,
    facts: &Facts,
    sources: &Sources,
    base: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, String> {
    let mut made = base;
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let config_map = source.config_map_ref.as_ref();
        let secret = source.secret_ref.as_ref();
        let found = match (config_map, secret) {
            (Some(r), _) => held(&sources.config_maps, "configmap", &r.name, r.optional)?,
            (None, Some(r)) => held(&sources.secrets, "secret", &r.name, r.optional)?,
            (None, None) => None,
        };
        for (key, value) in found.into_iter().flatten() {
            set(&mut made, format!("{prefix}{key}"), value.clone());
        }
    }
    for variable in container.env.iter().flatten() {
        if let Some(value) = value_of(variable, pod, container, facts, sources, &made)? {
            set(&mut made, variable.name.clone(), value);
        }
    }
    Ok(made)
}

fn value_of(
    variable: &EnvVar,
    pod: &Pod,
    container: &Container,
    facts: &Facts,
    sources: &Sources,
    made: &[(String, String)],
) -> Result<Option<String>, String> {
    let Some(source) = &variable.value_from else {
        return Ok(Some(expand(variable.value.as_deref().unwrap_or_default(), made)));
    };
    if let Some(r) = &source.config_map_key_ref {
        let values = held(&sources.config_maps, "configmap", &r.name, r.optional)?;
        return key_of(values, "ConfigMap", &r.name, &r.key, r.optional, pod);
    }
    if let Some(r) = &source.secret_key_ref {
        let values = held(&sources.secrets, "secret", &r.name, r.optional)?;
        return key_of(values, "Secret", &r.name, &r.key, r.optional, pod);
    }
    if let Some(r) = &source.field_ref {
        return field(pod, facts, &r.field_path)
            .map(Some)
            .ok_or_else(|| format!("unsupported fieldPath: {}", r.field_path));
    }
    Ok(resource(source, container))
}

fn held<'a>(
    objects: &'a BTreeMap<String, Option<Values>>,
    kind: &str,
    name: &str,
    optional: Option<bool>,
) -> Result<Option<&'a Values>, String> {
    match objects.get(name) {
        Some(Some(values)) => Ok(Some(values)),
        _ if optional == Some(true) => Ok(None),
        _ => Err(format!("{kind} \"{name}\" not found")),
    }
}

fn key_of(
    values: Option<&Values>,
    kind: &str,
    name: &str,
    key: &str,
    optional: Option<bool>,
    pod: &Pod,
) -> Result<Option<String>, String> {
    match values.and_then(|values| values.get(key)) {
        Some(value) => Ok(Some(value.clone())),
        None if optional == Some(true) => Ok(None),
        None => {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            Err(format!("couldn't find key {key} in {kind} {namespace}/{name}"))
        }
    }
}

/// A value of the downward API.
fn field(pod: &Pod, facts: &Facts, path: &str) -> Option<String> {
    let metadata = &pod.metadata;
    let spec = pod.spec.as_ref();
    let text = |value: Option<&String>| Some(value.cloned().unwrap_or_default());
    if let Some((map, key)) = path.strip_suffix("']").and_then(|path| path.split_once("['")) {
        let values = match map {
            "metadata.labels" => metadata.labels.as_ref(),
            "metadata.annotations" => metadata.annotations.as_ref(),
            _ => return None,
        };
        return text(values.and_then(|values| values.get(key)));
    }
    match path {
        "metadata.name" => text(metadata.name.as_ref()),
        "metadata.namespace" => text(metadata.namespace.as_ref()),
        "metadata.uid" => text(metadata.uid.as_ref()),
        "metadata.labels" => Some(lines(metadata.labels.as_ref())),
        "metadata.annotations" => Some(lines(metadata.annotations.as_ref())),
        "spec.nodeName" => text(spec.and_then(|spec| spec.node_name.as_ref())),
        "spec.serviceAccountName" => text(spec.and_then(|spec| spec.service_account_name.as_ref())),
        "status.podIP" | "status.podIPs" => Some(facts.pod_ip.clone()),
        "status.hostIP" | "status.hostIPs" => Some(facts.host_ip.clone()),
        _ => None,
    }
}

fn lines(values: Option<&BTreeMap<String, String>>) -> String {
    let lines: Vec<_> = values.into_iter().flatten().map(|(key, value)| format!("{key}={value:?}")).collect();
    lines.join("\n")
}

/// `resourceFieldRef`, as the manifest states it: nothing here measures in other units than written.
fn resource(source: &EnvVarSource, container: &Container) -> Option<String> {
    let reference = source.resource_field_ref.as_ref()?;
    let resources = container.resources.as_ref()?;
    let (which, name) = reference.resource.split_once('.')?;
    let values = match which {
        "limits" => resources.limits.as_ref(),
        "requests" => resources.requests.as_ref(),
        _ => None,
    };
    values?.get(name).map(|quantity| quantity.0.clone())
}

/// Sets a variable, replacing the one of the same name.
fn set(variables: &mut Vec<(String, String)>, name: String, value: String) {
    variables.retain(|(held, _)| *held != name);
    variables.push((name, value));
}

/// Replaces each `$(NAME)` by the variable's value; an unknown name stays as written, `$$` is a literal `$`.
pub fn expand(text: &str, variables: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match variables.iter().find(|(held, _)| held == name) {
                Some((_, value)) => out.push_str(value),
                None => out.push_str(&format!("$({name})")),
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests;
