#![allow(clippy::unwrap_used)]

use std::{net::IpAddr, sync::Arc, time::Duration};

use http::StatusCode;
use parking_lot::Mutex;
use portolan_objects::{ObjectKey, Protocol};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UnixListener, UnixStream},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{endpoint::*, wire::*, *};
use crate::{
    BalancerId, Class, CloudError, Held, LoadBalancer, LoadBalancers, Node, Port, Status, Step,
    scripted::{Call, Effect, Fault, Refusal, Script, Scripted},
};

fn wanted(name: &str) -> LoadBalancer {
    LoadBalancer {
        id: BalancerId { service: ObjectKey::new("shop", name), uid: format!("uid-{name}") },
        ports: vec![Port { name: "dns".into(), protocol: Protocol::Udp, port: 53, node_port: Some(30053) }],
        requested: None,
        published: Vec::new(),
        source_ranges: vec!["10.0.0.0/8".parse().unwrap()],
        health_check_port: Some(31000),
        nodes: vec![Node { name: "node-1".into(), address: Some([172, 30, 0, 11].into()), provider_id: None }],
    }
}

struct World {
    scripted: Scripted,
    directory: tempfile::TempDir,
    _stop: DropGuard,
}

impl World {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let scripted = Scripted::new("203.0.113.0/29".parse().unwrap(), Script::default());
        let _stop = serve_at(&directory.path().join("provider"), &scripted);
        Self { scripted, directory, _stop }
    }

    fn remote(&self) -> Remote {
        Remote::new(self.directory.path().join("provider").to_str().unwrap()).unwrap()
    }
}

fn serve_at(path: &std::path::Path, scripted: &Scripted) -> DropGuard {
    let _ = std::fs::remove_file(path);
    let listener = UnixListener::bind(path).unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(serve(listener, Arc::new(scripted.clone()), stop.clone()));
    stop.drop_guard()
}

async fn ensure(provider: &impl LoadBalancers, name: &str) -> (Vec<Step>, Result<Status, CloudError>) {
    let steps = Mutex::new(Vec::new());
    let result = provider.ensure(&wanted(name), &|step| steps.lock().push(step)).await;
    (steps.into_inner(), result)
}

#[test]
fn endpoints_stay_on_the_machine() {
    let rows = [
        ("/run/lb.sock", Ok("unix:/run/lb.sock")),
        ("unix:/run/lb.sock", Ok("unix:/run/lb.sock")),
        ("unix:///run/lb.sock", Ok("unix:/run/lb.sock")),
        ("http://127.0.0.1:8080/", Ok("http://127.0.0.1:8080")),
        ("http://[::1]:8080", Ok("http://[::1]:8080")),
        ("http://192.0.2.1:8080", Err("not a loopback address")),
        ("https://127.0.0.1:8080", Err("neither")),
        ("lb.sock", Err("neither")),
    ];
    for (text, expected) in rows {
        match (text.parse::<Endpoint>(), expected) {
            (Ok(endpoint), Ok(expected)) => assert_eq!(endpoint.to_string(), expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (got, _) => panic!("{text}: {got:?}"),
        }
    }
}

#[test]
fn messages_look_as_documented() {
    let question = Question { balancer: Some(wanted("web")), ..Question::default() };
    let text = json!({"balancer": {
        "id": {"namespace": "shop", "name": "web", "uid": "uid-web"},
        "ports": [{"name": "dns", "protocol": "UDP", "port": 53, "nodePort": 30053}],
        "sourceRanges": ["10.0.0.0/8"], "healthCheckPort": 31000,
        "nodes": [{"name": "node-1", "address": "172.30.0.11"}],
    }});
    assert_eq!(serde_json::to_value(&question).unwrap(), text);
    assert_eq!(serde_json::from_value::<Question>(text).unwrap(), question);
    let status = Status { addresses: vec![[203, 0, 113, 1].into()], hostnames: Vec::new() };
    let answer = Answer {
        steps: vec![
            Step::AddressAllocated([203, 0, 113, 1].into()),
            Step::AddressRefused("full".into()),
            Step::Creating,
            Step::Created(status),
        ],
        error: Some(CloudError::new(Class::Throttled, "Throttling", "slow down").after(Duration::from_millis(1500))),
        ..Answer::default()
    };
    let text = json!({
        "steps": [
            {"addressAllocated": "203.0.113.1"}, {"addressRefused": "full"}, "creating",
            {"created": {"addresses": ["203.0.113.1"]}},
        ],
        "error": {"code": "Throttling", "message": "slow down", "class": "Throttled", "retryAfterMilliseconds": 1500},
    });
    assert_eq!(serde_json::to_value(&answer).unwrap(), text);
    assert_eq!(serde_json::from_value::<Answer>(text).unwrap(), answer);
    let unknown = json!({"error": {"code": "X", "message": "y", "class": "FromTheFuture"}});
    assert_eq!(serde_json::from_value::<Answer>(unknown).unwrap().error.unwrap().class, Class::Other);
}

/// Every example of the page for those who write providers.
#[test]
fn the_examples_of_the_documentation_are_understood() {
    let page = include_str!("../../../../docs/load-balancer-providers.md");
    let mut kinds = Vec::new();
    for example in page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let value: serde_json::Value = serde_json::from_str(example).unwrap();
        let is = |key: &str| value.get(key).is_some();
        if is("balancer") {
            let question: Question = serde_json::from_value(value).unwrap();
            assert_eq!(question.balancer.unwrap().id.service, ObjectKey::new("shop", "web"));
            kinds.push("question");
        } else if is("faults") {
            assert_eq!(serde_json::from_value::<Script>(value).unwrap().faults.len(), 7);
            kinds.push("script");
        } else {
            let answer: Answer = serde_json::from_value(value).unwrap();
            kinds.push(if answer.error.is_some() { "refusal" } else { "answer" });
            assert!(answer.error.is_some() || answer.status.is_some() && answer.steps.len() == 3);
        }
    }
    assert_eq!(kinds, ["question", "answer", "refusal", "script"]);
    for route in Route::ALL {
        assert!(page.contains(route.path()), "{} is not described", route.path());
    }
}

#[test]
fn the_http_status_alone_tells_the_class() {
    let classes = [
        Class::Throttled,
        Class::Auth,
        Class::Quota,
        Class::Conflict,
        Class::Timeout,
        Class::Unreachable,
        Class::Invalid,
        Class::Elsewhere,
        Class::AdoptFirst,
        Class::Other,
    ];
    for class in classes {
        assert_eq!(class_of(http_status(class)), class);
    }
    assert_eq!(class_of(StatusCode::UNAUTHORIZED), Class::Auth);
}

#[tokio::test]
async fn every_call_passes_through_with_its_steps_and_errors() {
    let world = World::start();
    let remote = world.remote();
    assert_eq!(remote.list().await.unwrap_err().class, Class::AdoptFirst);
    remote.adopt(&[]).await.unwrap();
    let (steps, status) = ensure(&remote, "web").await;
    let status = status.unwrap();
    let address = IpAddr::from([203, 0, 113, 1]);
    assert_eq!(steps, [Step::AddressAllocated(address), Step::Creating, Step::Created(status.clone())]);
    let id = wanted("web").id;
    assert_eq!(remote.get(&id).await, Ok(Some(status.clone())));
    assert_eq!(remote.list().await, Ok(Some(vec![Held { id: id.clone(), status }])));
    let mut other = wanted("web");
    other.nodes.clear();
    remote.update_nodes(&other).await.unwrap();
    assert!(world.scripted.records()[0].wanted.nodes.is_empty());

    let refusal = Refusal { retry_after: Some(Duration::from_millis(700)), ..Refusal::new("RequestLimitExceeded") };
    let effects = [Effect::Refuse(refusal), Effect::Halfway(Refusal::new("InternalError"))];
    let faults = effects.map(|effect| Fault::next(Call::Ensure, 1, effect)).to_vec();
    world.scripted.set(Script { faults, ..Script::default() });
    let throttled = ensure(&remote, "web").await.1.unwrap_err();
    assert_eq!((throttled.code.as_str(), throttled.class), ("RequestLimitExceeded", Class::Throttled));
    assert_eq!(throttled.retry_after, Some(Duration::from_millis(700)));
    let (steps, halfway) = ensure(&remote, "two").await;
    assert!(halfway.is_err());
    assert_eq!(steps.len(), 2, "what was done is told although it failed: {steps:?}");

    remote.delete(&id).await.unwrap();
    assert_eq!(remote.get(&id).await, Ok(None));
}

#[tokio::test]
async fn a_provider_that_starts_anew_wants_to_hear_what_exists() {
    let world = World::start();
    let remote = world.remote();
    remote.adopt(&[]).await.unwrap();
    ensure(&remote, "web").await.1.unwrap();
    let path = world.directory.path().join("provider");
    let _stop = serve_at(&path, &Scripted::new("203.0.113.0/29".parse().unwrap(), Script::default()));
    let calls = [remote.get(&wanted("web").id).await.map(drop), ensure(&remote, "web").await.1.map(drop)];
    assert!(calls.iter().all(|call| call.as_ref().is_err_and(|error| error.class == Class::AdoptFirst)), "{calls:?}");
    remote.adopt(&[]).await.unwrap();
    ensure(&remote, "web").await.1.unwrap();
}

#[tokio::test]
async fn nobody_there_no_answer_and_nonsense_are_told_apart() {
    let nowhere = Remote::new("/nonexistent/provider").unwrap();
    assert_eq!(nowhere.list().await.unwrap_err().class, Class::Unreachable);

    let world = World::start();
    let remote = world.remote().with_limit(Duration::from_millis(50));
    remote.adopt(&[]).await.unwrap();
    world.scripted.set(Script { faults: vec![Fault::always(Effect::Hang)], ..Script::default() });
    assert_eq!(remote.list().await.unwrap_err().class, Class::Timeout);

    let rows = [
        (
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nslow",
            Class::Throttled,
            Some(7),
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwhat", Class::Other, None),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", Class::Unreachable, None),
        ("", Class::Unreachable, None),
    ];
    for (text, class, seconds) in rows {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let remote = Remote::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(text.as_bytes()).await.unwrap();
        };
        let (answer, ()) = tokio::join!(remote.list(), server);
        let error = answer.unwrap_err();
        assert_eq!((error.class, error.retry_after.map(|delay| delay.as_secs())), (class, seconds), "{error}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = Remote::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.unwrap();
    };
    let ((_, answer), ()) = tokio::join!(ensure(&remote, "web"), server);
    assert_eq!(answer.unwrap_err().class, Class::NoStatus);
}

/// A caller that is killed must not leave half a balancer, nor may its successor's call run beside its own.
#[tokio::test(start_paused = true)]
async fn what_was_begun_is_finished_and_the_next_caller_waits() {
    let world = World::start();
    let remote = world.remote();
    remote.adopt(&[]).await.unwrap();
    let slow = Fault::next(Call::Ensure, 1, Effect::Delay(Duration::from_secs(5)));
    world.scripted.set(Script { faults: vec![slow], ..Script::default() });
    assert!(tokio::time::timeout(Duration::from_secs(1), ensure(&remote, "web")).await.is_err());
    assert!(world.scripted.records().is_empty());
    assert!(remote.get(&wanted("web").id).await.unwrap().is_some(), "the answer comes after the ensure");
}

#[tokio::test]
async fn the_server_refuses_what_it_does_not_know() {
    let world = World::start();
    let ask = async |request: String| {
        let mut stream = UnixStream::connect(world.directory.path().join("provider")).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let post = |path: &str, body: &str| {
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    assert!(ask("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".into()).await.contains("200 OK"));
    assert!(ask(post("/v2/ensure", "{}")).await.contains("UnknownCall"));
    assert!(ask(post("/v1/adopt", "{\"held\": 1}")).await.contains("MalformedCall"));
    assert!(ask(post("/v1/ensure", "{}")).await.contains("428"));
}
