//! Figures of known numbers.

use sparta_results::attention::{ALPHA_BINS, DENSITY_BINS, Histogram};
use sparta_results::figure::*;
use sparta_results::paper::figures;

const TYPES: [&str; 3] = ["encoder-self", "decoder-self", "cross"];
const VARIANTS: [&str; 3] = ["softmax", "1.5-entmax", "alpha-entmax"];

pub fn source() -> Source {
    Source {
        run: "iwslt-small, seed 1".into(),
        corpus: "Multi30k de-en, valid".into(),
        n_sequences: Some(1014),
    }
}

/// Numbers in [0, 1) that look drawn at random and are the same everywhere.
pub fn noise(at: usize) -> f64 {
    let mut bits = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// `[layer][head]` between two bounds.
pub fn heads(seed: usize, n_layers: usize, n_heads: usize, low: f64, high: f64) -> Vec<Vec<f64>> {
    let value = |at: usize| low + (high - low) * noise(seed * 1000 + at);
    (0..n_layers)
        .map(|layer| {
            (0..n_heads)
                .map(|head| value(layer * n_heads + head))
                .collect()
        })
        .collect()
}

fn published() -> Published {
    Published::of(figures::pair("de-en").unwrap())
}

pub fn alpha() -> AlphaFigure {
    let of = |(at, attention): (usize, &&str)| {
        let alphas = heads(at, 6, 8, 1.02, 1.98);
        let values = alphas.iter().flatten().copied();
        TypeAlphas {
            attention: attention.to_string(),
            histogram: Shares::from(&Histogram::of(ALPHA_BINS, values)),
            alphas,
        }
    };
    AlphaFigure {
        source: source(),
        types: TYPES.iter().enumerate().map(of).collect(),
        published: published().alphas,
    }
}

pub fn trajectory() -> TrajectoryFigure {
    let steps: Vec<u64> = (0..=60).map(|at| at * 50).collect();
    let head = |at: usize| {
        let (start, end) = (1.05 + 0.9 * noise(at), 1.05 + 0.9 * noise(at + 77));
        let alpha = |step: &u64| {
            let part = *step as f64 / 3000.0;
            let dip = 0.35 * noise(at + 5) * (std::f64::consts::PI * part).sin();
            (start + part * (end - start) - dip).clamp(1.01, 1.99)
        };
        HeadTrajectory {
            attention: TYPES[at % 3].into(),
            layer: at / 12,
            head: at / 3 % 4,
            alphas: steps.iter().map(alpha).collect(),
        }
    };
    TrajectoryFigure {
        source: source(),
        heads: (0..36).map(head).collect(),
        steps,
        published: published_heads(),
    }
}

pub fn density() -> DensityFigure {
    let mut panels = Vec::new();
    for (at, variant) in VARIANTS[1..].iter().enumerate() {
        for (of, attention) in TYPES.iter().enumerate() {
            let density = heads(10 * at + of, 3, 4, 0.05, 0.4 + 0.5 * at as f64);
            let support = |layer: &Vec<f64>| layer.iter().map(|share| 14.0 * share).collect();
            let union = |layer: &Vec<f64>| layer.iter().fold(0.0, |a: f64, b| a.max(*b)) * 1.05;
            panels.push(HeadDensity {
                attention: attention.to_string(),
                variant: variant.to_string(),
                union: density.iter().map(union).collect(),
                support: density.iter().map(support).collect(),
                alphas: (at == 1).then(|| heads(of + 40, 3, 4, 1.1, 1.9)),
                density,
            });
        }
    }
    DensityFigure {
        source: source(),
        panels,
        published: published().density,
    }
}

pub fn density_histogram() -> DensityHistogramFigure {
    let mut panels = Vec::new();
    for (at, variant) in VARIANTS.iter().enumerate() {
        for (of, attention) in TYPES.iter().enumerate() {
            let value = |n: usize| match at {
                0 => 1.0,
                at => noise(n + 5000 * of).powf(3.0 / at as f64),
            };
            panels.push(VariantHistogram {
                attention: attention.to_string(),
                variant: variant.to_string(),
                histogram: Shares::from(&Histogram::of(DENSITY_BINS, (0..4000).map(value))),
            });
        }
    }
    DensityHistogramFigure {
        source: source(),
        panels,
        published: published().density_histogram,
    }
}

pub fn diversity() -> DiversityFigure {
    let mut series = Vec::new();
    for (at, variant) in VARIANTS.iter().enumerate() {
        for (of, attention) in TYPES.iter().enumerate() {
            let layers = heads(3 * at + of, 1, 3, 0.2 + 0.05 * at as f64, 0.5).remove(0);
            series.push(LayerDiversity {
                attention: attention.to_string(),
                variant: variant.to_string(),
                layers,
            });
        }
    }
    DiversityFigure {
        source: source(),
        series,
        published: published().diversity,
    }
}

fn sentence(variant: &str, pieces: &[&str], sparse: bool) -> SentenceWeights {
    let n = pieces.len();
    let row = |query: usize| {
        let raw: Vec<f64> = (0..n)
            .map(|key| noise(query * 31 + key * 7).powi(3))
            .collect();
        let raw = raw
            .into_iter()
            .map(|of| if sparse && of < 0.3 { 0.0 } else { of + 1e-3 });
        let raw: Vec<f64> = raw.collect();
        let sum: f64 = raw.iter().sum();
        let weight = |of: &f64| Some((of / sum.max(1e-9)) as f32);
        raw.iter().map(weight).collect()
    };
    let pieces: Vec<String> = pieces.iter().map(|piece| piece.to_string()).collect();
    SentenceWeights {
        variant: variant.into(),
        attention: "encoder-self".into(),
        layer: 1,
        head: 2,
        alpha: sparse.then_some(1.91),
        queries: pieces.clone(),
        keys: pieces,
        weights: (0..n).map(row).collect(),
        counted: (1..n).map(|query| (query, query - 1)).collect(),
    }
}

pub const PIECES: [&str; 14] = [
    "ein", "mann", "mit", "einem", "oran@@", "gefar@@", "benen", "hut", ",", "der", "etwas",
    "an@@", "starrt", "<&\">",
];

pub fn positional() -> RoleFigure {
    let mut scores = Vec::new();
    for offset in [-1, 1] {
        for (at, variant) in VARIANTS.iter().enumerate() {
            let mut of = heads(at + 90, 3, 4, 0.05, 0.6);
            if offset == -1 && at > 0 {
                of[1][2] = 0.944;
                of[2][0] = 0.959;
            }
            scores.push(RoleScores {
                variant: variant.to_string(),
                attention: "encoder-self".into(),
                measure: measure_of_offset(offset),
                n: 12_345,
                scores: of,
                alphas: (at == 2).then(|| heads(4, 3, 4, 1.1, 1.95)),
            });
        }
    }
    RoleFigure {
        role: Role::Positional,
        source: source(),
        threshold: 0.9,
        scores,
        published: published_scores(Role::Positional),
        examples: vec![
            sentence("softmax", &PIECES, false),
            sentence("alpha-entmax", &PIECES, true),
        ],
    }
}

pub fn merging() -> RoleFigure {
    let of = |measure: &str, at: usize| RoleScores {
        variant: VARIANTS[at].into(),
        attention: "encoder-self".into(),
        measure: measure.into(),
        n: 777,
        scores: heads(at + 60, 6, 12, 0.02, 0.7),
        alphas: (at == 2).then(|| heads(4, 6, 12, 1.1, 1.95)),
    };
    RoleFigure {
        role: Role::Merging,
        source: source(),
        threshold: 0.8,
        scores: vec![
            of(MERGING, 0),
            of(MERGING, 2),
            of(WITHIN_WORD, 0),
            of(WITHIN_WORD, 2),
        ],
        published: published_scores(Role::Merging),
        examples: Vec::new(),
    }
}

pub fn interrogation() -> RoleFigure {
    RoleFigure {
        role: Role::Interrogation,
        source: source(),
        threshold: 0.9,
        scores: vec![RoleScores {
            variant: "softmax".into(),
            attention: "encoder-self".into(),
            measure: INTERROGATION.into(),
            n: 0,
            scores: Vec::new(),
            alphas: None,
        }],
        published: published_scores(Role::Interrogation),
        examples: Vec::new(),
    }
}

/// π([t, 0]) of sparsemax and argmax, and made-up surfaces of three classes.
pub fn omega() -> OmegaFigure {
    let t: Vec<f64> = (-60..=60).map(|at| f64::from(at) / 20.0).collect();
    let alphas = [Some(1.0), Some(1.25), Some(1.5), Some(2.0), Some(4.0), None];
    let names = [
        "softmax",
        "1.25-entmax",
        "1.5-entmax",
        "sparsemax",
        "4-entmax",
        "argmax",
    ];
    let p = |alpha: Option<f64>, t: f64| match alpha {
        Some(1.0) => 1.0 / (1.0 + (-t).exp()),
        Some(alpha) => ((t * (alpha - 0.9) / 2.0 + 1.0) / 2.0).clamp(0.0, 1.0),
        None => f64::from(u8::from(t > 0.0)) + if t == 0.0 { 0.5 } else { 0.0 },
    };
    let curve = |(alpha, name): (&Option<f64>, &&str)| OmegaCurve {
        name: name.to_string(),
        alpha: *alpha,
        p: t.iter().map(|&t| p(*alpha, t)).collect(),
        t: t.clone(),
    };
    let axis: Vec<f64> = (-20..=20).map(|at| f64::from(at) / 8.0).collect();
    let surface = |(alpha, name): (&Option<f64>, &&str)| {
        let cell = |t1: f64, t2: f64| p(*alpha, t1) * p(*alpha, t1 - t2);
        let row = |t2: &f64| axis.iter().map(|t1| cell(*t1, *t2) as f32).collect();
        let size = |t1: f64, t2: f64| {
            let positive = [cell(t1, t2), cell(t2, t1), 1.0 - p(*alpha, t1.max(t2))];
            positive.iter().filter(|p| **p > 0.0).count().max(1) as u8
        };
        OmegaSurface {
            name: name.to_string(),
            alpha: *alpha,
            p: axis.iter().map(row).collect(),
            support: (axis.iter())
                .map(|t2| axis.iter().map(|t1| size(*t1, *t2)).collect())
                .collect(),
            t: axis.clone(),
        }
    };
    OmegaFigure {
        two: alphas.iter().zip(&names).map(curve).collect(),
        three: alphas.iter().zip(&names).map(surface).collect(),
    }
}

/// Mean causal attention of `n_layers × n_heads` heads over `n` positions and `mems` before them.
pub fn pattern(n_layers: usize, n_heads: usize, n: usize, mems: usize) -> PatternFigure {
    let side = Grid::side(2 * n_layers * n_heads);
    let head = |at: usize| {
        let weight = |query: usize, key: usize| {
            let distance = (query + mems).checked_sub(key)?;
            let width = 2.0 + 12.0 * noise(at);
            let weight = (-(distance as f64) / width).exp() / width;
            Some(if distance > 60 { 0.0 } else { weight as f32 })
        };
        let cut = 0.004 + 0.01 * noise(at + 3);
        let hidden = |query: usize, key: usize| {
            Some(f32::from(u8::from(f64::from(weight(query, key)?) < cut)))
        };
        HeadPattern {
            layer: at / n_heads,
            head: at % n_heads,
            mean: Grid::of(n, n + mems, side, weight),
            hidden: Some(Grid::of(n, n + mems, side, hidden)),
            effective: Some(0.4 + 0.3 * noise(at + 9)),
        }
    };
    PatternFigure {
        source: source(),
        attention: "decoder-self".into(),
        variant: "softmax".into(),
        named_by_variant: false,
        mask: Some("AP, p = 60 %".into()),
        heads: (0..n_layers * n_heads).map(head).collect(),
    }
}

pub fn sparsity() -> SparsityFigure {
    let mask = |p: f64, attention: &str| MaskSparsity {
        mask: "AP".into(),
        attention: attention.into(),
        nominal: p,
        effective: heads(p as usize, 6, 8, p - 0.1, p + 0.05),
        token_weighted: heads(7, 6, 8, p - 0.4, p - 0.2),
        blocks: [16, 32, 64]
            .map(|block_size| BlocksLeft {
                block_size,
                left: heads(block_size, 6, 8, 0.4, 1.0),
            })
            .into(),
    };
    SparsityFigure {
        source: source(),
        masks: vec![
            mask(0.6, "encoder-self"),
            mask(0.9, "encoder-self"),
            mask(0.6, "cross"),
        ],
    }
}

pub fn overlap() -> OverlapFigure {
    let matrix = |title: &str, labels: &[&str]| {
        let n = labels.len();
        let value = |a: usize, b: usize| match a == b {
            true => Some(1.0),
            false => Some(0.3 + 0.4 * noise(a.min(b) * 10 + a.max(b))),
        };
        OverlapMatrix {
            title: title.into(),
            labels: labels.iter().map(|label| label.to_string()).collect(),
            overlap: (0..n)
                .map(|a| (0..n).map(|b| value(a, b)).collect())
                .collect(),
            by_chance: Some(0.43),
        }
    };
    OverlapFigure {
        source: source(),
        matrices: vec![
            matrix(
                "between seeds, encoder self-attention, p = 60 %",
                &["seed 1", "seed 2", "seed 3"],
            ),
            matrix("between normalisers, seed 1, p = 60 %", &VARIANTS),
            matrix(
                "between p, seed 1",
                &["20 %", "40 %", "60 %", "80 %", "90 %"],
            ),
        ],
    }
}

pub fn curves() -> CurvesFigure {
    let line = |run: usize, of: &dyn Fn(f64) -> f64| {
        let point = |at: usize| {
            let step = 10.0 * at as f64;
            (step, of(step) * (1.0 + 0.06 * noise(at + run * 500)))
        };
        let points: Vec<(f64, f64)> = (0..=300).map(point).collect();
        CurveLine::of(
            ["softmax, seed 1", "1.5-entmax, seed 1", "α-entmax, seed 1"][run],
            &points,
            400,
        )
    };
    let panel = |measure: &str, log: bool, of: &dyn Fn(f64) -> f64| CurvePanel {
        measure: measure.into(),
        log,
        lines: (0..3).map(|run| line(run, of)).collect(),
    };
    CurvesFigure {
        x: "training step".into(),
        panels: vec![
            panel("training loss (nats a token)", false, &|step| {
                4.0 + 4.0 * (-step / 500.0).exp()
            }),
            panel("perplexity, valid", true, &|step| {
                60.0 + 2000.0 * (-step / 300.0).exp()
            }),
            panel("learning rate", false, &|step| {
                2.5e-4 * (step / 500.0).min(1.0)
            }),
            panel("gradient norm", true, &|step| {
                0.3 + 5.0 * (-step / 200.0).exp()
            }),
            panel("training speed (tokens/s)", false, &|_| 4200.0),
        ],
    }
}
