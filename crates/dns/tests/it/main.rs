//! The whole server against the real API, in one process: objects in, DNS answers out.
#![allow(clippy::unwrap_used)]

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use hickory_proto::{
    op::{Message, Query, ResponseCode},
    rr::{Name, RecordType},
};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use portolan_apiserver::Server;
use portolan_dns::Config;
use serde_json::json;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

/// Longest wait for a change to be answered.
const PATIENCE: Duration = Duration::from_secs(10);

struct Dns {
    client: Client,
    address: SocketAddr,
    stop: CancellationToken,
    _server: Server,
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn start() -> Dns {
    let server = Server::open(Default::default()).await.unwrap();
    let client = server.client("system:admin", &["system:masters"]);
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = socket.local_addr().unwrap();
    let config = Config { udp: vec![socket], ..Config::new("cluster.local") };
    let stop = CancellationToken::new();
    tokio::spawn(portolan_dns::run(client.clone(), config, stop.clone()));
    Dns { client, address, stop, _server: server }
}

impl Dns {
    /// Code and answers of one question.
    async fn ask(&self, name: &str, kind: RecordType) -> (ResponseCode, Vec<String>) {
        let mut message = Message::query();
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.send_to(&message.to_vec().unwrap(), self.address).await.unwrap();
        let mut buffer = [0; 4096];
        let (length, _) = tokio::time::timeout(PATIENCE, socket.recv_from(&mut buffer)).await.unwrap().unwrap();
        let reply = Message::from_vec(&buffer[..length]).unwrap();
        let mut answers: Vec<String> = reply.answers.iter().map(|record| record.data.to_string()).collect();
        answers.sort();
        (reply.response_code, answers)
    }

    /// Asks until the answer is this one: DNS has no way to announce a change.
    #[track_caller]
    fn becomes<'a>(
        &'a self,
        name: &'a str,
        kind: RecordType,
        code: ResponseCode,
        answers: &'a [&'a str],
    ) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let asking = async {
                while self.ask(name, kind).await != (code, answers.iter().map(|text| (*text).to_owned()).collect()) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            if tokio::time::timeout(PATIENCE, asking).await.is_err() {
                panic!("{caller}: {name} {kind} stays {:?}", self.ask(name, kind).await);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_answered_as_they_come_change_and_go() {
    use ResponseCode::{NXDomain, NoError};
    let dns = start().await;
    let services: Api<Service> = Api::namespaced(dns.client.clone(), "default");
    let name = "web.default.svc.cluster.local.";
    dns.becomes(name, RecordType::A, NXDomain, &[]).await;
    dns.becomes("kubernetes.default.svc.cluster.local.", RecordType::A, NoError, &["10.96.0.1"]).await;

    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "web"}, "spec": {"ports": [{"name": "http", "port": 80}], "selector": {"app": "web"}},
    }))
    .unwrap();
    let created = services.create(&PostParams::default(), &service).await.unwrap();
    let address = created.spec.unwrap().cluster_ip.unwrap();
    dns.becomes(name, RecordType::A, NoError, &[&address]).await;
    let srv = dns.ask("_http._tcp.web.default.svc.cluster.local.", RecordType::SRV).await;
    assert_eq!(srv, (NoError, vec!["0 100 80 web.default.svc.cluster.local.".to_owned()]));

    let rename = json!({"spec": {"ports": [{"name": "www", "port": 80}]}});
    services.patch("web", &PatchParams::default(), &Patch::Merge(rename)).await.unwrap();
    dns.becomes("_http._tcp.web.default.svc.cluster.local.", RecordType::SRV, NXDomain, &[]).await;

    services.delete("web", &DeleteParams::default()).await.unwrap();
    dns.becomes(name, RecordType::A, NXDomain, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headless_services_follow_their_slices() {
    use ResponseCode::{NXDomain, NoError};
    let dns = start().await;
    let services: Api<Service> = Api::namespaced(dns.client.clone(), "default");
    let slices: Api<EndpointSlice> = Api::namespaced(dns.client.clone(), "default");
    let service: Service = serde_json::from_value(json!({
        "metadata": {"name": "db"}, "spec": {"clusterIP": "None", "ports": [{"name": "sql", "port": 5432}]},
    }))
    .unwrap();
    services.create(&PostParams::default(), &service).await.unwrap();
    let slice: EndpointSlice = serde_json::from_value(json!({
        "metadata": {"name": "db-a", "labels": {"kubernetes.io/service-name": "db"}},
        "addressType": "IPv4", "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
        "endpoints": [
            {"addresses": ["10.244.1.5"], "hostname": "db-0", "conditions": {"ready": true}},
            {"addresses": ["10.244.1.6"], "conditions": {"ready": false}},
        ],
    }))
    .unwrap();
    slices.create(&PostParams::default(), &slice).await.unwrap();
    let name = "db.default.svc.cluster.local.";
    dns.becomes(name, RecordType::A, NoError, &["10.244.1.5"]).await;
    dns.becomes("db-0.db.default.svc.cluster.local.", RecordType::A, NoError, &["10.244.1.5"]).await;
    dns.becomes("5.1.244.10.in-addr.arpa.", RecordType::PTR, NoError, &["db-0.db.default.svc.cluster.local."]).await;

    slices.delete("db-a", &DeleteParams::default()).await.unwrap();
    dns.becomes(name, RecordType::A, NXDomain, &[]).await;
}
