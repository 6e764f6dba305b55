//! The two languages of the catalogue.

use serde::Serialize;

/// A language that every text exists in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Chinese, simplified.
    Zh,
}

impl Lang {
    /// Both of them.
    pub const ALL: [Lang; 2] = [Lang::En, Lang::Zh];

    /// The language that a locale name such as `zh_CN.UTF-8` (from `LC_ALL` or `LANG`) or a `--lang` value such as
    /// `zh` asks for. Everything that is not Chinese is answered in English.
    pub fn from_env_value(value: &str) -> Lang {
        let language = value.split(['_', '-', '.', '@']).next().unwrap_or_default();
        if language.eq_ignore_ascii_case("zh") { Lang::Zh } else { Lang::En }
    }

    /// The code in file names and `--lang`: `en` or `zh`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Zh => "zh",
        }
    }
}

/// One text in both languages, each written by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Text {
    /// English, ASCII only.
    pub en: &'static str,
    /// Chinese.
    pub zh: &'static str,
}

impl Text {
    /// The text in one language.
    pub const fn get(self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Zh => self.zh,
        }
    }
}

/// Short form for the catalogue's data.
pub(crate) const fn text(en: &'static str, zh: &'static str) -> Text {
    Text { en, zh }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locale_names_choose_the_language() {
        for (value, lang) in [
            ("zh_CN.UTF-8", Lang::Zh),
            ("zh_TW", Lang::Zh),
            ("zh-Hans-CN", Lang::Zh),
            ("ZH", Lang::Zh),
            ("zh.UTF-8", Lang::Zh),
            ("zh@pinyin", Lang::Zh),
            ("en_US.UTF-8", Lang::En),
            ("C", Lang::En),
            ("C.UTF-8", Lang::En),
            ("POSIX", Lang::En),
            ("", Lang::En),
            ("de_DE", Lang::En),
            ("zhx_XX", Lang::En),
        ] {
            assert_eq!(Lang::from_env_value(value), lang, "{value:?}");
        }
    }
}
