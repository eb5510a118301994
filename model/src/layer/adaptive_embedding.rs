//! Word embeddings in clusters of frequency, shared with the adaptive softmax.

use burn::module::Param;
use burn::prelude::*;
use burn::tensor::module::embedding;

use crate::precision::product;

/// Word embeddings, scaled by √d_model. Made by [`super::AdaptiveConfig::init_embedding`].
#[derive(Module, Debug)]
pub struct AdaptiveEmbedding {
    /// One table `[vocab_size, d_embed]` (`div_val = 1`), or one per cluster.
    pub tables: Vec<Param<Tensor<2>>>,
    /// `[d_model, columns of the table]`; empty where no projection is needed.
    pub projections: Vec<Param<Tensor<2>>>,
    #[module(skip)]
    pub(super) bounds: Vec<usize>,
    pub(super) d_model: usize,
}

impl AdaptiveEmbedding {
    /// Looks words up. With `div_val` > 1 every cluster is computed for every position and the right
    /// one kept, so that shapes do not depend on the words.
    ///
    /// Tokens are on the device and are not looked at: where each cluster has a table, one that is no word gets zeros.
    ///
    /// # Shapes
    /// - tokens: `[batch, seq]`, each in `0..vocab_size`
    /// - output: `[batch, seq, d_model]`
    ///
    /// # Panics
    /// On a CPU, where there is one table, if a token is no word.
    ///
    /// # Source
    /// Baevski & Auli 2019, section 3; `AdaptiveEmbedding` of kimiyoung/transformer-xl.
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let [batch, seq] = tokens.dims();
        if batch * seq == 0 {
            let table = self.tables[0].val();
            return Tensor::zeros([batch, seq, self.d_model], (&table.device(), table.dtype()));
        }
        let vectors = match self.tables.as_slice() {
            [table] => self.project(embedding(table.val(), tokens), 0),
            tables => (tables.iter().enumerate())
                .map(|(i, table)| {
                    let (start, end) = (self.bounds[i] as i64, self.bounds[i + 1] as i64);
                    let row = tokens.clone().clamp(start, end - 1).sub_scalar(start);
                    let outside = (tokens.clone().lower_elem(start))
                        .bool_or(tokens.clone().greater_equal_elem(end));
                    let vectors = self.project(embedding(table.val(), row), i);
                    let hidden = outside.unsqueeze_dim::<3>(2).expand(vectors.dims());
                    vectors.mask_fill(hidden, 0.0)
                })
                .reduce(|sum, cluster| sum + cluster)
                .expect("an embedding has at least one table"),
        };
        vectors.mul_scalar((self.d_model as f64).sqrt())
    }

    fn project(&self, vectors: Tensor<3>, cluster: usize) -> Tensor<3> {
        let Some(projection) = self.projections.get(cluster) else {
            return vectors;
        };
        let [batch, seq, columns] = vectors.dims();
        let dtype = vectors.dtype();
        let rows = vectors.reshape([batch * seq, columns]);
        product(rows, projection.val().transpose())
            .reshape([batch, seq, self.d_model])
            .cast(dtype)
    }
}
