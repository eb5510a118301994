//! The definitions of attention's figures against numpy, whose answers `tests/parity/attention.py` wrote into
//! `tests/parity/attention.json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use sparta_results::attention::{
    Bins, Density, Diversity, Histogram, Interrogation, Legal, Merging, Positional, Question,
    Trajectory, Weights, interrogation_score, jensen_shannon, merging_score, positional_confidence,
    support_size, union_size, within_cluster,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    versions: String,
    cases: Vec<Case>,
    histograms: Vec<HistogramCase>,
    trajectories: Vec<TrajectoryCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    kind: String,
    shape: [usize; 4],
    weights: Vec<f32>,
    sequences: Vec<Sequence>,
    diversity: f64,
    density: DensityCase,
    /// Those below not of cross-attention.
    #[serde(default)]
    positional: BTreeMap<i64, Vec<f64>>,
    words: Option<Vec<Vec<(usize, usize)>>>,
    merging: Option<MergingCase>,
    questions: Option<Vec<Option<QuestionCase>>>,
    interrogation: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct Sequence {
    queries: (usize, usize),
    keys: (usize, usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DensityCase {
    heads: Vec<f64>,
    union: f64,
    support_sizes: Vec<f64>,
    histogram: Vec<u64>,
}

#[derive(Deserialize)]
struct MergingCase {
    heads: Vec<f64>,
    within: Vec<f64>,
}

#[derive(Deserialize)]
struct QuestionCase {
    words: Vec<usize>,
    mark: usize,
}

#[derive(Deserialize)]
struct HistogramCase {
    bins: Bins,
    values: Vec<f64>,
    counts: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrajectoryCase {
    points: Vec<(u64, f64)>,
    start: f64,
    min: f64,
    end: f64,
    starts_dense_ends_sparse: bool,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("../parity/attention.json")).unwrap()
}

impl Case {
    /// Every sequence, without its padding.
    fn weights(&self) -> Vec<Weights<'_>> {
        let view = |(index, sequence): (usize, &Sequence)| {
            let (queries, keys) = (sequence.queries, sequence.keys);
            let (queries, keys) = (queries.0..queries.1, keys.0..keys.1);
            Weights::new(&self.weights, self.shape, index, queries, keys).unwrap()
        };
        self.sequences.iter().enumerate().map(view).collect()
    }

    fn legal(&self) -> Legal {
        match self.kind.as_str() {
            "encoder" | "cross" => Legal::All,
            "causal" | "memory" => Legal::Causal,
            other => panic!("{other}"),
        }
    }
}

#[track_caller]
fn assert_close(ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len(), "{ours:?} {theirs:?}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        let tolerance = 1e-12 * theirs.abs() + 1e-14;
        assert!((ours - theirs).abs() <= tolerance, "{ours} {theirs}");
    }
}

#[test]
fn diversity_and_density_are_numpys() {
    let fixture = fixture();
    let mut between = 0;
    for case in &fixture.cases {
        let n_heads = case.shape[1];
        let (mut diversity, mut density) = (Diversity::new(n_heads), Density::new(n_heads));
        let (mut by_query, mut supports, mut unions, mut n_queries) = (0.0, vec![0; n_heads], 0, 0);
        for weights in case.weights() {
            diversity.add(&weights).unwrap();
            density.add(&weights, case.legal()).unwrap();
            for query in 0..weights.n_queries() {
                by_query += jensen_shannon(&weights, query);
                unions += union_size(&weights, query);
                for (head, support) in supports.iter_mut().enumerate() {
                    *support += support_size(weights.row(head, query));
                }
            }
            n_queries += weights.n_queries();
        }
        let n = n_queries as f64;
        assert_close(
            &[diversity.mean().unwrap(), by_query / n],
            &[case.diversity; 2],
        );
        let expected = &case.density;
        assert_close(&density.heads(), &expected.heads);
        assert_close(&[density.union().unwrap()], &[expected.union]);
        assert_close(&density.support_sizes(), &expected.support_sizes);
        let sizes: Vec<f64> = supports.iter().map(|&size| size as f64 / n).collect();
        assert_close(&sizes, &expected.support_sizes);
        let n_legal: u64 = case
            .weights()
            .iter()
            .map(|w| case.legal().cells(w.n_queries(), w.n_keys()))
            .sum();
        assert_close(&[unions as f64 / n_legal as f64], &[expected.union]);
        assert_eq!(density.histogram().counts, expected.histogram);
        between += usize::from(0.0 < case.diversity && case.diversity < 1.0);
    }
    assert!(between > 10, "{between}");
    println!(
        "{} batches equal ({})",
        fixture.cases.len(),
        fixture.versions
    );
}

#[test]
fn roles_of_heads_are_numpys() {
    let fixture = fixture();
    let (mut n_offsets, mut n_empty, mut n_questions) = (0, 0, 0);
    for case in fixture.cases.iter().filter(|case| case.kind != "cross") {
        let n_heads = case.shape[1];
        for (&offset, theirs) in &case.positional {
            let mut positional = Positional::new(n_heads, offset);
            case.weights()
                .iter()
                .for_each(|weights| positional.add(weights, case.legal()).unwrap());
            assert_close(&positional.heads(), theirs);
            n_offsets += 1;
            n_empty += usize::from(theirs.is_empty());
            if let [weights] = case.weights()[..] {
                for head in 0..n_heads {
                    let one = positional_confidence(&weights, head, offset, case.legal()).unwrap();
                    assert_close(one.as_slice(), theirs.get(head..=head).unwrap_or(&[]));
                }
            }
        }

        let (mut merging, mut interrogation) = (Merging::new(n_heads), Interrogation::new(n_heads));
        let words = case.words.as_ref().unwrap();
        let questions = case.questions.as_ref().unwrap();
        let (expected, asked) = (
            case.merging.as_ref().unwrap(),
            case.interrogation.as_ref().unwrap(),
        );
        for ((weights, words), question) in case.weights().iter().zip(words).zip(questions) {
            let words: Vec<_> = words.iter().map(|&(start, end)| start..end).collect();
            merging.add(weights, &words).unwrap();
            let question = question.as_ref().map(|question| Question {
                words: question.words.clone(),
                mark: question.mark,
            });
            if let Some(question) = &question {
                interrogation.add(weights, question).unwrap();
                n_questions += 1;
            }
            if case.sequences.len() == 1 {
                for head in 0..n_heads {
                    let of =
                        |values: &[f64]| values.get(head).copied().into_iter().collect::<Vec<_>>();
                    let score = merging_score(weights, head, &words).unwrap();
                    assert_close(score.as_slice(), &of(&expected.heads));
                    let within = within_cluster(weights, head, &words).unwrap();
                    assert_close(within.as_slice(), &of(&expected.within));
                    if let Some(question) = &question {
                        let score = interrogation_score(weights, head, question).unwrap();
                        assert_close(score.as_slice(), &of(asked));
                    }
                }
            }
        }
        assert_close(&merging.heads(), &expected.heads);
        assert_close(&merging.within(), &expected.within);
        assert_close(&interrogation.heads(), asked);
    }
    assert!(n_offsets > 100 && n_empty > 10 && n_questions > 20);
    println!("{n_offsets} offsets ({n_empty} without a token), {n_questions} questions equal");
}

#[test]
fn histograms_are_numpys() {
    let fixture = fixture();
    for case in &fixture.histograms {
        let histogram = Histogram::of(case.bins, case.values.iter().copied());
        assert_eq!(histogram.counts, case.counts);
        let all = case.values.len() as u64;
        assert!(histogram.n_outside > 0 && histogram.total() + histogram.n_outside == all);
    }
}

#[test]
fn trajectories_are_numpys() {
    let fixture = fixture();
    let mut n_marked = 0;
    for case in &fixture.trajectories {
        let &TrajectoryCase {
            start, min, end, ..
        } = case;
        let trajectory = Trajectory::of(&case.points).unwrap();
        assert_eq!(trajectory, Trajectory { start, min, end });
        let is_marked = trajectory.starts_dense_ends_sparse();
        assert_eq!(is_marked, case.starts_dense_ends_sparse);
        n_marked += usize::from(is_marked);
    }
    assert!(n_marked > 0 && n_marked < fixture.trajectories.len());
}
