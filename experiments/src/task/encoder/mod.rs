//! What tasks for a pretrained encoder have in common: its weights and tokenizer, fine-tuning, masks,
//! and the stages fine-tune → observe → prune → fine-tune again → score.

pub(super) mod batch;
mod dry_run;
mod lesson;
mod network;
mod pretrained;
mod records;
mod stages;
mod subject;

pub(super) use dry_run::DryRun;
pub(super) use network::layer_masks;
pub(super) use pretrained::{Pretrained, Sources};
pub(super) use records::report;
pub(super) use stages::{Session, trained_network};
pub(super) use subject::{BaselineScore, Column, Fit, Subject};
