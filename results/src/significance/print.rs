//! Comparisons in words.

use super::{Compared, Comparison, Decision, Test};
use crate::metric::Difference;
use crate::render::{Align, Table, grouped, signed};

impl Comparison {
    /// The comparison as a table and a sentence for each system.
    pub fn to_text(&self) -> String {
        let metric = self.score.metric;
        let decimals = metric.decimals();
        let mut table = Table::new([
            ("system".to_owned(), Align::Left),
            (
                format!("{} {}", metric.label(), metric.arrow()),
                Align::Right,
            ),
            ("difference".to_owned(), Align::Right),
            ("95 % interval".to_owned(), Align::Right),
            ("p".to_owned(), Align::Right),
            ("p, Holm".to_owned(), Align::Right),
            ("p, bootstrap".to_owned(), Align::Right),
        ]);
        let score = |score: f64, ci: f64| format!("{score:.decimals$} ± {ci:.decimals$}");
        table.push([
            format!("{} (baseline)", self.baseline),
            score(self.baseline_score, self.baseline_ci),
        ]);
        for of in &self.systems {
            table.push([
                of.name.clone(),
                score(of.score, of.ci),
                signed(of.difference, decimals),
                interval(of, decimals),
                p_value(of.p),
                p_value(of.p_holm),
                p_value(of.p_bootstrap),
            ]);
        }
        let mut text = format!(
            "{}\n{} {}\n{}\n",
            self.score.signature,
            grouped(self.n_units as f64),
            self.score.units,
            table.to_terminal(None).trim_end()
        );
        for of in &self.systems {
            text += &format!("\n{}\n", self.sentence(of));
        }
        text + &format!("\n{}\n", self.methods())
    }

    /// One comparison in words.
    fn sentence(&self, of: &Compared) -> String {
        let (metric, baseline, name) = (self.score.metric, &self.baseline, &of.name);
        let decimals = metric.decimals();
        let size = match (metric.difference(), self.baseline_score) {
            (Difference::Relative, base) if base != 0.0 => format!(
                "{} ({} %)",
                signed(of.difference, decimals),
                signed(100.0 * of.difference / base, 2)
            ),
            (Difference::Relative | Difference::Points, _) => signed(of.difference, decimals),
        };
        let interval = interval(of, decimals);
        let label = metric.label();
        let p = match self.systems.len() {
            1 => format!("p = {}", p_value(of.p)),
            n => format!("p = {} for {n} comparisons together", p_value(of.p_holm)),
        };
        match of.verdict {
            Decision::Same => format!(
                "{name} and {baseline}: the same outcome for every one of the {}.",
                self.score.units
            ),
            Decision::NoDifference if of.interval[0] <= 0.0 && of.interval[1] >= 0.0 => format!(
                "{name} against {baseline}: no difference can be told; {size} {label}, and the interval {interval} \
                 covers 0 ({p})."
            ),
            Decision::NoDifference => format!(
                "{name} against {baseline}: no difference can be told; {size} {label}, which chance gives too \
                 often ({p})."
            ),
            Decision::Better => format!(
                "{name} is better than {baseline}: {size} {label}, interval {interval}, {p}."
            ),
            Decision::Worse => format!(
                "{name} is worse than {baseline}: {size} {label}, interval {interval}, {p}."
            ),
        }
    }

    /// Which tests these are.
    fn methods(&self) -> String {
        let super::Tests {
            n_samples,
            n_trials,
            seed,
        } = self.tests;
        let mut tests: Vec<Test> = Vec::new();
        for of in &self.systems {
            if !tests.contains(&of.test) {
                tests.push(of.test);
            }
        }
        let test = |test: &Test| match test {
            Test::Randomization => format!(
                "paired approximate randomisation, {} trials",
                grouped(n_trials as f64)
            ),
            Test::Mcnemar => "McNemar's exact test".to_owned(),
            Test::BlockBootstrap => "the paired bootstrap over blocks".to_owned(),
        };
        let tests: Vec<String> = tests.iter().map(test).collect();
        let mut text = format!(
            "p: {}. ±, interval and p, bootstrap: paired bootstrap, {} samples. Seed {seed}.",
            tests.join(", "),
            grouped(n_samples as f64)
        );
        if self.systems.len() > 1 {
            text += &format!(" p, Holm: adjusted for {} comparisons.", self.systems.len());
        }
        let discordant = self.systems.iter().filter_map(|of| {
            let [baseline, own] = of.discordant?;
            Some(format!(
                " Right in one alone: {baseline} by {}, {own} by {}.",
                self.baseline, of.name
            ))
        });
        text.extend(discordant);
        let sacrebleu: Vec<String> = (self.systems.iter())
            .filter_map(|of| {
                Some(format!(
                    "{} {}",
                    of.name,
                    p_value(of.p_sacrebleu_bootstrap?)
                ))
            })
            .collect();
        if !sacrebleu.is_empty() {
            text += &format!(
                " As `sacrebleu --paired-bs` has p: {}.",
                sacrebleu.join(", ")
            );
        }
        text + " These tests ask what another test set would give for the same models, not what other seeds would."
    }
}

fn interval(of: &Compared, decimals: usize) -> String {
    let [low, high] = of.interval;
    format!("{} to {}", signed(low, decimals), signed(high, decimals))
}

/// Four decimals; what is less is said to be less.
fn p_value(p: f64) -> String {
    match p < 0.0001 {
        true => "< 0.0001".to_owned(),
        false => format!("{p:.4}"),
    }
}
