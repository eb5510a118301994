//! Paths of parameters that earlier versions gave other names.

/// The path that a parameter has today, given the one under which it was saved: the α of an attention
/// layer was its `normalizer.raw_alpha` until layers had a mechanism.
///
/// ```
/// use sparta_model::current_path;
/// assert_eq!(
///     current_path("layers.0.attention.normalizer.raw_alpha"),
///     "layers.0.attention.mechanism.DotProduct.normalizer.raw_alpha"
/// );
/// assert_eq!(current_path("layers.0.attention.query"), "layers.0.attention.query");
/// ```
pub fn current_path(saved: &str) -> String {
    const BEFORE: &str = ".normalizer.raw_alpha";
    const MECHANISM: &str = ".mechanism.DotProduct";
    match saved.strip_suffix(BEFORE) {
        Some(layer) if !layer.ends_with(MECHANISM) => format!("{layer}{MECHANISM}{BEFORE}"),
        Some(_) | None => saved.to_owned(),
    }
}
