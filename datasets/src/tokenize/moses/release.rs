//! The states of Moses' scripts that texts were prepared with.

/// A state of the scripts; what changed for the languages here is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Release {
    /// Up to 2015, as `mosestokenizer` 1.2.1 carries them.
    Y2015,
    /// From December 2016 (Multi30k's published tokens): a comma after a number is cut at the end
    /// of a line, and so is `.'`; `Inc.` in English and `a.` in French are cut.
    Y2017,
    /// From November 2019: `Rs.` stays in English; the period at the end of a line is always cut, after an abbreviation
    /// too; low single quotes are normalised to `'`, not to `"`.
    #[default]
    Y2019,
}
