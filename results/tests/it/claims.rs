//! The published claims, held to the published figures and to a run that breaks them.

use std::collections::BTreeMap;

use sparta_results::attention::{Findings, ModelFindings, PublishedClaim, claims, claims_table};
use sparta_results::paper::figures::{figures, pair};

const TYPES: [&str; 3] = ["encoder-self", "cross", "decoder-self"];

/// What the paper found on one language pair, as if we had.
fn published(name: &str) -> Findings {
    let pair = pair(name).unwrap();
    let mut findings = Findings::default();
    for normalizer in ["softmax", "1.5-entmax", "alpha-entmax"] {
        let mut model = ModelFindings::default();
        for attention_type in TYPES {
            let own = || attention_type.to_string();
            let diversity = pair.diversity(attention_type, normalizer).unwrap();
            model.diversity.insert(own(), diversity.to_vec());
            if let Some(density) = pair.density(attention_type, normalizer) {
                model.density.insert(own(), density.to_vec());
            }
            if normalizer == "alpha-entmax" {
                let histogram = pair.alphas(attention_type).unwrap();
                let alphas = histogram
                    .counts
                    .iter()
                    .enumerate()
                    .flat_map(|(bin, &count)| {
                        std::iter::repeat_n(histogram.bins.edge(bin), count as usize)
                    });
                model.alphas.insert(own(), alphas.collect());
            }
        }
        let roles = &figures().roles;
        for (&offset, heads) in &roles.positional {
            let heads = heads[normalizer];
            model
                .positional
                .insert(offset, vec![vec![heads.median; heads.heads]]);
        }
        model.merging = vec![[&[0.7][..], &roles.merging[normalizer]].concat()];
        model.interrogation = vec![vec![roles.interrogation[normalizer], 0.1]];
        findings.normalizers.insert(normalizer.to_string(), model);
    }
    let learned = findings.normalizers.get_mut("alpha-entmax").unwrap();
    learned.trajectories = figures()
        .trajectories
        .heads
        .iter()
        .map(|head| head.trajectory())
        .collect();
    findings
}

fn failing(claims: &[PublishedClaim]) -> Vec<&str> {
    let fails = claims.iter().filter(|claim| claim.holds == Some(false));
    fails.map(|claim| claim.name.as_str()).collect()
}

#[test]
fn the_papers_own_numbers_keep_its_claims() {
    let encoder = "encoder-self: α has two modes";
    let peak =
        |normalizer| format!("{normalizer}: heads of the encoder differ most in a middle layer");
    for (name, expected) in [
        ("en-de", vec![]),
        ("ro-en", vec![]),
        ("ja-en", vec![encoder.to_string()]),
        ("de-en", vec![peak("1.5-entmax"), encoder.to_string()]),
    ] {
        let claims = claims(&published(name));
        assert_eq!(claims.len(), 35, "{name}");
        assert!(
            claims.iter().all(|claim| claim.holds.is_some()),
            "{name}: {claims:#?}"
        );
        assert_eq!(failing(&claims), expected, "{name}");
    }
}

#[test]
fn published_numbers_stand_beside_ours() {
    let claims = claims(&published("en-de"));
    let find = |part: &str| {
        claims
            .iter()
            .find(|claim| claim.name.contains(part))
            .unwrap()
    };
    let diversity = find("cross: heads of alpha-entmax differ more than those of softmax");
    assert_eq!(diversity.ours, "0.238, 0.237");
    assert_eq!(
        diversity.published,
        "in 4 of 4 language pairs (en-de: 0.238, 0.237)"
    );
    let modes = find("encoder-self: α has two modes");
    assert_eq!(
        modes.published,
        "in 2 of 4 language pairs (en-de: modes near 1.17 and 1.90)"
    );
    let positional = find("alpha-entmax: some head gives more than 90 % to the token at -1");
    assert_eq!(positional.published, "4 heads, median 95.9 % (en-de)");
    assert_eq!(
        positional.ours,
        "4 heads, median 95.9 %; best layer 1 head 1, 95.9 %"
    );
    let merging = find("softmax: no head merges");
    assert_eq!(
        (merging.ours.as_str(), merging.published.as_str()),
        ("no head; best layer 1 head 1, 70.0 %", "no head (en-de)")
    );
    let falls = find("most α fall");
    assert_eq!(falls.ours, "4 of 5 heads");
}

#[test]
fn what_does_not_hold_is_said() {
    // Softmax and learned α change places, and no head has a role.
    let mut findings = published("en-de");
    let (softmax, learned) = (
        &findings.normalizers["softmax"],
        &findings.normalizers["alpha-entmax"],
    );
    let (mut of_softmax, mut of_learned) = (softmax.clone(), learned.clone());
    std::mem::swap(&mut of_softmax.diversity, &mut of_learned.diversity);
    of_learned.density = findings.normalizers["1.5-entmax"].density.clone();
    of_learned.positional = BTreeMap::from([(-1, vec![vec![0.3, 0.89]]), (1, vec![vec![0.2]])]);
    of_learned.merging = vec![vec![0.5]];
    of_learned.interrogation = vec![vec![], vec![0.5]];
    of_learned.trajectories.truncate(1);
    of_softmax.merging = vec![vec![0.9]];
    findings.normalizers.insert("softmax".into(), of_softmax);
    findings
        .normalizers
        .insert("alpha-entmax".into(), of_learned);
    let claims = claims(&findings);
    let failing = failing(&claims);
    let fails = |part: &str| failing.iter().any(|name| name.contains(part));
    for part in [
        "encoder-self: heads of alpha-entmax differ more than those of softmax",
        "cross: alpha-entmax is denser",
        "alpha-entmax: some head gives more than 90 % to the token at -1",
        "alpha-entmax: some head gives more than 90 % to the token at +1",
        "softmax: no head merges",
        "alpha-entmax: some head merges",
        "alpha-entmax: some head goes from",
        "some head becomes denser first",
    ] {
        assert!(fails(part), "{part}: {failing:#?}");
    }
    let table = claims_table(&claims);
    assert_eq!(table.rows.len(), claims.len());
    let row = table
        .rows
        .iter()
        .find(|row| row[0].contains("alpha-entmax: some head goes"))
        .unwrap();
    assert_eq!(row[1..3], ["no", "no head; best layer 2 head 1, 50.0 %"]);
}

#[test]
fn a_run_without_the_numbers_says_what_is_missing() {
    let nothing = claims(&Findings::default());
    assert!(
        nothing
            .iter()
            .all(|claim| claim.holds.is_none() && claim.ours.contains("no model with"))
    );
    let model = ModelFindings {
        diversity: BTreeMap::from([("encoder-self".to_string(), vec![0.4, 0.5])]),
        alphas: BTreeMap::from([("encoder-self".to_string(), vec![1.5; 8])]),
        ..ModelFindings::default()
    };
    let normalizers = BTreeMap::from([("alpha-entmax".to_string(), model)]);
    let claims = claims(&Findings { normalizers });
    let ours = |part: &str| {
        let claim = claims
            .iter()
            .find(|claim| claim.name.contains(part))
            .unwrap();
        assert_eq!(claim.verdict(), "cannot be told");
        claim.ours.as_str()
    };
    assert_eq!(
        ours("alpha-entmax: heads of the encoder differ more"),
        "nothing was measured of cross attention"
    );
    assert_eq!(
        ours("alpha-entmax: heads of the encoder differ most"),
        "2 encoder layers have no middle"
    );
    assert!(
        ours("encoder-self: α has two modes").starts_with("8 heads with a learned α are too few")
    );
    assert_eq!(
        ours("some head becomes denser"),
        "no learned α was logged over training"
    );
    assert_eq!(
        ours("alpha-entmax: some head goes"),
        "nothing of this was in the text"
    );
    assert_eq!(
        ours("encoder-self: heads of 1.5-entmax differ more than those of softmax"),
        "no model with 1.5-entmax was analysed"
    );
}
