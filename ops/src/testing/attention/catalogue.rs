//! The requests: shapes, normalisers, masks and terms.

/// The row normaliser of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// α = 1.
    Softmax,
    /// α = 2.
    Sparsemax,
    /// α = 1.5.
    Entmax15,
    /// One α per head, from 1 to 2 in turns.
    PerHead,
    /// One α for all heads, as a tensor.
    Alpha(f64),
}

/// The masks of a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Masks {
    /// None.
    None,
    /// Bottom right.
    Causal,
    /// Padding on the right of each example, a gap on the left of the second.
    Padding,
    /// Key lengths; the last example has none.
    Lengths,
    /// Three packed sequences, not causal.
    Packed,
    /// Three packed sequences, causal each.
    PackedCausal,
    /// A third of the cells of each head, whole rows among them.
    Global,
    /// The same cells for every head.
    GlobalShared,
    /// Blocks of this size: hidden, visible and partial ones.
    Blocks(usize),
    /// A mask for all heads.
    Extra,
    /// Causal, padding, global, blocks and extra at once.
    All,
}

/// The terms added to scores; each has a gradient but one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Terms {
    /// Nothing.
    None,
    /// A bias for the whole batch.
    Bias,
    /// A bias for each example.
    BiasEach,
    /// A bias for the whole batch that is a constant: on a GPU there is a kernel for it, and none for the
    /// gradient of one.
    BiasConstant,
    /// Transformer-XL's term by distance.
    Relative,
    /// Bias and distance.
    Both,
    /// A limit on distances, with its gradient.
    Span,
}

/// One request.
#[derive(Clone, Debug)]
pub struct AttentionCase {
    /// `[batch, n_heads, n_kv_heads, seq_q, seq_kv, d_head, d_value]`.
    pub shape: [usize; 7],
    /// The normaliser.
    pub rule: Rule,
    /// The masks.
    pub masks: Masks,
    /// Added to scores.
    pub terms: Terms,
    /// Fraction of the weights dropped.
    pub dropout: f64,
    /// Factor of the queries: wide scores have few weights.
    pub spread: f64,
}

const SHAPES: [[usize; 7]; 8] = [
    [2, 3, 3, 7, 7, 5, 5],
    [2, 2, 1, 33, 65, 16, 16],
    [1, 4, 2, 130, 130, 64, 64],
    [2, 2, 2, 3, 9, 8, 12],
    [1, 1, 1, 1, 1, 4, 4],
    [1, 2, 2, 1, 4097, 16, 16],
    [1, 3, 3, 97, 300, 33, 17],
    [1, 6, 2, 65, 1025, 32, 48],
];

impl AttentionCase {
    fn new(shape: [usize; 7], rule: Rule, masks: Masks) -> Self {
        Self {
            shape,
            rule,
            masks,
            terms: Terms::None,
            dropout: 0.0,
            spread: 1.0,
        }
    }

    /// Every case. Every n-th of them, with a prime n, makes a quick tier.
    pub fn all() -> Vec<Self> {
        let rules = [
            Rule::Softmax,
            Rule::Sparsemax,
            Rule::Entmax15,
            Rule::PerHead,
        ];
        let masks = [
            Masks::None,
            Masks::Causal,
            Masks::Padding,
            Masks::Lengths,
            Masks::Packed,
            Masks::PackedCausal,
            Masks::Global,
            Masks::GlobalShared,
            Masks::Blocks(16),
            Masks::Blocks(64),
            Masks::Extra,
            Masks::All,
        ];
        let mut cases = Vec::new();
        for rule in rules {
            for masks in masks {
                let is_packed = matches!(masks, Masks::Packed | Masks::PackedCausal);
                for shape in SHAPES {
                    // Packed sequences are one row of the batch, and three.
                    if !is_packed || (shape[0] == 1 && shape[3] > 2) {
                        cases.push(Self::new(shape, rule, masks));
                    }
                }
            }
            for masks in [Masks::None, Masks::Causal, Masks::All] {
                for shape in [SHAPES[0], SHAPES[1], SHAPES[6]] {
                    for terms in [Terms::Bias, Terms::BiasEach, Terms::Relative, Terms::Both] {
                        cases.push(Self {
                            terms,
                            ..Self::new(shape, rule, masks)
                        });
                    }
                    cases.push(Self {
                        dropout: 0.3,
                        ..Self::new(shape, rule, masks)
                    });
                    cases.push(Self {
                        dropout: 0.2,
                        terms: Terms::Both,
                        ..Self::new(shape, rule, masks)
                    });
                }
                for shape in [SHAPES[2], SHAPES[6]] {
                    for terms in [Terms::None, Terms::Relative] {
                        cases.push(Self {
                            spread: 8.0,
                            terms,
                            ..Self::new(shape, rule, masks)
                        });
                    }
                }
            }
        }
        for alpha in [1.0, 1.001, 1.1, 1.25, 1.333, 1.5, 1.75, 2.0, 2.3, 3.0] {
            for shape in [SHAPES[0], SHAPES[6]] {
                for spread in [1.0, 8.0] {
                    cases.push(Self {
                        spread,
                        ..Self::new(shape, Rule::Alpha(alpha), Masks::Causal)
                    });
                }
            }
        }
        for block in [32, 128] {
            cases.push(Self::new(SHAPES[6], Rule::Entmax15, Masks::Blocks(block)));
        }
        cases
    }

    /// At most 60 of [`Self::all`], of every kind.
    pub fn quick() -> Vec<Self> {
        let all = Self::all();
        let n = all.len().div_ceil(60) | 1;
        all.into_iter().step_by(n).collect()
    }

    /// What [`Self::all`] leaves out: heads wider than what kernels add up at once, constant biases, and
    /// spans.
    pub fn special() -> Vec<Self> {
        let biased = |shape, rule, masks| Self {
            terms: Terms::BiasConstant,
            ..Self::new(shape, rule, masks)
        };
        let limited = |shape, masks, dropout| Self {
            terms: Terms::Span,
            dropout,
            ..Self::new(shape, Rule::Softmax, masks)
        };
        vec![
            Self::new([1, 2, 1, 20, 30, 100, 70], Rule::Entmax15, Masks::Causal),
            Self::new([1, 2, 2, 40, 70, 136, 140], Rule::PerHead, Masks::None),
            biased(SHAPES[1], Rule::Entmax15, Masks::Causal),
            biased(SHAPES[6], Rule::Softmax, Masks::All),
            limited(SHAPES[1], Masks::Causal, 0.0),
            limited(SHAPES[6], Masks::None, 0.0),
            limited(SHAPES[6], Masks::All, 0.2),
            limited(SHAPES[7], Masks::Causal, 0.0),
        ]
    }

    /// The case in words.
    pub fn label(&self) -> String {
        let [b, h, g, q, k, d, v] = self.shape;
        format!(
            "[{b}, {h}/{g}, {q}x{k}, {d}/{v}] {:?} {:?} {:?} dropout {} spread {}",
            self.rule, self.masks, self.terms, self.dropout, self.spread
        )
    }
}
