//! Findings that somebody has decided to live with: by annotation on the object, or on the command line.

use super::{
    Found, Problem, Sink,
    objects::{IGNORE, Object, codes},
    rules,
};
use crate::words::words;

/// Codes that would ignore nothing, ever: a typo there hides that the finding is still wanted.
pub(super) fn unknown_codes(objects: &[Object], flags: &[String], sink: &mut Sink) {
    for object in objects {
        let field = format!("metadata.annotations[{IGNORE}]");
        for code in object.ignores.iter().filter(|code| !rules::exists(code)) {
            let (message, remedy) = unknown(code);
            sink.about("lint-ignore-unknown", object, &field, message, Some(remedy));
        }
    }
    for code in flags.iter().filter(|code| !rules::exists(code)) {
        let (message, remedy) = unknown(code);
        sink.at("lint-ignore-unknown", "--ignore", 1, message, Some(remedy));
    }
}

fn unknown(code: &str) -> (crate::Words, crate::Words) {
    let near = crate::nearest::nearest_word(code, rules::codes());
    let remedy = match near {
        Some(near) => words!("Did you mean {near}?", "是否想写 {near}？"),
        None => words!("portolan lint --rules lists all codes.", "portolan lint --rules 列出所有代码。"),
    };
    (words!("there is no code {code} to ignore", "没有可忽略的代码 {code}"), remedy)
}

/// Takes out what is ignored; says how much that was.
pub(super) fn apply(found: Vec<Found>, flags: &[String]) -> (Vec<Problem>, usize) {
    let flags: Vec<String> = flags.iter().flat_map(|list| codes(list)).collect();
    let all = found.len();
    let wanted = |found: &Found| {
        let code = found.problem.code;
        // A wrong ignore cannot ignore itself.
        code == "lint-ignore-unknown"
            || !found.ignore.iter().chain(&flags).any(|ignored| ignored == code || ignored == "all")
    };
    let problems: Vec<Problem> = found.into_iter().filter(wanted).map(|found| found.problem).collect();
    let ignored = all - problems.len();
    (problems, ignored)
}
