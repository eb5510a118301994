//! Plots of tables as SVG text. The same table gives the same bytes on every machine.

mod bars;
mod cost;
mod mechanisms;
mod pivot;
mod scores;
mod series;
mod sweep;

pub use cost::cost;
pub use mechanisms::mechanisms;
pub use pivot::pivot;
pub use scores::{by_row, p_sweep};
