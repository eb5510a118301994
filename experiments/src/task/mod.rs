//! The tables, task by task: what a batch, a network and a score are.

pub(crate) mod encoder;
pub mod glue;
mod input_lines;
pub mod lm;
pub mod mlm;
mod own_files;
mod running_text;
mod segments;
pub mod squad;
pub mod translation;

/// What is used of something, for people: `2000 of 5110`, or the number alone where it is all.
fn part_of(n: usize, n_all: usize) -> String {
    match n == n_all {
        true => n.to_string(),
        false => format!("{n} of {n_all}"),
    }
}

/// The same where the rest was not counted: as many as the recipe's limit, which is 0 for all, are its first.
fn first_of(n: usize, limit: usize) -> String {
    match n == limit {
        true => format!("the first {n}"),
        false => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{first_of, part_of};

    #[test]
    fn what_is_used_of_more_is_said() {
        assert_eq!([part_of(7, 7), part_of(2000, 5110)], ["7", "2000 of 5110"]);
        assert_eq!(
            [first_of(7, 0), first_of(7, 9), first_of(7, 7)],
            ["7", "7", "the first 7"]
        );
    }
}
