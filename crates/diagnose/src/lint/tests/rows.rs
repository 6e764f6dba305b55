//! For each rule a manifest on which it must fire, and the same made right.

mod clouds;

use std::fmt::Write;

/// One rule's pair.
pub(super) struct Row {
    pub(super) code: &'static str,
    pub(super) bad: String,
    pub(super) good: String,
}

/// Rules whose proof needs more than one manifest as text: they have tests of their own.
pub(super) const ELSEWHERE: [&str; 3] = ["annotation-other-cloud", "manifest-duplicate-elsewhere", "yaml-too-large"];

pub(super) fn named_service(name: &str, spec: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\nspec: {spec}\n")
}

pub(super) fn service(spec: &str) -> String {
    named_service("web", spec)
}

pub(super) fn annotated(annotations: &str, spec: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  annotations:\n    {annotations}\nspec: {spec}\n")
}

pub(super) fn ingress(service: &str, port: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: i}}\nspec:\n  rules:\n  - http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend: {{service: {{name: {service}, port: {{{port}}}}}}}\n"
    )
}

const CONTAINER: &str = "containers: [{name: c, image: i, ports: [{name: http, containerPort: 8080}], readinessProbe: {httpGet: {path: /, port: http}}}]";

/// A Deployment whose pods have these labels; `spec` are lines of the pod's spec, or empty for a good one.
pub(super) fn deployment(name: &str, labels: &str, spec: &str) -> String {
    workload("Deployment", name, labels, spec, "replicas: 2")
}

fn workload(kind: &str, name: &str, labels: &str, spec: &str, more: &str) -> String {
    let spec = if spec.is_empty() { CONTAINER } else { spec };
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  {more}\n  selector: {{matchLabels: {labels}}}\n  template:\n    metadata: {{labels: {labels}}}\n    spec: {{{spec}}}\n"
    )
}

fn pair(first: &str, second: &str) -> String {
    format!("{first}---\n{second}")
}

/// A Service in front of good pods.
fn with_pods(spec: &str) -> String {
    pair(&service(spec), &deployment("web", "{app: web}", ""))
}

/// Pods behind a Service.
fn behind(service_spec: &str, pod_spec: &str) -> String {
    pair(&service(service_spec), &deployment("web", "{app: web}", pod_spec))
}

const PLAIN: &str = "{selector: {app: web}, ports: [{port: 80, targetPort: http}]}";
const BALANCER: &str = "{type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}";

fn balancer(fields: &str) -> String {
    service(&format!(
        "{{type: LoadBalancer, {fields}, selector: {{app: web}}, ports: [{{name: http, port: 80, targetPort: http}}]}}"
    ))
}

fn rule(code: &'static str, bad: impl Into<String>, good: impl Into<String>) -> Row {
    Row { code, bad: bad.into(), good: good.into() }
}

const AWS: &str = "service.beta.kubernetes.io/aws-load-balancer-";

/// `NAME=VALUE;NAME=VALUE` under a prefix.
fn under(prefix: &str, settings: &str) -> String {
    let mut text = String::new();
    for (index, setting) in settings.split(';').enumerate() {
        let (name, value) = setting.split_once('=').expect("NAME=VALUE");
        let indent = if index == 0 { "" } else { "\n    " };
        let _ = write!(text, "{indent}{prefix}{name}: \"{value}\"");
    }
    text
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = manifests();
    rows.extend(references());
    rows.extend(chain());
    rows.extend(clouds::rows());
    rows.extend(practices());
    rows
}

fn manifests() -> Vec<Row> {
    vec![
        rule("yaml-invalid", "apiVersion: v1\nkind: [Service\n", service(PLAIN)),
        rule("yaml-duplicate-key", service("{selector: {app: web, app: web}, ports: [{port: 80}]}"), service(PLAIN)),
        rule(
            "template-not-rendered",
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {{ .Values.name }}\n",
            service(PLAIN),
        ),
        rule("template-not-rendered", named_service("\"{{ .Values.name }}\"", PLAIN), service(PLAIN)),
        // Braces in quotes elsewhere are nobody's template.
        rule(
            "template-not-rendered",
            "{{- if .Values.a }}\nkind: Service\n{{- end }}\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  rule: \"{{ $labels.pod }}\"\n",
        ),
        rule("not-kubernetes", "replicas: 3\nimage: web\n", service(PLAIN)),
        rule(
            "manifest-invalid",
            service("{selector: {app: web}, ports: [{port: 80}, {port: 81}]}"),
            service("{selector: {app: web}, ports: [{name: a, port: 80}, {name: b, port: 81}]}"),
        ),
        rule(
            "manifest-unknown-field",
            service("{selector: {app: web}, ports: [{port: 80, target: 80}]}"),
            service(PLAIN),
        ),
        rule(
            "manifest-unknown-field",
            service("{topologyKeys: [\"*\"], selector: {app: web}, ports: [{port: 80}]}"),
            service(PLAIN),
        ),
        rule(
            "manifest-wrong-type",
            annotated("example.com/a: true", PLAIN),
            annotated("example.com/a: \"true\"", PLAIN),
        ),
        rule("manifest-wrong-type", service("{selector: {app: web}, ports: [{port: \"80\"}]}"), service(PLAIN)),
        rule(
            "manifest-wrong-type",
            "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: a}\nspec: {template: 3}\n",
            service(PLAIN),
        ),
        rule(
            "manifest-api-removed",
            ingress("web", "number: 80").replace("networking.k8s.io/v1", "extensions/v1beta1"),
            ingress("web", "number: 80"),
        ),
        rule(
            "manifest-duplicate",
            pair(&service(PLAIN), &service(PLAIN)),
            pair(&service(PLAIN), &named_service("api", PLAIN)),
        ),
        rule(
            "lint-ignore-unknown",
            annotated("portolan.dev/lint-ignore: no-such-code", PLAIN),
            annotated("portolan.dev/lint-ignore: practice-host-port", PLAIN),
        ),
    ]
}

fn references() -> Vec<Row> {
    let route = |name: &str, more: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\nspec:\n  rules:\n  - backendRefs: [{{name: {name}, {more}}}]\n"
        )
    };
    let slice = |labels: &str, port: &str| {
        format!(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: db-1, labels: {labels}}}\naddressType: IPv4\nports: [{port}]\nendpoints: [{{addresses: [192.0.2.1]}}]\n"
        )
    };
    let members = |service: &str| workload("StatefulSet", "db", "{app: db}", "", &format!("serviceName: {service}"));
    let grant = "---\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: g, namespace: other}\nspec:\n  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}]\n  to: [{group: \"\", kind: Service}]\n";
    let probe = |port: &str| {
        format!(
            "containers: [{{name: c, image: i, ports: [{{name: http, containerPort: 8080}}], readinessProbe: {{httpGet: {{path: /, port: {port}}}}}}}]"
        )
    };
    vec![
        rule(
            "backend-service-missing",
            pair(&named_service("checkout", PLAIN), &ingress("chekcout", "number: 80")),
            pair(&named_service("checkout", PLAIN), &ingress("checkout", "number: 80")),
        ),
        rule(
            "backend-service-missing",
            pair(&named_service("frontend", PLAIN), &route("frontned", "port: 80")),
            pair(&named_service("frontend", PLAIN), &route("backend", "port: 80")),
        ),
        rule(
            "backend-port-missing",
            pair(&service(PLAIN), &ingress("web", "number: 8080")),
            pair(&service(PLAIN), &ingress("web", "number: 80")),
        ),
        rule(
            "backend-port-missing",
            pair(&service(BALANCER), &ingress("web", "name: htpp")),
            pair(&service(BALANCER), &ingress("web", "name: http")),
        ),
        rule(
            "backend-port-missing",
            pair(&service(PLAIN), &route("web", "port: 8080")),
            pair(&service(PLAIN), &route("web", "port: 80")),
        ),
        rule(
            "slice-without-service",
            slice("{}", "{port: 80}"),
            slice("{kubernetes.io/service-name: db}", "{port: 80}"),
        ),
        rule(
            "slice-without-service",
            pair(
                &named_service("database", "{ports: [{port: 80}]}"),
                &slice("{kubernetes.io/service-name: databsae}", "{port: 80}"),
            ),
            pair(
                &named_service("database", "{ports: [{port: 80}]}"),
                &slice("{kubernetes.io/service-name: database}", "{port: 80}"),
            ),
        ),
        rule(
            "slice-beside-selector",
            pair(&named_service("db", PLAIN), &slice("{kubernetes.io/service-name: db}", "{port: 80}")),
            pair(
                &named_service("db", "{ports: [{port: 80}]}"),
                &slice("{kubernetes.io/service-name: db}", "{port: 5432}"),
            ),
        ),
        rule(
            "slice-port-mismatch",
            pair(
                &named_service("db", "{ports: [{name: sql, port: 80}]}"),
                &slice("{kubernetes.io/service-name: db}", "{port: 5432}"),
            ),
            pair(
                &named_service("db", "{ports: [{name: sql, port: 80}]}"),
                &slice("{kubernetes.io/service-name: db}", "{name: sql, port: 5432}"),
            ),
        ),
        rule(
            "backend-reference-not-granted",
            route("api", "namespace: other, port: 80"),
            format!("{}{grant}", route("api", "namespace: other, port: 80")),
        ),
        rule(
            "stateful-service-not-headless",
            pair(
                &named_service("db", "{selector: {app: db}, ports: [{port: 5432, targetPort: http}]}"),
                &members("db"),
            ),
            pair(
                &named_service("db", "{clusterIP: None, selector: {app: db}, ports: [{port: 8080, targetPort: http}]}"),
                &members("db"),
            ),
        ),
        rule(
            "probe-port-not-declared",
            deployment("web", "{app: web}", &probe("htpp")),
            deployment("web", "{app: web}", &probe("8080")),
        ),
    ]
}

fn chain() -> Vec<Row> {
    let policy = |ports: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p}}\nspec:\n  podSelector: {{matchLabels: {{app: web}}}}\n  policyTypes: [Ingress]\n  {ports}\n"
        )
    };
    vec![
        rule("selector-matches-no-pod", with_pods("{selector: {app: wbe}, ports: [{port: 80}]}"), with_pods(PLAIN)),
        rule(
            "selector-matches-no-pod",
            with_pods("{selector: {app: web, tier: front}, ports: [{port: 80}]}"),
            with_pods(PLAIN),
        ),
        rule(
            "selector-matches-no-pod",
            pair(
                &named_service("api", "{selector: {app: frontned}, ports: [{port: 80}]}"),
                &deployment("other", "{app: frontend}", ""),
            ),
            // Another workload of a similar name is no mistake: its Service may be elsewhere.
            pair(
                &named_service("api", "{selector: {app: api}, ports: [{port: 80}]}"),
                &deployment("other", "{app: api-worker}", ""),
            ),
        ),
        rule(
            "selector-in-other-namespace",
            pair(
                "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n",
                &deployment("web", "{app: web}", ""),
            ),
            with_pods(PLAIN),
        ),
        rule(
            "target-port-not-declared",
            with_pods("{selector: {app: web}, ports: [{port: 80, targetPort: htpp}]}"),
            with_pods(PLAIN),
        ),
        rule(
            "target-port-protocol-mismatch",
            with_pods("{selector: {app: web}, ports: [{port: 80, protocol: UDP, targetPort: http}]}"),
            with_pods(PLAIN),
        ),
        rule(
            "target-port-partly-declared",
            pair(
                &with_pods(PLAIN),
                &deployment(
                    "canary",
                    "{app: web}",
                    &CONTAINER.replace("name: http", "name: web").replace("port: http", "port: web"),
                ),
            ),
            pair(&with_pods(PLAIN), &deployment("canary", "{app: web}", "")),
        ),
        rule(
            "external-name-is-address",
            service("{type: ExternalName, externalName: 10.0.0.1}"),
            service("{type: ExternalName, externalName: db.example.com}"),
        ),
        rule(
            "external-name-malformed",
            service("{type: ExternalName, externalName: \"http://db.example.com\"}"),
            service("{type: ExternalName, externalName: db.example.com}"),
        ),
        rule(
            "external-name-loop",
            service("{type: ExternalName, externalName: web.default.svc.cluster.local}"),
            service("{type: ExternalName, externalName: api.default.svc.cluster.local}"),
        ),
        rule(
            "node-port-duplicate",
            pair(
                &service("{type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}"),
                &named_service("api", "{type: NodePort, selector: {app: api}, ports: [{port: 80, nodePort: 30080}]}"),
            ),
            pair(
                &service("{type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}"),
                &named_service(
                    "api",
                    "{type: NodePort, selector: {app: api}, ports: [{port: 80, protocol: UDP, nodePort: 30080}]}",
                ),
            ),
        ),
        rule(
            "cluster-ip-duplicate",
            pair(
                &service("{clusterIP: 10.96.0.50, selector: {app: web}, ports: [{port: 80}]}"),
                &named_service("api", "{clusterIP: 10.96.0.50, selector: {app: api}, ports: [{port: 80}]}"),
            ),
            pair(
                &service("{clusterIP: 10.96.0.50, selector: {app: web}, ports: [{port: 80}]}"),
                &named_service("api", "{clusterIP: 10.96.0.51, selector: {app: api}, ports: [{port: 80}]}"),
            ),
        ),
        rule(
            "network-policy-names-service-port",
            pair(&with_pods(PLAIN), &policy("ingress: [{ports: [{port: 80}]}]")),
            pair(&with_pods(PLAIN), &policy("ingress: [{ports: [{port: 8080}]}]")),
        ),
        rule(
            "network-policy-names-service-port",
            pair(&with_pods(PLAIN), &policy("ingress: [{ports: [{port: 80}]}]")),
            // Policies add up; what these files do not open another one may.
            pair(&with_pods(PLAIN), &policy("ingress: []")),
        ),
    ]
}

fn practices() -> Vec<Row> {
    let good = "containers: [{name: c, image: i, ports: [{name: http, containerPort: 8080}], readinessProbe: {tcpSocket: {port: 8080}}, lifecycle: {preStop: {sleep: {seconds: 10}}}}]";
    let bare = "containers: [{name: c, image: i, ports: [{name: http, containerPort: 8080}]}]";
    let probed = "containers: [{name: c, image: i, ports: [{name: http, containerPort: 8080}], readinessProbe: {tcpSocket: {port: 8080}}}]";
    let local = "{type: LoadBalancer, externalTrafficPolicy: Local, selector: {app: web}, ports: [{port: 80, targetPort: http}]}";
    let topology = "service.kubernetes.io/topology-mode: Auto";
    vec![
        rule("practice-readiness-probe-missing", behind(PLAIN, bare), behind(PLAIN, good)),
        rule("practice-readiness-probe-missing", behind(PLAIN, bare), deployment("web", "{app: web}", bare)),
        rule(
            "practice-grace-too-short",
            behind(BALANCER, &format!("terminationGracePeriodSeconds: 0, {good}")),
            behind(PLAIN, &format!("terminationGracePeriodSeconds: 0, {good}")),
        ),
        rule("practice-no-pre-stop", behind(BALANCER, probed), behind(BALANCER, good)),
        rule(
            "practice-pre-stop-too-long",
            deployment("web", "{app: web}", &good.replace("seconds: 10", "seconds: 30")),
            deployment("web", "{app: web}", good),
        ),
        rule(
            "practice-pre-stop-too-long",
            deployment(
                "web",
                "{app: web}",
                &good.replace("{sleep: {seconds: 10}}", "{exec: {command: [sh, -c, \"sleep 45\"]}}"),
            ),
            deployment(
                "web",
                "{app: web}",
                &format!(
                    "terminationGracePeriodSeconds: 60, {}",
                    good.replace("{sleep: {seconds: 10}}", "{exec: {command: [sh, -c, \"sleep 45\"]}}")
                ),
            ),
        ),
        rule(
            "practice-local-policy-spread",
            behind(local, good),
            behind(
                local,
                &format!(
                    "topologySpreadConstraints: [{{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {{matchLabels: {{app: web}}}}}}], {good}"
                ),
            ),
        ),
        rule(
            "practice-host-port",
            deployment(
                "web",
                "{app: web}",
                &good.replace("containerPort: 8080}", "containerPort: 8080, hostPort: 80}"),
            ),
            workload(
                "DaemonSet",
                "web",
                "{app: web}",
                &good.replace("containerPort: 8080}", "containerPort: 8080, hostPort: 80}"),
                "minReadySeconds: 0",
            ),
        ),
        rule("practice-source-ranges-missing", service(BALANCER), balancer("loadBalancerSourceRanges: [192.0.2.0/24]")),
        rule("practice-source-ranges-missing", service(BALANCER), annotated(&under(AWS, "internal=true"), BALANCER)),
        rule(
            "practice-headless-port",
            with_pods("{clusterIP: None, selector: {app: web}, ports: [{port: 80, targetPort: http}]}"),
            with_pods("{clusterIP: None, selector: {app: web}, ports: [{port: 8080, targetPort: http}]}"),
        ),
        rule(
            "practice-affinity-on-headless",
            service("{clusterIP: None, sessionAffinity: ClientIP, selector: {app: web}, ports: [{port: 80}]}"),
            service("{sessionAffinity: ClientIP, selector: {app: web}, ports: [{port: 80}]}"),
        ),
        rule(
            "practice-affinity-timeout",
            service("{sessionAffinity: ClientIP, selector: {app: web}, ports: [{port: 80}]}"),
            service(
                "{sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 600}}, selector: {app: web}, ports: [{port: 80}]}",
            ),
        ),
        rule(
            "practice-not-ready-published",
            service("{publishNotReadyAddresses: true, selector: {app: web}, ports: [{port: 80}]}"),
            service("{clusterIP: None, publishNotReadyAddresses: true, selector: {app: web}, ports: [{port: 80}]}"),
        ),
        rule(
            "practice-node-port-fixed",
            service("{type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}"),
            service("{type: NodePort, selector: {app: web}, ports: [{port: 80}]}"),
        ),
        rule(
            "practice-mixed-protocols",
            service(
                "{type: LoadBalancer, selector: {app: web}, ports: [{name: a, port: 53}, {name: b, port: 53, protocol: UDP}]}",
            ),
            service(BALANCER),
        ),
        rule("practice-load-balancer-ip", balancer("loadBalancerIP: 192.0.2.1"), service(BALANCER)),
        rule(
            "practice-external-ips",
            service("{externalIPs: [192.0.2.1], selector: {app: web}, ports: [{port: 80}]}"),
            service(PLAIN),
        ),
        rule(
            "practice-prefer-close",
            service("{trafficDistribution: PreferClose, selector: {app: web}, ports: [{port: 80}]}"),
            service("{trafficDistribution: PreferSameZone, selector: {app: web}, ports: [{port: 80}]}"),
        ),
        rule("practice-topology-annotation", annotated(topology, PLAIN), service(PLAIN)),
        rule(
            "practice-topology-annotation",
            annotated(topology, "{trafficDistribution: PreferSameZone, selector: {app: web}, ports: [{port: 80}]}"),
            service("{trafficDistribution: PreferSameZone, selector: {app: web}, ports: [{port: 80}]}"),
        ),
        rule(
            "practice-endpoints-by-hand",
            "apiVersion: v1\nkind: Endpoints\nmetadata: {name: web}\nsubsets: [{addresses: [{ip: 192.0.2.1}], ports: [{port: 80}]}]\n",
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\nports: [{port: 80}]\nendpoints: [{addresses: [192.0.2.1]}]\n",
        ),
        rule(
            "practice-field-ignored",
            service("{externalName: db.example.com, selector: {app: web}, ports: [{port: 80}]}"),
            service(PLAIN),
        ),
    ]
}
