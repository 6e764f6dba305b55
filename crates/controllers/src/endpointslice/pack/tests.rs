use super::*;

fn endpoint(name: &str) -> Endpoint {
    Endpoint { addresses: vec![name.to_owned()], node_name: Some("node-1".into()), ..Endpoint::default() }
}

/// The same endpoint on another node.
fn moved(name: &str) -> Endpoint {
    Endpoint { node_name: Some("node-2".into()), ..endpoint(name) }
}

fn endpoints(names: &str) -> Vec<Endpoint> {
    names.split_whitespace().map(endpoint).collect()
}

fn slice(name: &str, names: &str) -> Arc<EndpointSlice> {
    let mut slice = EndpointSlice { endpoints: Some(endpoints(names)), ..EndpointSlice::default() };
    slice.metadata.name = Some(name.to_owned());
    Arc::new(slice)
}

fn addresses(endpoints: &[Endpoint]) -> String {
    endpoints.iter().flat_map(|endpoint| endpoint.addresses.clone()).collect::<Vec<_>>().join(" ")
}

/// What is packed, as lines: `+ a b` a new slice, `one: a b` an update, `- one` an emptied slice.
fn lines(packed: &Packed) -> Vec<String> {
    let name = |slice: &EndpointSlice| slice.metadata.name.clone().unwrap_or_default();
    let creates = packed.creates.iter().map(|endpoints| format!("+ {}", addresses(endpoints)));
    let updates = packed.updates.iter().map(|(slice, to)| format!("{}: {}", name(slice), addresses(to)));
    let emptied = packed.emptied.iter().map(|slice| format!("- {}", name(slice)));
    creates.chain(updates).chain(emptied).collect()
}

/// Story, slices that exist, endpoints that are wanted, lines that are expected.
type Row = (&'static str, &'static [(&'static str, &'static str)], &'static str, &'static [&'static str]);

#[test]
fn endpoints_are_placed_with_few_writes() {
    let rows: &[Row] = &[
        ("nothing changed", &[("one", "a b")], "b a", &[]),
        ("the first slices", &[], "a b c d e f", &["+ a b c d", "+ e f"]),
        ("one went away", &[("one", "a b"), ("two", "c d")], "a c d", &["one: a"]),
        ("all of a slice went away", &[("one", "a b"), ("two", "c")], "c", &["- one"]),
        (
            "a slice that is written anyway takes the new one",
            &[("one", "a b"), ("two", "c d")],
            "a c d e",
            &["one: a e"],
        ),
        (
            "the fullest of those first",
            &[("one", "a b c x"), ("two", "d x2")],
            "a b c d e f",
            &["one: a b c e", "two: d f"],
        ),
        (
            "else the untouched slice that it fills best",
            &[("one", "a"), ("two", "b c")],
            "a b c d e",
            &["two: b c d e"],
        ),
        (
            "what fits in no slice as a whole gets a new one",
            &[("one", "a b c"), ("two", "d e f")],
            "a b c d e f g h",
            &["+ g h"],
        ),
        ("full slices are made first", &[("one", "a b")], "a b c d e f g", &["+ c d e f", "one: a b g"]),
        ("a duplicate is dropped", &[("one", "a"), ("two", "a")], "a", &["- two"]),
        ("half-empty slices are not merged", &[("one", "a"), ("two", "b")], "a b", &[]),
        ("an empty slice is none", &[("one", "")], "a", &["+ a", "- one"]),
    ];
    for (story, existing, wanted, expected) in rows {
        let existing = existing.iter().map(|(name, names)| slice(name, names)).collect();
        let packed = pack(existing, endpoints(wanted), 4, |_| false);
        assert_eq!(lines(&packed), *expected, "{story}");
    }
}

#[test]
fn a_changed_endpoint_is_replaced_in_its_place() {
    let wanted = vec![endpoint("a"), moved("b"), endpoint("c")];
    let packed = pack(vec![slice("one", "a b c"), slice("two", "")], wanted, 4, |_| false);
    assert_eq!(lines(&packed), ["one: a b c", "- two"]);
    assert_eq!(packed.updates[0].1[1], moved("b"));
}

#[test]
fn a_drifted_slice_is_written_with_the_endpoints_it_has() {
    let packed = pack(vec![slice("one", "a"), slice("two", "b")], endpoints("a b"), 4, |slice| {
        slice.metadata.name.as_deref() == Some("two")
    });
    assert_eq!(lines(&packed), ["two: b"]);
    assert_eq!(packed.kept, 1);
}
