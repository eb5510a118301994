//! Keys in pages, with statistics that are kept while keys come.

/// Keys of a page.
pub const PAGE_SIZE: usize = 16;

/// Least standard deviation of a coordinate.
const LEAST_STD: f32 = 1e-6;

/// Statistics of the visible keys of a page, by coordinate.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// Least values, `[d_head]`; NaN, as all statistics, where one is.
    pub min: Vec<f32>,
    /// Largest values, `[d_head]`.
    pub max: Vec<f32>,
    /// Means, `[d_head]`.
    pub mean: Vec<f32>,
    /// Standard deviations (divided by the number of keys), at least 1e-6, `[d_head]`; NaN also where a value is infinite.
    pub std: Vec<f32>,
    /// Keys that are no padding. The statistics of none are 0.
    pub n_visible: usize,
}

/// The keys of one head so far.
#[derive(Debug, Clone, PartialEq)]
pub struct PagedKeys {
    d_head: usize,
    keys: Vec<f32>,
    visible: Vec<bool>,
    pages: Vec<Page>,
}

impl PagedKeys {
    /// No key yet, of this size.
    ///
    /// # Panics
    /// If the size is 0.
    pub fn new(d_head: usize) -> Self {
        assert!(d_head > 0, "keys have at least one coordinate");
        Self {
            d_head,
            keys: Vec::new(),
            visible: Vec::new(),
            pages: Vec::new(),
        }
    }

    /// Adds a key, `[d_head]`; the statistics of the last page are taken again. One that is not visible, padding,
    /// keeps its place and counts in none.
    ///
    /// # Panics
    /// If the key is of another size.
    pub fn append(&mut self, key: &[f32], is_visible: bool) {
        assert_eq!(key.len(), self.d_head, "a key of another size");
        self.keys.extend_from_slice(key);
        self.visible.push(is_visible);
        let first = (self.visible.len() - 1) / PAGE_SIZE * PAGE_SIZE;
        self.pages.truncate(first / PAGE_SIZE);
        let page = self.statistics(first);
        self.pages.push(page);
    }

    /// Statistics of the page that starts at a key.
    fn statistics(&self, first: usize) -> Page {
        let last = (first + PAGE_SIZE).min(self.len());
        let keys: Vec<&[f32]> = (first..last)
            .filter(|&i| self.visible[i])
            .map(|i| self.key(i))
            .collect();
        let n = keys.len().max(1) as f32;
        let of = |f: &dyn Fn(&mut dyn Iterator<Item = f32>) -> f32| -> Vec<f32> {
            let column = |c: usize| f(&mut keys.iter().map(|key| key[c]));
            match keys.is_empty() {
                true => vec![0.0; self.d_head],
                false => (0..self.d_head).map(column).collect(),
            }
        };
        let mean = of(&|column| column.sum::<f32>() / n);
        let std = (0..self.d_head).map(|c| {
            let squares = keys.iter().map(|key| (key[c] - mean[c]).powi(2));
            let std = (squares.sum::<f32>() / n).sqrt();
            std.clamp(LEAST_STD, f32::INFINITY)
        });
        Page {
            min: of(&|column| column.fold(f32::INFINITY, or_nan(f32::min))),
            max: of(&|column| column.fold(f32::NEG_INFINITY, or_nan(f32::max))),
            std: std.collect(),
            mean,
            n_visible: keys.len(),
        }
    }

    /// Number of keys, padding included.
    pub fn len(&self) -> usize {
        self.visible.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.visible.is_empty()
    }

    /// Coordinates of a key.
    pub fn d_head(&self) -> usize {
        self.d_head
    }

    /// The pages, the last of which may be short.
    pub fn pages(&self) -> &[Page] {
        &self.pages
    }

    /// A key, `[d_head]`.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn key(&self, i: usize) -> &[f32] {
        &self.keys[i * self.d_head..(i + 1) * self.d_head]
    }

    /// Whether a key is no padding.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn is_visible(&self, i: usize) -> bool {
        self.visible[i]
    }
}

/// `f32::min` or `f32::max`, which leave NaN out, and NaN where there is one.
fn or_nan(of: impl Fn(f32, f32) -> f32) -> impl Fn(f32, f32) -> f32 {
    move |a, b| match a.is_nan() || b.is_nan() {
        true => f32::NAN,
        false => of(a, b),
    }
}
