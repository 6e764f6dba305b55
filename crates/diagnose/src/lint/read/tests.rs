use super::*;
use crate::lint::{Options, lint};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    folder
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n";

fn names(folder: &tempfile::TempDir) -> Vec<String> {
    let sources = read(&[folder.path().to_owned()], || Ok(Vec::new())).expect("it can be read");
    let root = folder.path().display().to_string();
    sources.iter().map(|source| source.name.trim_start_matches(&root).trim_start_matches('/').to_owned()).collect()
}

#[test]
fn folders_are_read_whole_and_in_order() {
    let folder = folder(&[
        ("b.yaml", SERVICE),
        ("a/c.yml", SERVICE),
        ("a/d.json", "{}"),
        ("notes.md", "no"),
        (".git/x.yaml", SERVICE),
        (".hidden.yaml", SERVICE),
    ]);
    assert_eq!(names(&folder), ["a/c.yml", "a/d.json", "b.yaml"]);
}

#[test]
fn a_chart_is_one_finding_however_many_templates_it_has() {
    let folder = folder(&[
        ("chart/Chart.yaml", "name: web"),
        ("chart/values.yaml", "a: 1"),
        ("chart/templates/service.yaml", "{{ nothing }}"),
        ("other.yaml", SERVICE),
    ]);
    assert_eq!(names(&folder), ["chart/Chart.yaml", "other.yaml"]);
    let sources = read(&[folder.path().to_owned()], || Ok(Vec::new())).expect("it can be read");
    let report = lint(&sources, &Options::default());
    assert_eq!(report.problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), ["template-not-rendered"]);
    assert!(report.problems[0].remedy.as_ref().is_some_and(|remedy| remedy.en.contains("helm template")));
}

#[test]
fn patches_of_a_kustomization_are_no_manifests() {
    let folder = folder(&[
        ("kustomization.yaml", "kind: Kustomization\nresources: [a.yaml]\npatches:\n- path: patch.yaml\n"),
        ("a.yaml", SERVICE),
        (
            "patch.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {type: LoadBalancer, loadBalancerIP: 192.0.2.1}\n",
        ),
    ]);
    let sources = read(&[folder.path().to_owned()], || Ok(Vec::new())).expect("it can be read");
    let report = lint(&sources, &Options::default());
    assert_eq!(report.problems, [], "{:#?}", report.problems);
    assert!(report.other_files.iter().any(|file| file.ends_with("patch.yaml")), "{:?}", report.other_files);
}

#[test]
fn what_cannot_be_read_is_an_error_and_what_is_not_text_is_not() {
    let error = read(&["/no/such/file.yaml".into()], || Ok(Vec::new())).expect_err("it is not there");
    assert!(error.to_string().contains("/no/such/file.yaml"));
    let input = || Ok(b"kind: \xff\xfe\nmore: [".to_vec());
    let sources = read(&["-".into()], input).expect("bytes are bytes");
    assert_eq!(sources[0].name, "-");
    lint(&sources, &Options::default());
}
