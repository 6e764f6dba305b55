#![allow(clippy::unwrap_used)]

use prometheus_client::encoding::text::encode;
use serde_json::json;

use super::*;
use crate::endpointslice::tests::{Fixture, pod, service};

#[test]
fn names_are_those_of_upstream() {
    let mut page = Registry::default();
    let metrics = Metrics::register(&mut page);
    let mut fixture = Fixture::with_max(2);
    fixture.index = crate::endpointslice::index::Index::new(
        crate::endpointslice::pace::Pace::new(std::time::Duration::ZERO).0,
        crate::batch::Batch::new(std::time::Duration::ZERO).0,
        metrics.clone(),
        2,
    );
    let text = || {
        let mut text = String::new();
        encode(&mut text, &page).unwrap();
        text
    };
    fixture.nodes(&[crate::endpointslice::tests::node("node-1", "a", "1")]);
    let near = ("/spec/trafficDistribution", json!("PreferClose"));
    fixture.service(&service(&[("/spec/ipFamilies", json!(["IPv4", "IPv6"])), near]));
    fixture.pods(&[pod(1, &[]), pod(2, &[]), pod(3, &[])]);
    fixture.sync();
    assert_eq!(fixture.plan(), None);
    metrics.wrote(Operation::Create);
    metrics.finished(Mode::Auto, 3);
    metrics.synced(true);
    metrics.synced(false);
    for line in [
        "endpoint_slice_controller_endpoints_added_per_sync_sum 6.0",
        "endpoint_slice_controller_endpoints_added_per_sync_bucket{le=\"32768.0\"} 4",
        "endpoint_slice_controller_endpoints_removed_per_sync_count 4",
        "endpoint_slice_controller_endpoints_desired 6",
        "endpoint_slice_controller_num_endpoint_slices 4",
        "endpoint_slice_controller_desired_endpoint_slices 4",
        "endpoint_slice_controller_changes{operation=\"create\"} 1",
        "endpoint_slice_controller_endpointslices_changed_per_sync_sum{topology=\"Auto\",traffic_distribution=\"\"} 3.0",
        "endpoint_slice_controller_endpointslices_changed_per_sync_count{topology=\"Disabled\",traffic_distribution=\"PreferClose\"} 2",
        "endpoint_slice_controller_syncs{result=\"success\"} 1",
        "endpoint_slice_controller_syncs{result=\"error\"} 1",
        "endpoint_slice_controller_services_count_by_traffic_distribution{traffic_distribution=\"PreferClose\"} 1",
    ] {
        assert!(text().lines().any(|found| found == line), "{line} is not in\n{}", text());
    }

    fixture.service(&service(&[]));
    fixture.pods(&[pod(3, &[])]);
    fixture.sync();
    fixture.pods(&[]);
    fixture.sync();
    for line in [
        "endpoint_slice_controller_endpoints_removed_per_sync_sum 2.0",
        "endpoint_slice_controller_endpoints_desired 0",
        "endpoint_slice_controller_num_endpoint_slices 1",
        "endpoint_slice_controller_services_count_by_traffic_distribution{traffic_distribution=\"PreferClose\"} 0",
    ] {
        assert!(text().lines().any(|found| found == line), "{line} is not in\n{}", text());
    }
    fixture.no_service();
    fixture.plan();
    assert!(text().contains("endpoint_slice_controller_num_endpoint_slices 0"));
    assert!(text().contains("endpoint_slice_controller_desired_endpoint_slices 0"));
}
