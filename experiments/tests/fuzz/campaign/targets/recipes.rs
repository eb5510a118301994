//! Recipes with edits, and the words in them.

use sparta_experiments::recipe::{
    ALL_SHIPPED, GlueRecipe, LmRecipe, MlmRecipe, Recipe, SquadRecipe, TranslationRecipe,
};
use sparta_model::decode::SearchMethod;
use sparta_model::layer::{MechanismConfig, MechanismsByType, OutputMap, Paging};
use sparta_ops::pruning::{CellRule, Grid, StaticPattern};

use super::super::{Corpus, Reader, Target};

/// Of `lm`.
pub const LM: Target = target::<LmRecipe>("recipe-lm", || corpus("lm"));
/// Of `iwslt`.
pub const TRANSLATION: Target = target::<TranslationRecipe>("recipe-iwslt", || corpus("iwslt"));
/// Of `glue`.
pub const GLUE: Target = target::<GlueRecipe>("recipe-glue", || corpus("glue"));
/// Of `squad`.
pub const SQUAD: Target = target::<SquadRecipe>("recipe-squad", || corpus("squad"));
/// Of `mlm`.
pub const MLM: Target = target::<MlmRecipe>("recipe-mlm", || corpus("mlm"));

const fn target<R: Recipe + 'static>(name: &'static str, corpus: fn() -> Corpus) -> Target {
    Target {
        name,
        corpus,
        open: |_| reader::<R>(),
    }
}

/// What stands between the text of a recipe and the edits of it, one a line.
const EDITS: &str = "\n#--set\n";

fn corpus(program: &str) -> Corpus {
    let of = ALL_SHIPPED
        .iter()
        .find(|of| of.program == program)
        .expect("a program");
    let shipped = of.shipped.iter().map(|shipped| shipped.text.to_owned());
    let first = of.shipped[0].text;
    let edited = format!("{first}{EDITS}seeds=[1, 2]\nprune.p=[50]\n train.log_every = 3");
    Corpus::of(shipped).and([edited]).with_words(&[
        EDITS,
        "[model]",
        "[[model]]",
        "train.lr",
        "seeds",
        "prune.p=",
        "model.normalizers",
        "entmax(1.5)",
        "softmax+local(w=4)",
        "\"\"\"",
        "'''",
        "0x10",
        "1_000",
        "1979-05-27T07:32:00Z",
        "{ a = 1 }",
        "[1, [2]]",
        "\\u0000",
        "=",
        ".",
        "favor(m=64)",
        "encoder=lsh(m=2)",
    ])
}

fn reader<R: Recipe + 'static>() -> Reader {
    Box::new(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        let (text, sets) = text.split_once(EDITS).unwrap_or((&text, ""));
        let sets: Vec<String> = sets.lines().map(str::to_owned).collect();
        match R::parse(text, &sets) {
            Ok(recipe) => {
                // What was read is written, and that is the same recipe.
                let again = R::parse(&recipe.to_toml(), &[]).expect("a recipe as it was written");
                assert_eq!(again.hash(), recipe.hash());
                let _ = (recipe.needs(), recipe.choice());
                true
            }
            Err(error) => {
                let _ = format!("{error:#}");
                false
            }
        }
    })
}

/// Mechanisms, patterns, pages and search methods in words.
pub const WORDS: Target = Target {
    name: "words",
    corpus: || {
        Corpus::of([
            "softmax+local(w=16)",
            "entmax(1.3)",
            "alpha_entmax(alpha_min=1.05)",
            "asentmax_nape(delta=1,offset=-5)",
            "favor(m=64,redraw=1000)",
            "rfa_gate(m=64,tau=1)",
            "linformer(k=64,sharing=headwise)",
            "nystrom(m=32,conv=33,iterations=6)",
            "lsh(m=32,rounds=4,scale=true,duplicates=true,same_bucket=true,wrap=true,redraw=0)",
            "softmax+fixed(l=16,c=2,verts=4,form=heads,first=visible)",
            "softmax+strided(l=16,form=merged,first=visible)+gate(lambda=0.005,beta=0.67,start=3)",
            "sparsemax+span(s=128,r=32,start=full,lambda=0.000002)+scale(delta=1,offset=-5)+nape(slopes=exp)",
        ])
        .and([
            "encoder=performer(256)",
            "encoder=linformer(k=64)",
            "fixed(l=16,c=2,verts=4,form=heads,first=visible)",
            "random(keep=0.25,seed=1,first=visible)",
            "heads=2 rows=3 cols=4 rule=causal:7",
            "causal:3",
        ])
        .with_words(&["(", ")", ",", "=", "+", "m=", "w=", "l=", "0.5", "heads", "merged", "entmax(", "encoder="])
    },
    open: |_| {
        Box::new(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            let _ = text
                .parse::<MechanismsByType>()
                .map(|read| read.to_string());
            let _ = text.parse::<StaticPattern>().map(|read| read.check());
            let _ = text.parse::<OutputMap>().map(|read| read.to_string());
            let _ = text.parse::<Paging>().map(|read| read.to_string());
            let _ = text.parse::<SearchMethod>().map(|read| read.to_string());
            let _ = (
                text.parse::<Grid>().is_ok(),
                text.parse::<CellRule>().is_ok(),
            );
            let Ok(read) = text.parse::<MechanismConfig>() else {
                return false;
            };
            // As text: a number that is none, which `check` refuses, does not equal itself.
            let written = read.to_string();
            let again = written.parse::<MechanismConfig>();
            let again = again.expect("a mechanism as it was written");
            assert_eq!(again.to_string(), written);
            true
        })
    },
};
