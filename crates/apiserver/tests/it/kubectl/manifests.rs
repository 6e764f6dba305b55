//! Manifests of kinds that the server does not have, and of `List`, which no server has: kubectl looks for them in both
//! versions of OpenAPI before it sends anything.

use super::*;

const MISTYPED: &str = "apiVersion: v1\nkind: Servis\nmetadata: {name: a}\n";
const LIST: &str = r#"
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {key: "1"}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {key: "1"}}
"#;

async fn says_what_is_wrong(test: &str, minor: &str) {
    let Some(kubectl) = Kubectl::start(test, minor).await else { return };
    let file = |name: &str, text: &str| std::fs::write(kubectl.home.path().join(name), text).unwrap();
    file("kind.yaml", MISTYPED);
    file("version.yaml", &MANIFEST.replace("apps/v1", "app/v1"));
    file("list.yaml", LIST);
    file("field.yaml", &MANIFEST.replace("ports:", "prots: [], ports:"));
    file("item.yaml", &LIST.replace(", data:", ", datta:"));
    for verb in ["create", "apply"] {
        let unknown = kubectl.fails(&format!("{verb} -f kind.yaml")).await;
        assert!(unknown.contains("no matches for kind \"Servis\" in version \"v1\""), "{unknown}");
        let unknown = kubectl.fails(&format!("{verb} -f version.yaml")).await;
        assert!(unknown.contains("no matches for kind \"Deployment\" in version \"app/v1\""), "{unknown}");
        for (manifest, field) in [("field.yaml", "spec.prots"), ("item.yaml", "datta")] {
            let strict = kubectl.fails(&format!("{verb} -f {manifest}")).await;
            assert!(strict.contains(&format!("strict decoding error: unknown field \"{field}\"")), "{strict}");
        }
        kubectl.says(&format!("{verb} -f list.yaml"), &["configmap/a created", "configmap/b created"]).await;
        kubectl.says("delete -f list.yaml", &["\"a\" deleted", "\"b\" deleted"]).await;
        kubectl.run("delete --ignore-not-found svc,deploy web").await;
    }
    kubectl.says("explain deployment.spec.template.spec.containers", &["<[]Container>", "readinessProbe"]).await;
    kubectl.says("get --raw /openapi/v2", &["\"swagger\":\"2.0\""]).await;
    kubectl.stop.cancel();
    drop(kubectl.server);
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_1_32_says_what_is_wrong_with_a_manifest() {
    says_what_is_wrong("kubectl_1_32_says_what_is_wrong_with_a_manifest", "1.32").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_1_36_says_what_is_wrong_with_a_manifest() {
    says_what_is_wrong("kubectl_1_36_says_what_is_wrong_with_a_manifest", "1.36").await;
}
