//! Parallel corpora, their stores and the word-by-word baseline.

use sparta_datasets::baseline::WordTranslation;
use sparta_datasets::batch::PaddingSide;
use sparta_datasets::pairs::{PairStore, PairVocabulary, PairVocabularyOptions, ParallelCorpus};
use sparta_datasets::tokenize::bpe::LearnOptions;
use sparta_datasets::tokenize::{DictionaryOptions, Language};
use sparta_datasets::{Error, Split};

fn pair(source: &str, target: &str) -> (String, String) {
    (source.to_owned(), target.to_owned())
}

fn corpus() -> ParallelCorpus {
    let mut corpus = ParallelCorpus::empty("toy", Language::De, Language::En);
    corpus.train = vec![
        pair("das haus", "the house"),
        pair("das kleine haus", "the small house"),
        pair("ein haus", "a house"),
        pair("", "a"),
    ];
    corpus.test = vec![pair("ein kleines haus", "a small house")];
    corpus
}

fn options(joined: bool) -> PairVocabularyOptions {
    PairVocabularyOptions {
        merges: LearnOptions::merges(6),
        joined,
        dictionary: DictionaryOptions::default(),
    }
}

#[test]
fn dictionaries_are_joined_or_apart() {
    let corpus = corpus();
    let joined = PairVocabulary::learn(&corpus.train, &options(true)).unwrap();
    let is_joined = |of: &PairVocabulary| of.source.hash() == of.target.hash();
    assert!(is_joined(&joined));
    let apart = PairVocabulary::learn(&corpus.train, &options(false)).unwrap();
    assert!(!is_joined(&apart));
    assert_eq!(apart.source.bpe().codes(), apart.target.bpe().codes());
    assert_eq!(joined.source.bpe().codes(), apart.source.bpe().codes());

    let dir = tempfile::tempdir().unwrap();
    for vocabulary in [joined, apart] {
        vocabulary
            .save(dir.path(), Language::De, Language::En)
            .unwrap();
        let again = PairVocabulary::load(dir.path(), Language::De, Language::En).unwrap();
        assert_eq!(again.source.hash(), vocabulary.source.hash());
        assert_eq!(again.target.hash(), vocabulary.target.hash());
    }
}

#[test]
fn a_store_gives_the_pairs_back() {
    let (corpus, dir) = (corpus(), tempfile::tempdir().unwrap());
    let vocabulary = PairVocabulary::learn(&corpus.train, &options(false)).unwrap();
    for split in Split::ALL {
        let made = PairStore::create(dir.path(), &corpus, split, &vocabulary).unwrap();
        let opened = PairStore::open(dir.path(), &corpus, split, &vocabulary).unwrap();
        for store in [made, opened] {
            assert_eq!(store.len(), corpus.pairs(split).len());
            assert_eq!(store.is_empty(), split == Split::Valid);
            for (index, (source, target)) in corpus.pairs(split).iter().enumerate() {
                let ids = store.source(index).unwrap();
                assert_eq!(ids, vocabulary.source.encode(source));
                assert_eq!(
                    store.target(index).unwrap(),
                    vocabulary.target.encode(target)
                );
                let lengths = (ids.len(), store.target(index).unwrap().len());
                assert_eq!(store.lengths()[index], lengths);
            }
            assert_eq!(store.source(store.len()), None);
            let n_targets: usize = store.lengths().iter().map(|length| length.1).sum();
            assert_eq!(store.n_target_tokens(), n_targets);
        }
    }
    // Without the text: name and languages are enough.
    let bare = ParallelCorpus::empty(&corpus.name, corpus.source, corpus.target);
    let train = PairStore::open(dir.path(), &bare, Split::Train, &vocabulary).unwrap();
    assert_eq!(train.len(), corpus.train.len());
    let batch = train.batch(&[3, 0], PaddingSide::Right);
    assert_eq!(batch.source_lengths, [1, train.source(0).unwrap().len()]);
}

#[test]
fn sides_of_two_texts_are_refused() {
    let mut corpus = corpus();
    let vocabulary = PairVocabulary::learn(&corpus.train, &options(false)).unwrap();
    let [whole, shorter] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    PairStore::create(whole.path(), &corpus, Split::Train, &vocabulary).unwrap();
    corpus.train.pop();
    PairStore::create(shorter.path(), &corpus, Split::Train, &vocabulary).unwrap();
    let names = std::fs::read_dir(shorter.path()).unwrap();
    let mut names = names.map(|entry| entry.unwrap().file_name());
    let is_english = |name: &std::ffi::OsString| name.to_string_lossy().contains(".en-train-");
    let english = names.find(is_english).unwrap();
    std::fs::copy(shorter.path().join(&english), whole.path().join(&english)).unwrap();
    let error = PairStore::open(whole.path(), &corpus, Split::Train, &vocabulary).unwrap_err();
    assert!(
        matches!(
            error,
            Error::UnmatchedPairs {
                n_left: 4,
                n_right: 3,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error.to_string().contains("3: they do not belong together"),
        "{error}"
    );
}

#[test]
fn filtering_and_mapping() {
    let corpus = corpus().with_target_words(2..=2);
    assert_eq!(corpus.name, "toy-2to2");
    assert_eq!(
        self::corpus().with_target_words(3..=usize::MAX).name,
        "toy-3up"
    );
    assert_eq!(
        corpus.train,
        [pair("das haus", "the house"), pair("ein haus", "a house")]
    );
    assert!(corpus.test.is_empty());
    let mapped = corpus.map(str::to_uppercase, str::to_owned);
    assert_eq!((mapped.source, mapped.target), (Language::De, Language::En));
    assert_eq!(mapped.train[0], pair("DAS HAUS", "the house"));
}

/// `das haus`, `das kleine haus`, `ein haus`: the classic case that EM tells apart.
#[test]
fn words_are_translated_by_what_they_occur_with() {
    let words = WordTranslation::learn(&corpus().train[..3]);
    assert_eq!(
        words.translate("ein kleine haus das xyz"),
        "a small house the xyz"
    );
    assert_eq!(words.translate(""), "");
}
