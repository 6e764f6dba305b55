use proptest::prelude::*;

use super::*;

/// The entry, the cause's code and the provider's code of the first finding.
fn first(text: &str) -> Option<(&'static str, Option<&'static str>, Option<&'static str>)> {
    let one = recognise(text).into_iter().next()?;
    Some((one.entry.name, one.pattern.and_then(|pattern| pattern.code), one.vendor.map(|vendor| vendor.code)))
}

#[test]
fn rows_of_kubectl_and_bare_messages_are_traced() {
    let throttled = Some(("SyncLoadBalancerFailed", Some("load-balancer-throttled"), Some("RequestLimitExceeded")));
    let message = "Error syncing load balancer: failed to ensure load balancer: RequestLimitExceeded: slow down";
    for text in [
        message.to_owned(),
        format!("  Warning  SyncLoadBalancerFailed  30s (x7 over 10m)  service-controller  {message}"),
        format!("30s   Warning   SyncLoadBalancerFailed   service/web   {message}"),
        format!("default     30s   Warning   SyncLoadBalancerFailed   service/web   {message}"),
        format!(
            "I1124 12:00:00.1 event.go:389] \"Event occurred\" object=\"default/web\" kind=\"Service\" type=\"Warning\" reason=\"SyncLoadBalancerFailed\" message=\"{message}\""
        ),
        "SyncLoadBalancerFailed: RequestLimitExceeded".to_owned(),
        "RequestLimitExceeded: Request limit exceeded.".to_owned(),
    ] {
        assert_eq!(first(&text), throttled, "{text}");
    }
}

#[test]
fn everyday_words_are_reasons_only_in_their_place() {
    assert_eq!(first("Failed"), Some(("Failed", None, None)));
    assert_eq!(first("Warning  Failed  2s  kubelet  Error: ErrImagePull").map(|one| one.0), Some("Failed"));
    assert_eq!(first("reason: Killing").map(|one| one.0), Some("Killing"));
    for text in [
        "It Failed for me",
        "dial tcp 10.0.0.1:80: connect: connection refused",
        "the type is Type",
        "UID 7",
        "Starting up",
        "hello",
        "",
        "   ",
        "42",
    ] {
        assert_eq!(first(text), None, "{text}");
    }
}

#[test]
fn the_variable_parts_are_caught() {
    let caught = |text: &str| {
        let first = recognise(text).into_iter().next().map(|one| one.captured).unwrap_or_default();
        first.into_iter().map(|part| (part.name, part.value)).collect::<Vec<_>>()
    };
    assert_eq!(
        caught(
            "Warning FailedMount 5s kubelet MountVolume.SetUp failed for volume \"c\" : configmap \"settings\" not found"
        ),
        vec![("name", "settings".to_owned())]
    );
    assert_eq!(
        caught(
            "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 7 addresses were skipped"
        ),
        vec![("limit", "1000".to_owned()), ("count", "7".to_owned())]
    );
    assert_eq!(
        caught("Normal LeaderElection 5s kube-scheduler me_1 became leader"),
        vec![("identity", "me_1".to_owned())]
    );
}

#[test]
fn a_page_of_describe_gives_each_finding_once() {
    let page = "\
Name:                     web
Namespace:                default
Events:
  Type     Reason                  Age                From                Message
  ----     ------                  ----               ----                -------
  Normal   EnsuringLoadBalancer    10s (x3 over 1m)   service-controller  Ensuring load balancer
  Warning  SyncLoadBalancerFailed  10s                service-controller  Error syncing load balancer: failed to ensure load balancer: AuthFailure: no
  Warning  SyncLoadBalancerFailed  40s                service-controller  Error syncing load balancer: failed to ensure load balancer: AuthFailure: still no
";
    let names: Vec<_> = recognise(page).iter().map(|one| one.entry.name).collect();
    assert_eq!(names, ["EnsuringLoadBalancer", "SyncLoadBalancerFailed"]);
}

#[test]
fn conditions_and_answers_of_the_api_are_known_too() {
    for (text, name) in [
        ("There are no enabled CiliumLoadBalancerIPPools that match this service", "no_pool"),
        ("\"reason\": \"out_of_ips\",", "out_of_ips"),
        ("web-1  0/1  CrashLoopBackOff  7 (2m ago)  20m", "BackOff"),
        ("web-1  0/1  ImagePullBackOff  0  20m", "Failed"),
        ("Internal error occurred: failed to allocate a serviceIP: range is full", "IPNotAllocated"),
        ("spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated", "PortAlreadyAllocated"),
        ("Failed to allocate IP for \"default/web\": no available IPs", "AllocationFailed"),
    ] {
        assert_eq!(first(text).map(|one| one.0), Some(name), "{text}");
    }
}

#[test]
fn long_lines_are_cut_between_characters() {
    let text = format!("{}x", "端".repeat(3000));
    assert_eq!(cut(&text).len() % 3, 0);
    assert!(recognise(&text).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn nothing_that_is_pasted_panics(text in "(\\PC|\n){0,200}") {
        recognise(&text);
    }

    #[test]
    fn mutilated_messages_do_not_panic(which in 0..1000_usize, cut_at in 0..200_usize, noise in "\\PC{0,8}") {
        let samples: Vec<&str> = entries().iter().flat_map(|entry| entry.patterns).flat_map(|one| one.samples).copied().collect();
        let sample: Vec<char> = samples[which % samples.len()].chars().collect();
        let cut_at = cut_at.min(sample.len());
        let (before, after) = sample.split_at(cut_at);
        let text = format!("{}{noise}{}", before.iter().collect::<String>(), after.iter().collect::<String>());
        recognise(&text);
        recognise(&format!("Warning {text}"));
    }
}
