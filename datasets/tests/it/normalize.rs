//! The rules that turn running English into word tokens.

use proptest::prelude::*;
use rstest::rstest;
use sparta_datasets::tokenize::normalize_line;

fn normalized(line: &str) -> String {
    let mut out = String::new();
    normalize_line(line, &mut out);
    out
}

#[rstest]
#[case::punctuation(
    "Peace, (and) \"plenty\"; yes!",
    "peace , ( and ) \" plenty \" ; yes !"
)]
#[case::clitics("It's we've America's o'clock", "it 's we 've america 's o'clock")]
#[case::negation("don't can't won't Isn't n't", "do n't ca n't wo n't is n't n't")]
#[case::possessive_plural("the nations' rights", "the nations ' rights")]
#[case::numbers(
    "$4,466,000.50, 1/2 in 1889, 40%",
    "$ 4,466,000.50 , 1/2 in 1889 , 40 %"
)]
#[case::number_ends_sentence("in 1889. 30, then", "in 1889 . 30 , then")]
#[case::hyphens("well-digested - 1923-25", "well @-@ digested - 1923 @-@ 25")]
#[case::dashes("year--and us—we", "year -- and us -- we")]
#[case::dots("wait...... no", "wait ... no")]
#[case::abbreviations(
    "U.S.-Soviet, D.C., i.e. A. Lincoln",
    "u.s. @-@ soviet , d.c. , i.e. a . lincoln"
)]
#[case::curly("“We’re ‘here’”", "\" we 're ' here ' \"")]
#[case::leftovers("*accounting* ____ • |Part", "accounting part")]
#[case::nothing(" \t ", "")]
fn rules(#[case] line: &str, #[case] expected: &str) {
    assert_eq!(normalized(line), expected);
}

#[test]
fn appends_without_touching_what_is_there() {
    let mut out = "before\n".to_owned();
    normalize_line("One two.", &mut out);
    assert_eq!(out, "before\none two .");
}

proptest! {
    /// Any line gives single-spaced tokens, and no letter or digit is lost.
    #[test]
    fn loses_no_letter(line in "[ -~éß—“”']{0,60}") {
        let out = normalized(&line);
        prop_assert!(out.split(' ').all(|token| !token.is_empty()) || out.is_empty());
        let letters = |text: &str| -> String {
            text.chars().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect()
        };
        prop_assert_eq!(letters(&out), letters(&line));
    }
}
