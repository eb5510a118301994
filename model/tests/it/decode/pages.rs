//! Decoding over pages of keys.

use burn::prelude::*;
use burn::tensor::TensorData;
use rstest::rstest;
use sparta_model::ModelError;
use sparta_model::decode::{DecodeConfig, SearchMethod, Searched};
use sparta_model::layer::{MechanismsByType, NormalizerConfig, OutputMap, PageReport, Paging};
use sparta_model::seq2seq::{Seq2Seq, Seq2SeqConfig, Seq2SeqMasks, Sharing};
use sparta_ops::pruning::AttentionType;
use sparta_ops::testing::devices;

use super::{PAD, VOCAB, search};
use crate::{alone, distance, mask, some_words, values, words};

/// Three pages of keys.
const LONG: usize = 40;

fn config() -> Seq2SeqConfig {
    Seq2SeqConfig::new(12, VOCAB, 16, 2, 32, 1, 2)
        .with_sharing(Sharing::None)
        .with_max_len(LONG + 4)
        .with_output(OutputMap::Softmax)
}

/// Decoder and encoder with weights of 0, and scores far apart.
fn model(normalizer: NormalizerConfig, device: &Device) -> Seq2Seq {
    let mut model = config().with_normalizer(normalizer).init(device);
    for layer in &mut model.decoder {
        for block in [&mut layer.self_attention, &mut layer.cross_attention] {
            let query = &mut block.attention.query;
            query.weight = query.weight.clone().map(|w| w.mul_scalar(4.0));
        }
    }
    model
}

fn long() -> DecodeConfig {
    search()
        .with_max_len_b(LONG)
        .with_min_len(LONG - 2)
        .with_n_best(5)
}

/// Two sentences of 40 and 35 tokens, the shorter padded on the left.
fn sources(device: &Device) -> (Tensor<2, Int>, Tensor<2, Bool>) {
    let [one, other] = [some_words(LONG, 12, 3), some_words(LONG - 5, 12, 4)];
    let batch = [&one[..], &[PAD; 5], &other[..]].concat();
    let hidden: Vec<bool> = (0..2 * LONG)
        .map(|i| (LONG..LONG + 5).contains(&i))
        .collect();
    let padding = Tensor::from_data(TensorData::new(hidden, [2, LONG]), device);
    (words(&batch, 2, device), padding)
}

fn found(model: &Seq2Seq, masks: &Seq2SeqMasks, config: &DecodeConfig) -> Vec<Searched> {
    let (source, padding) = sources(&Device::flex());
    sparta_model::decode::search(model, source, Some(padding), masks, config).expect("valid")
}

/// Masks of the decoder's attention, other cells in each layer.
fn masks(device: &Device) -> Seq2SeqMasks {
    let n = LONG + 4;
    let layers = |shift: usize| {
        let layer = |layer: usize| {
            mask([2, n, n], device, move |h, r, c| {
                c > 0 && (h + r + c + shift + layer).is_multiple_of(3)
            })
        };
        Some(vec![layer(0), layer(1)])
    };
    Seq2SeqMasks {
        decoder_self: layers(0),
        cross: layers(1),
        ..Seq2SeqMasks::default()
    }
}

fn pages(words: &str) -> Option<Paging> {
    Some(words.parse().expect("a word"))
}

fn total(found: &[Searched]) -> PageReport {
    let reports = found.iter().map(|found| found.pages.expect("by pages"));
    reports.fold(PageReport::default(), PageReport::and)
}

/// Exactly selected pages give the hypotheses of all keys, while beams reorder, under padding and global masks.
#[rstest]
#[case(NormalizerConfig::Entmax15)]
#[case(NormalizerConfig::Sparsemax)]
#[case(NormalizerConfig::Entmax { alpha: 1.3 })]
#[case(NormalizerConfig::alpha_entmax())]
fn exact_pages_decode_as_all_keys_do(
    #[case] normalizer: NormalizerConfig,
    #[values(false, true)] is_masked: bool,
) {
    alone(|| {
        let device = Device::flex();
        device.seed(1);
        let model = model(normalizer, &device);
        let masks = match is_masked {
            false => Seq2SeqMasks::default(),
            true => masks(&device),
        };
        let all = found(&model, &masks, &long());
        let by_pages = found(&model, &masks, &long().with_pages(pages("exact")));
        for (all, by_pages) in all.iter().zip(&by_pages) {
            assert!(all.pages.is_none());
            for (a, b) in all.hypotheses.iter().zip(&by_pages.hypotheses) {
                assert_eq!(a.tokens, b.tokens);
                assert!((a.score - b.score).abs() < 1e-4, "{} {}", a.score, b.score);
            }
        }
        let report = total(&by_pages);
        assert!(report.most_dropped < 1e-6, "{report:?}");
        assert!(
            report.n_keys_read < report.n_keys && report.n_pages_read < report.n_pages,
            "{report:?}"
        );
    });
}

/// Token by token, on every backend: scores, attention to the source and what follows when hypotheses are reordered.
#[test]
fn exact_pages_give_the_scores_of_all_keys_on_every_backend() {
    alone(|| {
        for on in devices() {
            let device = on.device;
            device.seed(3);
            let model = model(NormalizerConfig::Entmax15, &device);
            let masks = masks(&device);
            let encoded = || {
                let (source, padding) = sources(&device);
                model.encode(source, Some(padding), &masks, false)
            };
            let by_pages = model.start_by_pages(encoded(), Paging::EXACT);
            let mut states = [model.start(encoded()), by_pages.expect("entmax")];
            for (i, token) in some_words(20, VOCAB, 5).into_iter().enumerate() {
                let n_rows = states[0].n_rows();
                let read: Vec<i32> = (0..n_rows as i32).map(|r| (token + r) % 5).collect();
                let read = TensorData::new(read, [n_rows]);
                let read = Tensor::<1, Int>::from_data(read, &device);
                let [all, by_pages] =
                    states.map(|state| model.decode_step(state, read.clone(), &masks, true));
                let near = distance(&values(all.logits), &values(by_pages.logits));
                assert!(near < 1e-4, "{}, token {i}: {near}", on.name);
                for (a, b) in all.cross.into_iter().zip(by_pages.cross) {
                    assert_eq!(a.dims(), b.dims());
                    let near = distance(&values(a), &values(b));
                    assert!(near < 1e-4, "{}, token {i}: {near}", on.name);
                }
                states = [all.state, by_pages.state];
                states = match i {
                    2 => states.map(|state| state.select(&[0, 0, 0, 1, 1, 1], &[0, 1])),
                    7 => states.map(|state| state.select(&[2, 0, 2, 4, 3, 3], &[0, 1])),
                    12 => states.map(|state| state.select(&[5, 3], &[1])),
                    _ => states,
                };
            }
            let [all, by_pages] = states;
            assert!(all.pages(0).is_none());
            let report = by_pages.pages(0).expect("by pages");
            // 2 heads of 2 layers, twice a row; 1, 3 and 2 rows of the sentence that is left.
            assert_eq!(report.n_rows, 2 * 2 * 2 * (3 + 3 * 10 + 2 * 7));
            assert!(report.n_keys_read < report.n_keys && report.most_dropped < 1e-6);
        }
    });
}

/// A budget of one page reads one and drops some weight; the decoder still writes.
#[rstest]
#[case("top_k=16")]
#[case("top_k=16+corrected")]
#[case("gaussian")]
#[case("gaussian+fixed")]
fn other_selections_say_what_they_drop(#[case] word: &str) {
    alone(|| {
        let device = Device::flex();
        device.seed(2);
        let model = model(NormalizerConfig::Entmax15, &device);
        let none = Seq2SeqMasks::default();
        let found = found(&model, &none, &long().with_pages(pages(word)));
        assert!(found.iter().all(|found| !found.hypotheses.is_empty()));
        let report = total(&found);
        assert!(report.n_pages_read <= report.n_pages && report.dropped >= 0.0);
        if word.starts_with("top_k") {
            assert_eq!(report.n_pages_read, report.n_rows);
            assert!(
                report.most_dropped > 1e-3 && report.most_dropped <= 1.0 + 1e-9,
                "{report:?}"
            );
        }
    });
}

fn refused(mechanisms: &str, config: &DecodeConfig) -> ModelError {
    let device = Device::flex();
    let mechanisms: MechanismsByType = mechanisms.parse().expect("words");
    let model = self::config().with_mechanisms(mechanisms).init(&device);
    let source = words(&[3, 4], 1, &device);
    sparta_model::decode::search(&model, source, None, &Seq2SeqMasks::default(), config)
        .unwrap_err()
}

/// What has no weights of 0, or more than α to decide about them.
#[rstest]
#[case("softmax")]
#[case("encoder=entmax15")]
#[case("fusedmax(0.1)")]
#[case("entmax(1)")]
#[case("decoder=favor(m=4) cross=rfa(m=4)")]
#[case("entmax15+gate")]
#[case("asentmax")]
#[case("decoder=entmax15+local(w=4)")]
#[case("decoder=entmax15+scale+nape")]
#[case("decoder=entmax15+span(s=8)")]
fn pages_of_other_decoders_are_refused(#[case] mechanisms: &str) {
    let error = refused(mechanisms, &search().with_pages(pages("exact")));
    assert_eq!(error, ModelError::NoSparseDecoder);
}

#[test]
fn pages_of_other_searches_are_refused() {
    let by_pages = search().with_pages(pages("exact"));
    let exact = SearchMethod::Exact { max_prefixes: 9 };
    for config in [
        by_pages.clone().with_cache(false),
        by_pages.with_method(exact).with_length_penalty(0.0),
    ] {
        let error = refused("entmax15", &config).to_string();
        assert!(error.contains("`pages`"), "{error}");
    }
}

/// Attention without α-entmax reads all keys beside attention by pages.
#[test]
fn one_type_of_attention_can_be_read_by_pages() {
    alone(|| {
        let device = Device::flex();
        device.seed(4);
        let mechanisms: MechanismsByType = "cross=entmax15".parse().expect("words");
        let model = config().with_mechanisms(mechanisms).init(&device);
        assert_eq!(model.paged_types(), Ok(vec![AttentionType::Cross]));
        let none = Seq2SeqMasks::default();
        let all = found(&model, &none, &long());
        let by_pages = found(&model, &none, &long().with_pages(pages("exact")));
        for (all, by_pages) in all.iter().zip(&by_pages) {
            assert_eq!(all.hypotheses[0].tokens, by_pages.hypotheses[0].tokens);
        }
        assert!(total(&by_pages).n_rows > 0);
    });
}

#[test]
fn words_of_pages_are_read_back() {
    for word in [
        "exact",
        "gaussian",
        "top_k=64",
        "gaussian+fixed",
        "top_k=16+corrected",
    ] {
        assert_eq!(word.parse::<Paging>().unwrap().to_string(), word);
    }
    for wrong in [
        "",
        "all",
        "top_k",
        "top_k=0",
        "exact+fixed",
        "gaussian+exact",
    ] {
        let error = wrong.parse::<Paging>().unwrap_err().to_string();
        assert!(error.contains("top_k=64"), "{error}");
    }
}
