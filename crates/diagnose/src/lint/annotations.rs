//! Annotations that clouds read from Services: which exist, what they may say, and which contradict each other.
//!
//! The tables are data, one file per cloud, and [`check`] reads them. Names, values and readers are those of the sources:
//! cloud-provider-aws, aws-load-balancer-controller, cloud-provider-azure, cloud-provider-gcp and ingress-gce.
//!
//! Invariant: only names under a vendor's own prefix can be unknown; what another vendor reads is not our business.

mod aws;
mod aws_rules;
mod azure;
mod azure_rules;
mod gcp;
mod gcp_rules;
mod value;

use std::collections::BTreeMap;

use portolan_catalogue::Text;
use portolan_objects::service;
use serde::Serialize;

use super::{
    Sink,
    world::{Served, World},
};
use crate::{Words, words::words};
pub use value::Kind;

/// A cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// Amazon.
    Aws,
    /// Microsoft.
    Azure,
    /// Google.
    Gcp,
}

impl Provider {
    /// Its short name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Azure => "azure",
            Self::Gcp => "gcp",
        }
    }
}

/// Who reads an annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reader {
    /// The service controller of cloud-provider-aws: Classic ELB, and NLB for type `nlb`.
    AwsCloudProvider,
    /// AWS Load Balancer Controller.
    AwsController,
    /// cloud-provider-azure.
    AzureCloudProvider,
    /// cloud-provider-gcp: the balancers without a backend service of their own.
    GcpCloudProvider,
    /// ingress-gce, the controller of GKE.
    Gke,
}

impl Reader {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwsCloudProvider => "cloud-provider-aws",
            Self::AwsController => "AWS Load Balancer Controller",
            Self::AzureCloudProvider => "cloud-provider-azure",
            Self::GcpCloudProvider => "cloud-provider-gcp",
            Self::Gke => "ingress-gce",
        }
    }
}

/// One annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Annotation {
    /// Its whole name. `{port}` stands for a port number, `{listener}` for `PROTOCOL-PORT`.
    pub name: &'static str,
    /// What it may say.
    pub value: Kind,
    /// Who reads it.
    pub readers: &'static [Reader],
    /// Why not to use it any more, and what to use instead.
    pub deprecated: Option<Text>,
    /// What else to know when the value is wrong.
    pub note: Option<Text>,
    /// Whether it matters for types other than LoadBalancer too.
    pub any_type: bool,
}

impl Annotation {
    const fn new(name: &'static str, value: Kind, readers: &'static [Reader]) -> Self {
        Self { name, value, readers, deprecated: None, note: None, any_type: false }
    }

    const fn deprecated(mut self, en: &'static str, zh: &'static str) -> Self {
        self.deprecated = Some(Text { en, zh });
        self
    }

    const fn note(mut self, en: &'static str, zh: &'static str) -> Self {
        self.note = Some(Text { en, zh });
        self
    }

    const fn any_type(mut self) -> Self {
        self.any_type = true;
        self
    }
}

/// A name that is often written and that nobody reads.
struct Unread {
    name: &'static str,
    instead: Text,
}

/// One cloud's tables.
struct Tables {
    provider: Provider,
    known: &'static [Annotation],
    unread: &'static [Unread],
    /// Whether a name is this vendor's.
    owns: fn(&str) -> bool,
    /// What the values say together, with each other and with the Service.
    rules: fn(&View<'_>, &mut Sink),
}

const TABLES: [&Tables; 3] = [&aws::TABLES, &azure::TABLES, &gcp::TABLES];

/// All annotations of a cloud.
pub fn known(provider: Provider) -> &'static [Annotation] {
    TABLES.iter().find(|tables| tables.provider == provider).map_or(&[], |tables| tables.known)
}

/// Names of a cloud that nobody reads, and what to do instead.
pub(super) fn not_read(provider: Provider) -> impl Iterator<Item = (&'static str, Text)> {
    let tables = TABLES.into_iter().filter(move |tables| tables.provider == provider);
    tables.flat_map(|tables| tables.unread).map(|unread| (unread.name, unread.instead))
}

/// A Service with its annotations.
struct View<'a> {
    served: &'a Served<'a>,
    annotations: BTreeMap<&'a str, &'a str>,
}

impl View<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.annotations.get(name).copied()
    }

    fn has(&self, name: &str) -> bool {
        self.annotations.contains_key(name)
    }

    /// Whether it says `true`, in any case.
    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Items of a list separated by commas.
    fn list(&self, name: &str) -> Option<Vec<&str>> {
        self.get(name).map(|value| value::list(value).collect())
    }

    fn class(&self) -> Option<&str> {
        self.served.service.spec.as_ref()?.load_balancer_class.as_deref()
    }

    fn local(&self) -> bool {
        service::external_local(&self.served.service)
    }

    fn source_ranges(&self) -> bool {
        let spec = self.served.service.spec.as_ref();
        spec.and_then(|spec| spec.load_balancer_source_ranges.as_ref()).is_some_and(|ranges| !ranges.is_empty())
    }

    fn load_balancer_ip(&self) -> Option<&str> {
        self.served.service.spec.as_ref()?.load_balancer_ip.as_deref().filter(|ip| !ip.is_empty())
    }

    fn without_node_ports(&self) -> bool {
        self.served.service.spec.as_ref().and_then(|spec| spec.allocate_load_balancer_node_ports) == Some(false)
    }

    fn protocols(&self) -> std::collections::BTreeSet<&str> {
        let ports = service::ports(&self.served.service).iter();
        ports.map(|port| port.protocol.as_deref().unwrap_or("TCP")).collect()
    }

    fn report(&self, sink: &mut Sink, code: &'static str, name: &str, message: Words, remedy: Option<Words>) {
        sink.about(code, self.served.object, &field(name), message, remedy);
    }

    /// Two settings that cannot both be meant.
    fn contradiction(&self, sink: &mut Sink, name: &str, message: Words) {
        self.report(sink, "annotation-contradiction", name, message, None);
    }

    /// A setting that has no effect beside the others.
    fn ignored(&self, sink: &mut Sink, name: &str, message: Words) {
        self.report(sink, "annotation-ignored", name, message, None);
    }
}

fn field(name: &str) -> String {
    format!("metadata.annotations[{name}]")
}

pub(super) fn check(world: &World<'_>, sink: &mut Sink) {
    for served in &world.services {
        let view = View { served, annotations: served.object.annotations() };
        for tables in TABLES {
            let own = |name: &&str| (tables.owns)(name);
            let names: Vec<&str> = view.annotations.keys().copied().filter(own).collect();
            if names.is_empty() {
                continue;
            }
            if world.provider.is_some_and(|provider| provider != tables.provider) {
                other_cloud(&view, &names, tables.provider, sink);
                continue;
            }
            for name in &names {
                one(&view, name, tables, sink);
            }
            if service::is_load_balancer(&served.service) {
                (tables.rules)(&view, sink);
            } else {
                no_balancer(&view, &names, tables, sink);
            }
        }
        foreign(&view, sink);
    }
}

/// One name and its value.
fn one(view: &View<'_>, name: &str, tables: &Tables, sink: &mut Sink) {
    let Some(annotation) = tables.known.iter().find(|annotation| fits(annotation.name, name)) else {
        return unknown(view, name, tables, sink);
    };
    let value = view.get(name).unwrap_or_default();
    if let Some(words) = annotation.value.refuses(value) {
        view.report(sink, "annotation-value", name, words, Some(expected(annotation)));
    }
    if let Some(instead) = annotation.deprecated {
        let short = short(name);
        let (en, zh) = (instead.en, instead.zh);
        let message = words!("{short} is deprecated", "{short} 已弃用");
        view.report(sink, "annotation-deprecated", name, message, Some(words!("{en}", "{zh}")));
    }
}

fn expected(annotation: &Annotation) -> Words {
    let (en, zh) = annotation.value.describe();
    let readers: Vec<&str> = annotation.readers.iter().map(|reader| reader.as_str()).collect();
    let readers = readers.join(", ");
    let mut words = words!("Expected: {en} (read by {readers}).", "应为：{zh}（由 {readers} 读取）。");
    if let Some(note) = annotation.note {
        words.en = format!("{} {}", words.en, note.en);
        words.zh.push_str(note.zh);
    }
    words
}

fn unknown(view: &View<'_>, name: &str, tables: &Tables, sink: &mut Sink) {
    if let Some(unread) = tables.unread.iter().find(|unread| unread.name == name) {
        let (en, zh) = (unread.instead.en, unread.instead.zh);
        let message = words!("nobody reads {name}", "没有组件读取 {name}");
        return view.report(sink, "annotation-unknown", name, message, Some(words!("{en}", "{zh}")));
    }
    let near = tables.known.iter().find(|annotation| misspelt(name, annotation.name));
    match near {
        Some(near) => misspelling(view, name, near.name, sink),
        None => {
            let cloud = tables.provider.as_str();
            let message = words!("nobody reads {name}", "没有组件读取 {name}");
            let remedy = words!(
                "It has the prefix of {cloud}, and none of its controllers knows it. Remove it, or see docs/lint.md for the names that exist.",
                "它使用 {cloud} 的前缀，但没有控制器认识它。请删除，或在 docs/lint.md 中查找存在的名称。"
            );
            view.report(sink, "annotation-unknown", name, message, Some(remedy));
        }
    }
}

fn misspelling(view: &View<'_>, name: &str, right: &str, sink: &mut Sink) {
    let message = words!("nobody reads {name}", "没有组件读取 {name}");
    let remedy = words!("Did you mean {right}?", "是否想写 {right}？");
    view.report(sink, "annotation-misspelt", name, message, Some(remedy));
}

/// Names under the shared prefixes that no table owns: a slip in the vendor's own part of the name.
fn foreign(view: &View<'_>, sink: &mut Sink) {
    const SHARED: [&str; 3] = ["service.beta.kubernetes.io/", "service.kubernetes.io/", "service.alpha.kubernetes.io/"];
    for name in view.annotations.keys().copied() {
        let Some(rest) = SHARED.iter().find_map(|prefix| name.strip_prefix(prefix)) else { continue };
        if TABLES.iter().any(|tables| (tables.owns)(name)) {
            continue;
        }
        let all = TABLES.iter().flat_map(|tables| tables.known);
        let near = all.clone().find(|annotation| {
            let other = annotation.name.split_once('/').map_or("", |(_, rest)| rest);
            // Under the wrong one of the prefixes, or with a letter wrong.
            other.len() > 12 && (other == rest || misspelt(rest, other)) && annotation.name != name
        });
        if let Some(near) = near {
            misspelling(view, name, near.name, sink);
        }
    }
}

fn other_cloud(view: &View<'_>, names: &[&str], provider: Provider, sink: &mut Sink) {
    let (cloud, count) = (provider.as_str(), names.len());
    let message = words!("annotations of {cloud}: {count}; no effect here", "{cloud} 的注解 {count} 个，在此无作用");
    let Some(first) = names.first() else { return };
    view.report(sink, "annotation-other-cloud", first, message, None);
}

/// A balancer's settings where there is none.
fn no_balancer(view: &View<'_>, names: &[&str], tables: &Tables, sink: &mut Sink) {
    let about_balancers = |name: &&&str| {
        let found = tables.known.iter().find(|annotation| fits(annotation.name, name));
        found.is_some_and(|annotation| !annotation.any_type)
    };
    let Some(first) = names.iter().find(about_balancers) else { return };
    let kind = view.served.service.spec.as_ref().and_then(|spec| spec.type_.as_deref()).unwrap_or("ClusterIP");
    let message = words!(
        "{first} configures a load balancer, and the Service is of type {kind}",
        "{first} 用于配置负载均衡器，而该 Service 的类型是 {kind}"
    );
    let remedy = words!("Set type: LoadBalancer, or remove the annotation.", "设置 type: LoadBalancer，或删除该注解。");
    view.report(sink, "annotation-without-balancer", first, message, Some(remedy));
}

/// Whether a written name is that of the table, with its variable part filled in.
fn fits(pattern: &str, name: &str) -> bool {
    if let Some((before, after)) = pattern.split_once("{port}") {
        let port = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        return port.is_some_and(|port| port.parse::<u16>().is_ok());
    }
    if let Some((before, _)) = pattern.split_once("{listener}") {
        let listener = name.strip_prefix(before).and_then(|rest| rest.split_once('-'));
        return listener.is_some_and(|(protocol, port)| {
            protocol.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_') && port.parse::<u16>().is_ok()
        });
    }
    pattern == name
}

/// Equal but for case and separators, or one or two letters apart: more is another word.
fn misspelt(written: &str, right: &str) -> bool {
    if right.contains('{') {
        return false;
    }
    let plain = |name: &str| -> String {
        name.chars()
            .filter(|letter| !matches!(letter, '-' | '_' | '.'))
            .map(|letter| letter.to_ascii_lowercase())
            .collect()
    };
    let (written, right) = (plain(written), plain(right));
    written == right || crate::nearest::within(&written, &right, 2)
}

/// Whether annotations keep the internet out: an internal balancer, ranges, or security groups.
pub(super) fn limits_or_hides(served: &Served<'_>) -> bool {
    const LIMITS: [&str; 5] = [
        "service.beta.kubernetes.io/load-balancer-source-ranges",
        aws::aws!("security-groups"),
        aws::aws!("security-group-prefix-lists"),
        azure::azure!("allowed-ip-ranges"),
        azure::azure!("allowed-service-tags"),
    ];
    let view = View { served, annotations: served.object.annotations() };
    let limited = LIMITS.iter().any(|name| view.has(name));
    // Every vendor's switch has this word in its name or its value.
    // A slip in the name switches nothing.
    let read = |name: &str| {
        TABLES.iter().all(|tables| !(tables.owns)(name) || tables.known.iter().any(|known| fits(known.name, name)))
    };
    let internal = view.annotations.iter().filter(|(name, _)| read(name)).any(|(name, value)| {
        let yes = value.eq_ignore_ascii_case("true") || value.starts_with("0.0.0.0/");
        value.eq_ignore_ascii_case("internal") || (yes && (name.contains("internal") || name.contains("intranet")))
    });
    let class = view.class().is_some_and(|class| class.contains("internal"));
    limited || internal || class || aws_rules::internal_by_default(&view)
}

/// Without the domain.
fn short(name: &str) -> &str {
    name.split_once('/').map_or(name, |(_, short)| short)
}

#[cfg(test)]
mod tests;
