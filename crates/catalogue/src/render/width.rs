//! How wide text is on a terminal, and where it may break.
//!
//! Chinese has no spaces: a line may break beside any ideograph, but closing punctuation may not begin a line and
//! opening punctuation may not end one. Enough of UAX 11 and UAX 14 for the texts of this catalogue.

/// Punctuation that stays with what is before it.
const CLOSING: &str = "，。、；：！？）」』】》”’…—,.;:!?)";
/// Punctuation that stays with what is after it.
const OPENING: &str = "（「『【《“‘";

/// The columns that `text` takes on a terminal.
pub fn display_width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Columns of one character. Characters of ambiguous width count as wide: a line then ends early, never late.
fn columns(character: char) -> usize {
    match u32::from(character) {
        0..=0x1f | 0x7f => 0,
        // Dashes, curly quotes and the ellipsis are ambiguous.
        0x2010..=0x2027 => 2,
        // Ideographs, kana, hangul, full-width forms, their punctuation, emoji and the supplementary planes.
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 => 2,
        0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

/// `text` in lines of at most `width` columns. Runs of white space count as one space; a word that is wider than a line
/// gets a line of its own and is not cut.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        for (index, piece) in pieces(word).into_iter().enumerate() {
            let space = usize::from(index == 0 && !line.is_empty());
            let wide = display_width(piece);
            if used > 0 && used + space + wide > width {
                lines.push(std::mem::take(&mut line));
                used = 0;
            } else if space == 1 {
                line.push(' ');
                used += 1;
            }
            line.push_str(piece);
            used += wide;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// The parts of a word between which a line may break.
fn pieces(word: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut previous: Option<char> = None;
    for (at, character) in word.char_indices() {
        if previous.is_some_and(|previous| may_break(previous, character)) {
            pieces.push(&word[start..at]);
            start = at;
        }
        previous = Some(character);
    }
    pieces.push(&word[start..]);
    pieces
}

fn may_break(before: char, after: char) -> bool {
    (columns(before) == 2 || columns(after) == 2) && !OPENING.contains(before) && !CLOSING.contains(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wide_characters_take_two_columns() {
        for (text, width) in [("", 0), ("abc", 3), ("事件", 4), ("Pod 的事件。", 12), ("（）", 4), ("…", 2)] {
            assert_eq!(display_width(text), width, "{text}");
        }
    }

    #[test]
    fn english_breaks_at_spaces() {
        assert_eq!(wrap("the quick  brown\nfox", 9), ["the quick", "brown fox"]);
        assert_eq!(wrap("a reallylongword b", 5), ["a", "reallylongword", "b"]);
        assert!(wrap("   ", 5).is_empty());
    }

    #[test]
    fn chinese_breaks_between_characters_but_not_before_closing_punctuation() {
        assert_eq!(wrap("节点列表为空。", 8), ["节点列表", "为空。"]);
        assert_eq!(wrap("节点列表。空", 8), ["节点列", "表。空"]);
        assert_eq!(wrap("查看（日志）吧", 6), ["查看", "（日", "志）吧"]);
        assert_eq!(wrap("看 Endpoints 对象", 6), ["看", "Endpoints", "对象"]);
    }

    proptest! {
        #[test]
        fn wrapping_loses_nothing_and_keeps_the_width(text in "[a-c 事件，。（]{0,60}", width in 8_usize..30) {
            let lines = wrap(&text, width);
            let squeeze = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(squeeze(&lines.concat()), squeeze(&text));
            for line in &lines {
                let unbreakable = !line.contains(' ') && pieces(line).len() == 1;
                prop_assert!(display_width(line) <= width || unbreakable, "{:?}", line);
                prop_assert_eq!(line.trim(), line.as_str());
            }
        }
    }
}
