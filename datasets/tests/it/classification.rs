//! Batches of labelled texts: whole, repeatable, padding hidden.

use proptest::prelude::*;
use rstest::rstest;
use sparta_datasets::batch::{
    ClassificationBatch, EncodedExample, ExampleOrder, PaddingStrategy, Targets,
};
use sparta_datasets::classification::{ClassificationTask, Label, TextExample};
use sparta_datasets::tokenize::wordpiece::{Casing, WordPiece};

fn wordpiece() -> WordPiece {
    WordPiece::from_vocab("x\n[UNK]\n[CLS]\n[SEP]\na\nb\n[PAD]\n", Casing::Lower, "x").unwrap()
}

fn examples() -> Vec<EncodedExample> {
    let example = |first: &str, second: Option<&str>, class| TextExample {
        first: first.to_owned(),
        second: second.map(str::to_owned),
        label: Some(Label::Class(class)),
    };
    let texts = [
        example("a", None, 0),
        example("a b", Some("b b b"), 1),
        example("", Some("b"), 1),
    ];
    EncodedExample::encode_all(&texts, &wordpiece(), 8).unwrap()
}

#[rstest]
#[case(PaddingStrategy::Dynamic, 8)]
#[case(PaddingStrategy::Fixed(10), 10)]
fn rows_are_padded_on_the_right(#[case] padding: PaddingStrategy, #[case] len: usize) {
    let pad = wordpiece().special().pad;
    let batch = ClassificationBatch::new(&examples(), &[1, 0, 2], padding, pad).unwrap();
    assert_eq!((batch.batch_size, batch.len), (3, len));
    let row = |values: &[i32], row: usize| values[row * len..(row + 1) * len].to_vec();
    let padded = |values: &[i32], fill| {
        let mut values = values.to_vec();
        values.resize(len, fill);
        values
    };
    assert_eq!(row(&batch.ids, 0), padded(&[2, 4, 5, 3, 5, 5, 5, 3], 6));
    assert_eq!(row(&batch.ids, 1), padded(&[2, 4, 3], 6));
    assert_eq!(row(&batch.ids, 2), padded(&[2, 3, 5, 3], 6));
    assert_eq!(
        row(&batch.token_types, 0),
        padded(&[0, 0, 0, 0, 1, 1, 1, 1], 0)
    );
    assert_eq!(row(&batch.token_types, 2), padded(&[0, 0, 1, 1], 0));
    let hidden: Vec<bool> = batch.ids.iter().map(|&id| id == 6).collect();
    assert_eq!(batch.padding, hidden);
    assert_eq!(batch.targets, Targets::Classes(vec![1, 0, 1]));
}

#[test]
fn a_fixed_width_that_is_too_small_is_an_error() {
    let error =
        ClassificationBatch::new(&examples(), &[1], PaddingStrategy::Fixed(4), 0).unwrap_err();
    assert!(
        error.to_string().contains("an example has 8 tokens"),
        "{error}"
    );
    let error = ExampleOrder::in_order(3, 0).unwrap_err();
    assert!(
        error.to_string().contains("batch_size of at least 1"),
        "{error}"
    );
}

#[test]
fn targets_are_of_one_kind() {
    let mut examples = examples();
    examples[0].label = None;
    let targets = |examples: &[EncodedExample]| {
        ClassificationBatch::new(examples, &[0, 1], PaddingStrategy::Dynamic, 0)
            .unwrap()
            .targets
    };
    assert_eq!(targets(&examples), Targets::Unknown);
    for example in &mut examples {
        example.label = Some(Label::Score(2.5));
    }
    assert_eq!(targets(&examples), Targets::Scores(vec![2.5, 2.5]));
}

#[test]
fn padding_is_counted() {
    let order = ExampleOrder::in_order(3, 2).unwrap();
    let share = order.padding(&examples(), PaddingStrategy::Dynamic);
    assert_eq!((share.n_positions, share.n_tokens), (2 * 8 + 4, 15));
    assert_eq!(
        (share.n_cells, share.n_token_cells),
        (2 * 64 + 16, 64 + 9 + 16)
    );
    let share = order.padding(&examples(), PaddingStrategy::Fixed(10));
    assert_eq!((share.n_positions, share.n_tokens), (30, 15));
    assert_eq!((share.n_cells, share.n_token_cells), (300, 89));
    let batches: usize = order
        .iter()
        .map(|batch| {
            ClassificationBatch::new(&examples(), batch, PaddingStrategy::Dynamic, 0).unwrap()
        })
        .map(|batch| batch.ids.len())
        .sum();
    assert_eq!(
        batches,
        order
            .padding(&examples(), PaddingStrategy::Dynamic)
            .n_positions
    );
}

proptest! {
    #[test]
    fn an_epoch_has_every_example_once(n in 0_usize..200, size in 1_usize..40, seed: u64, epoch in 0_u64..9) {
        let order = ExampleOrder::shuffled(n, size, seed, epoch).unwrap();
        prop_assert_eq!(&order, &ExampleOrder::shuffled(n, size, seed, epoch).unwrap());
        let mut seen: Vec<u32> = order.iter().flatten().copied().collect();
        let other = ExampleOrder::shuffled(n, size, seed, epoch + 1).unwrap();
        prop_assert!(n < 20 || order != other);
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..n as u32).collect::<Vec<u32>>());
        prop_assert_eq!(order.iter().count(), order.n_batches());
        prop_assert_eq!(order.get(order.n_batches()), None);
        prop_assert!(order.iter().take(order.n_batches().saturating_sub(1)).all(|batch| batch.len() == size));
    }
}

#[test]
fn every_task_is_found_by_its_name() {
    for task in ClassificationTask::all() {
        assert_eq!(task.name().parse::<ClassificationTask>().unwrap(), task);
    }
    let error = "QNLI"
        .parse::<ClassificationTask>()
        .unwrap_err()
        .to_string();
    assert!(error.contains("question-sentence, cola, sst2"), "{error}");
    assert_eq!(
        "mnli"
            .parse::<ClassificationTask>()
            .unwrap()
            .reported_parts(),
        ["dev-matched", "dev-mismatched"]
    );
}
