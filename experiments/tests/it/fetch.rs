//! Pretrained weights by name: `prepare` downloads them from a server on this machine, and every verb finds them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use assert_cmd::assert::Assert;
use safetensors::tensor::{Dtype, TensorView};
use sparta_datasets::source::sha256;

use crate::bench::{Bench, assert_says, said, stdout};
use crate::glue::GLUE;
use crate::mlm::MLM;

const NAME: &str = "sentence-transformers/all-MiniLM-L6-v2";
const DEAD: &str = "http://127.0.0.1:1";
const NETWORK: &[&str] = &["model.network=\"minilm-l6\""];

type Files = BTreeMap<String, Vec<u8>>;

/// Serves files by their paths, as the Hugging Face hub does, and remembers what it was asked for.
struct Hub {
    address: String,
    files: Arc<Mutex<Files>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Hub {
    fn new(files: Files) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let hub = Self {
            address: format!("http://{}", listener.local_addr().expect("an address")),
            files: Arc::new(Mutex::new(files)),
            asked: Arc::default(),
        };
        let (files, asked) = (Arc::clone(&hub.files), Arc::clone(&hub.asked));
        // The thread ends with the test process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up early is the client's affair.
                let _ = answer(stream, &files, &asked);
            }
        });
        hub
    }

    /// What was asked for since the last call.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("no panic"))
    }
}

fn answer(
    mut stream: TcpStream,
    files: &Mutex<Files>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or_default();
    let file = path.strip_prefix(&format!("/{NAME}/resolve/main/"));
    let file = file.unwrap_or(path).to_owned();
    let body = files.lock().expect("no panic").get(&file).cloned();
    asked.lock().expect("no panic").push(file);
    let (status, body) = match body {
        Some(body) => ("200 OK", body),
        None => ("404 Not Found", Vec::new()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(&body)
}

/// The sizes of MiniLM-L6 and its tokenizer, with one tensor for all weights: they are read when training begins.
fn toy() -> Files {
    let config = r#"{"model_type": "bert", "vocab_size": 30522, "hidden_size": 384,
        "num_attention_heads": 12, "intermediate_size": 1536, "num_hidden_layers": 6,
        "max_position_embeddings": 512, "type_vocab_size": 2, "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1}"#;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/minilm-l3/tokenizer.json");
    let values = [0; 4 * 384];
    let view = TensorView::new(Dtype::F32, vec![384], &values).expect("a tensor");
    let weights = safetensors::serialize([("embeddings.LayerNorm.bias", view)], None);
    Files::from([
        ("config.json".to_owned(), config.into()),
        (
            "tokenizer.json".to_owned(),
            fs::read(shipped).expect("a file"),
        ),
        ("model.safetensors".to_owned(), weights.expect("weights")),
    ])
}

fn cached(bench: &Bench) -> PathBuf {
    bench.path("cache/weights").join(NAME)
}

/// Runs a tiny MiniLM-L6 with weights from a server.
fn run(bench: &Bench, line: &str, endpoint: &str) -> Assert {
    bench
        .command()
        .env("HF_ENDPOINT", endpoint)
        .args(bench.words(line, NETWORK))
        .assert()
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

#[test]
fn weights_are_downloaded_once_and_found_by_every_verb() {
    let bench = Bench::of(GLUE);
    let hub = Hub::new(toy());
    // Before, a dry run goes without and a training does not.
    let tried = run(&bench, "--dry-run --device flex", DEAD).success();
    assert_says(&stdout(&tried), &["weights: random"]);
    let text = said(
        &run(
            &bench,
            "train --out run --quiet --device flex",
            &hub.address,
        ),
        1,
    );
    assert_says(&text, &["minilm-l6", "`prepare`", "--weights DIR"]);
    assert!(hub.asked().is_empty(), "only `prepare` downloads");

    let prepared = run(&bench, "prepare --out run", &format!("{}/", hub.address)).success();
    assert_eq!(
        hub.asked(),
        ["config.json", "tokenizer.json", "model.safetensors"]
    );
    let text = stderr(&prepared);
    let host = hub.address.trim_start_matches("http://");
    let files = toy();
    assert_says(
        &text,
        &[
            &format!("weights of minilm-l6: {NAME}"),
            &format!("tokenizer.json: 466.25 kB from {host}; licence: Apache-2.0"),
            &format!(
                "model.safetensors: sha256 {} (none was published: recorded now",
                sha256(&files["model.safetensors"])
            ),
        ],
    );
    for (name, bytes) in &files {
        assert_eq!(&fs::read(cached(&bench).join(name)).expect(name), bytes);
        let record = cached(&bench).join(format!("{name}.sha256"));
        let record = fs::read_to_string(record).expect("a record");
        assert_eq!(record, format!("{}  {name}\n", sha256(bytes)));
    }

    // Again, and by another program: nothing is downloaded, and nothing is said where it is quiet.
    let quiet = run(&bench, "prepare --out run --quiet", DEAD).success();
    assert_eq!(stderr(&quiet), "");
    let folder = cached(&bench);
    let tried = run(&bench, "--dry-run --device flex", DEAD).success();
    let origin = format!("weights: {}", folder.join("model.safetensors").display());
    assert_says(&stdout(&tried), &[&origin]);
    let doctor = stdout(&bench.sparta("doctor").success());
    assert_says(
        &doctor,
        &[&format!("weights      minilm-l6: in {}", folder.display())],
    );
}

#[test]
fn altered_weights_are_refused_here_and_on_the_server() {
    let bench = Bench::of(GLUE);
    let hub = Hub::new(toy());
    run(&bench, "prepare --out run --quiet", &hub.address).success();
    let path = cached(&bench).join("model.safetensors");
    let record = cached(&bench).join("model.safetensors.sha256");
    let mut other = fs::read(&path).expect("weights");
    let published = sha256(&other);
    *other.last_mut().expect("bytes") ^= 1;
    fs::write(&path, &other).expect("written");
    for line in [
        "prepare --out again --quiet",
        "train --out run --quiet --device flex",
    ] {
        let text = said(&run(&bench, line, &hub.address), 1);
        let hashes = [&published, &sha256(&other)];
        assert_says(&text, &["was altered", hashes[0], hashes[1], "delete it"]);
    }
    // Deleted as it says, it comes again; but only as it was.
    let change = |bytes: &[u8]| {
        let name = "model.safetensors".to_owned();
        hub.files
            .lock()
            .expect("no panic")
            .insert(name, bytes.to_vec());
    };
    change(&other);
    fs::remove_file(&path).expect("removed");
    hub.asked();
    let text = said(&run(&bench, "prepare --out again --quiet", &hub.address), 1);
    assert_says(
        &text,
        &[
            "/resolve/main/model.safetensors gives other bytes",
            &published,
            &sha256(&other),
            &format!("delete {}", record.display()),
        ],
    );
    assert_eq!(hub.asked(), ["model.safetensors"], "the rest is there");
    assert!(!path.exists());
    fs::remove_file(&record).expect("removed");
    run(&bench, "prepare --out again --quiet", &hub.address).success();
    assert_eq!(fs::read(&path).expect("weights"), other);
}

#[test]
fn a_vocabulary_takes_the_place_of_a_tokenizer_and_a_part_is_not_taken_for_the_whole() {
    let bench = Bench::of(MLM);
    let mut files = toy();
    let weights = files.remove("model.safetensors").expect("weights");
    files.remove("tokenizer.json");
    let mut words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .map(str::to_owned)
        .to_vec();
    words.extend(('a'..='z').flat_map(|c| [c.to_string(), format!("##{c}")]));
    files.insert("vocab.txt".into(), words.join("\n").into());
    let casing = r#"{"do_lower_case": true}"#;
    files.insert("tokenizer_config.json".into(), casing.into());
    let hub = Hub::new(files);
    let text = said(&run(&bench, "prepare --out run --quiet", &hub.address), 1);
    assert_says(
        &text,
        &[
            "no model.safetensors and no pytorch_model.bin",
            "--weights DIR",
        ],
    );
    assert!(cached(&bench).join("vocab.txt").exists());
    let tried = run(&bench, "--dry-run --device flex", DEAD).success();
    assert_says(&stdout(&tried), &["weights: random"]);
    hub.asked();
    let name = "model.safetensors".to_owned();
    hub.files.lock().expect("no panic").insert(name, weights);
    run(&bench, "prepare --out run --quiet", &hub.address).success();
    // What was downloaded before is kept.
    assert_eq!(hub.asked(), ["tokenizer.json", "model.safetensors"]);
    let tried = run(&bench, "--dry-run --device flex", DEAD).success();
    assert_says(&stdout(&tried), &["model.safetensors"]);
}

#[test]
fn without_a_network_a_folder_or_a_cache_is_asked_for_and_taken() {
    let bench = Bench::of(GLUE);
    let text = said(&run(&bench, "prepare --out run --quiet", DEAD), 1);
    let url = format!("{DEAD}/{NAME}/resolve/main/config.json");
    assert_says(
        &text,
        &[
            &url,
            "--weights DIR",
            "--from DIR",
            NAME,
            "SPARTA_CACHE=DIR",
        ],
    );
    let fill = |dir: PathBuf| {
        fs::create_dir_all(&dir).expect("a folder");
        for (name, bytes) in toy() {
            fs::write(dir.join(name), bytes).expect("written");
        }
    };
    // The folder of the user, which the run remembers.
    fill(bench.path("from").join(NAME));
    run(&bench, "prepare --from from --out run --quiet", DEAD).success();
    let dry = "--dry-run --device flex";
    let tried = run(&bench, &format!("{dry} --out run"), DEAD).success();
    // What the run remembers, wherever it is looked at from.
    let from = bench.path(format!("from/{NAME}"));
    assert_says(&stdout(&tried), &[&format!("weights: {}", from.display())]);
    // That of Hugging Face's programs, as it says.
    let folder = format!("hub/models--{}/snapshots/abc", NAME.replace('/', "--"));
    fill(bench.path(folder));
    let prepared = run(&bench, "prepare --out hub-run", DEAD).success();
    assert_says(
        &stderr(&prepared),
        &["snapshots/abc", "cache of Hugging Face's programs"],
    );
    let help = stdout(&bench.run("prepare --help").success());
    assert_says(&help, &["--from", "SPARTA_CACHE=DIR", "HF_ENDPOINT=URL"]);
}
