//! Moses' tokeniser, detokeniser and normaliser against the Perl originals
//! (`tests/parity/moses.py`).

use rstest::rstest;
use sparta_datasets::tokenize::Language;
use sparta_datasets::tokenize::moses::{
    MosesDetokenizer, MosesTokenizer, PunctuationNormalizer, TokenizerOptions,
};

const KINDS: [&str; 6] = ["tok", "aggressive", "plain", "detok", "detok_raw", "norm"];

/// Ours for one kind of output; `tokens` is the original's for the line.
fn ours(kind: &str, language: Language, line: &str, tokens: &str) -> String {
    let with = |aggressive_hyphens, escape| {
        let options = TokenizerOptions {
            aggressive_hyphens,
            escape,
        };
        MosesTokenizer::with_options(language, options).tokenize(line)
    };
    match kind {
        "tok" => with(false, true),
        "aggressive" => with(true, true),
        "plain" => with(false, false),
        "detok" => MosesDetokenizer::new(language).detokenize(tokens),
        "detok_raw" => MosesDetokenizer::new(language).detokenize(line),
        "norm" => PunctuationNormalizer::new(language).normalize(line),
        other => panic!("{other}"),
    }
}

/// Compares all kinds and returns the number of lines; prints every difference.
fn compare(language: Language, lines_of: impl Fn(&str) -> Vec<String>) -> (usize, usize) {
    let (lines, tokens) = (lines_of("txt"), lines_of("tok"));
    let mut n_wrong = 0;
    for kind in KINDS {
        let expected = lines_of(kind);
        assert_eq!(expected.len(), lines.len(), "{language} {kind}");
        for ((line, tokens), expected) in lines.iter().zip(&tokens).zip(&expected) {
            let ours = ours(kind, language, line, tokens);
            if ours != *expected {
                n_wrong += 1;
                println!(
                    "{language} {kind}\n  text {line:?}\n  ours {ours:?}\n  perl {expected:?}"
                );
            }
        }
    }
    (lines.len(), n_wrong)
}

#[rstest]
fn shipped_and_made_up_lines(
    #[values(Language::De, Language::En, Language::Fr, Language::Cs, Language::Ro)]
    language: Language,
) {
    let oracle: serde_json::Value =
        serde_json::from_str(include_str!("../parity/moses.json")).unwrap();
    let lines_of = |kind: &str| -> Vec<String> {
        let lines = oracle[language.code()][kind].as_array().unwrap().iter();
        lines
            .map(|line| line.as_str().unwrap().to_owned())
            .collect()
    };
    let (n_lines, n_wrong) = compare(language, lines_of);
    assert!(n_lines >= 150);
    assert_eq!(n_wrong, 0, "{language}: lines differ");
}

#[test]
#[ignore = "needs SPARTA_MOSES=DIR, the output folder of tests/parity/moses.py"]
fn large_texts_as_moses_cuts_them() {
    let dir = std::env::var("SPARTA_MOSES").expect("set SPARTA_MOSES=DIR");
    let mut n_wrong = 0;
    for language in [
        Language::De,
        Language::En,
        Language::Fr,
        Language::Cs,
        Language::Ro,
    ] {
        let lines_of = |kind: &str| -> Vec<String> {
            let path = std::path::Path::new(&dir).join(format!("{language}.{kind}"));
            let text = std::fs::read_to_string(path).unwrap();
            let body = text.strip_suffix('\n').unwrap();
            body.split('\n').map(str::to_owned).collect()
        };
        let (n_lines, wrong) = compare(language, lines_of);
        println!(
            "{language}: {n_lines} lines × {} outputs, {wrong} differ",
            KINDS.len()
        );
        assert!(n_lines >= 10_000);
        n_wrong += wrong;
    }
    assert_eq!(n_wrong, 0, "outputs differ");
}

/// Where the languages part.
#[rstest]
#[case(
    Language::En,
    "It's the dogs' 1990's.",
    "It &apos;s the dogs &apos; 1990 &apos;s ."
)]
#[case(
    Language::Fr,
    "L'eau d'aujourd'hui.",
    "L&apos; eau d&apos; aujourd&apos; hui ."
)]
#[case(
    Language::De,
    "Das ist's, am 21. Mai.",
    "Das ist &apos; s , am 21. Mai ."
)]
#[case(Language::En, "No. 5, No. Five (pp. 3)", "No. 5 , No . Five ( pp. 3 )")]
#[case(Language::Ro, "D-na. Pop, etc. \u{a0}x", "D-na. Pop , etc. x")]
#[case(Language::Ja, "Mr. 山田...", "Mr. 山田 ...")]
#[case(Language::De, " \t ", " \t ")]
fn words(#[case] language: Language, #[case] text: &str, #[case] tokens: &str) {
    assert_eq!(MosesTokenizer::new(language).tokenize(text), tokens);
}

/// What the tokeniser cuts, the detokeniser puts together again.
#[rstest]
#[case(Language::En, "He said: \"It's the dogs' (old) bone, isn't it?\"")]
#[case(Language::De, "Er zahlt 1.250,50 Euro (netto) an Meier [sic].")]
#[case(Language::Fr, "L'eau coule ; qui l'aurait cru ?")]
#[case(Language::Cs, "Bude-li pršet, vezmi e-mail s 3,5 %.")]
fn there_and_back(#[case] language: Language, #[case] text: &str) {
    let tokens = MosesTokenizer::new(language).tokenize(text);
    let back = MosesDetokenizer::new(language).detokenize(&tokens);
    assert_eq!(back, text.replace(" %", "%"));
}
