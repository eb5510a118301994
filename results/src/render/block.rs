//! What printed reports are put together from.

use crate::render::table::Table;

/// A piece of a printed report.
pub(crate) enum Block {
    Table(Table),
    Text(String),
}

/// For a terminal of `width` columns; no width, no wrapping.
pub(super) fn terminal(title: &str, blocks: &[Block], width: Option<u16>) -> String {
    print(
        title,
        blocks,
        |table| table.to_terminal(width),
        str::to_owned,
    )
}

/// Markdown, the content of TABLE.md.
pub(super) fn markdown(title: &str, blocks: &[Block]) -> String {
    print(
        &format!("# {title}"),
        blocks,
        Table::to_markdown,
        str::to_owned,
    )
}

/// The tables as LaTeX, everything else as its comments.
pub(super) fn latex(title: &str, blocks: &[Block]) -> String {
    print(&format!("% {title}"), blocks, Table::to_latex, |text| {
        format!("% {}", text.replace('\n', " "))
    })
}

/// Commands of missing runs, as the marks `[k]` in cells name them.
pub(super) fn commands(missing: &[String]) -> impl Iterator<Item = Block> {
    missing
        .iter()
        .enumerate()
        .map(|(at, command)| Block::Text(format!("[{}] missing; make it with `{command}`", at + 1)))
}

fn print(
    head: &str,
    blocks: &[Block],
    table: impl Fn(&Table) -> String,
    text: impl Fn(&str) -> String,
) -> String {
    let mut parts = vec![head.to_string()];
    parts.extend(blocks.iter().map(|block| match block {
        Block::Table(block) => table(block).trim_end().to_string(),
        Block::Text(block) => text(block),
    }));
    parts.join("\n\n") + "\n"
}
