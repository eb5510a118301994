//! One page of every table: HTML and CSS alone, pictures by relative links.

use super::date::{day, duration};
use super::files::MADE_BY;
use super::{Overview, RunFolderLinks, ScoreLine, TableOverview};
use crate::metric::{Difference, Metric};
use crate::record::THEN;
use crate::render::{Align, Block, NOTHING, Table, change, grouped, mean_sd, short, signed};

const STYLE: &str = include_str!("page.css");

impl Overview {
    /// The page. The same records give the same bytes.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let mut page = format!(
            "<!DOCTYPE html>\n<!-- {MADE_BY} -->\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
        );
        page += &self.contents();
        for (at, table) in self.tables.iter().enumerate() {
            page += &table.html(at + 1);
        }
        if !self.waiting.is_empty() {
            page += "<section id=\"waiting\">\n<h2>Without a score</h2>\n";
            for of in &self.waiting {
                page += &format!("<p>{}</p>\n", marked(of));
            }
            page += "</section>\n";
        }
        page += "<footer><p>Made from run records by <code>sparta report</code>. Every table stands for one recipe; \
                 scores of different signatures never share a column.</p></footer>\n</body>\n</html>\n";
        page
    }

    /// The list of tables at the top.
    fn contents(&self) -> String {
        let mut table = Table::new([
            ("table", Align::Left),
            ("recipe", Align::Left),
            ("scores", Align::Right),
            ("seeds", Align::Right),
            ("missing runs", Align::Right),
            ("devices", Align::Left),
            ("scored", Align::Left),
        ]);
        for of in &self.tables {
            let seeds = of
                .scores
                .iter()
                .flat_map(|score| &score.seeds)
                .map(|(seed, _)| seed);
            let seeds: std::collections::BTreeSet<_> = seeds.collect();
            table.push([
                of.table.clone(),
                of.short_hash(),
                of.scores.len().to_string(),
                seeds.len().to_string(),
                of.missing.len().to_string(),
                joined(of.scores.iter().flat_map(|score| &score.devices)),
                of.scores
                    .iter()
                    .filter_map(|score| score.finished)
                    .max()
                    .map_or(NOTHING.into(), day),
            ]);
        }
        let link = |row: usize, column: usize, text: &str| match column {
            0 => format!("<a href=\"#table-{}\">{text}</a>", row + 1),
            _ => text.to_owned(),
        };
        format!("<nav>\n{}</nav>\n", of_table(&table, "contents", link))
    }
}

impl TableOverview {
    fn html(&self, number: usize) -> String {
        let mut section = format!(
            "<section id=\"table-{number}\">\n<h2>{} <code>{}</code></h2>\n<p>{}</p>\n",
            escape(&self.table),
            escape(&self.short_hash()),
            escape(self.title())
        );
        for run in &self.runs {
            section += &run.links();
        }
        for block in self.view.blocks() {
            section += &match block {
                Block::Table(table) => of_table(&table, "scores", |_, _, text| text.to_owned()),
                Block::Text(text) => format!("<p class=\"note\">{}</p>\n", marked(&text)),
            };
        }
        for note in &self.notes {
            section += &format!("<p class=\"note\">{}</p>\n", marked(note));
        }
        section += &self.provenance();
        for run in &self.runs {
            for figure in &run.figures {
                section += &run.figure(figure);
            }
        }
        section + "</section>\n"
    }

    /// Every score beside the paper's, with signature, time, device and commit.
    fn provenance(&self) -> String {
        let mut text = format!(
            "<details>\n<summary>Every score with time, device and commit ({})</summary>\n",
            self.scores.len()
        );
        let change = self.view.change_head();
        for signature in self.signatures() {
            let scores = self
                .scores
                .iter()
                .filter(|score| score.signature == signature);
            let scores: Vec<&ScoreLine> = scores.collect();
            let Some(metric) = scores.first().map(|score| score.metric) else {
                continue;
            };
            text += &format!(
                "<p>{} {}; signature <code>{}</code></p>\n",
                escape(metric.label()),
                metric.arrow(),
                escape(signature)
            );
            let table = provenance(metric, &scores, &change);
            text += &of_table(&table, "provenance", |_, _, text| text.to_owned());
        }
        text + "</details>\n"
    }
}

/// One line a score; `change` is the head of changes.
fn provenance(metric: Metric, scores: &[&ScoreLine], change: &str) -> Table {
    let mut heads = vec![
        ("row", Align::Left),
        ("mask", Align::Left),
        ("p %", Align::Right),
        ("ours", Align::Right),
        (change, Align::Right),
    ];
    let has_paper = scores.iter().any(|score| score.paper.is_some());
    if has_paper {
        heads.extend([
            ("paper", Align::Right),
            ("Δ paper", Align::Right),
            ("ours − paper", Align::Right),
        ]);
    }
    heads.extend([
        ("time", Align::Right),
        ("tokens/s", Align::Right),
        ("device", Align::Left),
        // A date stays in one line.
        ("scored", Align::Right),
        ("commit", Align::Left),
    ]);
    let mut table = Table::new(heads);
    let decimals = metric.decimals();
    for score in scores {
        let how = score.difference();
        let changed = |change: Option<f64>| {
            change.map_or(NOTHING.to_owned(), |change| of_change(how, change))
        };
        let mut cells = vec![
            score.name(),
            score.mask_words(),
            score.p_nominal.map_or(NOTHING.into(), |p| short(p, 3)),
            mean_sd(score.mean, score.sd, score.n, decimals),
            changed(score.change),
        ];
        if has_paper {
            let paper = score.paper.as_ref();
            cells.extend([
                paper.map_or(NOTHING.into(), |paper| {
                    format!("{:.decimals$}", paper.value)
                }),
                changed(score.paper_change),
                score
                    .less_paper
                    .map_or(NOTHING.into(), |less| signed(less, decimals)),
            ]);
        }
        cells.extend([
            mean(&score.seconds).map_or(NOTHING.into(), duration),
            mean(&score.tokens_per_second).map_or(NOTHING.into(), grouped),
            joined(&score.devices),
            score.finished.map_or(NOTHING.into(), day),
            match score.commits.is_empty() {
                true => NOTHING.to_owned(),
                false => joined(
                    score
                        .commits
                        .iter()
                        .map(|commit| short_build(commit))
                        .collect::<Vec<_>>()
                        .iter(),
                ),
            },
        ]);
        table.push(cells);
    }
    table
}

impl RunFolderLinks {
    /// The folder and its files.
    fn links(&self) -> String {
        let mut links = vec![format!(
            "<a href=\"{}\">{}</a> ({} records)",
            escape(&url(&self.folder)),
            escape(&self.folder),
            self.n_records
        )];
        links.extend(self.documents.iter().map(|document| {
            let target = url(&format!("{}/{document}", self.folder));
            format!("<a href=\"{}\">{}</a>", escape(&target), escape(document))
        }));
        format!("<p class=\"run\">{}</p>\n", links.join(" · "))
    }

    /// A picture with its name.
    fn figure(&self, figure: &str) -> String {
        let target = escape(&url(&format!("{}/{figure}", self.folder)));
        let name = escape(&format!("{}/{figure}", self.folder));
        format!(
            "<figure><a href=\"{target}\"><img src=\"{target}\" alt=\"{name}\" loading=\"lazy\"></a>\
             <figcaption>{name}</figcaption></figure>\n"
        )
    }
}

/// A table; `cell` may put something around the escaped text of a cell by row and column.
fn of_table(table: &Table, class: &str, cell: impl Fn(usize, usize, &str) -> String) -> String {
    let class_of = |align: Align| match align {
        Align::Left => "",
        Align::Right => " class=\"n\"",
    };
    let head: String = table
        .columns
        .iter()
        .map(|column| {
            let (class, name) = (class_of(column.align), escape(&column.name));
            format!("<th scope=\"col\"{class}>{name}</th>")
        })
        .collect();
    let mut text = format!(
        "<div class=\"wide\"><table class=\"{class}\">\n<thead><tr>{head}</tr></thead>\n<tbody>\n"
    );
    for (at, row) in table.rows.iter().enumerate() {
        let cells = row.iter().zip(&table.columns).enumerate();
        let cells: String = cells
            .map(|(place, (text, column))| {
                let text = cell(at, place, &escape(text));
                format!("<td{}>{text}</td>", class_of(column.align))
            })
            .collect();
        text += &format!("<tr>{cells}</tr>\n");
    }
    text += "</tbody>\n</table></div>\n";
    for note in &table.notes {
        text += &format!("<p class=\"note\">{}</p>\n", marked(note));
    }
    text
}

/// Text as HTML.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Escaped text with what stands between backticks as code.
fn marked(text: &str) -> String {
    let pieces: Vec<&str> = text.split('`').collect();
    let is_paired = pieces.len() % 2 == 1;
    let piece = |(at, piece): (usize, &&str)| match (is_paired, at % 2) {
        (true, 1) => format!("<code>{}</code>", escape(piece)),
        (true, _) => escape(piece),
        (false, _) => escape(&format!("{}{piece}", if at == 0 { "" } else { "`" })),
    };
    pieces.iter().enumerate().map(piece).collect()
}

/// A relative path as an address: what has a meaning there is written as its bytes.
pub(crate) fn url(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// A change as tables print it.
fn of_change(how: Difference, value: f64) -> String {
    change(Difference::Points, value, 0.0)
        + match how {
            Difference::Relative => " %",
            Difference::Points => "",
        }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Each once, in order.
fn joined<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> String {
    let texts: Vec<S> = texts.into_iter().collect();
    let all: std::collections::BTreeSet<&str> = texts.iter().map(AsRef::as_ref).collect();
    match all.is_empty() {
        true => NOTHING.to_owned(),
        false => all.into_iter().collect::<Vec<_>>().join(", "),
    }
}

/// The first eight digits of a commit, and whether the checkout had changes.
fn short_build(build: &str) -> String {
    let short = |commit: &str| match commit.split_once('-') {
        Some((hash, rest)) => format!("{}-{rest}", hash.chars().take(8).collect::<String>()),
        None => commit.chars().take(8).collect(),
    };
    build.split(THEN).map(short).collect::<Vec<_>>().join(THEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_paths_are_addresses() {
        assert_eq!(
            escape("<a href='x'>&\""),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;"
        );
        assert_eq!(
            marked("run `a <b>` now"),
            "run <code>a &lt;b&gt;</code> now"
        );
        assert_eq!(marked("a ` b"), "a ` b");
        assert_eq!(url("runs/a b#1/TABLE.svg"), "runs/a%20b%231/TABLE.svg");
        assert_eq!(url("ä?"), "%C3%A4%3F");
        assert_eq!(short_build("0123456789abcdef-dirty"), "01234567-dirty");
        assert_eq!(short_build("unknown"), "unknown");
    }
}
