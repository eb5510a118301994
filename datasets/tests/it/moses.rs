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

/// Compares all outputs that there are and prints what differs; returns the numbers of lines, of outputs and of
/// lines of which every output agrees.
fn compare(
    language: Language,
    lines_of: impl Fn(&str) -> Option<Vec<String>>,
) -> (usize, usize, usize) {
    let lines = lines_of("txt").unwrap();
    let (mut n_outputs, mut agrees) = (0, vec![true; lines.len()]);
    for (year, release) in RELEASES {
        for kind in KINDS {
            let Some(expected) = lines_of(&format!("{year}.{kind}")) else {
                continue;
            };
            n_outputs += 1;
            let tokens = lines_of(&format!("{year}.tok")).unwrap();
            assert_eq!(expected.len(), lines.len(), "{language} {year} {kind}");
            for (at, ((line, tokens), expected)) in
                lines.iter().zip(&tokens).zip(&expected).enumerate()
            {
                let ours = ours(release, kind, language, line, tokens);
                if ours != *expected {
                    agrees[at] = false;
                    println!(
                        "{language} {year} {kind}\n  text {line:?}\n  ours {ours:?}\n  perl {expected:?}"
                    );
                }
            }
        }
    }
    let n_agree = agrees.into_iter().filter(|agrees| *agrees).count();
    (lines.len(), n_outputs, n_agree)
}

fn oracle() -> serde_json::Value {
    serde_json::from_str(include_str!("../parity/moses.json")).unwrap()
}

#[rstest]
fn shipped_and_made_up_lines(
    #[values(
        Language::De,
        Language::En,
        Language::Fr,
        Language::Cs,
        Language::Ro,
        Language::Ja
    )]
    language: Language,
) {
    let oracle = oracle();
    let lines_of = |kind: &str| -> Option<Vec<String>> {
        let lines = oracle[language.code()].get(kind)?.as_array()?.iter();
        lines.map(|line| line.as_str().map(str::to_owned)).collect()
    };
    let (n_lines, n_outputs, n_agree) = compare(language, lines_of);
    assert!(
        n_lines >= 80 && n_outputs == 10,
        "{n_lines} lines, {n_outputs} outputs"
    );
    assert_eq!(n_agree, n_lines, "{language}: lines differ");
}

/// Every abbreviation, letter, number and Roman numeral that a list or a rule knows in any language, in every language.
#[rstest]
fn abbreviations_keep_their_period_where_moses_keeps_it(
    #[values(
        Language::De,
        Language::En,
        Language::Fr,
        Language::Cs,
        Language::Ro,
        Language::Ja
    )]
    language: Language,
) {
    let oracle = oracle();
    let words = oracle["words"].as_array().unwrap();
    assert!(words.len() > 450, "{}", words.len());
    for (year, release) in RELEASES {
        let options = TokenizerOptions {
            escape: false,
            release,
            ..TokenizerOptions::default()
        };
        let tokenizer = MosesTokenizer::with_options(language, options);
        let treatment = |word: &str| {
            let keeps = |after: &str| {
                let text = format!("x {word}. {after} x");
                tokenizer.tokenize(&text) == text
            };
            match (keeps("Aa"), keeps("5")) {
                (true, true) => 'a',
                (false, true) => 'n',
                (false, false) => 'c',
                (true, false) => panic!("{word}: kept before a word, cut before a number"),
            }
        };
        let expected = oracle[language.code()][format!("{year}.words")]
            .as_str()
            .unwrap();
        assert_eq!(expected.len(), words.len());
        let words = words.iter().map(|word| word.as_str().unwrap());
        let differ: Vec<_> = words
            .zip(expected.chars())
            .filter(|(word, expected)| treatment(word) != *expected)
            .collect();
        assert!(differ.is_empty(), "{language} {year}: {differ:?}");
    }
}

#[test]
#[ignore = "needs SPARTA_MOSES=DIR, the output folder of tests/parity/moses.py"]
fn large_texts_as_moses_cuts_them() {
    let dir = std::env::var("SPARTA_MOSES").expect("set SPARTA_MOSES=DIR");
    let mut n_wrong = 0;
    for language in Language::ALL {
        for (what, name) in [
            ("real", language.to_string()),
            ("made-up", format!("{language}.made")),
        ] {
            let lines_of = |kind: &str| -> Option<Vec<String>> {
                let path = std::path::Path::new(&dir).join(format!("{name}.{kind}"));
                let text = path
                    .exists()
                    .then(|| std::fs::read_to_string(&path).unwrap())?;
                let body = text.strip_suffix('\n').unwrap();
                Some(body.split('\n').map(str::to_owned).collect())
            };
            let (n_lines, n_outputs, n_agree) = compare(language, lines_of);
            println!(
                "{language}: {n_agree} of {n_lines} {what} lines agree in all {n_outputs} outputs"
            );
            assert!(n_lines >= 5000 && n_outputs == 10);
            n_wrong += n_lines - n_agree;
        }
    }
    assert_eq!(n_wrong, 0, "lines differ");
}

/// Czech keeps the periods of some letters only, and many of its abbreviations; own lines, cut by the originals
/// alike in all releases.
#[rstest]
#[case(
    "Pan j. Novák a l. Brno i v. Praha i n. Plzeň i f. Most i s. Tábor i p. Písek i r. Zlín i m. Cheb i č. Most i ř. Most",
    "Pan j . Novák a l . Brno i v . Praha i n. Plzeň i f. Most i s. Tábor i p. Písek i r. Zlín i m. Cheb i č. Most i ř. Most"
)]
#[case(
    "Stát dal 3 mld. Kč obcím, viz pomn. Jana Husa a zahr. Dům.",
    "Stát dal 3 mld. Kč obcím , viz pomn. Jana Husa a zahr. Dům ."
)]
#[case(
    "Slovo je přivl. Zájmeno (adj. i subst. Muž), knižn. Zeměd. Výraz",
    "Slovo je přivl. Zájmeno ( adj. i subst. Muž ) , knižn . Zeměd . Výraz"
)]
fn czech_abbreviations(#[case] text: &str, #[case] tokens: &str) {
    for (year, release) in RELEASES {
        let options = TokenizerOptions {
            release,
            ..TokenizerOptions::default()
        };
        let tokenizer = MosesTokenizer::with_options(Language::Cs, options);
        // The period that ends a sentence is cut from the newest release on; these end in no abbreviation.
        assert_eq!(tokenizer.tokenize(text), tokens, "{year}");
    }
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
#[case(
    Language::De,
    "Der sogen. Rat u. dergl. Ämter",
    "Der sogen. Rat u. dergl. Ämter"
)]
#[case(
    Language::Fr,
    "La sect. Nord, sing. Eau, contr. Feu, sqq. Fin",
    "La sect. Nord , sing. Eau , contr. Feu , sqq. Fin"
)]
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
