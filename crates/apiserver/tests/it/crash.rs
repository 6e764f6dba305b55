//! `kill -9` in the middle of writes: everything that was acknowledged is there afterwards.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use k8s_openapi::api::core::v1::Service;
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::json;

use super::*;

const DIRECTORY: &str = "PORTOLAN_TEST_CRASH_DIRECTORY";

/// The process that is killed: not a test by itself. Writes Services as fast as it can and prints each acknowledged one.
#[test]
fn victim() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = Server::open(Config { data: Some(directory.into()), ..Config::default() }).await.unwrap();
        let api = Api::<Service>::default_namespaced(server.client("writer", &[]));
        let writers = (0..8).map(|writer| {
            let api = api.clone();
            async move {
                for count in 0..100_000 {
                    let web = service(&format!("w{writer}-{count}"), json!({"ports": [{"port": 80}]}));
                    let created = api.create(&PostParams::default(), &web).await.unwrap();
                    let address = created.spec.unwrap().cluster_ip.unwrap();
                    println!("acknowledged {} {address}", created.metadata.name.unwrap());
                }
            }
        });
        futures::future::join_all(writers).await;
    });
}

#[tokio::test]
async fn a_killed_server_has_lost_nothing_that_it_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let mut highest = 0;
    for round in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::victim", "--nocapture", "--test-threads=1"])
            .env(DIRECTORY, directory.path().join(format!("{round}")))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = Vec::new();
        let read = |line: std::io::Result<String>, acknowledged: &mut Vec<(String, String)>| {
            let line = line.unwrap();
            let mut words = line.split_whitespace().skip_while(|word| *word != "acknowledged").skip(1);
            // The last line may be cut off in the middle.
            if let (Some(name), Some(address)) = (words.next(), words.next()) {
                acknowledged.push((name.to_owned(), address.to_owned()));
            }
        };
        while acknowledged.len() < 200 {
            read(lines.next().unwrap(), &mut acknowledged);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        lines.for_each(|line| read(line, &mut acknowledged));
        acknowledged.pop();

        let data = Some(directory.path().join(format!("{round}")));
        let server = Server::open(Config { data, ..Config::default() }).await.unwrap();
        let api = Api::<Service>::default_namespaced(server.client("reader", &[]));
        let found = api.list(&ListParams::default()).await.unwrap();
        for (name, address) in &acknowledged {
            let service = found.iter().find(|service| service.metadata.name.as_ref() == Some(name));
            let service = service.unwrap_or_else(|| panic!("{name} is lost"));
            assert_eq!(service.spec.as_ref().unwrap().cluster_ip.as_ref(), Some(address));
        }
        let mut addresses: Vec<_> =
            found.iter().filter_map(|service| service.spec.as_ref()?.cluster_ip.clone()).collect();
        let all = addresses.len();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), all, "no address is given twice");
        highest = highest.max(all);
        server.close().await;
    }
    assert!(highest > 200);
}
