//! What the attention of trained models does: any run is opened, its models read texts again, and each figure of the
//! papers is filled from the weights.

pub mod open;
mod tokens;

pub use open::{ProgramName, program_of};
pub use tokens::Tokens;
