//! Moses' tokeniser, detokeniser and normaliser against the Perl originals
//! (`tests/parity/moses.py`).

use rstest::rstest;
use sparta_datasets::tokenize::Language;
use sparta_datasets::tokenize::moses::{
    MosesDetokenizer, MosesTokenizer, PunctuationNormalizer, Release, TokenizerOptions,
};

const RELEASES: [(&str, Release); 3] = [
    ("2015", Release::Y2015),
    ("2017", Release::Y2017),
    ("2019", Release::Y2019),
];
const KINDS: [&str; 6] = ["tok", "norm", "aggressive", "plain", "detok", "detok_raw"];

/// Ours for one kind of output; `tokens` is the original's for the line.
fn ours(release: Release, kind: &str, language: Language, line: &str, tokens: &str) -> String {
    let with = |aggressive_hyphens, escape| {
        let options = TokenizerOptions {
            aggressive_hyphens,
            escape,
            release,
        };
        MosesTokenizer::with_options(language, options).tokenize(line)
    };
    match kind {
        "tok" => with(false, true),
        "aggressive" => with(true, true),
        "plain" => with(false, false),
        "detok" => MosesDetokenizer::new(language).detokenize(tokens),
        "detok_raw" => MosesDetokenizer::new(language).detokenize(line),
        "norm" => PunctuationNormalizer::with_release(language, release).normalize(line),
        other => panic!("{other}"),
    }
}

/// Compares all outputs that there are; returns the numbers of lines, of outputs and of
/// differences, which it prints.
fn compare(
    language: Language,
    lines_of: impl Fn(&str) -> Option<Vec<String>>,
) -> (usize, usize, usize) {
    let lines = lines_of("txt").unwrap();
    let (mut n_outputs, mut n_wrong) = (0, 0);
    for (year, release) in RELEASES {
        for kind in KINDS {
            let Some(expected) = lines_of(&format!("{year}.{kind}")) else {
                continue;
            };
            n_outputs += 1;
            let tokens = lines_of(&format!("{year}.tok")).unwrap();
            assert_eq!(expected.len(), lines.len(), "{language} {year} {kind}");
            for ((line, tokens), expected) in lines.iter().zip(&tokens).zip(&expected) {
                let ours = ours(release, kind, language, line, tokens);
                if ours != *expected {
                    n_wrong += 1;
                    println!(
                        "{language} {year} {kind}\n  text {line:?}\n  ours {ours:?}\n  perl {expected:?}"
                    );
                }
            }
        }
    }
    (lines.len(), n_outputs, n_wrong)
}

#[rstest]
fn shipped_and_made_up_lines(
    #[values(Language::De, Language::En, Language::Fr, Language::Cs, Language::Ro)]
    language: Language,
) {
    let oracle: serde_json::Value =
        serde_json::from_str(include_str!("../parity/moses.json")).unwrap();
    let lines_of = |kind: &str| -> Option<Vec<String>> {
        let lines = oracle[language.code()].get(kind)?.as_array()?.iter();
        lines.map(|line| line.as_str().map(str::to_owned)).collect()
    };
    let (n_lines, n_outputs, n_wrong) = compare(language, lines_of);
    assert!(
        n_lines >= 80 && n_outputs == 10,
        "{n_lines} lines, {n_outputs} outputs"
    );
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
        let lines_of = |kind: &str| -> Option<Vec<String>> {
            let path = std::path::Path::new(&dir).join(format!("{language}.{kind}"));
            let text = path
                .exists()
                .then(|| std::fs::read_to_string(&path).unwrap())?;
            let body = text.strip_suffix('\n').unwrap();
            Some(body.split('\n').map(str::to_owned).collect())
        };
        let (n_lines, n_outputs, wrong) = compare(language, lines_of);
        println!("{language}: {n_lines} lines × {n_outputs} outputs, {wrong} differ");
        assert!(n_lines >= 10_000 && n_outputs > 0);
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
