//! Names and layouts that parameters have in files of PyTorch: one map for each network, which [`crate::import`] and
//! [`crate::export`] go by.

mod bert;
mod seq2seq;
mod transformer_xl;

/// A network whose parameters have names in files of PyTorch; [`crate::export`] lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMap {
    /// [`crate::bert::Bert`] and the networks with a head on it: names of huggingface/transformers.
    Bert,
    /// [`crate::seq2seq::Seq2Seq`]: names of facebookresearch/fairseq.
    Seq2Seq,
    /// [`crate::transformer_xl::TransformerXl`]: names of kimiyoung/transformer-xl.
    TransformerXl,
}

impl KeyMap {
    /// Where a parameter is in a file, given its path in a module; none for a path of another network.
    pub(crate) fn published(self, path: &str) -> Option<Published> {
        let named = |attention: &str| match self {
            Self::Bert => bert::attention(attention),
            Self::Seq2Seq => seq2seq::attention(attention),
            Self::TransformerXl => transformer_xl::attention(attention),
        };
        if let Some((attention, parameter)) = path.split_once(".mechanism.") {
            // The variant says no more than the configuration does.
            let (_variant, parameter) = parameter.split_once('.')?;
            return Some(Published {
                name: format!("{}.mechanism.{parameter}", named(attention)?),
                transposed: false,
                of_mechanism: true,
            });
        }
        match self {
            Self::Bert => bert::published(path),
            Self::Seq2Seq => seq2seq::published(path),
            Self::TransformerXl => transformer_xl::published(path),
        }
    }
}

/// Where a parameter is in a file of PyTorch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// Its name there.
    pub(crate) name: String,
    /// Whether rows and columns are exchanged there: linear maps are `[outputs, inputs]` there and `[inputs, outputs]`
    /// here.
    pub(crate) transposed: bool,
    /// Whether it is of an attention mechanism, which published networks do not have.
    pub(crate) of_mechanism: bool,
}

impl Published {
    /// A tensor with the layout that it has here.
    fn as_is(name: impl Into<String>) -> Option<Self> {
        Some(Self {
            name: name.into(),
            transposed: false,
            of_mechanism: false,
        })
    }

    /// A matrix of a linear map.
    fn transposed(name: impl Into<String>) -> Option<Self> {
        Some(Self {
            name: name.into(),
            transposed: true,
            of_mechanism: false,
        })
    }

    /// A parameter of a linear map or of a layer normalisation of the module with that name there.
    fn of_module(module: &str, parameter: &str) -> Option<Self> {
        match parameter {
            "weight" => Self::transposed(format!("{module}.weight")),
            "gamma" => Self::as_is(format!("{module}.weight")),
            "bias" | "beta" => Self::as_is(format!("{module}.bias")),
            _ => None,
        }
    }
}
