//! Rules of probes and lifecycle hooks: exactly one handler, sensible numbers.

use serde_json::Value;

use super::names;
use super::report::Report;
use crate::json::{int, list, text};

const PROBE_HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "grpc"];
const HOOK_HANDLERS: &[&str] = &["exec", "httpGet", "tcpSocket", "sleep"];

/// The three probes and the two hooks of a container.
pub(super) fn container(report: &mut Report, path: &str, container: &Value) {
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = container.get(key) {
            let path = format!("{path}.{key}");
            probe(report, &path, found);
            if key != "readinessProbe"
                && let Some(count) = int(found, "successThreshold").filter(|n| *n != 1)
            {
                report.invalid(format!("{path}.successThreshold"), count, "must be 1");
            }
        }
    }
    for key in ["postStart", "preStop"] {
        if let Some(hook) = crate::json::at(container, &format!("lifecycle.{key}")) {
            handler(report, &format!("{path}.lifecycle.{key}"), hook, HOOK_HANDLERS);
        }
    }
}

fn probe(report: &mut Report, path: &str, probe: &Value) {
    handler(report, path, probe, PROBE_HANDLERS);
    for key in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        report.not_negative(path, probe, key);
    }
    if let Some(seconds) = int(probe, "terminationGracePeriodSeconds").filter(|n| *n <= 0) {
        report.invalid(format!("{path}.terminationGracePeriodSeconds"), seconds, "must be greater than 0");
    }
}

fn handler(report: &mut Report, path: &str, holder: &Value, kinds: &[&str]) {
    let mut found = kinds.iter().filter(|kind| holder.get(**kind).is_some());
    let Some(first) = found.next() else {
        report.required(path, "must specify a handler type");
        return;
    };
    for extra in found {
        report.forbidden(format!("{path}.{extra}"), "may not specify more than 1 handler type");
    }
    let (path, handler) = (format!("{path}.{first}"), &holder[*first]);
    match *first {
        "exec" if list(handler, "command").is_empty() => report.required(format!("{path}.command"), ""),
        "httpGet" => {
            if text(handler, "path").is_empty() {
                report.required(format!("{path}.path"), "");
            }
            report.port_or_name(&format!("{path}.port"), &handler["port"]);
            report.needs_one_of(&format!("{path}.scheme"), text(handler, "scheme"), &["HTTP", "HTTPS"]);
            for (index, header) in list(handler, "httpHeaders").iter().enumerate() {
                let name = text(header, "name");
                if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                    let why = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
                    report.invalid(format!("{path}.httpHeaders[{index}].name"), name, why);
                }
            }
        }
        "tcpSocket" => report.port_or_name(&format!("{path}.port"), &handler["port"]),
        "grpc" => report.port(format!("{path}.port"), int(handler, "port").unwrap_or(0)),
        "sleep" if int(handler, "seconds").unwrap_or(0) < 0 => {
            report.invalid(format!("{path}.seconds"), handler["seconds"].clone(), "must be non-negative");
        }
        _ => {}
    }
    if let Some(host) = handler.get("host").and_then(Value::as_str).filter(|host| host.contains('/')) {
        for why in names::subdomain(host) {
            report.invalid(format!("{path}.host"), host, &why);
        }
    }
}
