//! Charts as SVG text: panels on a page of fixed width, lines, bars, heat maps, legends outside the data.
//!
//! Our own few hundred lines instead of a plotting library, because of what the pictures of this
//! project need: heat maps with exact zeros and hidden cells in colours of their own that stay small as files,
//! gaps in lines, names of pieces on both axes, and the same bytes on every machine. So no font is
//! measured: widths of text are estimated, on the wide side.

mod axis;
mod colour;
mod heat;
mod names;
mod number;
mod page;
mod panel;
mod svg;
mod text;

pub(crate) use axis::Axis;
pub(crate) use colour::{Colour, GREY, HIDDEN, PAPER, SERIES, Shade, ZERO, variant_colour};
pub(crate) use heat::{Cell, ColourBar, heat_map};
pub(crate) use names::{attention_name, head_name, variant_name};
pub(crate) use number::{percent, short, significant};
pub(crate) use page::{Key, Page, WIDTH};
pub(crate) use panel::{Bar, Line, Mark, Panel};
pub(crate) use svg::{Rect, Svg, Text};
pub(crate) use text::{fit, text_width, wrap};
