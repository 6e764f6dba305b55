#![allow(clippy::unwrap_used)]

use http::HeaderValue;

use super::*;

fn request(method: &str, target: &str, headers: &[(&'static str, &str)]) -> Result<Operation, ApiError> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    parse(&method.parse().unwrap(), path, query, &map)
}

fn code(method: &str, target: &str, headers: &[(&'static str, &str)]) -> u16 {
    request(method, target, headers).err().map_or(200, |error| error.code)
}

/// `verb resource namespace[/name][:subresource]`.
fn words(method: &str, target: &str, headers: &[(&'static str, &str)]) -> String {
    match request(method, target, headers).unwrap() {
        Operation::Resource(request) => {
            let name = match &request.verb {
                Verb::Get { name, .. }
                | Verb::Log { name, .. }
                | Verb::Proxy { name, .. }
                | Verb::Update { name, .. }
                | Verb::Patch { name, .. }
                | Verb::Delete { name, .. }
                | Verb::Create { name: Some(name), .. } => format!("/{name}"),
                _ => String::new(),
            };
            let part = request.subresource.map(|part| format!(":{}", part.name)).unwrap_or_default();
            format!("{} {} {}{name}{part}", request.verb.as_str(), request.resource.plural, request.namespace)
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn paths_name_resources_objects_and_parts() {
    let json = ("content-type", "application/json");
    let merge = ("content-type", "application/merge-patch+json");
    for (method, target, headers, expected) in [
        ("GET", "/api/v1/pods", None, "list pods "),
        ("GET", "/api/v1/pods?watch=true", None, "watch pods "),
        ("GET", "/api/v1/pods?watch=1", None, "watch pods "),
        ("GET", "/api/v1/pods?watch=false", None, "list pods "),
        ("GET", "/api/v1/namespaces", None, "list namespaces "),
        ("GET", "/api/v1/namespaces/a", None, "get namespaces /a"),
        ("GET", "/api/v1/namespaces/a/pods", None, "list pods a"),
        ("GET", "/api/v1/namespaces/a/pods/b", None, "get pods a/b"),
        ("GET", "/api/v1/namespaces/a/pods/b/log", None, "get pods a/b:log"),
        ("GET", "/apis/apps/v1/namespaces/a/deployments/b/scale", None, "get deployments a/b:scale"),
        ("PUT", "/api/v1/namespaces/a/finalize", Some(json), "update namespaces /a:finalize"),
        ("GET", "/api/v1/namespaces/a/status", None, "get namespaces /a:status"),
        ("POST", "/api/v1/namespaces/a/pods", Some(json), "create pods a"),
        ("POST", "/api/v1/namespaces/a/pods/b/binding", Some(json), "create pods a/b:binding"),
        ("PATCH", "/api/v1/nodes/n/status", Some(merge), "patch nodes /n:status"),
        ("DELETE", "/api/v1/namespaces/a/pods/b", None, "delete pods a/b"),
        ("DELETE", "/api/v1/namespaces/a/pods?&limit=500", None, "deletecollection pods a"),
        ("GET", "/api/v1/namespaces/a/services/b%2Dc", None, "get services a/b-c"),
        ("GET", "/api/v1/nodes/n/proxy", None, "get nodes /n:proxy"),
        ("GET", "/api/v1/nodes/n:10250/proxy/evidence", None, "get nodes /n:10250:proxy"),
    ] {
        assert_eq!(words(method, target, headers.as_slice()), expected, "{method} {target}");
    }
}

#[test]
fn what_follows_a_proxy_is_passed_on() {
    let Operation::Resource(request) = request("GET", "/api/v1/nodes/n/proxy/a%20b/c?x=1%2F2&x=", &[]).unwrap() else {
        panic!("not a resource");
    };
    let query = vec![("x".to_owned(), "1/2".to_owned()), ("x".to_owned(), String::new())];
    assert_eq!(request.verb, Verb::Proxy { name: "n".into(), path: "a%20b/c".into(), query });
}

#[test]
fn what_is_wrong_with_a_request_has_its_own_code() {
    let protobuf = [("content-type", "application/vnd.kubernetes.protobuf")];
    let cbor = [("content-type", "application/cbor")];
    let apply = [("content-type", "application/apply-patch+yaml")];
    let html = [("accept", "text/html")];
    for (method, target, headers, expected) in [
        ("GET", "/openapi/v1", &[][..], 404),
        ("GET", "/nothing", &[], 404),
        ("GET", "/api/v1/wheels", &[], 404),
        ("GET", "/api/v1/pods/a", &[], 404),
        ("GET", "/api/v1/namespaces/a/nodes", &[], 404),
        ("GET", "/api/v1/namespaces/a/pods/b/exec", &[], 404),
        ("GET", "/api/v1/namespaces/a/pods/b/proxy/x", &[], 404),
        ("GET", "/api/v1/nodes/n/status/x", &[], 404),
        ("POST", "/api/v1/nodes/n/proxy/evidence", &[("content-type", "application/json")], 405),
        ("POST", "/api/v1/pods", &[], 405),
        ("POST", "/api/v1/namespaces/a/pods/b", &[], 405),
        ("DELETE", "/api/v1/namespaces", &[], 405),
        ("POST", "/version", &[], 405),
        ("PUT", "/api/v1/namespaces/a/pods/b/log", &[], 405),
        ("GET", "/api/v1/pods", &html, 406),
        ("POST", "/api/v1/namespaces", &protobuf, 200),
        ("POST", "/api/v1/namespaces", &cbor, 415),
        ("PATCH", "/api/v1/namespaces/a", &apply, 415),
        ("PATCH", "/api/v1/namespaces/a", &[], 415),
        ("PATCH", "/api/v1/namespaces/a", &protobuf, 415),
        ("DELETE", "/api/v1/nodes/a", &protobuf, 200),
        ("DELETE", "/api/v1/nodes/a", &cbor, 415),
        ("GET", "/api/v1/pods?fieldSelector=spec.wheels=4", &[], 400),
        ("GET", "/api/v1/pods?labelSelector=a%20b", &[], 400),
        ("GET", "/api/v1/pods?limit=many", &[], 400),
        ("GET", "/api/v1/pods?continue=nonsense", &[], 400),
        ("GET", "/api/v1/pods?resourceVersion=new", &[], 422),
        ("GET", "/api/v1/pods?resourceVersionMatch=Exact", &[], 422),
        ("GET", "/api/v1/pods?resourceVersionMatch=Exact&resourceVersion=0", &[], 422),
        ("GET", "/api/v1/pods?sendInitialEvents=true", &[], 422),
        ("GET", "/api/v1/pods?watch=1&resourceVersionMatch=NotOlderThan", &[], 422),
        ("GET", "/api/v1/pods?watch=1&sendInitialEvents=true", &[], 422),
        ("DELETE", "/api/v1/nodes/a?dryRun=Some", &[], 422),
        ("DELETE", "/api/v1/nodes/a?propagationPolicy=Sideways", &[], 422),
        ("POST", "/api/v1/namespaces?fieldValidation=Loose", &[], 422),
        ("GET", "/api/v1/pods?pretty=true&unknown=parameter", &[], 200),
    ] {
        assert_eq!(code(method, target, headers), expected, "{method} {target}");
    }
}

#[test]
fn list_options_say_how_fresh_and_how_much() {
    let list = |target: &str| match request("GET", target, &[]).unwrap() {
        Operation::Resource(request) => match request.verb {
            Verb::List(options) => options,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(list("/api/v1/pods").at, At::NotOlderThan(0));
    assert_eq!(list("/api/v1/pods?resourceVersion=7").at, At::NotOlderThan(7));
    assert_eq!(list("/api/v1/pods?resourceVersion=7&limit=5").at, At::Exact(7));
    assert_eq!(
        list("/api/v1/pods?resourceVersion=7&limit=5&resourceVersionMatch=NotOlderThan").at,
        At::NotOlderThan(7)
    );
    let token = Continue { revision: 9, after: crate::store::Key::new("a", "b") };
    let page = list(&format!("/api/v1/pods?limit=5&continue={}", token.encode()));
    assert_eq!((page.page, page.limit), (Some(token), 5));
    let table = "/api/v1/pods?includeObject=Object";
    assert_eq!(list(table).include, Include::Object);
}

proptest::proptest! {
    /// Whatever comes over the wire, the parser answers: it is the first thing that strangers reach.
    #[test]
    fn no_request_makes_the_parser_panic(
        method in "GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS",
        path in "(/(api|apis|v1|apps|namespaces|pods|services|status|log|%[0-9a-f]{2}|[a-z%.-]{0,6})){0,7}/?",
        query in "((watch|limit|continue|labelSelector|fieldSelector|resourceVersion|sendInitialEvents|dryRun)?=?[ -~]{0,12}&?){0,4}",
        accept in "[ -~]{0,40}",
    ) {
        let accept = ("accept", accept.as_str());
        let _ = request(&method, &format!("{path}?{query}"), &[accept]);
    }
}
