//! The programs as a user runs them: real processes, real files, tables small enough for seconds.

mod analyze;
mod attend;
mod bench;
mod claims;
mod compare;
mod doctor;
mod export;
mod fetch;
mod fuzz;
mod glue;
mod golden;
mod iwslt;
mod linear;
mod lm;
mod low_rank;
mod lsh;
mod mlm;
mod own_files;
mod parts;
mod patterns;
mod precision;
mod related;
mod report;
mod squad;
mod sweep;
mod variants;
