//! The text in the files of IWSLT and WMT.

/// How the sentences of a file are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One sentence per line.
    Lines,
    /// IWSLT's `train.tags` files: sentences and titles between lines of talk data.
    Tags,
    /// `<seg id="1"> … </seg>` lines, in XML or SGML; for files that do not say so by their ending.
    Segments,
}

impl Format {
    /// The format of a file: by its ending where that is telling.
    pub(super) fn of(self, name: &str) -> Self {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        if name.ends_with(".xml") || name.ends_with(".sgm") {
            Self::Segments
        } else if name.contains("train.tags.") {
            Self::Tags
        } else {
            self
        }
    }

    /// The sentences of a file's text, one for each line that holds one; entities stay as they
    /// are.
    pub(super) fn sentences(self, text: &str) -> Vec<String> {
        let body = text.strip_suffix('\n').unwrap_or(text);
        let lines = body.split('\n').filter(|_| !text.is_empty());
        match self {
            Self::Lines => lines.map(str::to_owned).collect(),
            Self::Tags => lines.filter_map(talk_line).collect(),
            Self::Segments => lines.filter_map(segment).collect(),
        }
    }
}

/// A line of a talk without its tags, or `None` for a line about the talk.
fn talk_line(line: &str) -> Option<String> {
    const ABOUT: [&str; 8] = [
        "<url>",
        "<talkid>",
        "<keywords>",
        "<speaker>",
        "<reviewer",
        "<translator",
        "<doc",
        "</doc>",
    ];
    const MARKS: [&str; 4] = ["<title>", "</title>", "<description>", "</description>"];
    if ABOUT.iter().any(|tag| line.contains(tag)) {
        return None;
    }
    let text = MARKS
        .iter()
        .fold(line.to_owned(), |text, mark| text.replace(mark, ""));
    Some(text)
}

/// The sentence of a `<seg id="1">` line, its typographic apostrophes plain.
fn segment(line: &str) -> Option<String> {
    let (before, rest) = line.split_once("<seg id")?;
    let (_, text) = rest.split_once('>')?;
    let text = text.trim_start();
    let (text, after) = text.split_once("</seg>").unwrap_or((text, ""));
    Some(format!("{before}{}{}", text.trim_end(), after.trim_start()).replace('’', "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn talks_keep_titles_and_sentences() {
        let text = "<url>http://x</url>\n<keywords>a, b</keywords>\n<talkid>1</talkid>\n\
                    <title>Ein Titel</title>\n<description>TED: Worum es geht.</description>\n\
                    Ein Satz.\n<reviewer href=\"x\">N</reviewer>\n Noch einer. \n";
        assert_eq!(
            Format::Tags.sentences(text),
            [
                "Ein Titel",
                "TED: Worum es geht.",
                "Ein Satz.",
                " Noch einer. "
            ]
        );
    }

    #[test]
    fn segments_lose_their_tags() {
        let text = "<?xml version=\"1.0\"?>\n<title>no</title>\n<seg id=\"1\"> It’s A &amp; B. </seg>\n\
                    <seg id=\"12\">C</seg>\n</doc>\n";
        assert_eq!(Format::Segments.sentences(text), ["It's A &amp; B.", "C"]);
        assert_eq!(
            Format::Lines.of("dev/newstest2013-src.en.sgm.gz"),
            Format::Segments
        );
        assert_eq!(Format::Lines.of("newstest2013.en"), Format::Lines);
        assert_eq!(Format::Lines.sentences(""), Vec::<String>::new());
        assert_eq!(Format::Lines.sentences("a\n\nb"), ["a", "", "b"]);
    }
}
