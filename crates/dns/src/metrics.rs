//! What the server counts, under CoreDNS' metric names where CoreDNS has the metric.

use hickory_proto::{op::ResponseCode, rr::RecordType};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

use crate::message::Transport;

/// Counters of one server. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    requests: Family<Request, Counter>,
    responses: Family<Response, Counter>,
    pub(crate) ignored: Counter,
    pub(crate) unsent: Counter,
    pub(crate) refused_connections: Counter,
    pub(crate) forwarded: Counter,
    pub(crate) forward_failures: Counter,
    pub(crate) forward_mismatches: Counter,
    pub(crate) overflowed: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    proto: &'static str,
    r#type: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Response {
    rcode: &'static str,
}

impl Metrics {
    /// Registers the counters.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let dns = registry.sub_registry_with_prefix("coredns_dns");
        dns.register("requests", "Questions by transport and type", metrics.requests.clone());
        dns.register("responses", "Answers by response code", metrics.responses.clone());
        dns.register("ignored", "Packets that were no questions", metrics.ignored.clone());
        dns.register("unsent", "Answers that the socket did not take", metrics.unsent.clone());
        dns.register("refused_connections", "TCP connections over the limit", metrics.refused_connections.clone());
        let forward = registry.sub_registry_with_prefix("coredns_forward");
        forward.register("requests", "Questions sent to upstreams", metrics.forwarded.clone());
        forward.register("failures", "Upstreams that did not answer", metrics.forward_failures.clone());
        forward.register(
            "mismatches",
            "Packets from upstreams that did not fit the question",
            metrics.forward_mismatches.clone(),
        );
        forward.register(
            "max_concurrent_rejects",
            "Questions refused because too many were under way",
            metrics.overflowed.clone(),
        );
        metrics
    }

    pub(crate) fn question(&self, transport: Transport, kind: RecordType) {
        let proto = match transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        };
        self.requests.get_or_create(&Request { proto, r#type: type_label(kind) }).inc();
    }

    /// Counts an encoded answer.
    pub(crate) fn answer(&self, answer: &[u8]) {
        let code = answer.get(3).map_or(0, |byte| byte & 0x0f);
        let rcode = code_label(ResponseCode::from(0, code));
        self.responses.get_or_create(&Response { rcode }).inc();
    }
}

/// A closed set, so that clients cannot grow the metric.
fn type_label(kind: RecordType) -> &'static str {
    match kind {
        RecordType::A => "A",
        RecordType::AAAA => "AAAA",
        RecordType::ANY => "ANY",
        RecordType::CNAME => "CNAME",
        RecordType::HTTPS => "HTTPS",
        RecordType::MX => "MX",
        RecordType::NS => "NS",
        RecordType::PTR => "PTR",
        RecordType::SOA => "SOA",
        RecordType::SRV => "SRV",
        RecordType::TXT => "TXT",
        _ => "other",
    }
}

fn code_label(code: ResponseCode) -> &'static str {
    match code {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::Refused => "REFUSED",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_names_are_those_of_coredns() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        metrics.question(Transport::Udp, RecordType::A);
        metrics.question(Transport::Tcp, RecordType::from(65280));
        metrics.answer(&[0, 0, 0x81, 0x83]);
        metrics.overflowed.inc();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"coredns_dns_requests_total{proto="udp",type="A"} 1"#,
            r#"coredns_dns_requests_total{proto="tcp",type="other"} 1"#,
            r#"coredns_dns_responses_total{rcode="NXDOMAIN"} 1"#,
            "coredns_forward_max_concurrent_rejects_total 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
