//! Lines of standard input, for trained models.

use std::io::{BufRead, StdinLock};

use anyhow::{Result, bail, ensure};

use crate::io::read_lines;

/// Lines that are read a few at a time, with or without a byte order mark before the first.
pub(super) struct InputLines<R> {
    from: R,
    /// What there has to be one of: `line to translate`.
    what: &'static str,
    n_read: usize,
    /// Why the line after those that were given cannot be had.
    failed: Option<anyhow::Error>,
}

impl InputLines<StdinLock<'static>> {
    /// Those of standard input.
    pub(super) fn of_standard_input(what: &'static str) -> Self {
        Self::new(std::io::stdin().lock(), what)
    }
}

impl<R: BufRead> InputLines<R> {
    fn new(from: R, what: &'static str) -> Self {
        Self {
            from,
            what,
            n_read: 0,
            failed: None,
        }
    }

    /// The next lines, `n` or as many as are left, each as `read` gives it, which is told its number; none at the end. What
    /// stands before a line that fails is given first.
    ///
    /// # Errors
    /// A line that is no text, that has a NUL character, or that `read` refuses; no line at all.
    pub(super) fn next<T>(
        &mut self,
        n: usize,
        read: impl Fn(&str, usize) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut lines = Vec::new();
        while lines.len() < n && self.failed.is_none() {
            match self.line(&read) {
                Ok(Some(line)) => lines.push(line),
                Ok(None) => break,
                Err(error) => self.failed = Some(error),
            }
        }
        if lines.is_empty()
            && let Some(error) = self.failed.take()
        {
            return Err(match self.n_read {
                0 => error,
                n => error.context(format!("only the first {n} lines are done")),
            });
        }
        ensure!(
            self.n_read > 0,
            "standard input is empty: there is no {}",
            self.what
        );
        Ok(lines)
    }

    fn line<T>(&mut self, read: impl Fn(&str, usize) -> Result<T>) -> Result<Option<T>> {
        let Some(line) = read_lines(&mut self.from, 1, self.n_read)?.pop() else {
            return Ok(None);
        };
        let number = self.n_read + 1;
        let mark = line.strip_prefix('\u{feff}').filter(|_| number == 1);
        let line = mark.unwrap_or(&line);
        if let Some(at) = line.find('\0') {
            bail!(
                "cannot read standard input, line {number}: expected text, found a NUL character at offset {at}; take it out: \
                 `tr -d '\\000'`"
            );
        }
        let line = read(line, number)?;
        self.n_read = number;
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;
    use crate::io::in_one_line;

    fn lines(text: &'static str) -> InputLines<&'static [u8]> {
        InputLines::new(text.as_bytes(), "line to read")
    }

    fn read(line: &str, number: usize) -> Result<String> {
        match line {
            "long" => Err(anyhow!("line {number} is too long")),
            line => Ok(format!("{number} {line}")),
        }
    }

    #[test]
    fn what_stands_before_a_line_that_fails_is_given_first() {
        for (bad, words) in [
            ("long", "line 4 is too long"),
            (
                "a\0",
                "line 4: expected text, found a NUL character at offset 1",
            ),
        ] {
            let text = format!("\u{feff}a\r\n\nb\n{bad}\nc\n");
            let mut input = InputLines::new(text.as_bytes(), "line to read");
            assert_eq!(input.next(2, read).unwrap(), ["1 a", "2 "]);
            assert_eq!(input.next(2, read).unwrap(), ["3 b"]);
            let error = in_one_line(&input.next(2, read).unwrap_err());
            assert!(
                error.starts_with("only the first 3 lines are done: ") && error.contains(words),
                "{error}"
            );
        }
        let error = in_one_line(&lines("long\n").next(2, read).unwrap_err());
        assert_eq!(error, "line 1 is too long");
    }

    #[test]
    fn input_without_a_line_is_refused_and_its_end_is_not() {
        let error = lines("").next(2, read).unwrap_err().to_string();
        assert_eq!(error, "standard input is empty: there is no line to read");
        let mut input = lines("a");
        assert_eq!(input.next(2, read).unwrap(), ["1 a"]);
        assert!(input.next(2, read).unwrap().is_empty());
    }
}
