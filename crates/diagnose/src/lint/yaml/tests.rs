use std::{fmt::Write, time::Duration};

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn one(text: &str) -> Document {
    let mut documents = parse(text);
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0).expect("a document")
}

#[test]
fn plain_scalars_mean_what_kubectl_reads() {
    let cases = [
        ("a: yes", json!(true)),
        ("a: \"yes\"", json!("yes")),
        ("a: off", json!(false)),
        ("a: 80", json!(80)),
        ("a: '80'", json!("80")),
        ("a: 0644", json!(420)),
        ("a: 0x1F", json!(31)),
        ("a: -3", json!(-3)),
        ("a: 1.5", json!(1.5)),
        ("a: 1.2.3", json!("1.2.3")),
        ("a: 10.0.0.0/8", json!("10.0.0.0/8")),
        ("a: 2001:db8::1", json!("2001:db8::1")),
        ("a: ~", json!(null)),
        ("a:", json!(null)),
        ("a: !!str 80", json!("80")),
        ("a: +-1", json!("+-1")),
        ("a: |\n  b\n  c\n", json!("b\nc\n")),
    ];
    for (text, expected) in cases {
        assert_eq!(one(text).value["a"], expected, "{text}");
    }
    assert_eq!(one("80: a\ntrue: b").value, json!({"80": "a", "true": "b"}));
}

#[test]
fn every_field_knows_its_line() {
    let text = "# head\nspec:\n  ports:\n  - name: a\n    port: 80\n  - {name: b,\n     port: 81}\nmetadata:\n  annotations:\n    example.com/a.b: c\n";
    let spot = one(text).spot;
    let cases = [
        ("spec", 2),
        ("spec.ports", 3),
        ("spec.ports[0]", 4),
        ("spec.ports[0].port", 5),
        ("spec.ports[1].port", 7),
        ("metadata.annotations[example.com/a.b]", 10),
        ("spec.selector.app", 2),
        ("spec.ports[7].port", 3),
        ("nothing", 2),
        ("", 2),
    ];
    for (path, line) in cases {
        assert_eq!(spot.line_of(path), line, "{path}");
    }
}

#[test]
fn a_broken_document_hides_no_other() {
    let documents = parse("a: 1\n---\nb: [1\n---\nc: 3\n---\n---\nd: 4\n");
    let good: Vec<_> = documents.iter().flatten().map(|document| document.value.to_string()).collect();
    assert_eq!(good, ["{\"a\":1}", "{\"c\":3}", "null", "{\"d\":4}"]);
    let broken: Vec<_> = documents.iter().filter_map(|document| document.as_ref().err()).collect();
    assert_eq!(broken.len(), 1);
    assert!((3..=4).contains(&broken[0].line), "{broken:?}");
}

#[test]
fn json_values_may_follow_each_other() {
    let documents = parse("{\n\"a\": 1}\n{\"b\": [\n2]}\n");
    let documents: Vec<_> = documents.into_iter().map(|document| document.expect("JSON")).collect();
    let values: Vec<_> = documents.iter().map(|document| document.value.to_string()).collect();
    assert_eq!(values, ["{\"a\":1}", "{\"b\":[2]}"]);
    assert_eq!(documents[1].spot.line_of("b[0]"), 4);
    assert!(parse("{\"a\": 1}\n{\"b\": ").iter().any(Result::is_err));
}

#[test]
fn a_template_is_broken_at_its_line() {
    for text in ["a:\n  b: {{ .Values.b }}\n", "{{- if .Values.a }}\nb: 1\n{{- end }}\n"] {
        let documents = parse(text);
        assert!(documents.iter().any(Result::is_err), "{text}: {documents:?}");
    }
}

#[test]
fn charts_say_where_a_document_is_from() {
    let documents = parse("---\n# Source: web/templates/service.yaml\nkind: Service\n---\nkind: Pod\n");
    let sources: Vec<_> = documents.iter().flatten().map(|document| document.source.as_deref()).collect();
    assert_eq!(sources, [Some("web/templates/service.yaml"), None]);
}

#[test]
fn merge_keys_fill_in_what_is_missing() {
    let document = one("base: &base {a: 1, b: 2}\nall:\n  <<: *base\n  b: 3\nquoted:\n  \"<<\": 1\n");
    assert_eq!(document.value["all"], json!({"a": 1, "b": 3}));
    assert_eq!(document.value["quoted"], json!({"<<": 1}));
    assert_eq!(document.spot.line_of("all.a"), 1);
}

#[test]
fn a_key_that_stands_twice_is_told_and_the_last_counts() {
    let document = one("a: 1\nb: 2\na: 3\n");
    assert_eq!(document.value["a"], 3);
    assert_eq!(document.duplicates, [("a".to_owned(), 3)]);
}

#[test]
fn aliases_cannot_blow_a_document_up() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let inside = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{inside}]").expect("a String takes all");
    }
    let started = std::time::Instant::now();
    let documents = parse(&bomb);
    assert!(matches!(&documents[..], [Err(broken)] if broken.why.contains("too large")), "{:?}", documents.len());
    assert!(started.elapsed() < Duration::from_secs(20));
    let deep = "[".repeat(100_000);
    assert!(parse(&deep).iter().all(Result::is_err));
    assert!(parse("a: &a\n  b: *a\n").iter().all(Result::is_err), "an alias inside its own anchor");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_mixture_of_yaml_makes_it_panic(parts in proptest::collection::vec(
        proptest::sample::select(vec![
            "a", ":", " ", "\n", "  ", "- ", "---\n", "...\n", "&x ", "*x", "<<: ", "[", "]", "{", "}", ",", "\"", "'", "|\n", ">-\n",
            "#", "!!int ", "!t ", "? ", "%YAML 1.2\n", "0", "\t", "\u{feff}", "{{ .a }}", "\r\n", "\u{85}", "~", "0x", "-",
        ]), 0..60)) {
        for document in parse(&parts.concat()).into_iter().flatten() {
            let _ = document.spot.line_of("a.b[0].c");
        }
    }

    #[test]
    fn no_path_makes_it_panic(path in "\\PC{0,40}") {
        let document = one("a: {b: [1, {c: 2}]}");
        prop_assert_eq!(document.spot.line_of(&path), 1);
    }
}
