//! Training and decoding speed of the encoder–decoder beside the same network in PyTorch eager (with
//! entmax 1.3) on the same processor.
//!
//! ```text
//! cargo bench -p sparta-experiments --bench translation [--features tch] [-- --device flex --filter TEXT
//!     --steps 10 --peer PYTHON]
//! ```
//!
//! PYTHON is one with the packages of benches/peer/requirements.txt; it runs benches/peer/seq2seq_peer.py.
//! Training steps are whole ones: forward, backward and Adam, with dropout and label smoothing, on one batch
//! of made-up tokens. Decoding is beam search with 5 hypotheses to a fixed length.

mod peer;

use std::time::Instant;

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Int, Tensor, TensorData};
use peer::Options;
use sparta_experiments::train::{AdamSettings, ClippedAdam};
use sparta_model::decode::{DecodeConfig, beam_search};
use sparta_model::layer::NormalizerConfig;
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqConfig, Seq2SeqInput, Seq2SeqMasks};

/// A network and the shape of its batches.
struct Case {
    name: &'static str,
    vocab: usize,
    d_model: usize,
    d_ff: usize,
    n_layers: usize,
    batch: usize,
    length: usize,
}

const CASES: [Case; 2] = [
    Case {
        name: "small/iwslt",
        vocab: 4000,
        d_model: 128,
        d_ff: 512,
        n_layers: 2,
        batch: 100,
        length: 15,
    },
    Case {
        name: "iwslt/multi30k",
        vocab: 8000,
        d_model: 128,
        d_ff: 256,
        n_layers: 4,
        batch: 200,
        length: 20,
    },
];

fn main() {
    sparta_experiments::memory::keep_freed();
    let options = Options::parse("seq2seq_peer.py");
    let normalizers = [
        ("softmax", NormalizerConfig::Softmax),
        ("entmax15", NormalizerConfig::Entmax15),
    ];
    for case in &CASES {
        for (normalizer, config) in normalizers {
            for mode in ["train", "decode"] {
                let numbers = [
                    case.vocab,
                    case.d_model,
                    case.d_ff,
                    case.n_layers,
                    case.batch,
                    case.length,
                    options.steps,
                ];
                let mut arguments = vec![mode.to_owned(), normalizer.to_owned()];
                arguments.extend(numbers.map(|n| n.to_string()));
                let title = format!("{} with {normalizer}, {mode}: target tokens/s", case.name);
                options.compare(&title, &arguments, |device| match mode {
                    "train" => case.train(config, options.steps, &device.clone().autodiff()),
                    _ => case.decode(config, options.steps, device),
                });
            }
        }
    }
}

impl Case {
    fn model(&self, normalizer: NormalizerConfig, device: &Device) -> Seq2Seq {
        let Self {
            vocab,
            d_model,
            d_ff,
            n_layers,
            ..
        } = *self;
        Seq2SeqConfig::new(vocab, vocab, d_model, 4, d_ff, n_layers, n_layers)
            .with_normalizer(normalizer)
            .with_pre_norm(true)
            .with_sharing(sparta_model::seq2seq::Sharing::All)
            .init(device)
    }

    fn words(&self, salt: usize, device: &Device) -> Tensor<2, Int> {
        let words = (0..self.batch * self.length)
            .map(|i| (4 + (i * 7919 + salt) % (self.vocab - 4)) as i32)
            .collect::<Vec<_>>();
        Tensor::from_data(TensorData::new(words, [self.batch, self.length]), device)
    }

    fn train(&self, normalizer: NormalizerConfig, steps: usize, device: &Device) -> f64 {
        let mut model = Some(self.model(normalizer, device));
        let mut adam = ClippedAdam::new(AdamSettings {
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            clip: 1.0,
            weight_decay: 0.0,
            decay_vectors: true,
            head: None,
        });
        let [source, target, output] = [0, 1, 2].map(|salt| self.words(salt, device));
        self.rate(steps, || {
            // Nobody else holds it: the optimiser writes over it.
            let current = model.take().expect("put back after every step");
            let hidden = current
                .forward(Seq2SeqInput::new(source.clone(), target.clone()))
                .hidden;
            let loss = current.loss(hidden, output.clone(), 0.1).smoothed.mean();
            let value = loss.clone().inner();
            let gradients = GradientsParams::from_grads(loss.backward(), &current);
            model = Some(adam.step(current, gradients, 5e-4, device).0);
            assert!(value.into_scalar::<f32>().is_finite());
            device.sync().expect("the device works");
        })
    }

    fn decode(&self, normalizer: NormalizerConfig, steps: usize, device: &Device) -> f64 {
        let model = self.model(normalizer, device).valid();
        let config = DecodeConfig::new(2, 2)
            .with_max_len_b(self.length)
            .with_min_len(self.length - 1);
        let source = self.words(0, device);
        self.rate(steps, || {
            let masks = Seq2SeqMasks::default();
            let found = beam_search(&model, source.clone(), None, &masks, &config);
            let found = found.expect("the settings are right");
            assert!(
                found
                    .iter()
                    .all(|best| best[0].tokens.len() >= self.length - 1)
            );
        })
    }

    /// Target tokens a second over the steps, after one that warms up.
    fn rate(&self, steps: usize, mut step: impl FnMut()) -> f64 {
        step();
        let started = Instant::now();
        (0..steps).for_each(|_| step());
        (steps * self.batch * self.length) as f64 / started.elapsed().as_secs_f64()
    }
}
