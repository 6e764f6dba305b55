//! An ExternalName leads somewhere: it is a name that DNS can alias to, and what it names exists.
//!
//! Upstream: the API checks the field as a DNS subdomain (`pkg/apis/core/validation`); CoreDNS answers with a CNAME, which
//! is a full name: no search list is applied to it, no port and no proxy takes part.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::Service;
use portolan_objects::{ObjectKey, service};

use super::Outcome;
use crate::{Evidence, Finding, Index, LinkId, Words, view::View, words::words};

/// The usual domain of a cluster, and the only one that is taken apart: others may be anybody's.
const DOMAIN: &str = "cluster.local";
/// Longest name, and longest part of one, in DNS.
const LONGEST: (usize, usize) = (253, 63);

/// Where an alias leads.
enum Target {
    /// It is an address.
    Address,
    /// It cannot be resolved as it is written: why, and what was probably meant.
    Malformed { why: Words, meant: Option<String> },
    /// A Service of this cluster.
    Service(ObjectKey),
    /// Somewhere outside.
    Outside,
}

/// Where the aliases end that begin with one.
enum End {
    /// With one that is wrong.
    Wrong { at: ObjectKey, finding: Finding },
    /// In a circle.
    Loop(Vec<ObjectKey>),
    /// At a Service that does not exist.
    Missing { from: ObjectKey, target: ObjectKey },
    /// At a Service that is there.
    Service(ObjectKey),
    /// Where this snapshot does not reach.
    Unknown,
}

pub(super) fn check(view: &View<'_>, hints: &mut Vec<Words>) -> Outcome {
    let text = external_name(view.service);
    let finding = match follow(view) {
        End::Wrong { at, finding } => through(view, &at, finding),
        End::Loop(keys) => circle(view, &keys),
        End::Missing { from, target } => through(view, &from, missing(view, &from, &target)),
        end @ (End::Service(_) | End::Unknown) => {
            ports_hint(view, hints);
            let proof = vec![view.field("spec.externalName", text)];
            let summary = match end {
                End::Service(key) => words!(
                    "alias for {text} (ExternalName), which is Service {key}",
                    "{text} 的别名（ExternalName），即 Service {key}"
                ),
                _ => words!("alias for {text} (ExternalName)", "{text} 的别名（ExternalName）"),
            };
            return Outcome::Ok(summary, proof);
        }
    };
    Outcome::broken(finding)
}

fn external_name(service: &Service) -> &str {
    service.spec.as_ref().and_then(|spec| spec.external_name.as_deref()).unwrap_or_default()
}

/// Goes from alias to alias.
fn follow(view: &View<'_>) -> End {
    let (mut key, mut service) = (view.key.clone(), view.service);
    let mut path: Vec<ObjectKey> = Vec::new();
    loop {
        path.push(key.clone());
        let text = external_name(service);
        let target = match target(view.index, &key, text) {
            Target::Service(target) => target,
            Target::Outside => return End::Unknown,
            Target::Address => return End::Wrong { finding: address(view, &key, text), at: key },
            Target::Malformed { why, meant } => {
                return End::Wrong { finding: malformed(view, &key, text, &why, meant), at: key };
            }
        };
        if let Some(start) = path.iter().position(|seen| *seen == target) {
            return End::Loop(path.split_off(start));
        }
        let Some(next) = view.index.service(&target) else {
            return match proven_absent(view.index, &target) {
                true => End::Missing { from: key, target },
                false => End::Unknown,
            };
        };
        if !service::is_external_name(next) {
            return End::Service(target);
        }
        (key, service) = (target, next);
    }
}

/// The Service that an ExternalName names, if it is one of this cluster.
pub(crate) fn named_service(index: &Index<'_>, key: &ObjectKey, service: &Service) -> Option<ObjectKey> {
    match target(index, key, external_name(service)) {
        Target::Service(target) => Some(target),
        _ => None,
    }
}

fn target(index: &Index<'_>, key: &ObjectKey, text: &str) -> Target {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if bare.parse::<IpAddr>().is_ok() {
        return Target::Address;
    }
    if let Some((why, meant)) = misspelt(text) {
        return Target::Malformed { why, meant };
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let labels: Vec<&str> = name.split('.').collect();
    let full = |name: &str, namespace: &str| format!("{name}.{namespace}.svc.{DOMAIN}");
    if let [single] = labels[..] {
        if single == "localhost" {
            return Target::Outside;
        }
        let here = index.service(&ObjectKey::new(&key.namespace, single)).is_some();
        return Target::Malformed {
            why: words!(
                "it has one part, and no search list is applied to an alias",
                "它只有一段，而别名不会套用搜索域"
            ),
            meant: here.then(|| full(single, &key.namespace)),
        };
    }
    let relative = |length: usize| {
        words!(
            "its {length} parts are relative to the cluster's domain, and no search list is applied to an alias",
            "它的 {length} 段是相对于集群域名的，而别名不会套用搜索域"
        )
    };
    if let [name, namespace] = labels[..]
        && index.service(&ObjectKey::new(namespace, name)).is_some()
    {
        return Target::Malformed { why: relative(2), meant: Some(full(name, namespace)) };
    }
    // No domain of the world is called `svc`.
    if let [.., name, namespace, "svc"] = labels[..] {
        return Target::Malformed { why: relative(labels.len()), meant: Some(full(name, namespace)) };
    }
    match name.strip_suffix(DOMAIN).and_then(|rest| rest.strip_suffix(".svc.")) {
        Some(inside) => match inside.rsplit('.').collect::<Vec<_>>()[..] {
            [namespace, name, ..] => Target::Service(ObjectKey::new(namespace, name)),
            _ => Target::Malformed {
                why: words!(
                    "a Service's name in DNS is NAME.NAMESPACE.svc.{DOMAIN}",
                    "Service 的 DNS 名称是 NAME.NAMESPACE.svc.{DOMAIN}"
                ),
                meant: Some(full(inside, &key.namespace)),
            },
        },
        None => Target::Outside,
    }
}

/// What the text is instead of a name, and the name in it.
fn misspelt(text: &str) -> Option<(Words, Option<String>)> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host).trim().to_ascii_lowercase();
    let meant = (is_name(&host)).then_some(host);
    let why = if text.is_empty() {
        words!("it is empty", "它为空")
    } else if text.contains("://") {
        words!("it has a scheme, as in a URL", "它带有 URL 的协议前缀")
    } else if text.contains('/') {
        words!("it has a path, as in a URL", "它带有 URL 的路径")
    } else if text.contains(':') {
        words!("it has a port", "它带有端口")
    } else if text.contains('_') {
        words!("it has an underscore, which the API refuses", "它含有下划线，API 不接受")
    } else if text.chars().any(char::is_whitespace) {
        words!("it has white space", "它含有空白字符")
    } else if !is_name(text.strip_suffix('.').unwrap_or(text)) {
        words!("it is no name of DNS in lower case", "它不是合法的小写 DNS 名称")
    } else {
        return None;
    };
    Some((why, meant.filter(|meant| meant != text)))
}

/// A subdomain as the API understands it.
fn is_name(text: &str) -> bool {
    let part = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !part.is_empty()
            && part.len() <= LONGEST.1
            && part.bytes().all(inner)
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    text.len() <= LONGEST.0 && text.split('.').all(part)
}

/// Whether this snapshot would hold the Service if it existed.
fn proven_absent(index: &Index<'_>, key: &ObjectKey) -> bool {
    let snapshot = index.snapshot;
    let namespaces_known = snapshot.is_live() && snapshot.has_read("namespaces") && !snapshot.namespaces.is_empty();
    (namespaces_known && index.namespace(&key.namespace).is_none())
        || snapshot.absent.contains(&key.to_string())
        || (snapshot.covers(&key.namespace) && snapshot.has_read("services of kube-system"))
}

fn object(key: &ObjectKey) -> String {
    format!("service/{}", key.name)
}

/// Where the object is told apart from those of other namespaces.
fn subject(key: &ObjectKey) -> String {
    format!("service/{key}")
}

fn base(code: &'static str, at: &ObjectKey, text: &str, title: Words) -> Finding {
    Finding::new(code, LinkId::Service, title)
        .subject(subject(at))
        .proven_by([Evidence::new(object(at), "spec.externalName", text)])
        .leads_to(words!("the name resolves to nothing", "该名字解析不出任何地址"))
        .leads_to(words!("clients fail before they send a packet", "客户端在发出数据包之前就失败"))
}

/// Says how the Service that was asked for comes to the one at fault.
fn through(view: &View<'_>, at: &ObjectKey, finding: Finding) -> Finding {
    if *at == view.key {
        return finding;
    }
    let mut finding = finding.proven_by([view.field("spec.externalName", external_name(view.service))]);
    let name = view.name();
    finding.chain.insert(0, words!("{name} is an alias that leads to {at}", "{name} 是指向 {at} 的别名"));
    finding
}

fn patch(at: &ObjectKey, value: &str) -> String {
    let ObjectKey { namespace, name } = at;
    format!(
        "kubectl -n {namespace} patch service {name} --type merge -p '{{\"spec\":{{\"externalName\":\"{value}\"}}}}'"
    )
}

fn edit(at: &ObjectKey) -> String {
    format!("kubectl -n {} edit service {}", at.namespace, at.name)
}

fn address(_view: &View<'_>, at: &ObjectKey, text: &str) -> Finding {
    let title = words!(
        "externalName {text} is an address, and DNS cannot alias a name to an address",
        "externalName {text} 是 IP 地址，DNS 无法把名字别名到地址"
    );
    base("external-name-is-address", at, text, title).remedy(
        words!(
            "Use a DNS name, or a Service without selector and an EndpointSlice that holds the address.",
            "改用域名；或者改为无 selector 的 Service，并用 EndpointSlice 写入该地址。"
        ),
        [edit(at)],
    )
}

fn malformed(_view: &View<'_>, at: &ObjectKey, text: &str, why: &Words, meant: Option<String>) -> Finding {
    let (en, zh) = (&why.en, &why.zh);
    let title = words!("externalName \"{text}\" cannot be resolved: {en}", "externalName \"{text}\" 无法解析：{zh}");
    let finding = base("external-name-malformed", at, text, title);
    match meant {
        Some(meant) => {
            finding.remedy(words!("Probably {meant} was meant.", "本意很可能是 {meant}。"), [patch(at, &meant)])
        }
        None => finding.remedy(words!("Write a full DNS name.", "改为完整的 DNS 名称。"), [edit(at)]),
    }
}

fn circle(view: &View<'_>, keys: &[ObjectKey]) -> Finding {
    let first = keys.iter().min().unwrap_or(&view.key);
    let mut way: Vec<String> = keys.iter().map(ToString::to_string).collect();
    way.extend(keys.first().map(ToString::to_string));
    let way = way.join(" -> ");
    let title = words!("the alias leads in a circle: {way}", "别名成环：{way}");
    let proof = keys.iter().filter_map(|key| {
        let service = view.index.service(key)?;
        Some(Evidence::new(object(key), "spec.externalName", external_name(service)))
    });
    let finding = Finding::new("external-name-loop", LinkId::Service, title)
        .subject(subject(first))
        .proven_by(proof)
        .leads_to(words!("DNS gives up, and the name resolves to nothing", "DNS 放弃解析，该名字得不到任何地址"))
        .remedy(
            words!("Point one of them at a real target.", "让其中一个指向真正的目标。"),
            keys.iter().take(3).map(edit),
        );
    match keys.contains(&view.key) {
        true => finding,
        false => through(view, first, finding),
    }
}

fn missing(view: &View<'_>, from: &ObjectKey, target: &ObjectKey) -> Finding {
    let ObjectKey { namespace, name } = target;
    let text = view.index.service(from).map(external_name).unwrap_or_default();
    let title = words!(
        "the alias leads to Service {name} in namespace {namespace}, which does not exist",
        "别名指向命名空间 {namespace} 的 Service {name}，而它不存在"
    );
    let mut finding = base("external-name-target-missing", from, text, title)
        .subject(subject(target))
        .proven_by([Evidence::new(object(target), "-", "NotFound")]);
    let near = crate::nearest::nearest_word(name, view.index.service_names(namespace));
    if let Some(near) = near {
        finding = finding.remedy(
            words!("A Service {near} exists there.", "那里有名为 {near} 的 Service。"),
            [patch(from, &format!("{near}.{namespace}.svc.{DOMAIN}"))],
        );
    }
    finding.remedy(
        words!("Create the target, or correct the alias.", "创建目标 Service，或修正别名。"),
        [format!("kubectl -n {namespace} get services"), edit(from)],
    )
}

/// Ports of an alias do nothing.
fn ports_hint(view: &View<'_>, hints: &mut Vec<Words>) {
    let ports: Vec<String> = service::ports(view.service).iter().map(|port| port.port.to_string()).collect();
    if !ports.is_empty() {
        let ports = ports.join(", ");
        hints.push(words!(
            "spec.ports ({ports}) have no effect on an alias: clients connect to the target on whatever port they choose",
            "别名上的 spec.ports（{ports}）不起作用：客户端直接以自选端口连接目标"
        ));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{is_name, misspelt};

    #[test]
    fn what_is_no_name_says_what_was_probably_meant() {
        let cases = [
            ("https://db.example.com/login", "scheme", Some("db.example.com")),
            ("db.example.com:5432", "port", Some("db.example.com")),
            ("db.example.com/x", "path", Some("db.example.com")),
            ("my_db.example.com", "underscore", None),
            ("DB.example.com", "lower case", Some("db.example.com")),
            ("db..example.com", "no name", None),
            ("", "empty", None),
        ];
        for (text, why, meant) in cases {
            let (words, found) = misspelt(text).expect(text);
            assert!(words.en.contains(why), "{text}: {words:?}");
            assert_eq!(found.as_deref(), meant, "{text}");
        }
        for text in ["db.example.com", "db.example.com.", "7.db.data.svc.cluster.local", "xn--bcher-kva.example"] {
            assert!(misspelt(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged(text in ".{0,80}") {
            let judged = misspelt(&text);
            prop_assert_eq!(judged.is_none(), is_name(text.strip_suffix('.').unwrap_or(&text)));
        }
    }
}
