//! A small HTTP server on the loopback interface that misbehaves on request.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How a path answers.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// The whole body, or the range asked for.
    Whole,
    /// The length of the whole, then only this many bytes of what is asked for, then a close.
    CutAfter(u64),
    /// As many bytes, then silence on an open connection.
    StallAfter(u64),
    /// The whole body whatever range is asked for.
    WithoutRange,
    /// The same, so many bytes at a time with a pause after each.
    Slowly(u64, Duration),
    /// The whole body under this length.
    Says(u64),
    /// The whole body without a length, ended by the close alone; or only this many bytes of it.
    Unsized(u64),
    /// One byte after the other, without length and end.
    Endless,
    /// The whole body, one bit of it another.
    Altered,
    /// A redirect to the same address.
    Redirect,
    /// A status without a body.
    Status(u16),
}

/// What is served.
#[derive(Clone)]
pub enum Body {
    /// These bytes.
    Bytes(Arc<Vec<u8>>),
    /// So many bytes that are held nowhere.
    Made(u64),
}

impl Body {
    pub fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Made(len) => *len,
        }
    }

    /// Gives the bytes from `start` to `end`, a piece at a time.
    pub fn each(
        &self,
        (start, end): (u64, u64),
        piece: u64,
        mut give: impl FnMut(&mut [u8]) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let mut buffer = Vec::new();
        let mut at = start;
        while at < end {
            let next = end.min(at + piece);
            buffer.clear();
            match self {
                Self::Bytes(bytes) => buffer.extend(&bytes[at as usize..next as usize]),
                Self::Made(_) => buffer.extend((at..next).map(|at| (at ^ (at >> 13)) as u8)),
            }
            give(&mut buffer)?;
            at = next;
        }
        Ok(())
    }
}

/// Serves one body; the answer of each request is the next of the list, the last one repeated.
pub struct Server {
    address: String,
    ranges: Arc<Mutex<Vec<Option<u64>>>>,
}

impl Server {
    pub fn new(body: Vec<u8>, answers: Vec<Answer>) -> Self {
        Self::of(Body::Bytes(Arc::new(body)), answers)
    }

    pub fn of(body: Body, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/corpus.zip", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&ranges);
        // The threads end with the test process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let n = seen.lock().unwrap().len();
                let answer = answers[n.min(answers.len() - 1)];
                let from = read_range(&stream);
                seen.lock().unwrap().push(from);
                let body = body.clone();
                // A client that hangs up early is the client's affair.
                thread::spawn(move || respond(stream, &body, from, answer));
            }
        });
        Self { address, ranges }
    }

    pub fn url(&self) -> &str {
        &self.address
    }

    /// The start of the range of each request so far.
    pub fn ranges(&self) -> Vec<Option<u64>> {
        self.ranges.lock().unwrap().clone()
    }
}

fn read_range(stream: &TcpStream) -> Option<u64> {
    let mut from = None;
    for line in BufReader::new(stream).lines() {
        let line = line.unwrap().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = Some(range.trim_end_matches('-').parse().unwrap());
        }
    }
    from
}

fn respond(
    mut stream: TcpStream,
    body: &Body,
    from: Option<u64>,
    answer: Answer,
) -> std::io::Result<()> {
    const PIECE: u64 = 1 << 16;
    let len = body.len();
    let from = match answer {
        Answer::Status(status) => {
            return write!(
                stream,
                "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        Answer::Redirect => {
            return write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: /corpus.zip\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        Answer::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[7; 1000])?;
            }
        }
        Answer::WithoutRange
        | Answer::Slowly(..)
        | Answer::Says(_)
        | Answer::Unsized(_)
        | Answer::Altered => None,
        Answer::Whole | Answer::CutAfter(_) | Answer::StallAfter(_) => from,
    };
    let start = match from {
        Some(start) if start >= len => {
            return write!(
                stream,
                "HTTP/1.1 416 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        Some(start) => {
            let end = len - 1;
            write!(
                stream,
                "HTTP/1.1 206 Part\r\nContent-Range: bytes {start}-{end}/{len}\r\n"
            )?;
            start
        }
        None => {
            write!(stream, "HTTP/1.1 200 OK\r\n")?;
            0
        }
    };
    match answer {
        Answer::Unsized(_) => {}
        Answer::Says(length) => write!(stream, "Content-Length: {length}\r\n")?,
        _ => write!(stream, "Content-Length: {}\r\n", len - start)?,
    }
    write!(stream, "Connection: close\r\n\r\n")?;
    let (end, piece) = match answer {
        Answer::CutAfter(n) | Answer::StallAfter(n) | Answer::Unsized(n) => {
            (len.min(start.saturating_add(n)), PIECE)
        }
        Answer::Slowly(piece, _) => (len, piece),
        _ => (len, PIECE),
    };
    let mut sent = start;
    body.each((start, end), piece, |bytes| {
        let half = len / 2;
        if matches!(answer, Answer::Altered) && (sent..sent + bytes.len() as u64).contains(&half) {
            bytes[(half - sent) as usize] ^= 1;
        }
        sent += bytes.len() as u64;
        stream.write_all(bytes)?;
        if let Answer::Slowly(_, pause) = answer {
            thread::sleep(pause);
        }
        Ok(())
    })?;
    if let Answer::StallAfter(_) = answer {
        thread::sleep(Duration::from_secs(600));
    }
    Ok(())
}
