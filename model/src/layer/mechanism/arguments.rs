//! The arguments of a mechanism's word: `favor(m=64,redraw=500)`.

use std::fmt;
use std::str::FromStr;

/// Names with values, of which each is taken once.
pub(super) struct Arguments<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Arguments<'a> {
    /// None for a text that is no list of `name=value`.
    pub(super) fn of(argument: Option<&'a str>) -> Option<Self> {
        let Some(text) = argument else {
            return Some(Self(Vec::new()));
        };
        let pair = |part: &'a str| {
            let (name, value) = part.split_once('=')?;
            Some((name.trim(), value.trim()))
        };
        text.split(',').map(pair).collect::<Option<_>>().map(Self)
    }

    /// Whether a name has this value.
    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        self.0.contains(&(name, value))
    }

    /// The value of a name, if it is there; none for a value that cannot be read.
    #[allow(clippy::option_option)] // not there is not unreadable
    pub(super) fn take<T: FromStr>(&mut self, name: &str) -> Option<Option<T>> {
        let Some(place) = self.0.iter().position(|(found, _)| *found == name) else {
            return Some(None);
        };
        let (_, value) = self.0.remove(place);
        value.parse().ok().map(Some)
    }

    /// Whether nothing is left: no unknown name, and none twice.
    pub(super) fn are_all_taken(&self) -> bool {
        self.0.is_empty()
    }

    /// The word with the arguments that there are.
    pub(super) fn write<const N: usize>(
        f: &mut fmt::Formatter<'_>,
        word: &str,
        arguments: [Option<String>; N],
    ) -> fmt::Result {
        let given: Vec<String> = arguments.into_iter().flatten().collect();
        match given.is_empty() {
            true => f.write_str(word),
            false => write!(f, "{word}({})", given.join(",")),
        }
    }
}
