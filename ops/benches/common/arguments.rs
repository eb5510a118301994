//! The command line of a bench: what cannot be done ends it with exit status 2 and says what to type.

use std::fmt::Display;
use std::str::FromStr;

/// Ends the bench.
pub fn refuse(message: impl Display) -> ! {
    eprintln!("error: {message}");
    std::process::exit(2)
}

/// Words of the command line, without the `--bench` that cargo adds.
pub struct Arguments {
    words: std::vec::IntoIter<String>,
    usage: &'static str,
}

impl Arguments {
    /// Those of this process; `usage` lists the options.
    pub fn new(usage: &'static str) -> Self {
        let words = std::env::args_os().skip(1).map(|word| {
            word.into_string().unwrap_or_else(|word| {
                refuse(format!("{} is not UTF-8: rename it", word.display()))
            })
        });
        let words: Vec<String> = words.filter(|word| word != "--bench").collect();
        Self {
            words: words.into_iter(),
            usage,
        }
    }

    /// The next option, such as `--device`.
    pub fn option(&mut self) -> Option<String> {
        self.words.next()
    }

    /// What stands after the option `name`.
    pub fn value(&mut self, name: &str) -> String {
        self.words
            .next()
            .unwrap_or_else(|| refuse(format!("{name} needs a value; options are {}", self.usage)))
    }

    /// The number after the option `name`, `least` or more.
    pub fn number<T: FromStr + PartialOrd + Display>(&mut self, name: &str, least: T) -> T {
        let value = self.value(name);
        number(name, &value, least)
    }

    /// Ends the bench for an option that it does not have.
    pub fn unknown(&self, name: &str) -> ! {
        refuse(format!("no option {name}; options are {}", self.usage))
    }
}

/// A number of the option `name`, `least` or more.
pub fn number<T: FromStr + PartialOrd + Display>(name: &str, value: &str, least: T) -> T {
    match value.trim().parse() {
        Ok(number) if number >= least => number,
        Ok(_) | Err(_) => refuse(format!(
            "{name} takes a number of {least} or more; found {value:?}"
        )),
    }
}
