//! A vocabulary in clusters of frequency: what adaptive embedding and softmax are made from.

use burn::config::Config;
use burn::module::Param;
use burn::prelude::*;

use super::adaptive_embedding::AdaptiveEmbedding;
use super::adaptive_softmax::AdaptiveSoftmax;
use super::parameter::{normal, zeros};

/// A vocabulary sorted by falling frequency and cut into clusters, for [`AdaptiveEmbedding`] and
/// [`AdaptiveSoftmax`].
///
/// Cluster 0 (the head, or shortlist) holds the most frequent words. With `div_val` > 1 the vectors
/// of cluster i have size `d_embed / div_val^i` and a projection to `d_model`; with `div_val = 1`
/// there is one table, and a projection only where `d_embed ≠ d_model`.
///
/// # Source
/// Grave et al. 2017; Baevski & Auli 2019; `AdaptiveEmbedding` and `ProjectedAdaptiveLogSoftmax` of
/// kimiyoung/transformer-xl, whose parameters and initial values these are.
#[derive(Config, Debug)]
pub struct AdaptiveConfig {
    /// Number of words.
    pub vocab_size: usize,
    /// Size of the network's vectors.
    pub d_model: usize,
    /// Size of the vectors of cluster 0; `d_model` if not given.
    pub d_embed: Option<usize>,
    /// Where clusters 1, 2, … start; empty for a plain embedding and softmax.
    #[config(default = "Vec::new()")]
    pub cutoffs: Vec<usize>,
    /// Factor by which vectors shrink from cluster to cluster.
    #[config(default = 1)]
    pub div_val: usize,
    /// Use the word embeddings as the softmax's weights.
    #[config(default = true)]
    pub tie_weights: bool,
    /// Use the word embeddings' projections in the softmax, in every cluster but the head.
    #[config(default = true)]
    pub tie_projections: bool,
    /// Standard deviation of word embeddings and weights at the start.
    #[config(default = 0.02)]
    pub init_std: f64,
    /// Standard deviation of projections at the start.
    #[config(default = 0.01)]
    pub projection_std: f64,
}

impl AdaptiveConfig {
    /// First word of every cluster and the end of the last: `[0, cutoffs…, vocab_size]`.
    pub fn bounds(&self) -> Vec<usize> {
        let mut bounds = vec![0];
        bounds.extend(&self.cutoffs);
        bounds.push(self.vocab_size);
        bounds
    }

    pub(crate) fn n_clusters(&self) -> usize {
        self.cutoffs.len() + 1
    }

    fn d_embed(&self) -> usize {
        self.d_embed.unwrap_or(self.d_model)
    }

    /// `[rows, columns]` of each table of word embeddings.
    fn tables(&self) -> Vec<[usize; 2]> {
        match self.div_val {
            1 => vec![[self.vocab_size, self.d_embed()]],
            div_val => (self.bounds().windows(2).zip(0u32..))
                .map(|(range, i)| [range[1] - range[0], self.d_embed() / div_val.pow(i)])
                .collect(),
        }
    }

    /// `[d_model, columns]` of each projection of word embeddings.
    fn embedding_projections(&self) -> Vec<[usize; 2]> {
        match self.div_val == 1 && self.d_embed() == self.d_model {
            true => Vec::new(),
            false => (self.tables().iter())
                .map(|[_, columns]| [self.d_model, *columns])
                .collect(),
        }
    }

    /// `[d_model, columns]` of each projection that the softmax does not share with the word embeddings.
    fn softmax_projections(&self) -> Vec<[usize; 2]> {
        let of_embedding = self.embedding_projections();
        let n_own = match self.tie_projections {
            true => 1,
            false => self.n_clusters(),
        };
        (0..n_own)
            .filter_map(|i| of_embedding.get(i).or(of_embedding.first()).copied())
            .collect()
    }

    /// Makes the word embeddings.
    pub fn init_embedding(&self, device: &Device) -> AdaptiveEmbedding {
        AdaptiveEmbedding {
            tables: self.draw(self.tables(), self.init_std, device),
            projections: self.draw(self.embedding_projections(), self.projection_std, device),
            bounds: self.bounds(),
            d_model: self.d_model,
        }
    }

    /// Makes the softmax that goes with the word embeddings.
    pub fn init_softmax(&self, device: &Device) -> AdaptiveSoftmax {
        let n_tails = self.cutoffs.len();
        let weights = match self.tie_weights {
            true => Vec::new(),
            false => self.draw(self.tables(), self.init_std, device),
        };
        let cluster = (n_tails > 0).then(|| {
            let weight = normal([n_tails, self.d_embed()], 0.0, self.init_std, device);
            (weight, zeros([n_tails], device))
        });
        let (cluster_weight, cluster_bias) = cluster.unzip();
        AdaptiveSoftmax {
            weights,
            biases: (self.tables().iter())
                .map(|[rows, _]| zeros([*rows], device))
                .collect(),
            cluster_weight,
            cluster_bias,
            projections: self.draw(self.softmax_projections(), self.projection_std, device),
            bounds: self.bounds(),
            tie_projections: self.tie_projections,
        }
    }

    /// Number of parameters of both, without making them.
    pub fn n_params(&self) -> usize {
        let size = |shapes: &[[usize; 2]]| -> usize { shapes.iter().map(|[r, c]| r * c).sum() };
        let tables = self.tables();
        let copies = if self.tie_weights { 1 } else { 2 };
        let biases: usize = tables.iter().map(|[rows, _]| rows).sum();
        copies * size(&tables)
            + biases
            + self.cutoffs.len() * (self.d_embed() + 1)
            + size(&self.embedding_projections())
            + size(&self.softmax_projections())
    }

    fn draw(&self, shapes: Vec<[usize; 2]>, std: f64, device: &Device) -> Vec<Param<Tensor<2>>> {
        (shapes.into_iter())
            .map(|shape| normal(shape, 0.0, std, device))
            .collect()
    }
}
