#![allow(clippy::unwrap_used)]

use std::{
    net::Ipv4Addr,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use hickory_proto::{
    op::OpCode,
    rr::{RData, Record, RecordType, rdata::A},
};
use portolan_runtime::Change;
use serde_json::json;

use super::*;
use crate::{Index, Input, PodRecords};

const LOOPBACK: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// A running server with a zone of two Services; stops when dropped.
struct Server {
    address: SocketAddr,
    stop: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn zone() -> Arc<Zone> {
    let zone = Arc::new(Zone::new("cluster.local", Vec::new(), PodRecords::Insecure).unwrap());
    let mut index = Index::new(zone.clone());
    let service = |name: &str, spec| {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec})).unwrap()
    };
    let services = vec![
        service("web", json!({"clusterIP": "10.96.1.1"})),
        service("big", json!({"clusterIP": "None"})),
        service("away", json!({"type": "ExternalName", "externalName": "www.example.com"})),
    ];
    let endpoints: Vec<_> = (0..200).map(|n| json!({"addresses": [format!("10.244.0.{n}")]})).collect();
    let slice = serde_json::from_value(json!({
        "metadata": {"name": "big-a", "namespace": "default", "labels": {"kubernetes.io/service-name": "big"}},
        "addressType": "IPv4", "endpoints": endpoints,
    }));
    let namespace = serde_json::from_value(json!({"metadata": {"name": "default"}}));
    index.apply(Input::Service(Change::Reset(services)));
    index.apply(Input::Slice(Change::Reset(vec![slice.unwrap()])));
    index.apply(Input::Namespace(Change::Reset(vec![namespace.unwrap()])));
    zone
}

fn start(upstreams: Upstreams) -> Server {
    start_on(LOOPBACK, upstreams)
}

fn start_on(address: (Ipv4Addr, u16), upstreams: Upstreams) -> Server {
    start_in(address, upstreams, watch::Sender::new(None).subscribe())
}

fn start_in(address: (Ipv4Addr, u16), upstreams: Upstreams, trouble: watch::Receiver<Option<Trouble>>) -> Server {
    // TCP first: its port is then asked for by number, and the kernel keeps the two kinds apart.
    let listener = std::net::TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    let socket = std::net::UdpSocket::bind(address).unwrap();
    let stop = CancellationToken::new();
    let resolver = Arc::new(Resolver::new(zone(), upstreams, Metrics::default(), trouble));
    tokio::spawn(serve_udp(udp(socket).unwrap(), resolver.clone(), stop.clone()));
    tokio::spawn(serve_tcp(tcp(listener).unwrap(), resolver, stop.clone()));
    Server { address, stop }
}

fn query(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

async fn over_udp(server: SocketAddr, message: &Message) -> Message {
    let socket = UdpSocket::bind(LOOPBACK).await.unwrap();
    socket.send_to(&message.to_vec().unwrap(), server).await.unwrap();
    let mut buffer = [0; 4096];
    let receive = timeout(Duration::from_secs(10), socket.recv_from(&mut buffer));
    let (length, _) = receive.await.expect("an answer").unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

async fn over_tcp(server: SocketAddr, messages: &[Message]) -> Vec<Message> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    for message in messages {
        write_message(&mut stream, &message.to_vec().unwrap()).await.unwrap();
    }
    let mut answers = Vec::new();
    for _ in messages {
        let read = timeout(Duration::from_secs(10), read_message(&mut stream));
        answers.push(Message::from_vec(&read.await.expect("an answer").unwrap()).unwrap());
    }
    answers
}

/// An upstream on a loopback port that answers every A question with 192.0.2.N, or with an error code.
async fn upstream(n: u8, code: ResponseCode) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind(LOOPBACK).await.unwrap();
    let address = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            count.fetch_add(1, Ordering::SeqCst);
            let message = Message::from_vec(&buffer[..length]).unwrap();
            let mut reply = Message::response(message.id, OpCode::Query);
            reply.metadata.response_code = code;
            reply.queries = message.queries.clone();
            if code == ResponseCode::NoError {
                let data = RData::A(A(Ipv4Addr::new(192, 0, 2, n)));
                reply.add_answer(Record::from_rdata(message.queries[0].name().clone(), 60, data));
            }
            // An answer to another question comes first, as an attacker would send it.
            let mut forged = reply.clone();
            forged.metadata.id = message.id.wrapping_add(1);
            socket.send_to(&forged.to_vec().unwrap(), client).await.unwrap();
            socket.send_to(&reply.to_vec().unwrap(), client).await.unwrap();
        }
    });
    (address, asked)
}

fn upstreams(addrs: Vec<SocketAddr>) -> Upstreams {
    Upstreams::new(addrs, Arc::new(|_| std::net::UdpSocket::bind(LOOPBACK)))
}

fn addresses(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

#[tokio::test]
async fn cluster_names_are_answered_over_udp_and_tcp() {
    let server = start(Upstreams::none());
    let question = query("web.default.svc.cluster.local.", RecordType::A);
    let reply = over_udp(server.address, &question).await;
    assert_eq!((reply.id, addresses(&reply)), (question.id, vec!["10.96.1.1".to_owned()]));
    assert!(reply.authoritative && !reply.recursion_available);

    let missing = query("gone.default.svc.cluster.local.", RecordType::A);
    let replies = over_tcp(server.address, &[question, missing]).await;
    assert_eq!(addresses(&replies[0]), ["10.96.1.1"]);
    assert_eq!(replies[1].response_code, ResponseCode::NXDomain);
}

#[tokio::test]
async fn what_does_not_fit_into_a_datagram_is_cut_there_and_whole_over_tcp() {
    let server = start(Upstreams::none());
    let question = query("big.default.svc.cluster.local.", RecordType::A);
    let cut = over_udp(server.address, &question).await;
    assert!(cut.truncation && !cut.answers.is_empty() && cut.answers.len() < 200);
    let whole = over_tcp(server.address, &[question]).await;
    assert!(!whole[0].truncation);
    assert_eq!(whole[0].answers.len(), 200);
}

#[tokio::test]
async fn other_names_fail_without_an_upstream() {
    let server = start(Upstreams::none());
    let reply = over_udp(server.address, &query("example.com.", RecordType::A)).await;
    assert_eq!(reply.response_code, ResponseCode::ServFail);
    let alias = over_udp(server.address, &query("away.default.svc.cluster.local.", RecordType::A)).await;
    assert_eq!(addresses(&alias), ["www.example.com."], "the alias itself is known");
}

#[tokio::test]
async fn other_names_are_asked_upstream_and_forged_answers_are_left_aside() {
    let (address, asked) = upstream(7, ResponseCode::NoError).await;
    let server = start(upstreams(vec![address]));
    let question = query("example.com.", RecordType::A);
    let reply = over_udp(server.address, &question).await;
    assert_eq!((reply.id, addresses(&reply)), (question.id, vec!["192.0.2.7".to_owned()]));
    let reply = over_tcp(server.address, &[question]).await;
    assert_eq!(addresses(&reply[0]), ["192.0.2.7"]);
    over_udp(server.address, &query("gone.default.svc.cluster.local.", RecordType::A)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2, "cluster names never leave");
}

#[tokio::test]
async fn the_next_upstream_is_asked_when_one_fails_or_is_silent() {
    let (failing, _) = upstream(1, ResponseCode::ServFail).await;
    let silent = UdpSocket::bind(LOOPBACK).await.unwrap();
    let (working, _) = upstream(2, ResponseCode::NoError).await;
    let mut all = upstreams(vec![failing, silent.local_addr().unwrap(), working]);
    all.timeout = Duration::from_millis(200);
    let server = start(all);
    let reply = over_udp(server.address, &query("example.com.", RecordType::A)).await;
    assert_eq!(addresses(&reply), ["192.0.2.2"]);
}

#[tokio::test]
async fn an_error_of_every_upstream_is_passed_on() {
    let (failing, _) = upstream(1, ResponseCode::Refused).await;
    let server = start(upstreams(vec![failing]));
    let reply = over_udp(server.address, &query("example.com.", RecordType::A)).await;
    assert_eq!(reply.response_code, ResponseCode::Refused);
}

#[tokio::test]
async fn an_answer_that_the_upstream_cut_is_fetched_whole_for_a_client_over_tcp() {
    let listener = TcpListener::bind(LOOPBACK).await.unwrap();
    let address = listener.local_addr().unwrap();
    let datagrams = UdpSocket::bind(address).await.unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = datagrams.recv_from(&mut buffer).await {
            let mut cut = Message::from_vec(&buffer[..length]).unwrap().into_response();
            cut.metadata.truncation = true;
            datagrams.send_to(&cut.to_vec().unwrap(), client).await.unwrap();
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let question = Message::from_vec(&read_message(&mut stream).await.unwrap()).unwrap();
            let name = question.queries[0].name().clone();
            let mut whole = question.into_response();
            whole.add_answer(Record::from_rdata(name, 60, RData::A(A(Ipv4Addr::new(192, 0, 2, 3)))));
            write_message(&mut stream, &whole.to_vec().unwrap()).await.unwrap();
        }
    });
    let question = query("example.com.", RecordType::A);
    let mut with_tcp = upstreams(vec![address]);
    with_tcp.connect = Some(Arc::new(std::net::TcpStream::connect::<SocketAddr>));
    for (all, expected) in [(with_tcp, vec!["192.0.2.3"]), (upstreams(vec![address]), vec![])] {
        let server = start(all);
        let cut = over_udp(server.address, &question).await;
        assert!(cut.truncation, "over UDP the client is told to come back");
        let reply = over_tcp(server.address, std::slice::from_ref(&question)).await;
        assert_eq!(
            (reply[0].id, addresses(&reply[0])),
            (question.id, expected.into_iter().map(str::to_owned).collect())
        );
    }
}

#[tokio::test]
async fn an_alias_to_the_outside_comes_with_its_addresses() {
    let (address, _) = upstream(9, ResponseCode::NoError).await;
    let server = start(upstreams(vec![address]));
    let reply = over_udp(server.address, &query("away.default.svc.cluster.local.", RecordType::A)).await;
    assert_eq!(addresses(&reply), ["www.example.com.", "192.0.2.9"]);
}

#[tokio::test]
async fn questions_over_the_limit_fail_at_once() {
    let (address, asked) = upstream(9, ResponseCode::NoError).await;
    let mut none = upstreams(vec![address]);
    none.in_flight = 0;
    let server = start(none);
    let reply = over_udp(server.address, &query("example.com.", RecordType::A)).await;
    assert_eq!(reply.response_code, ResponseCode::ServFail);
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// The resolver of the C library reads our packets, set up as in a pod: short names, five dots, answers cut over UDP.
#[tokio::test(flavor = "multi_thread")]
async fn the_c_library_resolves_as_in_a_pod() {
    let test = "server::tests::the_c_library_resolves_as_in_a_pod";
    if !tokio::task::block_in_place(|| portolan_netns::world::enter_for_test(test)) {
        return;
    }
    let file = std::env::temp_dir().join(format!("portolan-resolv-{}", std::process::id()));
    let search = "search default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5 timeout:5\n";
    std::fs::write(&file, format!("nameserver 127.0.0.1\n{search}")).unwrap();
    let mounted = Command::new("mount").arg("--bind").arg(&file).arg("/etc/resolv.conf").output();
    if !mounted.as_ref().is_ok_and(|output| output.status.success()) {
        return portolan_netns::world::skip(
            "the_c_library_resolves_as_in_a_pod",
            &format!("cannot mount a resolv.conf: {mounted:?}"),
        );
    }
    // With loopback addresses alone the C library thinks that there is no IPv4 (AI_ADDRCONFIG).
    let mut links = portolan_netns::Namespace::current().unwrap().links().unwrap();
    links.add_address("lo", "192.0.2.1/32".parse().unwrap()).unwrap();
    let _server = start_on((Ipv4Addr::LOCALHOST, 53), Upstreams::none());
    let answers = tokio::task::spawn_blocking(|| {
        ["web", "web.default", "web.default.svc.cluster.local", "big", "gone", "10.96.1.1"].map(getent)
    });
    let answers = answers.await.unwrap();
    std::fs::remove_file(file).unwrap();
    let [short, with_namespace, full, big, gone, reverse] = match answers.into_iter().collect::<io::Result<Vec<_>>>() {
        Ok(answers) => <[String; 6]>::try_from(answers).unwrap(),
        Err(error) => {
            return portolan_netns::world::skip("the_c_library_resolves_as_in_a_pod", &format!("getent: {error}"));
        }
    };
    for answer in [&short, &with_namespace, &full] {
        assert!(answer.starts_with("10.96.1.1 "), "{answer:?}");
    }
    let addresses: std::collections::BTreeSet<_> = big.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(addresses.len(), 200, "the whole answer came over TCP");
    assert_eq!(gone, "");
    assert!(reverse.ends_with("web.default.svc.cluster.local\n"), "{reverse:?}");
}

/// What `getent` prints for a name or, if that is an address, for its reverse name.
fn getent(name: &str) -> io::Result<String> {
    let database = if name.parse::<Ipv4Addr>().is_ok() { "hosts" } else { "ahostsv4" };
    let output = Command::new("getent").args([database, name]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test]
async fn a_server_in_trouble_answers_so_until_it_is_well_again() {
    let trouble = watch::Sender::new(None);
    let server = start_in(LOOPBACK, Upstreams::none(), trouble.subscribe());
    let question = query("web.default.svc.cluster.local.", RecordType::A);
    for (switched, code) in [
        (None, ResponseCode::NoError),
        (Some(Trouble::ServerFailure), ResponseCode::ServFail),
        (Some(Trouble::NoSuchName), ResponseCode::NXDomain),
        (None, ResponseCode::NoError),
    ] {
        trouble.send_replace(switched);
        assert_eq!(over_udp(server.address, &question).await.metadata.response_code, code, "{switched:?}");
    }
    trouble.send_replace(Some(Trouble::Silent));
    let socket = UdpSocket::bind(LOOPBACK).await.unwrap();
    socket.send_to(&question.to_vec().unwrap(), server.address).await.unwrap();
    let mut buffer = [0; 512];
    let silence = timeout(Duration::from_millis(200), socket.recv_from(&mut buffer));
    assert!(silence.await.is_err(), "no answer");
}
