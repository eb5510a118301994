//! The largest error of each side in f32 over the reference vectors, for each α.

use std::fmt::Write;

use burn::tensor::{DType, Device};
use serde_json::{Value, json};
use sparta_ops::testing::{entmax_vectors, tensor, values};
use sparta_ops::{entmax, entmax15, softmax, sparsemax};

use crate::peer::Peer;

/// `alpha,ours,peer` in lines, with the function of each.
pub fn compare(peer: &mut Peer) -> String {
    let mut text = String::from("alpha,function,ours,peer_function,peer,ours_is_no_worse\n");
    let vectors = entmax_vectors();
    let mut alphas: Vec<f64> = vectors.iter().map(|v| v.alpha).collect();
    alphas.dedup();
    alphas.sort_by(f64::total_cmp);
    alphas.dedup();
    for alpha in alphas {
        let mut functions = vec![("entmax", "entmax_bisect n_iter=50")];
        match alpha {
            1.0 => functions = vec![("softmax", "torch softmax")],
            1.5 => functions.push(("entmax15", "entmax15")),
            2.0 => functions.push(("sparsemax", "sparsemax")),
            _ => (),
        }
        for (function, theirs) in functions {
            let (mut ours, mut other) = (0.0f64, 0.0f64);
            for vector in vectors
                .iter()
                .filter(|v| v.alpha == alpha && !v.on_support_change())
            {
                let z = tensor(&vector.z, [1, vector.z.len()], DType::F32, &Device::flex());
                let found = match function {
                    "softmax" => softmax(z, 1),
                    "entmax15" => entmax15(z, 1),
                    "sparsemax" => sparsemax(z, 1),
                    _ => entmax(z, alpha, 1),
                };
                ours = ours.max(worst(&values(found), &vector.p));
                let answer = peer.ask(&json!({
                    "do": "map", "function": function, "scores": vector.z, "alpha": alpha,
                }));
                other = other.max(worst(&numbers(&answer), &vector.p));
            }
            let no_worse = ours <= other;
            writeln!(
                text,
                "{alpha},{function},{ours:.3e},{theirs},{other:.3e},{no_worse}"
            )
            .expect("text grows");
        }
    }
    print!("{text}");
    text
}

fn numbers(answer: &Value) -> Vec<f64> {
    serde_json::from_value(answer.clone()).expect("numbers")
}

fn worst(found: &[f64], expected: &[f64]) -> f64 {
    let off = found.iter().zip(expected).map(|(f, e)| (f - e).abs());
    // NaN is the worst of errors.
    off.fold(0.0, |m, x| if x <= m { m } else { x })
}
