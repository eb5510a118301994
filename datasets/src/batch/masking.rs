//! Which tokens of a window a masked language model has to find, and what it sees in their place
//! (Devlin et al. 2019, section 3.1 and appendix A.1).

use super::IGNORE;
use crate::shuffle::Shuffler;
use crate::tokenize::pretrained::{Encoding, Sequence, Tokenizer};
use crate::{Error, Result};

/// Keeps the draws of masks apart from others of the same seed, such as the order of an epoch.
const STREAM: u64 = u64::from_be_bytes(*b"masking ");

/// How many tokens are chosen, and what becomes of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Masking {
    /// Fraction of a window's tokens that is chosen to be predicted, above 0 and at most 1.
    pub fraction: f64,
    /// Fraction of the chosen ones in whose place the model sees `[MASK]`.
    pub mask: f64,
    /// Fraction of the chosen ones in whose place it sees a random token; what is left over of
    /// `mask` and `random` stays as it is.
    pub random: f64,
}

impl Masking {
    /// BERT's: 15 %, of which 80 % `[MASK]`, 10 % random, 10 % unchanged.
    pub const BERT: Self = Self {
        fraction: 0.15,
        mask: 0.8,
        random: 0.1,
    };

    fn check(self) -> Result<Self> {
        let Self {
            fraction,
            mask,
            random,
        } = self;
        // 0.8 + 0.2 may be more than 1 by rounding.
        let is_sum = mask >= 0.0 && random >= 0.0 && mask + random <= 1.0 + f64::EPSILON;
        if is_sum && fraction > 0.0 && fraction <= 1.0 {
            Ok(self)
        } else {
            Err(Error::BadMasking {
                fraction,
                mask,
                random,
            })
        }
    }
}

/// Which tokens of each window are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// [`Masking::fraction`] of them, drawn from `(seed, epoch, place of the window)` alone: an
    /// epoch drawn again is the same, in any order and any batches. With a seed and epoch of their
    /// own, scores of validation and test text are comparable between models.
    Drawn {
        /// Seed of the run, or of the evaluation.
        seed: u64,
        /// Epoch of training; 0 in an evaluation.
        epoch: u64,
    },
    /// Every `n_groups`-th of them from number `group` on, all hidden by `[MASK]`: over the groups
    /// `0..n_groups` each token is hidden exactly once.
    ///
    /// With `n_groups` ≥ the length of the windows one token is hidden at a time, and the mean of
    /// −log p over all of them is the logarithm of the pseudo-perplexity (Salazar et al. 2020,
    /// equations 1 and 3). Fewer groups are as many passes fewer, and hide more context: a
    /// pseudo-perplexity of k groups is comparable to those of k groups only.
    Group {
        /// Number of the group, below `n_groups`.
        group: usize,
        /// Number of groups, at least 1.
        n_groups: usize,
    },
}

/// Hides tokens of windows.
#[derive(Debug, Clone)]
pub struct Masker {
    masking: Masking,
    mask: u32,
    /// The ids that are not special, ascending.
    ordinary: Vec<u32>,
}

impl Masker {
    /// For windows of this tokenizer.
    ///
    /// # Errors
    /// [`Error::NoSpecialToken`] without a mask token, [`Error::BadMasking`] for fractions that are
    /// none.
    pub fn new(tokenizer: &Tokenizer, masking: Masking) -> Result<Self> {
        let ids = 0..tokenizer.vocab_size() as u32;
        Ok(Self {
            masking: masking.check()?,
            mask: tokenizer.mask()?,
            ordinary: ids
                .filter(|&id| tokenizer.token(id).is_some() && !tokenizer.is_special(id))
                .collect(),
        })
    }

    /// What the model sees of a window, and for each position the token to be found:
    /// [`IGNORE`] where none is.
    ///
    /// Special tokens are never chosen, `[UNK]` and those written out in the text included, and none
    /// is drawn as a random token. Of n other tokens round(`fraction` · n) are chosen, at least one.
    /// `index` is the place of the window in its list.
    ///
    /// # Panics
    /// When `n_groups` of the choice is 0.
    pub fn hide(&self, window: &Encoding, index: u32, choice: Choice) -> (Vec<u32>, Vec<i32>) {
        let mut ids = window.ids.clone();
        let mut labels = vec![IGNORE; ids.len()];
        let is_ordinary = |&at: &usize| {
            window.sequence(at) != Sequence::Special && self.is_ordinary(window.ids[at])
        };
        let places: Vec<usize> = (0..ids.len()).filter(is_ordinary).collect();
        match choice {
            Choice::Drawn { seed, epoch } => {
                let mut random = Shuffler::new(&[seed, STREAM, epoch, u64::from(index)]);
                for at in self.chosen(places, &mut random) {
                    labels[at] = ids[at] as i32;
                    ids[at] = self.seen(ids[at], &mut random);
                }
            }
            Choice::Group { group, n_groups } => {
                for &at in places.iter().skip(group).step_by(n_groups) {
                    labels[at] = ids[at] as i32;
                    ids[at] = self.mask;
                }
            }
        }
        (ids, labels)
    }

    fn is_ordinary(&self, id: u32) -> bool {
        self.ordinary.binary_search(&id).is_ok()
    }

    fn chosen(&self, mut places: Vec<usize>, random: &mut Shuffler) -> Vec<usize> {
        let n = (self.masking.fraction * places.len() as f64).round() as usize;
        random.shuffle(&mut places);
        places.truncate(n.max(1));
        places
    }

    fn seen(&self, id: u32, random: &mut Shuffler) -> u32 {
        let at = random.fraction();
        if at < self.masking.mask {
            self.mask
        } else if at < self.masking.mask + self.masking.random {
            self.ordinary[random.below(self.ordinary.len())]
        } else {
            id
        }
    }
}
