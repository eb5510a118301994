//! The definitions of attention's figures, held to the published figures.

use sparta_results::attention::{ALPHA_BINS, Bins, DENSITY_BINS, Histogram, Modes};
use sparta_results::paper::figures::{PairFigures, figures, pair};

const TYPES: [&str; 3] = ["encoder-self", "cross", "decoder-self"];
const NORMALIZERS: [&str; 3] = ["softmax", "1.5-entmax", "alpha-entmax"];
const PAIRS: [&str; 4] = ["en-de", "de-en", "ja-en", "ro-en"];

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn pairs() -> impl Iterator<Item = (&'static str, &'static PairFigures)> {
    PAIRS.map(|name| (name, pair(name).unwrap())).into_iter()
}

fn centre(bins: Bins, index: usize) -> f64 {
    (bins.edge(index) + bins.edge(index + 1)) / 2.0
}

#[test]
fn published_diversities_keep_the_bound_and_the_claims() {
    assert_eq!(figures().pairs.len(), PAIRS.len());
    let mut n_rows = 0;
    for (name, pair) in pairs() {
        for attention_type in TYPES {
            let of = |normalizer| {
                let layers = pair.diversity(attention_type, normalizer).unwrap();
                assert_eq!(layers.len(), 6);
                assert!(layers.iter().all(|js| (0.0..=1.0).contains(js)));
                mean(layers)
            };
            let [softmax, entmax15, alpha] = NORMALIZERS.map(of);
            let row = format!("{name} {attention_type}: {softmax} {entmax15} {alpha}");
            assert!(entmax15 > softmax && alpha > softmax, "{row}");
            assert!(entmax15 >= alpha, "{row}");
            n_rows += 1;
        }
        for normalizer in NORMALIZERS {
            let of = |attention_type| mean(pair.diversity(attention_type, normalizer).unwrap());
            let [encoder, cross, decoder] = TYPES.map(of);
            assert!(encoder > cross && encoder > decoder, "{name} {normalizer}");
        }
    }
    assert_eq!(n_rows, 12);
    let german = pair("en-de").unwrap();
    let means = NORMALIZERS.map(|normalizer| mean(german.diversity("cross", normalizer).unwrap()));
    let rounded = means.map(|mean| (mean * 1000.0).round());
    assert_eq!(rounded, [237.0, 276.0, 238.0], "the tightest row");
}

#[test]
fn published_alphas_are_48_heads_and_bimodal_in_two_encoders() {
    for (name, pair) in pairs() {
        for attention_type in TYPES {
            let alphas = pair.alphas(attention_type).unwrap();
            assert_eq!(
                (alphas.counts.len(), alphas.total()),
                (ALPHA_BINS.count, 48)
            );
            let modes = Modes::of(&alphas);
            let is_bimodal = attention_type == "encoder-self" && ["en-de", "ro-en"].contains(&name);
            assert_eq!(
                modes.is_some(),
                is_bimodal,
                "{name} {attention_type}: {modes:?}"
            );
            if let Some(modes) = modes {
                assert!(modes.lower < 1.5 && modes.upper > 1.8, "{name}: {modes:?}");
            }
            // Values drawn at the centres fall into the same bins again.
            let values = alphas.counts.iter().enumerate().flat_map(|(bin, &count)| {
                std::iter::repeat_n(centre(ALPHA_BINS, bin), count as usize)
            });
            assert_eq!(Histogram::of(ALPHA_BINS, values), alphas);
        }
    }
}

#[test]
fn published_densities_are_shares_and_denser_where_learned() {
    let sentences = PAIRS.map(|name| pair(name).unwrap().sentences);
    assert_eq!(sentences, [3000, 8967, 1166, 1999]);
    for (name, pair) in pairs() {
        for attention_type in TYPES {
            let [fixed, learned] = ["1.5-entmax", "alpha-entmax"].map(|normalizer| {
                let layers = pair.density(attention_type, normalizer).unwrap();
                let row = format!("{name} {attention_type} {normalizer}");
                assert_eq!(layers.len(), 6, "{row}");
                for heads in layers {
                    assert_eq!(heads.len(), 8, "{row}");
                    assert!(
                        heads.is_sorted() && heads[0] >= 0.0 && heads[7] <= 1.0,
                        "{row}"
                    );
                }
                let shares = pair.density_histogram(attention_type, normalizer).unwrap();
                assert_eq!(shares.len(), DENSITY_BINS.count, "{row}");
                let total: f64 = shares.iter().sum();
                assert!((total - 1.0).abs() < 3e-4, "{row}: {total}");
                let weighted = shares.iter().enumerate();
                let of_sentences: f64 = weighted
                    .map(|(bin, share)| share * centre(DENSITY_BINS, bin))
                    .sum();
                let of_cells = mean(&layers.concat());
                // A sentence weighs the same however short, and short ones are denser; half a bin at most is lost by
                // taking centres.
                assert!(
                    of_sentences > of_cells - 1.0 / 30.0,
                    "{row}: {of_sentences} {of_cells}"
                );
                (of_cells, of_sentences)
            });
            assert!(
                learned.0 > fixed.0 && learned.1 > fixed.1,
                "{name} {attention_type}"
            );
        }
    }
}

#[test]
fn published_trajectories_and_roles_are_the_papers() {
    let trajectories = &figures().trajectories;
    assert_eq!(
        (trajectories.pair.as_str(), trajectories.heads.len()),
        ("en-de", 5)
    );
    let marked: Vec<_> = trajectories
        .heads
        .iter()
        .filter(|head| head.trajectory().starts_dense_ends_sparse())
        .map(|head| (head.attention_type.as_str(), head.layer, head.head))
        .collect();
    assert_eq!(
        marked,
        [("encoder-self", 1, 7)],
        "the head that the text names"
    );
    for head in &trajectories.heads {
        assert!(head.min <= head.start && head.min <= head.end && head.min > 1.0);
    }
    let roles = &figures().roles;
    for scores in [&roles.positional[&-1], &roles.positional[&1]] {
        assert_eq!(scores.len(), NORMALIZERS.len());
        assert!(scores.values().all(|heads| heads.median > 0.9));
    }
    assert_eq!(roles.merging["softmax"], [0.0; 0]);
    assert!(roles.merging.values().flatten().all(|&score| score > 0.8));
    assert!(roles.interrogation.values().all(|&score| score > 0.9));
}
