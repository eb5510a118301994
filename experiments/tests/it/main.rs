//! The programs as a user runs them: real processes, real files, tables small enough for seconds.

mod bench;
mod doctor;
mod glue;
mod golden;
mod iwslt;
mod linear;
mod lm;
mod mlm;
mod squad;
mod variants;
