//! What is watched of mechanisms while a network reads: numbers of each call, which a table shows beside the score.

use std::cell::RefCell;

use burn::prelude::*;
use sparta_ops::attention::{
    AttentionOptions, AttentionOutput, Implementation, Normalizer, sparse_attention,
};
use sparta_ops::pruning::AttentionType;

use super::{Attend, MechanismState};

/// A quantity of a mechanism: the mean of what calls, heads and rows gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Observable {
    /// What it is, in the words of tables: `support`, `L1 error`.
    pub name: &'static str,
    /// Sum of the values.
    pub sum: f64,
    /// How many there are.
    pub n: u64,
}

impl Observable {
    /// Of some values.
    pub fn of(name: &'static str, values: impl IntoIterator<Item = f64>) -> Self {
        let empty = Self {
            name,
            sum: 0.0,
            n: 0,
        };
        values.into_iter().fold(empty, |of, value| Self {
            sum: of.sum + value,
            n: of.n + 1,
            ..of
        })
    }

    /// Of every number of a tensor.
    pub fn of_tensor<const D: usize>(name: &'static str, values: Tensor<D>) -> Self {
        Self::of(name, values.into_data().iter::<f64>())
    }

    /// The mean; none of no values.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }
}

/// Weights of a group are apart by no more than this.
const ROUNDING: f32 = 1e-6;

/// What was watched of a network, by type of attention.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Readings(Vec<(Option<AttentionType>, Observable)>);

impl Readings {
    fn add(&mut self, kind: Option<AttentionType>, read: Observable) {
        let same = |(of, known): &&mut (Option<AttentionType>, Observable)| {
            (*of, known.name) == (kind, read.name)
        };
        match self.0.iter_mut().find(same) {
            Some((_, known)) => {
                known.sum += read.sum;
                known.n += read.n;
            }
            None => self.0.push((kind, read)),
        }
    }

    /// What was watched of some types of attention, each quantity once, in the order in which mechanisms gave them.
    pub fn of(&self, kinds: &[AttentionType]) -> Vec<Observable> {
        let mut all = Self::default();
        let is_asked = |kind: &Option<AttentionType>| kind.is_some_and(|of| kinds.contains(&of));
        for (_, read) in self.0.iter().filter(|(kind, _)| is_asked(kind)) {
            all.add(None, read.clone());
        }
        all.0.into_iter().map(|(_, read)| read).collect()
    }

    /// The same of every call, whether or not a network says of which type it is.
    pub fn of_all(&self) -> Vec<Observable> {
        let mut all = Self::default();
        for (_, read) in &self.0 {
            all.add(None, read.clone());
        }
        all.0.into_iter().map(|(_, read)| read).collect()
    }
}

thread_local! {
    /// None while nobody watches.
    static WATCHED: RefCell<Option<Readings>> = const { RefCell::new(None) };
    /// The type of attention that a network is at.
    static KIND: RefCell<Option<AttentionType>> = const { RefCell::new(None) };
}

/// Does some work, and watches every call of attention in it that this thread makes: each mechanism computes what there is
/// to be known of it beside its context, which takes time and memory of the order of all scores.
///
/// ```
/// use burn::prelude::*;
/// use burn::tensor::Distribution;
/// use sparta_model::layer::mechanism::watch;
/// use sparta_model::layer::{AttentionInput, MultiHeadAttentionConfig, NormalizerConfig};
/// let device = Device::flex();
/// let config = MultiHeadAttentionConfig::new(16, 2).with_normalizer(NormalizerConfig::Sparsemax);
/// let attention = config.init(&device);
/// let x = Tensor::<3>::random([1, 7, 16], Distribution::Default, &device);
/// let (_, readings) = watch(|| attention.forward(AttentionInput::self_attention(x)));
/// let support = &readings.of_all()[0];
/// assert_eq!((support.name, support.n), ("support", 14)); // rows of both heads
/// assert!(support.mean().unwrap() <= 7.0);
/// ```
pub fn watch<T>(work: impl FnOnce() -> T) -> (T, Readings) {
    let before = WATCHED.replace(Some(Readings::default()));
    let restore = Restore(before);
    let done = work();
    let readings = WATCHED.with_borrow_mut(Option::take).unwrap_or_default();
    drop(restore);
    (done, readings)
}

/// Puts what was watched before back, also after a panic.
struct Restore(Option<Readings>);

impl Drop for Restore {
    fn drop(&mut self) {
        WATCHED.replace(self.0.take());
    }
}

/// The work of a network at one type of attention.
pub(crate) fn within<T>(kind: AttentionType, work: impl FnOnce() -> T) -> T {
    let before = KIND.replace(Some(kind));
    let done = work();
    KIND.replace(before);
    done
}

/// Whether somebody watches.
pub(super) fn is_watched() -> bool {
    WATCHED.with_borrow(Option::is_some)
}

/// Notes what a mechanism says of a call, if somebody watches.
pub(super) fn note(mechanism: &dyn Attend, call: &ObservedCall<'_>) {
    if !is_watched() {
        return;
    }
    let (kind, found) = (KIND.with_borrow(|kind| *kind), mechanism.observe(call));
    WATCHED.with_borrow_mut(|watched| {
        for read in found {
            if let Some(readings) = watched {
                readings.add(kind, read);
            }
        }
    });
}

/// A call of attention that is watched.
pub(crate) struct ObservedCall<'a> {
    /// `[batch, n_heads, seq_q, d_head]`.
    pub(crate) query: &'a Tensor<4>,
    /// `[batch, n_heads, seq_kv, d_head]`.
    pub(crate) key: &'a Tensor<4>,
    /// `[batch, n_heads, seq_kv, d_value]`.
    pub(crate) value: &'a Tensor<4>,
    /// What was asked for.
    pub(crate) options: &'a AttentionOptions,
    /// What stands for keys that were read before.
    pub(crate) state: Option<&'a MechanismState>,
    /// What the rows of the query were multiplied by, `[batch, n_heads, seq_q, 1]`.
    pub(crate) factor: Option<&'a Tensor<4>>,
}

impl ObservedCall<'_> {
    /// The same call by the readable definition, of which weights can be had.
    pub(crate) fn by_definition(&self) -> AttentionOptions {
        AttentionOptions {
            dropout: 0.0,
            implementation: Implementation::Reference,
            ..self.options.clone()
        }
    }

    /// The weights of a mechanism that has them.
    ///
    /// # Shapes
    /// - output: `[batch, n_heads, seq_q, seq_kv]`
    pub(crate) fn weights(&self, mechanism: &dyn Attend) -> Option<Tensor<4>> {
        let (query, key, value) = (self.query.clone(), self.key.clone(), self.value.clone());
        let options = self.by_definition().return_weights();
        mechanism.attend(query, key, value, options).weights
    }

    /// The weights that a mechanism without such gives its keys: its context of values that are one for a key of
    /// their own, and zero otherwise.
    ///
    /// # Shapes
    /// - output: `[batch, n_heads, seq_q, seq_kv]`
    pub(crate) fn implied_weights(&self, mechanism: &dyn Attend) -> Tensor<4> {
        let [batch, n_heads, seq_kv, _] = self.key.dims();
        let each = Tensor::<2>::eye(seq_kv, &self.key.device()).reshape([1, 1, seq_kv, seq_kv]);
        let each = each.expand([batch, n_heads, seq_kv, seq_kv]);
        let (query, key) = (self.query.clone(), self.key.clone());
        (mechanism.attend(query, key, each, self.by_definition())).context
    }

    /// Softmax attention's weights of the queries and keys of a call; a scale of its own where `scale` says so.
    ///
    /// # Shapes
    /// - query: `[batch, n_heads, seq_q, d_head]`, key: `[batch, n_heads, seq_kv, d_head]`
    /// - output: `[batch, n_heads, seq_q, seq_kv]`
    pub(crate) fn softmax(
        &self,
        query: Tensor<4>,
        key: Tensor<4>,
        scale: Option<f64>,
    ) -> Tensor<4> {
        let options = AttentionOptions {
            normalizer: Normalizer::Softmax,
            scale: scale.or(self.options.scale),
            return_weights: true,
            ..self.by_definition()
        };
        weights_of(sparse_attention(query, key, self.value.clone(), options))
    }

    /// Which keys a query can see, 1 or 0; `masked` by the global mask of the call, or as if there were none.
    ///
    /// # Shapes
    /// - output: `[batch, n_heads, seq_q, seq_kv]`
    pub(crate) fn visible(&self, masked: bool) -> Tensor<4> {
        let all = self.by_definition();
        let options = AttentionOptions {
            normalizer: Normalizer::Softmax,
            return_weights: true,
            bias: None,
            relative: None,
            global_mask: all.global_mask.filter(|_| masked),
            block_mask: all.block_mask.filter(|_| masked),
            ..all
        };
        let none = self.query.zeros_like();
        let even = sparse_attention(none, self.key.clone(), self.value.clone(), options);
        weights_of(even).greater_elem(0.0).float()
    }

    /// The mean number of keys of a query that have weight, and what share of the keys that it can see they are, in per
    /// cent; under a global mask also the share of keys that this leaves.
    ///
    /// # Shapes
    /// - weights: `[batch, n_heads, seq_q, seq_kv]`
    pub(crate) fn support(&self, weights: &Tensor<4>) -> Vec<Observable> {
        let has_weight = weights.clone().greater_elem(0.0).float();
        let (support, seen) = (per_row(has_weight), per_row(self.visible(true)));
        let pairs = || support.iter().zip(&seen).filter(|(_, seen)| **seen > 0.0);
        let mut found = vec![
            Observable::of("support", pairs().map(|(support, _)| *support)),
            Observable::of(
                "density %",
                pairs().map(|(support, seen)| 100.0 * support / seen),
            ),
        ];
        if self.options.global_mask.is_some() || self.options.block_mask.is_some() {
            let all = per_row(self.visible(false));
            let kept = seen.iter().zip(&all).filter(|(_, all)| **all > 0.0);
            let kept = kept.map(|(seen, all)| 100.0 * seen / all);
            found.push(Observable::of("kept %", kept));
        }
        found
    }

    /// The mean over queries of the L1 distance between the weights that a mechanism implies and softmax attention's, at
    /// most 2 where none is negative; nothing of a call that goes on from a state, whose keys are not there.
    ///
    /// # Shapes
    /// - softmax: `[batch, n_heads, seq_q, seq_kv]`, see [`Self::softmax`]
    pub(crate) fn softmax_error(
        &self,
        mechanism: &dyn Attend,
        softmax: impl FnOnce() -> Tensor<4>,
    ) -> Vec<Observable> {
        if self.state.is_some() {
            return Vec::new();
        }
        let softmax = softmax();
        let seen = per_row(softmax.clone());
        let distance = per_row((self.implied_weights(mechanism) - softmax).abs());
        let pairs = distance.into_iter().zip(seen);
        let rows = pairs.filter(|(_, seen)| *seen > 0.0);
        vec![Observable::of(
            "L1 error",
            rows.map(|(distance, _)| distance),
        )]
    }
}

/// The mean number of groups of a query's keys that have the same weight (within 1e-6): of neighbours among the keys that it can see,
/// or wherever they stand.
///
/// # Shapes
/// - weights, visible: `[batch, n_heads, seq_q, seq_kv]`
pub(crate) fn groups(weights: &Tensor<4>, visible: Tensor<4>, of_neighbours: bool) -> Observable {
    let seq_kv = weights.dims()[3];
    let (weights, visible) = (weights.to_data(), visible.into_data());
    let weights: Vec<f32> = weights.iter::<f32>().collect();
    let visible: Vec<f32> = visible.iter::<f32>().collect();
    let rows = weights.chunks(seq_kv).zip(visible.chunks(seq_kv));
    let count = |(weights, visible): (&[f32], &[f32])| {
        let seen = weights.iter().zip(visible).filter(|(_, seen)| **seen > 0.0);
        let mut seen: Vec<f32> = seen.map(|(weight, _)| *weight).collect();
        if seen.is_empty() {
            return None;
        }
        if !of_neighbours {
            seen.sort_by(f32::total_cmp);
        }
        // The weights of a group may differ by rounding.
        seen.dedup_by(|a, b| a == b || (a.min(*b) > 0.0 && (*a - *b).abs() <= ROUNDING));
        Some(seen.into_iter().filter(|weight| *weight > 0.0).count() as f64)
    };
    Observable::of("groups", rows.filter_map(count))
}

fn weights_of(attended: AttentionOutput) -> Tensor<4> {
    (attended.weights).unwrap_or_else(|| panic!("attention that was asked for weights gave none"))
}

/// Sums over keys, row after row.
fn per_row(cells: Tensor<4>) -> Vec<f64> {
    cells.sum_dim(3).into_data().iter::<f64>().collect()
}
