//! What a download tells whoever listens.

/// An event of a download; for each file that is fetched [`Download::Begins`], many [`Download::At`],
/// [`Download::Ends`]. A mirror that fails after it began is followed by the next one's `Begins`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Download<'a> {
    /// A server gives the file.
    Begins {
        /// File name.
        file: &'a str,
        /// Its address.
        url: &'a str,
        /// Its licence, or where that is said.
        licence: &'a str,
        /// Its size in bytes, if the server says it.
        bytes: Option<u64>,
    },
    /// Data arrived.
    At {
        /// Bytes so far, with those that an earlier call left.
        bytes: u64,
        /// Bytes in all, if the server says it.
        of: Option<u64>,
    },
    /// The file is in its place.
    Ends {
        /// File name.
        file: &'a str,
        /// sha256 of its bytes in hexadecimal.
        sha256: &'a str,
        /// What that hash was compared with.
        check: HashCheck,
    },
}

/// What the hash of a downloaded file was compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashCheck {
    /// It equals the published one.
    Published,
    /// None was published: it is recorded now, beside the file.
    Recorded,
    /// It equals the one that was recorded when the file was downloaded for the first time.
    AsRecorded,
}

/// Who is told of downloads.
pub type Listener<'a> = &'a mut dyn FnMut(Download<'_>);

/// A file to download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remote<'a> {
    /// Addresses, tried in turn.
    pub mirrors: &'a [&'a str],
    /// sha256 in hexadecimal; `None` where none was published, so that the first download's is recorded.
    pub sha256: Option<&'a str>,
    /// Its licence, or where that is said.
    pub licence: &'a str,
}
