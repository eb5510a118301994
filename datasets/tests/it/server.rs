//! A small HTTP server on the loopback interface that misbehaves on request.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// How a path answers.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// The whole body, or the range asked for.
    Whole,
    /// The length of the whole, then only this many bytes of what is asked for, then a close.
    CutAfter(usize),
    /// The whole body whatever range is asked for.
    WithoutRange,
    /// A status without a body.
    Status(u16),
}

/// Serves one body; the answer of each request is the next of the list, the last one repeated.
pub struct Server {
    address: String,
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    pub fn new(body: Vec<u8>, answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/corpus.zip", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&ranges);
        // The thread ends with the test process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                let n = seen.lock().unwrap().len();
                let answer = answers[n.min(answers.len() - 1)];
                let from = read_range(&stream);
                seen.lock().unwrap().push(from);
                // A client that hangs up early is the client's affair.
                let _ = respond(stream, &body, from, answer);
            }
        });
        Self { address, ranges }
    }

    pub fn url(&self) -> &str {
        &self.address
    }

    /// The start of the range of each request so far.
    pub fn ranges(&self) -> Vec<Option<usize>> {
        self.ranges.lock().unwrap().clone()
    }
}

fn read_range(stream: &TcpStream) -> Option<usize> {
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
    body: &[u8],
    from: Option<usize>,
    answer: Answer,
) -> std::io::Result<()> {
    let from = match answer {
        Answer::Status(status) => {
            return write!(
                stream,
                "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        Answer::WithoutRange => None,
        Answer::Whole | Answer::CutAfter(_) => from,
    };
    let rest = match from {
        Some(start) if start >= body.len() => {
            return write!(
                stream,
                "HTTP/1.1 416 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        Some(start) => {
            let (end, total) = (body.len() - 1, body.len());
            write!(
                stream,
                "HTTP/1.1 206 Part\r\nContent-Range: bytes {start}-{end}/{total}\r\n"
            )?;
            &body[start..]
        }
        None => {
            write!(stream, "HTTP/1.1 200 OK\r\n")?;
            body
        }
    };
    write!(
        stream,
        "Content-Length: {}\r\nConnection: close\r\n\r\n",
        rest.len()
    )?;
    let sent = match answer {
        Answer::CutAfter(n) => &rest[..n.min(rest.len())],
        Answer::Whole | Answer::WithoutRange | Answer::Status(_) => rest,
    };
    stream.write_all(sent)
}
