//! SQuAD's files, windows and answers.

use std::path::Path;

use rstest::rstest;
use sparta_datasets::Error;
use sparta_datasets::batch::{ExampleOrder, PaddingStrategy, SpanBatch};
use sparta_datasets::embedded::{new_wiki, squad_dev};
use sparta_datasets::squad::{
    Answer, Article, Paragraph, Question, Scored, SpanOptions, SquadForm, SquadSet, Window,
    WindowOptions, articles_from_json, best_spans, n_cut_questions, n_questions, null_odds,
    windows,
};
use sparta_datasets::tokenize::wordpiece::{Casing, WordPiece};

fn wordpiece() -> WordPiece {
    let oracle: serde_json::Value =
        serde_json::from_str(include_str!("../parity/wordpiece.json")).unwrap();
    let pieces = oracle["vocab"].as_array().unwrap().iter();
    let vocab: String = pieces
        .map(|piece| format!("{}\n", piece.as_str().unwrap()))
        .collect();
    WordPiece::from_vocab(&vocab, Casing::Lower, "fixture").unwrap()
}

fn read(json: &str) -> Result<Vec<Article>, Error> {
    articles_from_json(json, Path::new("dev-v1.1.json"), SquadForm::V1_1)
}

#[test]
fn offsets_count_characters() {
    let json = r#"{"version":"1.1","data":[{"title":"A_b","paragraphs":[{"context":"Zürich – größer.","qas":[
        {"id":"1","question":"Was?","answers":[{"answer_start":9,"text":"größer"},{"answer_start":8,"text":"größer"},
        {"answer_start":99,"text":"x"},{"answer_start":0,"text":""}]}]}]}]}"#;
    let articles = read(json).unwrap();
    let answers = &articles[0].paragraphs[0].questions[0].answers;
    assert_eq!(answers[0].span(), Some((12, 20)));
    assert_eq!(
        answers[1..].iter().map(Answer::span).collect::<Vec<_>>(),
        [None; 3]
    );
    assert_eq!(
        (articles[0].title.as_str(), n_questions(&articles)),
        ("A_b", 1)
    );
}

#[rstest]
#[case(r#"{"version":"v2.0","data":[]}"#, "expected version 1.1")]
#[case(r#"{"version":2,"data":[]}"#, "expected version 1.1")]
#[case(
    r#"{"data":[{"paragraphs":[{"context":"a","qas":[{"id":"7","question":"b","answers":[]}]}]}]}"#,
    "question 7 without one"
)]
#[case(r#"{"data":[{"paragraphs":[{"qas":[]}]}]}"#, "missing field `context`")]
#[case("a\tb", "expected SQuAD v1.1's JSON")]
fn another_file_is_named(#[case] json: &str, #[case] expected: &str) {
    let error = read(json).unwrap_err().to_string();
    assert!(
        error.contains("dev-v1.1.json") && error.contains(expected),
        "{error}"
    );
}

fn article(context: &str, question: &str, answer: &str) -> Vec<Article> {
    let start = context.find(answer);
    let answer = Answer {
        text: answer.to_owned(),
        start,
    };
    let question = Question {
        id: "q".to_owned(),
        text: question.to_owned(),
        answers: vec![answer],
        is_impossible: false,
    };
    vec![Article {
        title: String::new(),
        paragraphs: vec![Paragraph {
            context: context.to_owned(),
            questions: vec![question],
        }],
    }]
}

/// Single letters, so that a token is a word.
fn letters(n: usize) -> String {
    let letter = |at: usize| char::from(b'a' + (at % 26) as u8).to_string();
    (0..n).map(letter).collect::<Vec<_>>().join(" ")
}

#[test]
fn windows_step_by_the_stride_and_the_best_view_is_taken() {
    let options = WindowOptions {
        max_len: 16,
        stride: 4,
        max_question: 3,
    };
    let articles = article(&letters(19), "x y z z z", "l m");
    let found = windows(&articles, &wordpiece(), &options).unwrap();
    for (max_question, n_cut) in [(3, 1), (4, 1), (5, 0)] {
        let options = WindowOptions {
            max_question,
            ..options
        };
        let found = n_cut_questions(&articles, &wordpiece(), &options).unwrap();
        assert_eq!(found, n_cut, "{max_question}");
    }
    // Room for ten tokens behind `[CLS] x y z [SEP]`: 0..10, 4..14, 8..18, 12..19.
    let starts: Vec<usize> = found
        .iter()
        .map(|window| window.encoding.offsets[window.context().start].0 / 2)
        .collect();
    assert_eq!(starts, [0, 4, 8, 12]);
    let lens: Vec<usize> = found.iter().map(|window| window.context().len()).collect();
    assert_eq!(lens, [10, 10, 10, 7]);
    assert_eq!(found[0].encoding.len(), 16);
    // `l m` are the words 11 and 12.
    let targets: Vec<_> = found.iter().map(|window| window.target.unwrap()).collect();
    assert_eq!(targets, [(0, 0), (5 + 7, 5 + 8), (5 + 3, 5 + 4), (0, 0)]);
    // Word 12 has 1 on its smaller side in 4..14, 4 in 8..18, none in 12..19.
    let view = |window: &Window, word: usize| {
        window
            .context()
            .zip(&window.is_best_view)
            .find(|(at, _)| window.encoding.offsets[*at].0 == 2 * word)
            .map(|(_, best)| *best)
    };
    assert_eq!(
        found.iter().map(|w| view(w, 12)).collect::<Vec<_>>(),
        [None, Some(false), Some(true), Some(false)]
    );
    for word in 0..19 {
        let best = found
            .iter()
            .filter(|window| view(window, word) == Some(true));
        assert_eq!(best.count(), 1, "word {word}");
    }
}

#[test]
fn lengths_without_room_are_an_error() {
    for (max_len, stride) in [(67, 128), (384, 0)] {
        let options = WindowOptions {
            stride,
            ..WindowOptions::of_len(max_len)
        };
        let error = windows(&[], &wordpiece(), &options)
            .unwrap_err()
            .to_string();
        assert!(error.contains("stride of at least 1"), "{error}");
    }
    let empty = article("", "x", "x");
    let found = windows(&empty, &wordpiece(), &WindowOptions::BERT).unwrap();
    assert_eq!(
        (found.len(), found[0].target, found[0].context().len()),
        (1, None, 0)
    );
    let scored = Scored {
        window: &found[0],
        start: &[1.0; 4],
        end: &[1.0; 4],
    };
    assert_eq!(best_spans("", &[scored], &SpanOptions::BERT), []);
}

#[rstest]
#[case(384, 0.98)]
#[case(128, 0.95)]
fn the_target_gives_the_answer_back(#[case] max_len: usize, #[case] least: f64) {
    let wordpiece = wordpiece();
    let options = WindowOptions::of_len(max_len);
    let articles = [squad_dev().unwrap(), new_wiki().unwrap()].concat();
    let all = windows(&articles, &wordpiece, &options).unwrap();
    let (mut n, mut n_exact, mut n_found, mut n_questions) = (0, 0, 0, 0);
    for of_question in all.chunk_by(|a, b| a.place == b.place) {
        let (paragraph, question) = of_question[0].place.of(&articles);
        assert!(
            of_question
                .iter()
                .all(|window| window.encoding.len() <= max_len)
        );
        n_questions += 1;
        let Some(answer) = question
            .answers
            .iter()
            .find(|answer| answer.start.is_some())
        else {
            assert!(of_question.iter().all(|window| window.target.is_none()));
            continue;
        };
        n += 1;
        // A model that is sure of the target in every window.
        let sure = |window: &Window, at: usize| {
            let mut logits = vec![0.0; window.encoding.len()];
            logits[at] = 9.0;
            logits
        };
        let target = |window: &Window| window.target.unwrap();
        let logits: Vec<_> = of_question
            .iter()
            .map(|window| {
                (
                    sure(window, target(window).0),
                    sure(window, target(window).1),
                )
            })
            .collect();
        let scored: Vec<Scored<'_>> = of_question
            .iter()
            .zip(&logits)
            .map(|(window, (start, end))| Scored { window, start, end })
            .collect();
        let spans = best_spans(&paragraph.context, &scored, &SpanOptions::BERT);
        let is_possible = of_question.iter().any(|window| {
            let (from, to) = target(window);
            let is_shown = (from, to) != (0, 0);
            is_shown && to - from < 30 && window.is_best_view[from - window.context().start]
        });
        let best = spans.first().filter(|best| best.score == 18.0);
        assert_eq!(best.is_some(), is_possible, "{question:?}");
        let Some(best) = best else {
            continue;
        };
        n_found += 1;
        assert!(
            best.text.contains(answer.text.trim()),
            "{} of {}",
            best.text,
            answer.text
        );
        n_exact += usize::from(best.text == answer.text);
        assert_eq!(&paragraph.context[best.bytes.0..best.bytes.1], best.text);
    }
    println!(
        "{max_len}: {n_questions} questions, {n} with a place, {n_found} within the limits, {n_exact} exact; {} windows",
        all.len()
    );
    assert!(n_found as f64 >= least * n as f64 && n_exact as f64 >= 0.99 * n_found as f64);
}

#[test]
fn spans_keep_to_the_limits() {
    let articles = article(&letters(20), "x", "c");
    let found = windows(&articles, &wordpiece(), &WindowOptions::BERT).unwrap();
    let window = &found[0];
    let context = &articles[0].paragraphs[0].context;
    let first = window.context().start;
    let mut start = vec![0.0; window.encoding.len() + 5];
    let mut end = start.clone();
    let options = SpanOptions {
        n_best: 3,
        max_answer_len: 2,
    };
    let answers = |start: &[f32], end: &[f32]| -> Vec<String> {
        let scored = Scored { window, start, end };
        best_spans(context, &[scored], &options)
            .into_iter()
            .map(|span| span.text)
            .collect()
    };
    start[first + 2] = 5.0;
    start[0] = 9.0;
    end[first + 3] = 4.0;
    end[first + 5] = 7.0;
    end[first + 1] = 8.0;
    start[first + 3] = 1.0;
    assert_eq!(answers(&start, &end), ["c d", "d"]);
    // Beyond the window nothing is looked at, and what is no number is the worst.
    start[window.encoding.len() + 1] = 50.0;
    end[first + 3] = f32::NAN;
    assert_eq!(answers(&start, &end).first().map(String::as_str), None);
}

#[test]
fn batches_have_starts_and_ends() {
    let wordpiece = wordpiece();
    let mut articles = article(&letters(9), "x", "c d");
    let options = WindowOptions {
        max_len: 9,
        stride: 4,
        max_question: 2,
    };
    let found = windows(&articles, &wordpiece, &options).unwrap();
    let order = ExampleOrder::in_order(found.len(), 8).unwrap();
    let batch =
        SpanBatch::new(&found, order.get(0).unwrap(), PaddingStrategy::Fixed(10), 0).unwrap();
    assert_eq!((batch.batch_size, batch.len), (found.len(), 10));
    assert_eq!(batch.starts.as_ref().unwrap(), &[5, 0]);
    assert_eq!(batch.ends.as_ref().unwrap(), &[6, 0]);
    let hidden: Vec<bool> = batch.ids.iter().map(|&id| id == 0).collect();
    assert_eq!(batch.padding, hidden);
    assert_eq!(&batch.token_types[..10], [0, 0, 0, 1, 1, 1, 1, 1, 1, 0]);
    let share = order.padding(&found, PaddingStrategy::Dynamic);
    assert_eq!(share.n_tokens, share.n_positions);
    articles[0].paragraphs[0].questions[0].answers[0].start = None;
    let found = windows(&articles, &wordpiece, &options).unwrap();
    let batch = SpanBatch::new(&found, &[0], PaddingStrategy::Dynamic, 0).unwrap();
    assert_eq!((batch.starts, batch.ends), (None, None));
}

/// SQuAD v2.0's form: a third question is neither.
fn v2(third: &str) -> Result<Vec<Article>, Error> {
    let json = format!(
        r#"{{"version":"v2.0","data":[{{"title":"A","paragraphs":[{{"context":"a\u0000 b c d e f g\u2028h","qas":[
        {{"id":"1","question":"x","is_impossible":false,"answers":[{{"answer_start":5,"text":"c d"}}]}},
        {{"id":"2","question":"y","is_impossible":true,"answers":[],"plausible_answers":[{{"answer_start":0,"text":"b"}}]}},
        {third}]}}]}}]}}"#
    );
    articles_from_json(&json, Path::new("dev-v2.0.json"), SquadForm::V2_0)
}

#[test]
fn a_question_without_an_answer_is_trained_on_at_cls() {
    let third = r#"{"id":"3","question":"z","is_impossible":false,"answers":[{"answer_start":0,"text":"d"}]}"#;
    let articles = v2(third).unwrap();
    let options = WindowOptions {
        max_len: 9,
        stride: 4,
        max_question: 2,
    };
    let found = windows(&articles, &wordpiece(), &options).unwrap();
    let targets: Vec<_> = (found.iter())
        .map(|window| (window.place.question, window.target))
        .collect();
    // `a` with the control character that is no token of its own, then one letter each, five a window.
    let expected = [
        (0, Some((5, 6))),
        (0, Some((0, 0))),
        (1, Some((0, 0))),
        (1, Some((0, 0))),
        // An answer that is not at its place is none to train on.
        (2, None),
        (2, None),
    ];
    assert_eq!(targets, expected);
    let (paragraph, question) = found[2].place.of(&articles);
    assert!(question.is_impossible && question.answers.is_empty());
    assert_eq!(paragraph.context, "a\0 b c d e f g\u{2028}h");
    let batch = SpanBatch::new(&found, &[2, 0], PaddingStrategy::Dynamic, 0).unwrap();
    assert_eq!(
        (batch.starts, batch.ends),
        (Some(vec![0, 5]), Some(vec![0, 6]))
    );
    for (third, words) in [
        (
            r#"{"id":"3","question":"z","answers":[]}"#,
            "an answer for every question, or `\"is_impossible\": true`, found question 3",
        ),
        (
            r#"{"id":"3","question":"z","is_impossible":true,"answers":[{"answer_start":0,"text":"a"}]}"#,
            "found 1 to question 3",
        ),
    ] {
        let error = v2(third).unwrap_err().to_string();
        assert!(
            error.contains(words) && error.contains("dev-v2.0.json"),
            "{error}"
        );
    }
    // Asked, everything may be left out; answers are not looked at.
    let asked = r#"{"data":[{"paragraphs":[{"context":"a","qas":[{"id":4,"question":"b"}]}]}]}"#;
    let articles = articles_from_json(asked, Path::new("-"), SquadForm::Asked).unwrap();
    assert_eq!(articles[0].paragraphs[0].questions[0].id, "4");
}

/// `score_diff` of run_squad.py: the least sum of both logits at `[CLS]` less that of the best span.
#[test]
fn no_answer_is_as_likely_as_the_window_that_doubts_it_most() {
    let articles = article(&letters(9), "x", "c d");
    let options = WindowOptions {
        max_len: 9,
        stride: 4,
        max_question: 2,
    };
    let found = windows(&articles, &wordpiece(), &options).unwrap();
    assert_eq!(found.len(), 2);
    let context = &articles[0].paragraphs[0].context;
    let logits = |cls: f32, at: usize, high: f32| {
        let mut logits = vec![-1.0; 9];
        (logits[0], logits[at]) = (cls, high);
        logits
    };
    let first = found[0].context().start;
    let sides = [
        [logits(2.0, first + 2, 4.0), logits(3.0, first + 3, 1.5)],
        [logits(0.5, first + 1, 1.0), logits(0.25, first + 1, 1.0)],
    ];
    let scored: Vec<Scored<'_>> = (found.iter().zip(&sides))
        .map(|(window, [start, end])| Scored { window, start, end })
        .collect();
    let spans = best_spans(context, &scored, &SpanOptions::BERT);
    assert_eq!((spans[0].text.as_str(), spans[0].score), ("c d", 5.5));
    assert_eq!(null_odds(&scored, &spans), 0.75 - 5.5);
    assert_eq!(null_odds(&scored[..1], &spans), 5.0 - 5.5);
    // Without a span it is as sure as a number can say; scores that are no numbers say nothing.
    assert_eq!(null_odds(&scored, &[]), f64::from(f32::MAX));
    let nan = [f32::NAN; 9];
    let broken = [Scored {
        window: &found[0],
        start: &nan,
        end: &nan,
    }];
    let spans = best_spans(context, &broken, &SpanOptions::BERT);
    assert_eq!(null_odds(&broken, &spans), 0.0);
}

#[test]
fn version_2_is_found_where_it_lies() {
    let [cache, user] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let set: SquadSet = "squad-v2.0".parse().unwrap();
    let load = || set.load(Some(user.path()), cache.path());
    let error = load().unwrap_err().to_string();
    assert!(
        error.contains("no train-v2.0.json with dev-v2.0.json"),
        "{error}"
    );
    for name in ["train-v2.0.json", "dev-v2.0.json"] {
        let json = r#"{"version":"v2.0","data":[{"paragraphs":[{"context":"a","qas":[{"id":"1","question":"b","answers":[],"is_impossible":true}]}]}]}"#;
        std::fs::write(user.path().join(name), json).unwrap();
    }
    let corpus = load().unwrap();
    assert!(corpus.has_impossible() && corpus.name == "squad-v2.0");
    let published: Vec<usize> = corpus.counts.iter().map(|count| count.published).collect();
    assert_eq!(published, [130_319, 11_873]);
    // In the cache it has a folder of its own: a damaged file of one version takes nothing of the other away.
    assert!(set.load(None, user.path()).is_err());
    let folder = cache.path().join("squad-v2.0");
    std::fs::create_dir(&folder).unwrap();
    for name in ["train-v2.0.json", "dev-v2.0.json"] {
        std::fs::copy(user.path().join(name), folder.join(name)).unwrap();
    }
    assert_eq!(
        set.locate(None, cache.path()).unwrap(),
        Some(folder.clone())
    );
    std::fs::write(folder.join("dev-v2.0.json"), "<html>").unwrap();
    let error = set.prepare(None, cache.path(), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("squad-v2.0.refused"), "{error}");
}

#[test]
fn sets_are_found_where_they_lie() {
    let cache = tempfile::tempdir().unwrap();
    let user = tempfile::tempdir().unwrap();
    let load = || {
        "squad-v1.1"
            .parse::<SquadSet>()
            .unwrap()
            .load(Some(user.path()), cache.path())
    };
    let error = load().unwrap_err().to_string();
    assert!(
        error.contains("no train-v1.1.json with dev-v1.1.json"),
        "{error}"
    );
    let dir = user.path().join("squad");
    std::fs::create_dir(&dir).unwrap();
    for name in ["train-v1.1.json", "dev-v1.1.json"] {
        std::fs::write(dir.join(name), r#"{"version":"1.1","data":[]}"#).unwrap();
    }
    let corpus = load().unwrap();
    assert_eq!(corpus.name, "squad-v1.1");
    assert!(
        corpus
            .counts
            .iter()
            .all(|count| count.differs() && count.found == 0)
    );
    assert_eq!(corpus.counts[0].published, 87_599);
    let shipped = SquadSet::Shipped
        .prepare(None, cache.path(), &mut |_| ())
        .unwrap();
    assert_eq!(
        (n_questions(&shipped.train), n_questions(&shipped.dev)),
        (7_936, 10_565)
    );
    assert!(
        "squad"
            .parse::<SquadSet>()
            .unwrap_err()
            .to_string()
            .contains("new-wiki-to-squad-dev")
    );
}

#[test]
#[ignore = "needs SPARTA_SQUAD=DIR, a folder with train-v1.1.json and dev-v1.1.json"]
fn squad_as_published() {
    let dir = std::env::var("SPARTA_SQUAD").unwrap();
    let corpus = SquadSet::V1_1
        .load(Some(Path::new(&dir)), Path::new("none"))
        .unwrap();
    for count in &corpus.counts {
        println!("{count}");
        assert!(!count.differs());
    }
    let model = std::env::var("SPARTA_WORDPIECE_MODEL").unwrap();
    let wordpiece = WordPiece::open(Path::new(&model), None).unwrap();
    for (part, articles) in [("train", &corpus.train), ("dev", &corpus.dev)] {
        let all = windows(articles, &wordpiece, &WindowOptions::BERT).unwrap();
        let n_cls = all
            .iter()
            .filter(|window| window.target == Some((0, 0)))
            .count();
        println!(
            "{part}: {} windows of 384, {n_cls} without the answer",
            all.len()
        );
    }
}
