//! Downloads that resume, try mirrors in turn and check what came.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, header};

use super::checksum::{Sha256Hex, sha256_file};
use crate::{Error, Result};

/// Requests in a row that may bring no new byte before the next mirror is tried.
const FRUITLESS_REQUESTS: u32 = 3;
const USER_AGENT: &str = concat!("sparta-datasets/", env!("CARGO_PKG_VERSION"));

/// Downloads a file to `dest` from the first mirror that gives it.
///
/// What arrives is kept in `dest` + `.part`, so that a cut connection, or a later call, goes on
/// there (HTTP `Range`). The file appears at `dest` when it is complete and, if `sha256` (in
/// hexadecimal) is given, has that checksum; a wrong one is thrown away and the next mirror
/// tried. A `dest` that is there already and has the checksum is left as it is.
///
/// # Errors
/// [`Error::DownloadFailed`] with the reason for each mirror; [`Error::Io`] for this machine's
/// own troubles, such as a full disk.
pub fn fetch(mirrors: &[&str], sha256: Option<&str>, dest: &Path) -> Result<()> {
    fetch_with_progress(mirrors, sha256, dest, &mut |_, _| ())
}

/// [`fetch`], calling `progress(bytes so far, bytes in all if known)` as data arrives.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_with_progress(
    mirrors: &[&str],
    sha256: Option<&str>,
    dest: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<()> {
    if let Some(sha256) = sha256
        && dest.is_file()
        && sha256_file(dest)?.eq_ignore_ascii_case(sha256)
    {
        return Ok(());
    }
    if let Some(folder) = dest.parent() {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    let mut tried = Vec::new();
    for url in mirrors {
        // Without a checksum, parts of two mirrors must not be put together.
        let part = if sha256.is_some() {
            part_path(dest, "")
        } else {
            part_path(dest, url)
        };
        match from_mirror(url, sha256, &part, progress) {
            Ok(()) => return fs::rename(&part, dest).map_err(Error::io("create", dest)),
            Err(Failure::Here(error)) => return Err(error),
            Err(Failure::There(reason)) => tried.push(format!("{url}: {reason}")),
        }
    }
    if tried.is_empty() {
        tried.push("no mirror is known".to_owned());
    }
    let file = dest
        .file_name()
        .unwrap_or(dest.as_os_str())
        .to_string_lossy()
        .into_owned();
    Err(Error::DownloadFailed {
        file,
        tried: tried.join("; "),
    })
}

/// Why a mirror did not give the file.
enum Failure {
    /// This machine's fault: another mirror would not help.
    Here(Error),
    /// The mirror's or the network's fault.
    There(String),
}

/// How one request ended, short of a failure that rules the mirror out.
enum Ended {
    /// The whole file is in the part, which has this sha256.
    Complete { sha256: String },
    /// The connection was cut, or the server could not go on at our offset.
    Again { reason: String },
}

fn from_mirror(
    url: &str,
    sha256: Option<&str>,
    part: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<(), Failure> {
    let agent = agent_for(url);
    let mut fruitless = 0;
    loop {
        let before = part_len(part);
        match request(&agent, url, part, progress)? {
            Ended::Complete { sha256: found } => match sha256 {
                Some(expected) if !expected.eq_ignore_ascii_case(&found) => {
                    remove(part)?;
                    // An old part may be to blame; what came in one piece is the mirror's own.
                    if before == 0 {
                        return Err(Failure::There(format!(
                            "sha256 is {found}, expected {expected}"
                        )));
                    }
                }
                Some(_) | None => return Ok(()),
            },
            Ended::Again { reason } => {
                fruitless = if part_len(part) > before {
                    0
                } else {
                    fruitless + 1
                };
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
    agent: &Agent,
    url: &str,
    part: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<Ended, Failure> {
    let offset = part_len(part);
    let mut request = agent.get(url);
    if offset > 0 {
        request = request.header(header::RANGE, format!("bytes={offset}-"));
    }
    let mut response = request
        .call()
        .map_err(|error| Failure::There(error.to_string()))?;
    let start = match response.status().as_u16() {
        200 => 0,
        206 if offset > 0 && range_start(&response) == Some(offset) => offset,
        206 | 416 if offset > 0 => {
            // Another range than asked, or a part longer than the file: start over.
            remove(part)?;
            let reason = "the server could not go on where the download stopped".to_owned();
            return Ok(Ended::Again { reason });
        }
        status => return Err(Failure::There(format!("HTTP status {status}"))),
    };
    let length = response.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let total = length.map(|length| start + length);

    let (mut file, mut hasher) = open_part(part, start).map_err(Failure::Here)?;
    let mut received = start;
    let mut reader = response.body_mut().with_config().limit(u64::MAX).reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        progress(received, total);
        let n = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) => {
                return Ok(Ended::Again {
                    reason: error.to_string(),
                });
            }
        };
        file.write_all(&buffer[..n])
            .map_err(|error| Failure::Here(Error::io("write", part)(error)))?;
        hasher.update(&buffer[..n]);
        received += n as u64;
    }
    match total {
        Some(total) if received != total => Ok(Ended::Again {
            reason: format!("cut after {received} of {total} bytes"),
        }),
        Some(_) | None => {
            file.sync_all()
                .map_err(|error| Failure::Here(Error::io("write", part)(error)))?;
            Ok(Ended::Complete {
                sha256: hasher.finish(),
            })
        }
    }
}

/// The part opened at `start` (which is 0 or its end), and the sha256 of what it holds.
fn open_part(part: &Path, start: u64) -> Result<(File, Sha256Hex)> {
    let mut hasher = Sha256Hex::new();
    if start == 0 {
        let file = File::create(part).map_err(Error::io("create", part))?;
        return Ok((file, hasher));
    }
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .open(part)
        .map_err(Error::io("open", part))?;
    hasher
        .update_from(&mut file)
        .map_err(Error::io("read", part))?;
    Ok((file, hasher))
}

fn agent_for(url: &str) -> Agent {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(USER_AGENT)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        // A stalled transfer ends here; a slow one is cut too, and goes on with a range request.
        .timeout_recv_body(Some(Duration::from_secs(180)));
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

fn part_len(part: &Path) -> u64 {
    fs::metadata(part).map_or(0, |metadata| metadata.len())
}

fn remove(part: &Path) -> Result<(), Failure> {
    fs::remove_file(part).map_err(|error| Failure::Here(Error::io("delete", part)(error)))
}
