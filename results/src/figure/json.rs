//! The JSON of a figure: few digits, rows of numbers on one line.

use std::io::{self, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::ser::Formatter;

use crate::error::{Result, ResultsError};

/// Version of the files that this crate writes and reads.
const SCHEMA: u64 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File<F> {
    schema: u64,
    figure: String,
    data: F,
}

/// The text of a figure's file.
pub(super) fn write<F: Serialize>(name: &str, data: &F) -> Result<String> {
    let file = File {
        schema: SCHEMA,
        figure: name.to_owned(),
        data,
    };
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Rounded::default());
    file.serialize(&mut serializer)
        .map_err(|error| ResultsError::figure(name, error.to_string()))?;
    bytes.push(b'\n');
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether a file is one of a figure of this name, of whatever version.
pub(super) fn is_figure(path: &std::path::Path, name: &str) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let file: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    file.is_some_and(|file| file.get("schema").is_some() && file["figure"] == name)
}

/// The figure in a file's text; `name` is for messages.
pub(super) fn read<F: DeserializeOwned>(name: &str, text: &str) -> Result<F> {
    let bad = |problem: String| ResultsError::figure(name, problem);
    let file: serde_json::Value =
        serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    let found = file.get("schema").and_then(serde_json::Value::as_u64);
    if found != Some(SCHEMA) {
        let found = found.map_or("none".to_owned(), |found| found.to_string());
        return Err(bad(format!(
            "its schema is {found}, this version reads {SCHEMA}; draw the figure again"
        )));
    }
    let file: File<F> = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    Ok(file.data)
}

/// Keys on lines of their own, arrays of numbers on one; f64 with six significant digits, f32 with
/// three.
#[derive(Default)]
struct Rounded {
    depth: usize,
    /// Whether something was written into the innermost array or object.
    has_value: bool,
    /// Whether the last thing written begins an element of an array.
    in_array: bool,
}

impl Rounded {
    fn line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(b" "))
    }
}

impl Formatter for Rounded {
    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        write_number(writer, f64::from(value), 3)
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write_number(writer, value, 6)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        // A row of a matrix stands on a line of its own.
        if self.in_array {
            self.line(writer)?;
        }
        self.depth += 1;
        self.in_array = false;
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.in_array = true;
        match first {
            true => Ok(()),
            false => writer.write_all(b","),
        }
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.in_array = false;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.has_value = false;
        self.in_array = false;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        if self.has_value {
            self.line(writer)?;
        }
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        self.line(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.in_array = false;
        writer.write_all(b": ")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_value = true;
        Ok(())
    }
}

/// The shortest text that reads back as `value` with `digits` significant digits.
fn write_number<W: ?Sized + Write>(writer: &mut W, value: f64, digits: usize) -> io::Result<()> {
    let rounded: f64 = format!("{value:.*e}", digits - 1)
        .parse()
        .map_err(io::Error::other)?;
    match rounded == 0.0 {
        // Without the sign of −0.
        true => write!(writer, "0"),
        false => write!(writer, "{rounded}"),
    }
}
