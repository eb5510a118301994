//! Token ids → batches.

mod classification;
mod lm_stream;
mod masked;
mod masking;
mod pair_batch;
mod rectangle;
mod span;
mod token_bucket;

pub use classification::{
    ClassificationBatch, EncodedExample, ExampleOrder, PaddingFraction, PaddingStrategy, Targets,
};
pub use lm_stream::{IGNORE, LmBatch, LmStream};
pub use masked::{MaskedBatch, text_windows};
pub use masking::{Choice, Masker, Masking};
pub use pair_batch::{PaddingSide, PairBatch};
pub use span::SpanBatch;
pub use token_bucket::{BucketOptions, PairLength, TokenBucket};
