//! Documents -> objects: lists flattened, namespaces filled in, what is no manifest told apart.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
};

use portolan_objects::ObjectKey;
use serde_json::Value;

use super::{
    Options, Sink,
    read::{Content, MAX_BYTES, Source},
    yaml::{self, Broken, Document, Spot},
};
use crate::{Words, words::words};

/// Codes that an object does not want, separated by commas.
pub(super) const IGNORE: &str = "portolan.dev/lint-ignore";
/// Kinds without a namespace, of those that rules look at.
const CLUSTER_WIDE: [&str; 8] = [
    "Namespace",
    "Node",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "PersistentVolume",
    "GatewayClass",
    "ServiceCIDR",
];

/// One manifest.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) file: String,
    pub(super) source: Option<String>,
    pub(super) kind: String,
    /// Group and version, such as `apps/v1`.
    pub(super) api_version: String,
    pub(super) key: ObjectKey,
    pub(super) value: Value,
    pub(super) spot: Spot,
    pub(super) ignores: Vec<String>,
    /// Fields that must be text and are a number or a truth value, with what was written; the value has them as text.
    pub(super) unquoted: Vec<(String, String)>,
}

/// `KIND/NAME` as kubectl takes it.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.to_lowercase(), self.key.name)
    }
}

impl Object {
    /// The API group; empty for the core.
    pub(super) fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// `metadata.annotations`, those that are strings.
    pub(super) fn annotations(&self) -> BTreeMap<&str, &str> {
        let annotations = self.value["metadata"]["annotations"].as_object();
        let pairs = annotations.into_iter().flatten();
        pairs.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
    }
}

/// A source, its text, and the documents in it.
type Parsed<'a> = (&'a Source, &'a str, Vec<Result<Document, Broken>>);

/// What was found in the sources.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) objects: Vec<Object>,
    pub(super) other_files: Vec<String>,
    /// The place of each file in the order given.
    pub(super) order: HashMap<String, usize>,
}

/// Parses all sources; what is broken or no manifest goes to the sink.
pub(super) fn load(sources: &[Source], options: &Options, sink: &mut Sink) -> Loaded {
    let mut loaded = Loaded::default();
    let mut parsed: Vec<Parsed<'_>> = Vec::new();
    for (place, source) in sources.iter().enumerate() {
        loaded.order.entry(source.name.clone()).or_insert(place);
        match &source.content {
            Content::Text(text) => parsed.push((source, text, yaml::parse(text))),
            Content::Chart => chart(&source.name, sink),
            Content::TooLarge(size) => too_large(&source.name, *size, sink),
        }
    }
    let patches = kustomize_patches(&parsed);
    for (source, text, documents) in parsed {
        if patches.contains(&source.name) {
            loaded.other_files.push(source.name.clone());
            continue;
        }
        let before = (loaded.objects.len(), sink.problems.len());
        for document in documents {
            match document {
                Ok(document) => document_in(source, document, options, &mut loaded, sink),
                Err(broken) => broken_in(source, text, &broken, sink),
            }
        }
        if before == (loaded.objects.len(), sink.problems.len()) {
            if source.named {
                sink.at("not-kubernetes", &source.name, 1, no_object(), None);
            }
            loaded.other_files.push(source.name.clone());
        }
    }
    twice(&loaded.objects, sink);
    loaded
}

fn no_object() -> Words {
    words!("no Kubernetes object in this file; skipped", "此文件中没有 Kubernetes 对象，已跳过")
}

fn chart(file: &str, sink: &mut Sink) {
    let folder = file.trim_end_matches("Chart.yaml").trim_end_matches(['/', '\\']);
    let folder = if folder.is_empty() { "." } else { folder };
    sink.at(
        "template-not-rendered",
        file,
        1,
        words!("a chart's templates are not manifests yet", "chart 的模板还不是清单"),
        Some(words!(
            "Render it first: helm template RELEASE {folder} | portolan lint -",
            "先渲染：helm template RELEASE {folder} | portolan lint -"
        )),
    );
}

fn too_large(file: &str, size: u64, sink: &mut Sink) {
    let (size, limit) = (size >> 20, MAX_BYTES >> 20);
    let message =
        words!("{size} MiB: files over {limit} MiB are not read", "{size} MiB：超过 {limit} MiB 的文件不会读取");
    sink.at("yaml-too-large", file, 1, message, None);
}

fn broken_in(source: &Source, text: &str, broken: &Broken, sink: &mut Sink) {
    let why = &broken.why;
    if text.contains("{{") {
        let first = text.lines().position(|line| line.contains("{{")).unwrap_or_default();
        let line = u32::try_from(first + 1).unwrap_or(u32::MAX);
        return sink.at(
            "template-not-rendered",
            &source.name,
            line,
            words!("a template is not a manifest yet", "模板还不是清单"),
            Some(words!(
                "Render it first, for example with helm template, and lint what comes out: portolan lint -",
                "先渲染（例如用 helm template），再检查输出：portolan lint -"
            )),
        );
    }
    let code = if why.starts_with("too large") { "yaml-too-large" } else { "yaml-invalid" };
    let message = words!("not YAML: {why}", "不是有效的 YAML：{why}");
    sink.at(code, &source.name, broken.line, message, None);
}

/// Files that a Kustomization names as patches: parts of objects, which no rule can judge.
fn kustomize_patches(parsed: &[Parsed<'_>]) -> HashSet<String> {
    let mut patches = HashSet::new();
    for (source, _, documents) in parsed {
        let folder = std::path::Path::new(&source.name).parent().unwrap_or(std::path::Path::new(""));
        let kustomizations = documents.iter().flatten().filter(|document| {
            let kind = document.value["kind"].as_str();
            matches!(kind, Some("Kustomization" | "Component")) || source.name.ends_with("kustomization.yaml")
        });
        for document in kustomizations {
            for list in ["patches", "patchesStrategicMerge", "patchesJson6902"] {
                for patch in document.value[list].as_array().into_iter().flatten() {
                    if let Some(path) = patch.as_str().or(patch["path"].as_str()) {
                        patches.insert(folder.join(path.trim_start_matches("./")).display().to_string());
                    }
                }
            }
        }
    }
    patches
}

fn document_in(source: &Source, document: Document, options: &Options, loaded: &mut Loaded, sink: &mut Sink) {
    for (key, line) in &document.duplicates {
        let message = words!("key {key} stands here a second time", "键 {key} 在此重复出现");
        let remedy = words!("Keep one; kubectl takes the last.", "只保留一个；kubectl 取最后一个。");
        sink.at("yaml-duplicate-key", &source.name, *line, message, Some(remedy));
    }
    let place = Place { source, chart: document.source.as_ref(), options };
    flatten(&place, document.value, document.spot, 0, loaded, sink);
}

/// Where a document is from.
struct Place<'a> {
    source: &'a Source,
    chart: Option<&'a String>,
    options: &'a Options,
}

/// Lists of lists of lists end here.
const LISTS: usize = 8;

fn flatten(place: &Place<'_>, mut value: Value, spot: Spot, depth: usize, loaded: &mut Loaded, sink: &mut Sink) {
    let (Some(api_version), Some(kind)) = (value["apiVersion"].as_str(), value["kind"].as_str()) else { return };
    let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
    if kind.ends_with("List") && value["items"].is_array() && depth < LISTS {
        let items = value["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
        for (index, item) in items.into_iter().enumerate() {
            if let Some(lines) = spot.item("items", index) {
                let lines = lines.clone();
                flatten(place, item, lines, depth + 1, loaded, sink);
            }
        }
        return;
    }
    if !matches!(value["metadata"], Value::Null | Value::Object(_)) {
        let message = words!("metadata is no mapping", "metadata 不是映射");
        sink.at("manifest-wrong-type", &place.source.name, spot.line_of("metadata"), message, None);
        value["metadata"] = Value::Null;
    }
    let unquoted = quote(&mut value, &kind);
    let metadata = &value["metadata"];
    let name = metadata["name"].as_str().or(metadata["generateName"].as_str()).unwrap_or_default();
    let namespace = match metadata["namespace"].as_str().filter(|namespace| !namespace.is_empty()) {
        _ if CLUSTER_WIDE.contains(&kind.as_str()) => "",
        Some(namespace) => namespace,
        None if place.options.namespace.is_empty() => "default",
        None => &place.options.namespace,
    };
    let ignores = metadata["annotations"][IGNORE].as_str().map(codes).unwrap_or_default();
    loaded.objects.push(Object {
        file: place.source.name.clone(),
        source: place.chart.cloned(),
        key: ObjectKey::new(namespace, name),
        kind,
        api_version,
        value,
        spot,
        ignores,
        unquoted,
    });
}

/// Maps of text to text, by where they are.
const TEXTS: [&str; 5] = [
    "/metadata/labels",
    "/metadata/annotations",
    "/spec/selector/matchLabels",
    "/spec/template/metadata/labels",
    "/spec/template/metadata/annotations",
];

/// Puts quotes where they were forgotten, so that one missing pair does not hide everything else; says where.
fn quote(value: &mut Value, kind: &str) -> Vec<(String, String)> {
    let mut unquoted = Vec::new();
    let selector = (kind == "Service").then_some("/spec/selector");
    for pointer in TEXTS.into_iter().chain(selector) {
        let Some(texts) = value.pointer_mut(pointer).and_then(Value::as_object_mut) else { continue };
        let path = pointer.trim_start_matches('/').replace('/', ".");
        for (key, text) in texts.iter_mut().filter(|(_, text)| text.is_boolean() || text.is_number()) {
            let written = text.to_string();
            *text = Value::from(written.as_str());
            unquoted.push((format!("{path}[{key}]"), written));
        }
    }
    unquoted
}

/// `a, b` -> codes.
pub(super) fn codes(list: &str) -> Vec<String> {
    list.split([',', ' ', '\n']).filter(|code| !code.is_empty()).map(str::to_owned).collect()
}

/// The same object in two places: which one is applied last wins.
fn twice(objects: &[Object], sink: &mut Sink) {
    let mut first: HashMap<(&str, &str, &ObjectKey), &Object> = HashMap::new();
    for object in objects.iter().filter(|object| !object.key.name.is_empty()) {
        if object.value["metadata"]["name"].is_null() {
            continue;
        }
        match first.entry((object.group(), &object.kind, &object.key)) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(object);
            }
            std::collections::hash_map::Entry::Occupied(entry) => {
                let other = entry.get();
                let (file, line) = (&other.file, other.spot.line);
                let message = words!("{object} is already in {file}:{line}", "{object} 已在 {file}:{line} 中定义");
                let remedy = words!("Keep one; what is applied last wins.", "只保留一个；后应用的会覆盖先应用的。");
                // Two files may well be two environments.
                let code =
                    if other.file == object.file { "manifest-duplicate" } else { "manifest-duplicate-elsewhere" };
                sink.about(code, object, "metadata.name", message, Some(remedy));
            }
        }
    }
}
