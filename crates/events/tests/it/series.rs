//! The events.k8s.io/v1 recorder.

use k8s_openapi::api::events::v1;
use kube::api::ObjectMeta;
use portolan_events::SeriesRecorder;

use super::*;

const CONTROLLER: &str = "ipallocator-repair-controller";

fn recorder(client: &Client, vocabulary: Vocabulary) -> SeriesRecorder {
    SeriesRecorder::new(client.clone(), CONTROLLER, format!("{CONTROLLER}-node-1"), vocabulary)
}

fn report(recorder: &SeriesRecorder, regarding: &ObjectReference, note: &str) {
    recorder.event(regarding, None, Reason::ClusterIPOutOfRange, "ClusterIPAllocation", note);
}

async fn stored(client: &Client, recorder: &SeriesRecorder) -> Vec<v1::Event> {
    tokio::time::timeout(Duration::from_secs(20), recorder.flush()).await.unwrap();
    let api: Api<v1::Event> = Api::namespaced(client.clone(), "default");
    api.list(&ListParams::default()).await.unwrap().items
}

fn lines(events: &[v1::Event]) -> Vec<String> {
    let count = |event: &v1::Event| event.series.as_ref().map_or(1, |series| series.count);
    events.iter().map(|event| format!("{} x{}", event.reason.clone().unwrap(), count(event))).collect()
}

#[tokio::test]
async fn a_series_is_stored_with_its_first_note_and_seen_through_both_apis() {
    let (_server, client) = server().await;
    let recorder = recorder(&client, Vocabulary::Full);
    report(&recorder, &service(), "first");
    let once = stored(&client, &recorder).await;
    assert_eq!(lines(&once), ["ClusterIPOutOfRange x1"]);
    assert_eq!(once[0].series, None);
    for n in 0..3 {
        report(&recorder, &service(), &format!("later {n}"));
    }
    let events = stored(&client, &recorder).await;
    assert_eq!(lines(&events), ["ClusterIPOutOfRange x2"], "the third and fourth are in memory only");
    let event = &events[0];
    assert_eq!(event.event_time, once[0].event_time);
    assert_eq!(event.note.as_deref(), Some("first"));
    assert_eq!(event.action.as_deref(), Some("ClusterIPAllocation"));
    assert_eq!(event.reporting_controller.as_deref(), Some(CONTROLLER));
    assert_eq!(event.reporting_instance.as_deref(), Some("ipallocator-repair-controller-node-1"));
    assert_eq!(event.regarding, Some(service()));
    let api: Api<Event> = Api::namespaced(client.clone(), "default");
    let core = api.list(&ListParams::default()).await.unwrap().items.remove(0);
    assert_eq!((core.message.as_deref(), core.count), (Some("first"), None));
    assert_eq!(core.reporting_component.as_deref(), Some(CONTROLLER));
    assert_eq!(core.source.unwrap_or_default().component, None);
    assert_eq!((core.first_timestamp, core.last_timestamp), (None, None));
    assert!(recorder.close(Duration::from_secs(20)).await);
    assert_eq!(lines(&stored(&client, &recorder).await), ["ClusterIPOutOfRange x4"], "the end tells the true count");
}

#[tokio::test]
async fn an_event_that_expired_is_created_with_its_series() {
    let (_server, client) = server().await;
    let recorder = recorder(&client, Vocabulary::Full);
    report(&recorder, &service(), "text");
    let before = stored(&client, &recorder).await;
    let api: Api<v1::Event> = Api::namespaced(client.clone(), "default");
    api.delete(before[0].metadata.name.as_ref().unwrap(), &DeleteParams::default()).await.unwrap();
    report(&recorder, &service(), "text");
    let after = stored(&client, &recorder).await;
    assert_eq!(lines(&after), ["ClusterIPOutOfRange x2"]);
    assert_eq!(after[0].event_time, before[0].event_time);
    assert_ne!(after[0].metadata.uid, before[0].metadata.uid);
}

#[tokio::test]
async fn objects_of_any_name_and_without_namespace_can_have_events() {
    let (_server, client) = server().await;
    let recorder = recorder(&client, Vocabulary::Full);
    let address = k8s_openapi::api::networking::v1::IPAddress {
        metadata: ObjectMeta { name: Some("2001:db8::1".into()), uid: Some("u".into()), ..ObjectMeta::default() },
        ..Default::default()
    };
    let reference = reference(&address);
    recorder.event(&reference, Some(&service()), Reason::IPAddressNotAllocated, "IPAddressAllocation", "text");
    let events = stored(&client, &recorder).await;
    assert_eq!(lines(&events), ["IPAddressNotAllocated x1"]);
    assert_eq!(events[0].metadata.name.as_ref().unwrap().len(), 36, "a UUID");
    assert_eq!(events[0].related, Some(service()));
}

#[tokio::test]
async fn the_upstream_vocabulary_leaves_out() {
    let (_server, client) = server().await;
    let recorder = recorder(&client, Vocabulary::Upstream);
    recorder.event(&service(), None, Reason::IPNotAllocated, "IPAllocation", "text");
    report(&recorder, &service(), "text");
    assert_eq!(lines(&stored(&client, &recorder).await), ["ClusterIPOutOfRange x1"]);
}

#[tokio::test]
async fn a_refused_event_does_not_stop_the_others() {
    let (_server, client) = server().await;
    let recorder = recorder(&client, Vocabulary::Full);
    let nowhere = ObjectReference { namespace: Some("no-such-namespace".into()), ..service() };
    report(&recorder, &nowhere, "text");
    report(&recorder, &service(), &"long ".repeat(500));
    let events = stored(&client, &recorder).await;
    assert_eq!(lines(&events), ["ClusterIPOutOfRange x1"]);
    assert_eq!(events[0].note.as_ref().unwrap().len(), 1024);
}
