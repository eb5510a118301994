//! The probability of the next word, cluster by cluster.

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::activation::log_softmax;
use burn::tensor::{IndexingUpdateOp, TensorData, assert_shape};
use sparta_ops::loss::cross_entropy;

use super::adaptive_embedding::AdaptiveEmbedding;
use crate::precision::{product, scores};

/// Softmax over a vocabulary in clusters: the head holds the frequent words and one entry per tail
/// cluster, log p(word) = log p(cluster) + log p(word | cluster). Made by
/// [`super::AdaptiveConfig::init_softmax`]; without cutoffs it is a plain softmax.
///
/// Weights and projections that are shared live in the [`AdaptiveEmbedding`], which every method
/// takes.
///
/// # Source
/// Grave et al. 2017; `ProjectedAdaptiveLogSoftmax` of kimiyoung/transformer-xl, whose layout this
/// is: tail cluster i is entry `head_size − i` of the head.
#[derive(Module, Debug)]
pub struct AdaptiveSoftmax {
    /// Weights that are not the word embeddings; empty if they are tied.
    pub weights: Vec<Param<Tensor<2>>>,
    /// One bias per word, one tensor per table.
    pub biases: Vec<Param<Tensor<1>>>,
    /// `[n_tails, d_embed]`.
    pub cluster_weight: Option<Param<Tensor<2>>>,
    /// `[n_tails]`.
    pub cluster_bias: Option<Param<Tensor<1>>>,
    /// Projections that are not the word embeddings' own, head first.
    pub projections: Vec<Param<Tensor<2>>>,
    #[module(skip)]
    pub(super) bounds: Vec<usize>,
    pub(super) tie_projections: bool,
}

impl AdaptiveSoftmax {
    /// Negative log-likelihood of each target in nats; 0 where the target is negative (ignored).
    ///
    /// The head is computed for every row, a tail cluster only for the rows whose target is in it.
    /// Targets are on the host, so that the rows of a cluster are known without reading from the
    /// device.
    ///
    /// # Shapes
    /// - hidden: `[rows, d_model]`, targets: `rows` words below `vocab_size`
    /// - output: `[rows]`
    ///
    /// # Panics
    /// If there is not one target per row, a target is `vocab_size` or above, or the rows are of another width than the
    /// network's.
    ///
    /// # Source
    /// Grave et al. 2017, section 4.
    pub fn nll(
        &self,
        hidden: Tensor<2>,
        targets: &[i32],
        embedding: &AdaptiveEmbedding,
    ) -> Tensor<1> {
        let device = hidden.device();
        assert_shape!(hidden, [targets.len(), embedding.d_model]);
        self.check_targets(targets);
        if targets.is_empty() {
            return Tensor::zeros([0], (&device, hidden.dtype()));
        }
        let ends = &self.bounds[1..];
        let cluster_of = |target: i32| ends.partition_point(|end| *end <= target as usize);
        let head_size = self.head_size() as i32;
        let head_targets = (targets.iter())
            .map(|target| match target {
                ..0 => -1,
                _ => match cluster_of(*target) as i32 {
                    0 => *target,
                    tail => head_size - tail,
                },
            })
            .collect();

        let logits = self.logits(hidden.clone(), 0, embedding);
        let mut nll = cross_entropy(logits, ints(head_targets, &device));
        for cluster in 1..ends.len() {
            let start = self.bounds[cluster] as i32;
            let (rows, words): (Vec<i32>, Vec<i32>) = (0..)
                .zip(targets)
                .filter(|(_, target)| **target >= 0 && cluster_of(**target) == cluster)
                .map(|(row, target)| (row, target - start))
                .unzip();
            if rows.is_empty() {
                continue;
            }
            let rows = ints(rows, &device);
            let hidden = hidden.clone().select(0, rows.clone());
            let logits = self.logits(hidden, cluster, embedding);
            let inside = cross_entropy(logits, ints(words, &device));
            nll = nll.select_assign(0, rows, inside, IndexingUpdateOp::Add);
        }
        nll
    }

    /// log p of every word of the vocabulary.
    ///
    /// # Shapes
    /// - hidden: `[rows, d_model]`
    /// - output: `[rows, vocab_size]`
    ///
    /// # Panics
    /// If the rows are of another width than the network's.
    pub fn log_probabilities(&self, hidden: Tensor<2>, embedding: &AdaptiveEmbedding) -> Tensor<2> {
        assert_shape!(hidden, [_, embedding.d_model]);
        let rows = hidden.dims()[0];
        if rows == 0 {
            let shape = [0, self.vocab_size()];
            return Tensor::zeros(shape, (&hidden.device(), hidden.dtype()));
        }
        let head_size = self.head_size();
        let head = log_softmax(self.logits(hidden.clone(), 0, embedding), 1);
        let mut clusters = vec![head.clone().slice([0..rows, 0..self.bounds[1]])];
        for cluster in 1..self.bounds.len() - 1 {
            let entry = head_size - cluster;
            let of_cluster = head.clone().slice([0..rows, entry..entry + 1]);
            let inside = log_softmax(self.logits(hidden.clone(), cluster, embedding), 1);
            clusters.push(inside + of_cluster);
        }
        Tensor::cat(clusters, 1)
    }

    fn check_targets(&self, targets: &[i32]) {
        let vocab_size = self.vocab_size();
        let is_beyond =
            |target: &&i32| usize::try_from(**target).is_ok_and(|word| word >= vocab_size);
        if let Some(target) = targets.iter().find(is_beyond) {
            panic!("target {target} is not one of the {vocab_size} words of the vocabulary");
        }
    }

    fn vocab_size(&self) -> usize {
        self.bounds[self.bounds.len() - 1]
    }

    fn head_size(&self) -> usize {
        self.bounds[1] + self.bounds.len() - 2
    }

    /// Scores of the words of a cluster; of the head, also those of the tail clusters.
    fn logits(
        &self,
        hidden: Tensor<2>,
        cluster: usize,
        embedding: &AdaptiveEmbedding,
    ) -> Tensor<2> {
        let hidden = match self.projection(cluster, embedding) {
            Some(projection) => product(hidden, projection),
            None => hidden,
        };
        let tables = match self.weights.is_empty() {
            true => &embedding.tables,
            false => &self.weights,
        };
        let (mut weight, mut bias) = match (tables.as_slice(), self.biases.as_slice()) {
            ([table], [bias]) => {
                let words = self.bounds[cluster]..self.bounds[cluster + 1];
                let columns = table.dims()[1];
                match self.bounds.len() {
                    2 => (table.val(), bias.val()),
                    _ => (
                        table.val().slice([words.clone(), 0..columns]),
                        bias.val().slice([words]),
                    ),
                }
            }
            (tables, biases) => (tables[cluster].val(), biases[cluster].val()),
        };
        if cluster == 0
            && let (Some(of_weight), Some(of_bias)) = (&self.cluster_weight, &self.cluster_bias)
        {
            weight = Tensor::cat(vec![weight, of_weight.val()], 0);
            bias = Tensor::cat(vec![bias, of_bias.val()], 0);
        }
        scores(hidden, weight.transpose(), Some(bias))
    }

    /// `[d_model, columns]` of the cluster, or none where the tables have `d_model` columns.
    fn projection(&self, cluster: usize, embedding: &AdaptiveEmbedding) -> Option<Tensor<2>> {
        let shared = (embedding.projections.get(cluster)).or(embedding.projections.first());
        let projection = match self.tie_projections && cluster > 0 {
            true => shared,
            false => self.projections.get(cluster),
        };
        projection.map(Param::val)
    }
}

fn ints(values: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}
