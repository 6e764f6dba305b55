//! Reviews: what a client asks about itself.

use super::*;

/// The code and the answer.
async fn ask(client: &Client, method: &str, path: &str, body: Value) -> (u16, Value) {
    let request = http::Request::builder()
        .method(method)
        .uri(format!("/apis/{path}"))
        .header("content-type", "application/json")
        .body(body.to_string().into_bytes())
        .unwrap();
    match client.request::<Value>(request).await {
        Ok(answer) => (200, answer),
        Err(kube::Error::Api(status)) => (status.code, status.message.clone().into()),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_client_learns_who_it_is_and_what_it_may() {
    let server = Server::open(Config::default()).await.unwrap();
    let client = server.client("jo", &["sailors"]);
    let (_, answer) = ask(&client, "POST", "authentication.k8s.io/v1/selfsubjectreviews", json!({})).await;
    assert_eq!(answer["kind"], "SelfSubjectReview");
    let groups = json!(["sailors", "system:authenticated"]);
    assert_eq!(answer["status"]["userInfo"], json!({"username": "jo", "groups": groups}));

    let access = "authorization.k8s.io/v1/selfsubjectaccessreviews";
    let spec = json!({"resourceAttributes": {"verb": "delete", "resource": "nodes"}});
    let (_, answer) = ask(&client, "POST", access, json!({"spec": spec})).await;
    assert_eq!((&answer["spec"], &answer["status"]), (&spec, &json!({"allowed": true})));
    let (code, message) = ask(&client, "POST", access, json!({"spec": {}})).await;
    assert_eq!(code, 422, "{message}");

    let rules = "authorization.k8s.io/v1/selfsubjectrulesreviews";
    let (_, answer) = ask(&client, "POST", rules, json!({"spec": {"namespace": "default"}})).await;
    assert_eq!(answer["status"]["resourceRules"][0]["verbs"], json!(["*"]));
    assert_eq!(ask(&client, "POST", rules, json!({})).await.0, 400);
    for (method, path) in [("GET", access), ("DELETE", access), ("GET", rules)] {
        assert_eq!(ask(&client, method, path, json!({})).await.0, 405, "{method} {path}");
    }
    server.close().await;
}
