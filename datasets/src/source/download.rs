//! Downloads that resume, try mirrors in turn and check what came.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{Response, header};

use super::checksum::{Sha256Hex, sha256_file};
use super::event::{Download, HashCheck, Listener, Remote};
use super::record::{record, record_of, recorded_sha256};
use crate::{Error, Result};

/// Requests in a row that may bring nothing new before the next mirror is tried.
const FRUITLESS_REQUESTS: u32 = 3;
/// Bytes that a request must bring beyond all earlier ones, short of the end, to count as bringing something.
const LEAST_NEW: u64 = 1 << 16;
const USER_AGENT: &str = concat!("sparta-datasets/", env!("CARGO_PKG_VERSION"));

/// How long a server may keep a download waiting, and how much it may send.
///
/// With both a download ends, whatever the server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// A connection is given up when [`Patience::least`] bytes did not come in this time, and when none came.
    pub silence: Duration,
    /// Bytes that must come in each such time.
    pub least: u64,
    /// Bytes of a file at most.
    pub largest: u64,
}

impl Default for Patience {
    /// 60 kB a minute, and 64 GiB, which no published corpus has.
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(60),
            least: 60_000,
            largest: 1 << 36,
        }
    }
}

/// Downloads a file to `dest` from the first mirror that gives it.
///
/// What arrives is kept in `dest` + `.part`, so that a cut connection, or a later call, goes on
/// there (HTTP `Range`). The file appears at `dest` when it is complete and has the published
/// sha256, or where none was published the recorded one ([`recorded_sha256`]); another is thrown
/// away and the next mirror tried. With neither, its hash is recorded. A `dest` that is there
/// already and has the hash is left as it is.
///
/// # Errors
/// [`Error::DownloadFailed`] with the reason for each mirror; [`Error::ChangedDownload`] for other
/// bytes than those of the first download; [`Error::Io`] for this machine's own troubles, such as
/// a full disk.
pub fn fetch(remote: &Remote<'_>, dest: &Path, listener: Listener<'_>) -> Result<()> {
    fetch_patiently(remote, dest, Patience::default(), listener)
}

/// [`fetch`] with another patience.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_patiently(
    remote: &Remote<'_>,
    dest: &Path,
    patience: Patience,
    listener: Listener<'_>,
) -> Result<()> {
    match attempt(remote, dest, patience, listener)? {
        Outcome::InPlace => Ok(()),
        Outcome::Absent(error) => Err(error),
    }
}

/// [`fetch`] of a file that need not exist: false where every mirror answers that there is none (HTTP status 404).
///
/// # Errors
/// As [`fetch`], for every other reason.
pub fn fetch_if_there(remote: &Remote<'_>, dest: &Path, listener: Listener<'_>) -> Result<bool> {
    match attempt(remote, dest, Patience::default(), listener)? {
        Outcome::InPlace => Ok(true),
        Outcome::Absent(_) => Ok(false),
    }
}

/// How a download ended that met no trouble.
enum Outcome {
    /// The file is at its place.
    InPlace,
    /// No mirror has such a file; what to say where it must be there.
    Absent(Error),
}

fn attempt(
    remote: &Remote<'_>,
    dest: &Path,
    patience: Patience,
    listener: Listener<'_>,
) -> Result<Outcome> {
    let recorded = match remote.sha256 {
        Some(_) => None,
        None => recorded_sha256(dest)?,
    };
    let expected = remote.sha256.or(recorded.as_deref());
    if let Some(sha256) = expected
        && dest.is_file()
        && sha256_file(dest)?.eq_ignore_ascii_case(sha256)
    {
        return Ok(Outcome::InPlace);
    }
    if let Some(folder) = dest.parent() {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    let name = dest.file_name().unwrap_or(dest.as_os_str());
    let name = name.to_string_lossy();
    let mut tried = Vec::new();
    let mut changed = None;
    let mut is_absent = !remote.mirrors.is_empty();
    for url in remote.mirrors {
        // Without a published checksum, parts of two mirrors must not be put together.
        let path = match remote.sha256 {
            Some(_) => part_path(dest, ""),
            None => part_path(dest, url),
        };
        let mut mirror = Mirror {
            url,
            file: &name,
            licence: remote.licence,
            expected,
            patience,
            has_begun: false,
        };
        let failure = match mirror.download(&path, listener) {
            Ok(sha256) => {
                let check = match (remote.sha256, &recorded) {
                    (Some(_), _) => HashCheck::Published,
                    (None, Some(_)) => HashCheck::AsRecorded,
                    (None, None) => HashCheck::Recorded,
                };
                // First the record: a file without one would be taken for anything.
                if check == HashCheck::Recorded {
                    record(dest, &sha256)?;
                }
                fs::rename(&path, dest).map_err(Error::io("create", dest))?;
                listener(Download::Ends {
                    file: &name,
                    sha256: &sha256,
                    check,
                });
                return Ok(Outcome::InPlace);
            }
            Err(failure) => failure,
        };
        let reason = match failure {
            Failure::Here(error) => return Err(error),
            Failure::Absent => "HTTP status 404".to_owned(),
            Failure::There(reason) => {
                is_absent = false;
                reason
            }
            Failure::OtherBytes { found, expected } => {
                is_absent = false;
                let reason = format!("sha256 is {found}, expected {expected}");
                changed = changed.or(Some((*url, found)));
                reason
            }
        };
        tried.push(format!("{url}: {reason}"));
    }
    if let (Some(recorded), Some((url, found))) = (recorded, changed) {
        return Err(Error::ChangedDownload {
            url: url.to_owned(),
            found,
            recorded,
            record: record_of(dest),
        });
    }
    if tried.is_empty() {
        tried.push("no mirror is known".to_owned());
    }
    let failed = Error::DownloadFailed {
        file: name.into_owned(),
        tried: tried.join("; "),
    };
    match is_absent {
        true => Ok(Outcome::Absent(failed)),
        false => Err(failed),
    }
}

/// Why a mirror did not give the file.
enum Failure {
    /// This machine's fault: another mirror would not help.
    Here(Error),
    /// The mirror's or the network's fault.
    There(String),
    /// The mirror has no such file.
    Absent,
    /// The mirror's file has another sha256.
    OtherBytes { found: String, expected: String },
}

/// How one request ended, short of a failure that rules the mirror out.
enum Ended {
    /// The whole file is in the part, which has this sha256.
    Complete { sha256: String },
    /// The connection was cut, or the server could not go on at our offset.
    Again { reason: String },
}

/// The file that is not complete yet, and the hash of what it holds, so that no request reads it again.
struct Part<'a> {
    path: &'a Path,
    hashed: Option<(u64, Sha256Hex)>,
}

impl Part<'_> {
    fn len(&self) -> u64 {
        fs::metadata(self.path).map_or(0, |metadata| metadata.len())
    }

    fn remove(&mut self) -> Result<(), Failure> {
        self.hashed = None;
        fs::remove_file(self.path)
            .map_err(|error| Failure::Here(Error::io("delete", self.path)(error)))
    }

    /// The file opened at `start` (which is 0 or its end), and the hash of what it holds.
    fn open(&mut self, start: u64) -> Result<(File, Sha256Hex)> {
        if start == 0 {
            let file = File::create(self.path).map_err(Error::io("create", self.path))?;
            return Ok((file, Sha256Hex::new()));
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(self.path)
            .map_err(Error::io("open", self.path))?;
        match self.hashed.take() {
            Some((len, hasher)) if len == start => Ok((file, hasher)),
            Some(_) | None => {
                let mut hasher = Sha256Hex::new();
                hasher
                    .update_from(&mut file)
                    .map_err(Error::io("read", self.path))?;
                Ok((file, hasher))
            }
        }
    }
}

/// One address of a file.
struct Mirror<'a> {
    url: &'a str,
    file: &'a str,
    licence: &'a str,
    /// The published or recorded sha256.
    expected: Option<&'a str>,
    patience: Patience,
    /// Whether it was told that this mirror gives the file.
    has_begun: bool,
}

impl Mirror<'_> {
    /// Makes the part at `path` whole; its sha256.
    fn download(&mut self, path: &Path, listener: Listener<'_>) -> Result<String, Failure> {
        let agent = agent_for(self.url, self.patience);
        let mut part = Part { path, hashed: None };
        let mut fruitless = 0;
        // What came again after a new start is nothing new, or a server that lies about the length would be asked for ever.
        let mut most = part.len();
        loop {
            let before = part.len();
            match self.request(&agent, &mut part, listener)? {
                Ended::Complete { sha256: found } => match self.expected {
                    Some(expected) if !expected.eq_ignore_ascii_case(&found) => {
                        part.remove()?;
                        // An old part may be to blame; what came in one piece is the mirror's own.
                        if before == 0 {
                            let expected = expected.to_owned();
                            return Err(Failure::OtherBytes { found, expected });
                        }
                    }
                    Some(_) | None => return Ok(found),
                },
                Ended::Again { reason } => {
                    let now = part.len();
                    fruitless = if now >= most.saturating_add(LEAST_NEW) {
                        0
                    } else {
                        fruitless + 1
                    };
                    most = most.max(now);
                    if fruitless >= FRUITLESS_REQUESTS {
                        return Err(Failure::There(reason));
                    }
                    std::thread::sleep(Duration::from_millis(200 * u64::from(fruitless)));
                }
            }
        }
    }

    /// One GET, from the end of the part on.
    fn request(
        &mut self,
        agent: &Agent,
        part: &mut Part<'_>,
        listener: Listener<'_>,
    ) -> Result<Ended, Failure> {
        let patience = self.patience;
        let offset = part.len();
        let mut request = agent.get(self.url);
        if offset > 0 {
            request = request.header(header::RANGE, format!("bytes={offset}-"));
        }
        let mut response = match request.call() {
            Ok(response) => response,
            // It may be there again soon, as after a cut.
            Err(ureq::Error::Timeout(_)) => {
                let reason = silent(patience);
                return Ok(Ended::Again { reason });
            }
            Err(error) => return Err(Failure::There(error.to_string())),
        };
        let start = match response.status().as_u16() {
            200 => 0,
            206 if offset > 0 && range_start(&response) == Some(offset) => offset,
            206 | 416 if offset > 0 => {
                // Another range than asked, or a part longer than the file: start over.
                part.remove()?;
                let reason = "the server could not go on where the download stopped".to_owned();
                return Ok(Ended::Again { reason });
            }
            404 => return Err(Failure::Absent),
            status => return Err(Failure::There(format!("HTTP status {status}"))),
        };
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let total = length.map(|length| start.saturating_add(length));
        let too_large = || {
            let most = patience.largest;
            Failure::There(format!(
                "it is larger than {most} bytes, which no corpus is"
            ))
        };
        if total.is_some_and(|total| total > patience.largest) {
            return Err(too_large());
        }
        if !self.has_begun {
            self.has_begun = true;
            listener(Download::Begins {
                file: self.file,
                url: self.url,
                licence: self.licence,
                bytes: total,
            });
        }

        let (mut file, mut hasher) = part.open(start).map_err(Failure::Here)?;
        let mut received = start;
        let mut reader = response.body_mut().with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; 1 << 16];
        // The time that a server has for its next `least` bytes.
        let (mut since, mut at_since) = (Instant::now(), start);
        let ended = loop {
            listener(Download::At {
                bytes: received,
                of: total,
            });
            let n = match reader.read(&mut buffer) {
                Ok(0) => break None,
                Ok(n) => n,
                Err(error) => break Some(reason(&error, patience, (received, total))),
            };
            file.write_all(&buffer[..n])
                .map_err(|error| Failure::Here(Error::io("write", part.path)(error)))?;
            hasher.update(&buffer[..n]);
            received += n as u64;
            if received > patience.largest {
                drop(file);
                part.remove()?;
                return Err(too_large());
            }
            if received - at_since >= patience.least {
                (since, at_since) = (Instant::now(), received);
            } else if since.elapsed() > patience.silence {
                break Some(silent(patience));
            }
        };
        let cut = match total {
            Some(total) if received != total => {
                Some(format!("cut after {received} of {total} bytes"))
            }
            Some(_) | None => None,
        };
        let found = hasher.clone().finish();
        // A server may say another length than it has; what has the checksum is the file.
        let is_whole = self
            .expected
            .is_some_and(|expected| expected.eq_ignore_ascii_case(&found));
        match ended.or(cut) {
            Some(reason) if !is_whole => {
                part.hashed = Some((received, hasher));
                Ok(Ended::Again { reason })
            }
            Some(_) | None => {
                file.sync_all()
                    .map_err(|error| Failure::Here(Error::io("write", part.path)(error)))?;
                Ok(Ended::Complete { sha256: found })
            }
        }
    }
}

/// What a connection that is too slow is said to be.
fn silent(patience: Patience) -> String {
    let Patience { silence, least, .. } = patience;
    format!("the server sent less than {least} bytes in {silence:?}")
}

/// Why a body ended before its time.
fn reason(error: &std::io::Error, patience: Patience, at: (u64, Option<u64>)) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    match cause {
        Some(ureq::Error::Timeout(_)) => silent(patience),
        Some(_) | None => match at {
            (received, Some(total)) => format!("cut after {received} of {total} bytes: {error}"),
            (received, None) => format!("cut after {received} bytes: {error}"),
        },
    }
}

fn agent_for(url: &str, patience: Patience) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(USER_AGENT)
        .timeout_connect(Some(patience.silence.min(Duration::from_secs(30))))
        .timeout_recv_response(Some(patience.silence))
        // Of each read: a transfer may take as long as it goes on.
        .timeout_per_read(Some(patience.silence));
    // A proxy of the environment cannot reach this machine's own ports.
    if url.starts_with("http://127.0.0.1") || url.starts_with("http://localhost") {
        config = config.proxy(None);
    }
    config.build().into()
}

/// `start` of a `Content-Range: bytes start-end/total`.
fn range_start<T>(response: &Response<T>) -> Option<u64> {
    let value = response
        .headers()
        .get(header::CONTENT_RANGE)?
        .to_str()
        .ok()?;
    value
        .strip_prefix("bytes ")?
        .split('-')
        .next()?
        .trim()
        .parse()
        .ok()
}

fn part_path(dest: &Path, url: &str) -> PathBuf {
    let mut name = dest.as_os_str().to_owned();
    if !url.is_empty() {
        let mut hasher = Sha256Hex::new();
        hasher.update(url.as_bytes());
        name.push(format!(".{}", &hasher.finish()[..8]));
    }
    name.push(".part");
    PathBuf::from(name)
}
