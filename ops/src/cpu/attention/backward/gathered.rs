//! Gradients of rows with few weights, key by key: products of whole tiles would mostly multiply by zero.

use crate::cpu::attention::forward::drop_some;
use crate::cpu::attention::gathered::{gather_add, gather_dot, keys_of, scatter_add};
use crate::cpu::attention::problem::Queries;
use crate::cpu::attention::scores::{elements, elements_mut};
use crate::cpu::backward::{backward as map_backward, with_alpha};
use crate::cpu::compress::compress_few;
use crate::cpu::float::Float;
use crate::cpu::forward::{Saved, again, lowest_score};
use crate::cpu::simd::{LANES, Simd};

use super::{Backward, Sums};

impl<T: Float> Backward<'_, T> {
    /// Differentiates the block's rows that have few weights. Of the others, whose numbers are left in `dense`,
    /// it makes the weights again.
    pub(super) fn gathered_rows(&mut self, block: &Queries, sums: &mut Sums<T>, bias: &mut [T]) {
        let problem = self.problem;
        let mapping = problem.mappings[block.head];
        self.dense.clear();
        if self.workspace.tiles.is_empty() {
            return;
        }
        let n_vectors = self.workspace.scores.n_vectors();
        for (r, query) in block.rows.clone().enumerate() {
            let row = problem.row(block.batch, block.head, query) * 3;
            let saved: Saved = std::array::from_fn(|i| self.inputs.rows[row + i]);
            let scores = self.workspace.scores.row_mut(r);
            self.few.resize(n_vectors);
            let n = lowest_score(mapping, saved, problem.hidden).and_then(|lowest| {
                let (compressed, places) = (&mut self.few.compressed.vectors, &mut self.few.places);
                compress_few(scores, lowest, compressed, T::LOWEST, places)
            });
            match n {
                None => {
                    again(scores, problem.hidden, mapping, saved);
                    self.dense.push(r);
                }
                Some(n) => {
                    scores.fill(Simd::splat(T::ZERO));
                    let bias = match bias.is_empty() {
                        true => &mut [][..],
                        false => &mut bias[r * problem.seq_kv..][..problem.seq_kv],
                    };
                    self.gathered_row(block, r, n, saved, sums, bias);
                }
            }
        }
    }

    /// One row, whose `n` scores that have weight are compressed.
    fn gathered_row(
        &mut self,
        block: &Queries,
        r: usize,
        n: usize,
        saved: Saved,
        sums: &mut Sums<T>,
        bias: &mut [T],
    ) {
        let (problem, workspace, few) = (self.problem, &self.workspace, &mut self.few);
        let mapping = problem.mappings[block.head];
        keys_of(&few.places[..n], &workspace.tiles, &mut self.keys);
        let (keys, n_vectors) = (&self.keys, n.div_ceil(LANES));
        few.other.resize(n_vectors);
        few.row.resize(n_vectors);
        let weights = &mut few.other.vectors;
        weights.copy_from_slice(&few.compressed.vectors[..n_vectors]);
        again(weights, problem.hidden, mapping, saved);
        let upstream = self.upstream.padded(r);

        // The weights that entered the context.
        few.compressed.vectors[..n_vectors].copy_from_slice(weights);
        let kept = &mut elements_mut(&mut few.compressed.vectors)[..n];
        drop_some(problem, block, r, kept, keys);
        scatter_add(&mut sums.value, kept, keys, upstream);

        few.row.fill(T::ZERO);
        gather_dot(&mut few.row.vectors, upstream, keys, &workspace.values);
        let grads = &mut elements_mut(&mut few.row.vectors)[..n];
        drop_some(problem, block, r, grads, keys);
        match &problem.alphas {
            None => map_backward(std::slice::from_mut(few), mapping),
            Some(alphas) => {
                let mut d_alpha = [0.0];
                let few = std::slice::from_mut(few);
                with_alpha(few, &[alphas[block.head]], &mut d_alpha);
                sums.alpha += d_alpha[0];
            }
        }
        let grads = &elements(&few.row.vectors)[..n];
        gather_add(self.query.padded_mut(r), grads, keys, &workspace.keys);
        scatter_add(&mut sums.key, grads, keys, workspace.queries.padded(r));
        if !bias.is_empty() {
            for (&grad, &key) in grads.iter().zip(keys) {
                bias[key as usize] = bias[key as usize] + grad;
            }
        }
        if problem.relative.is_some() {
            let shift = (problem.seq_q - 1 - (block.rows.start + r)) as u32;
            self.places.clear();
            self.places.extend(keys.iter().map(|key| key + shift));
            let positions = &workspace.positions;
            let to = self.position_query.padded_mut(r);
            gather_add(to, grads, &self.places, &positions.embeddings);
            let query = positions.queries.padded(r);
            scatter_add(&mut sums.positions, grads, &self.places, query);
        }
    }
}
