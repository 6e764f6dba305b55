//! `portolan lint`: files, folders, a stream on standard input; formats and exit codes.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::PORTOLAN;

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

/// A typo in the selector, one in an annotation, and a port that the Ingress invents.
const SHOP: &str = "\
# Source: shop/templates/web.yaml
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /, port: http}}
---
# Source: shop/templates/service.yaml
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations:
    service.beta.kubernetes.io/aws-load-balancer-shceme: internal
spec:
  type: LoadBalancer
  selector:
    app: wbe
  ports:
  - port: 80
    targetPort: http
---
# Source: shop/templates/ingress.yaml
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  defaultBackend: {service: {name: web, port: {number: 8080}}}
";

fn lint(arguments: &[&str], input: Option<&str>) -> Output {
    let mut command = Command::new(PORTOLAN);
    command.arg("lint").args(arguments).env("LANG", "C.UTF-8").env_remove("LC_ALL");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may not read it at all.
    drop(stdin.write_all(input.unwrap_or_default().as_bytes()));
    drop(stdin);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_examples_are_clean_and_say_so() {
    let output = lint(&[EXAMPLES], None);
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{out}");
    assert!(out.contains("0 errors, 0 warnings"), "{out}");
    assert!(out.is_ascii());
}

#[test]
fn a_rendered_chart_is_linted_from_standard_input() {
    let output = lint(&["-"], Some(SHOP));
    let out = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    let expected = [
        "-:22: warning [annotation-misspelt] service/web (shop/templates/service.yaml): ",
        "-:25: error [selector-matches-no-pod] service/web (shop/templates/service.yaml): selector app=wbe matches no pod",
        "-:36: error [backend-port-missing] ingress/web (shop/templates/ingress.yaml): ",
        "Did you mean service.beta.kubernetes.io/aws-load-balancer-scheme?",
        "3 objects in 1 file: 2 errors, 1 warning",
    ];
    for expected in expected {
        assert!(out.contains(expected), "{expected}\n{out}");
    }
    let chinese = text(&lint(&["-", "--lang", "zh"], Some(SHOP)).stdout);
    assert!(chinese.contains("selector app=wbe 没有匹配任何 Pod"), "{chinese}");
}

#[test]
fn json_sarif_and_markdown_say_the_same() {
    let json: Value = serde_json::from_slice(&lint(&["-", "-o", "json"], Some(SHOP)).stdout).unwrap();
    let sarif: Value = serde_json::from_slice(&lint(&["-", "-o", "sarif"], Some(SHOP)).stdout).unwrap();
    let codes = |list: &Value, field: &str| -> Vec<String> {
        list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
    };
    let expected = ["annotation-misspelt", "selector-matches-no-pod", "backend-port-missing"];
    assert_eq!(codes(&json["problems"], "code"), expected);
    assert_eq!(codes(&sarif["runs"][0]["results"], "ruleId"), expected);
    assert_eq!(json["problems"][1]["line"], 25);
    assert_eq!(json["problems"][1]["object"], "service/web");
    let markdown = text(&lint(&["-", "-o", "md"], Some(SHOP)).stdout);
    assert!(expected.iter().all(|code| markdown.contains(&format!("| `{code}` |"))), "{markdown}");
}

#[test]
fn codes_can_be_ignored_and_levels_chosen() {
    let all = "annotation-misspelt,selector-matches-no-pod,backend-port-missing";
    let output = lint(&["-", "--ignore", all], Some(SHOP));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("3 ignored"));
    let notes = text(&lint(&["-", "--level", "note"], Some(SHOP)).stdout);
    assert!(notes.contains("practice-source-ranges-missing"), "{notes}");
    let errors =
        lint(&["-", "--level", "error", "--ignore", "selector-matches-no-pod,backend-port-missing"], Some(SHOP));
    assert_eq!(errors.status.code(), Some(0), "{}", text(&errors.stdout));
}

#[test]
fn files_of_a_folder_are_one_world() {
    let folder = TempDir::new().unwrap();
    for (number, document) in SHOP.split("---\n").enumerate() {
        fs::write(folder.path().join(format!("{number}.yaml")), document).unwrap();
    }
    let path = folder.path().to_str().unwrap();
    let out = text(&lint(&[path], None).stdout);
    assert!(out.contains("1.yaml:10: error [selector-matches-no-pod]"), "{out}");
    let alone = lint(&[Path::new(path).join("1.yaml").to_str().unwrap()], None);
    assert!(text(&alone.stdout).contains("Not in these files"), "{}", text(&alone.stdout));
    let namespace = text(&lint(&[path, "-n", "shop"], None).stdout);
    assert!(namespace.contains("-n shop"), "{namespace}");
}

#[test]
fn what_cannot_be_looked_at_is_no_success() {
    let missing = lint(&["/no/such/file.yaml"], None);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("/no/such/file.yaml"));
    let nothing = lint(&["-"], Some(""));
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("no Kubernetes object"));
    assert_eq!(lint(&[], None).status.code(), Some(2), "a path is required");
    let broken = lint(&["-"], Some("a: [1"));
    assert_eq!(broken.status.code(), Some(1));
    assert!(text(&broken.stdout).contains("[yaml-invalid]"));
}

#[test]
fn the_rules_can_be_listed_and_help_teaches() {
    let rules = text(&lint(&["--rules"], None).stdout);
    assert!(rules.contains("selector-matches-no-pod (error)"), "{rules}");
    let json: Value = serde_json::from_slice(&lint(&["--rules", "-o", "json"], None).stdout).unwrap();
    assert!(json.as_array().unwrap().iter().any(|rule| rule["code"] == "annotation-value"));
    let mut explain = Command::new(PORTOLAN);
    let page = text(&explain.args(["explain", "annotation-misspelt", "--lang", "en"]).output().unwrap().stdout);
    assert!(page.contains("slip in its name"), "{page}");
    let help = text(&lint(&["--help"], None).stdout);
    assert!(help.contains("helm template") && help.contains("portolan.dev/lint-ignore"), "{help}");
}
