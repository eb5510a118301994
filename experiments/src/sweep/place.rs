//! Where the runs of a sweep compute, and what they read: options of every program that its recipe says nothing of.

use std::ffi::OsString;
use std::path::{PathBuf, absolute};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use sparta_ops::attention::Implementation;

use crate::device::DeviceChoice;
use crate::version::quoted;

/// Where to compute, and what to read; kept in the plan, so that a sweep goes on as it began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The device.
    pub device: Option<DeviceChoice>,
    /// The implementation of attention.
    #[serde(rename = "attention_by")]
    pub attention: Option<Implementation>,
    /// Corpus files.
    pub data: Option<PathBuf>,
    /// Folder of pretrained weights.
    pub weights: Option<PathBuf>,
}

impl Place {
    /// Whether nothing is said, and programs choose.
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// With paths as they are from any folder.
    ///
    /// # Errors
    /// A path that no plan can hold.
    pub(super) fn with_whole_paths(&self) -> Result<Self> {
        let whole = |flag: &str, path: &Option<PathBuf>| -> Result<Option<PathBuf>> {
            let Some(path) = path else { return Ok(None) };
            let whole = absolute(path).with_context(|| path.display().to_string())?;
            ensure!(
                whole.to_str().is_some(),
                "`{flag} {}` is not UTF-8, as the plan of a sweep must be; rename the folder, or give a link to it",
                whole.display()
            );
            Ok(Some(whole))
        };
        Ok(Self {
            data: whole("--data", &self.data)?,
            weights: whole("--weights", &self.weights)?,
            ..self.clone()
        })
    }

    /// The options that another place has not, or has with another value.
    pub(super) fn unlike(&self, other: &Self) -> Self {
        fn of<T: Clone + PartialEq>(own: &Option<T>, other: &Option<T>) -> Option<T> {
            own.clone().filter(|own| Some(own) != other.as_ref())
        }
        Self {
            device: of(&self.device, &other.device),
            attention: of(&self.attention, &other.attention),
            data: of(&self.data, &other.data),
            weights: of(&self.weights, &other.weights),
        }
    }

    /// With another's options where it has none.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            device: self.device.or(other.device),
            attention: self.attention.or(other.attention),
            data: self.data.or(other.data),
            weights: self.weights.or(other.weights),
        }
    }

    /// What it has in place of a plan's, in words.
    pub(super) fn in_place_of(&self, plan: &Self) -> Vec<String> {
        let of_plan = plan.options();
        let said = |(flag, value): (&'static str, OsString)| {
            let typed = |value: &OsString| format!("{flag} {}", quoted(&value.to_string_lossy()));
            let there = of_plan.iter().find(|(of, _)| *of == flag);
            let there = there.map_or_else(
                || format!("the plan of the sweep has no `{flag}`"),
                |(_, value)| format!("in place of `{}` of its plan", typed(value)),
            );
            format!("the sweep goes on with `{}`, {there}", typed(&value))
        };
        self.options().into_iter().map(said).collect()
    }

    /// Flags with their values.
    fn options(&self) -> Vec<(&'static str, OsString)> {
        let device = self.device.map(|device| device.to_string().into());
        let attention = self.attention.map(|of| of.as_str().into());
        let [data, weights] =
            [&self.data, &self.weights].map(|path| path.clone().map(OsString::from));
        let all = [
            ("--device", device),
            ("--attention-by", attention),
            ("--data", data),
            ("--weights", weights),
        ];
        let given = all.into_iter();
        given
            .filter_map(|(flag, value)| Some((flag, value?)))
            .collect()
    }

    /// As options of a program.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let options = self.options().into_iter();
        options
            .flat_map(|(flag, value)| [flag.into(), value])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(device: &str, data: Option<&str>) -> Place {
        Place {
            device: Some(device.parse().unwrap()),
            data: data.map(PathBuf::from),
            ..Place::default()
        }
    }

    #[test]
    fn what_is_given_again_stands_in_place_of_the_plan_and_is_said() {
        let kept = place("cuda:1", Some("/data/a b"));
        for same in [Place::default(), place("cuda:1", None), kept.clone()] {
            assert!(same.unlike(&kept).is_default(), "{same:?}");
        }
        let given = Place {
            attention: Some(Implementation::Reference),
            ..place("flex", Some("/data/a b"))
        };
        let other = given.unlike(&kept);
        assert_eq!(
            other.in_place_of(&kept),
            [
                "the sweep goes on with `--device flex`, in place of `--device cuda:1` of its plan",
                "the sweep goes on with `--attention-by reference`, the plan of the sweep has no `--attention-by`",
            ]
        );
        let words = ["--device", "flex", "--attention-by", "reference"];
        assert_eq!(other.arguments(), words);
        let all = [&words[..], &["--data", "/data/a b"]].concat();
        assert_eq!(other.or(kept).arguments(), all);
    }

    #[test]
    fn paths_are_those_of_any_folder() {
        let given = place("flex", Some("texts/mine.txt"));
        let whole = given.with_whole_paths().unwrap();
        assert!(whole.data.unwrap().is_absolute());
        #[cfg(target_os = "linux")]
        {
            use std::os::unix::ffi::OsStringExt;
            let weights = Some(OsString::from_vec(b"w\xff".to_vec()).into());
            let given = Place { weights, ..given };
            let error = given.with_whole_paths().unwrap_err().to_string();
            assert!(
                error.contains("--weights") && error.contains("UTF-8"),
                "{error}"
            );
        }
    }
}
