//! Stores, vocabularies, corpora and running text.

use std::fs;
use std::path::Path;

use sparta_datasets::classification::ClassificationTask;
use sparta_datasets::glue::{GlueTask, read_part};
use sparta_datasets::pairs::SentencePair;
use sparta_datasets::question_sentence::from_articles;
use sparta_datasets::source::{Sha256Hex, sha256};
use sparta_datasets::squad::{SquadForm, WindowOptions, read_articles, windows};
use sparta_datasets::store::TokenStore;
use sparta_datasets::tokenize::bpe::{Bpe, BpeCodes};
use sparta_datasets::tokenize::moses::{
    MosesDetokenizer, MosesTokenizer, PunctuationNormalizer, Release, TokenizerOptions,
};
use sparta_datasets::tokenize::wordpiece::{Casing, WordPiece};
use sparta_datasets::tokenize::{Dictionary, Language, Vocabulary, normalize_line};
use sparta_datasets::translation::TranslationCorpus;
use sparta_datasets::{Error, Split};

use super::super::{Corpus, Target};

const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Token stores.
pub const TOKEN_STORE: Target = Target {
    name: "token-store",
    corpus: || {
        let store = |ids: &[u32]| {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("a.tokens");
            TokenStore::create(&path, ids.iter().copied(), HASH).expect("written");
            fs::read(&path).expect("read")
        };
        Corpus::of([store(&[1, 2, 3, 70_000]), store(&[])])
    },
    open: |folder| {
        let path = folder.join("a.tokens");
        Box::new(move |bytes| {
            let read = |bytes: &[u8]| {
                // A store is never written in place: what is mapped stays.
                let _ = fs::remove_file(&path);
                fs::write(&path, bytes).expect("written");
                TokenStore::open(&path, HASH).is_ok_and(|store| store.tokens().len() == store.len())
            };
            let accepted = read(bytes);
            if bytes.len() > 128 {
                // The same with a checksum that fits.
                let mut hasher = Sha256Hex::new();
                hasher.update(&bytes[128..]);
                let mut fitting = bytes.to_vec();
                fitting[56..88].copy_from_slice(&hasher.finish_bytes());
                return read(&fitting) || accepted;
            }
            accepted
        })
    },
};

/// Vocabularies of words.
pub const VOCABULARY: Target = Target {
    name: "vocabulary",
    corpus: || {
        let vocabulary =
            Vocabulary::from_text("the cat sat\nthe dog sat\n", None, 1).expect("a vocabulary");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("vocab");
        vocabulary.save(&path).expect("written");
        Corpus::of([fs::read(&path).expect("read")]).with_words(&[
            "<unk>\t0\n",
            "<eos>\t1\n",
            "\t",
            "cat\t2",
        ])
    },
    open: |folder| {
        let path = folder.join("vocab");
        Box::new(move |bytes| {
            let read = |bytes: &[u8]| {
                fs::write(&path, bytes).expect("written");
                let Ok(vocabulary) = Vocabulary::load(&path) else {
                    return false;
                };
                let ids = vocabulary.encode_text("the cat\nsat <unk> new");
                vocabulary.decode(&ids).expect("its own ids");
                vocabulary.save(&path).expect("written");
                assert_eq!(
                    Vocabulary::load(&path).expect("as it was written"),
                    vocabulary
                );
                true
            };
            let accepted = read(bytes);
            // The same with a checksum that fits.
            let Ok(text) = std::str::from_utf8(bytes) else {
                return accepted;
            };
            let Some((header, body)) = text.split_once('\n') else {
                return accepted;
            };
            let words: String = body
                .lines()
                .filter_map(|line| Some(format!("{}\n", line.split_once('\t')?.0)))
                .collect();
            let hash = sha256(format!("sparta word 1\n{words}").as_bytes());
            let header = header.rsplit_once(' ').map_or("", |(header, _)| header);
            read(format!("{header} {hash}\n{body}").as_bytes()) || accepted
        })
    },
};

/// Merges of byte pair encoding, with the list of pieces to keep to.
pub const BPE_CODES: Target = Target {
    name: "bpe-codes",
    corpus: || {
        Corpus::of([
            "#version: 0.2\nt h\nth e</w>\na t</w>\nc at</w>\nl o\nlo w</w>\nlo w\n",
            "#version: 0.2\n",
        ])
        .and(["#version: 0.2\n/w>< /w>\n/ w\n/w ></w>\n</ w>\n> </w>\n"])
        .with_words(&[
            "</w>",
            "@@",
            " ",
            "#version: 0.2.0\n",
            "the",
            "a b\n",
            "ab c</w>\n",
            "/w>< /w>\n",
        ])
    },
    open: |folder| {
        let path = folder.join("codes.bpe");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let Ok(codes) = BpeCodes::load(&path) else {
                return false;
            };
            assert_eq!(
                BpeCodes::parse(&codes.to_text(), "again").expect("as it was written"),
                codes
            );
            let merges: Vec<String> = codes
                .merges()
                .iter()
                .take(200)
                .map(|(left, right)| format!("{left}{right}"))
                .collect();
            let line = format!("the cat /w> low </w> x</w> {}", merges.join(" "));
            let bpe = Bpe::new(codes);
            let whole = bpe.segment_line(&line);
            assert!(whole.replace("@@ ", "").len() <= line.len());
            true
        })
    },
};

/// Dictionaries of fairseq.
pub const DICTIONARY: Target = Target {
    name: "dictionary",
    corpus: || {
        Corpus::of([
            "ie 5\nna 4\n",
            "<s> 0 #fairseq:overwrite\n</s> 0 #fairseq:overwrite\n<pad> 0 #fairseq:overwrite\n<unk> 0 #fairseq:overwrite\nie 5\nna 4\n",
        ])
        .with_words(&[" #fairseq:overwrite", "<s> 1\n", "madeupword0000 0\n", " ", "na 4 #fairseq:overwrite\n"])
    },
    open: |folder| {
        let path = folder.join("dict.txt");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let Ok(dictionary) = Dictionary::load(&path) else {
                return false;
            };
            dictionary
                .decode(&dictionary.encode_line("ie na <s> new"))
                .expect("its own ids");
            dictionary.save(&path).expect("written");
            assert_eq!(
                Dictionary::load(&path).expect("as it was written"),
                dictionary
            );
            true
        })
    },
};

/// Running text through Moses' rules and the scores of translations.
pub const MOSES: Target = Target {
    name: "moses",
    corpus: || {
        Corpus::of([
            "Mr. Smith's \"plan\" costs $1,250.50... (net), see http://a.b/c?d=e -- it's U.S.-made.",
            "Das ist's: Nr. 3, z.B. „A & B“ – 10.000,5 €…",
            "L'été, qu'il n'aura pas : c'est-à-dire « rien » !",
            "Pan j. Novák a l. Brno i v. Praha i n. Plzeň",
            "東京は、日本の首都です。「はい」",
            "„Aşa-i”, zise d-l Popescu într-o zi.",
        ])
        .with_words(&["&apos;", "&quot;", "@-@", "...", "'s", "DOTDOTMULTI", "DOTMULTI.", "THISISPROTECTED000", "&#124;", "\u{a0}", "(", ")", " - "])
    },
    open: |_| {
        Box::new(|bytes| {
            let text = String::from_utf8_lossy(bytes);
            for language in Language::ALL {
                for release in [Release::Y2017, Release::Y2019] {
                    let options = TokenizerOptions {
                        aggressive_hyphens: release == Release::Y2017,
                        escape: true,
                        release,
                    };
                    let normalized =
                        PunctuationNormalizer::with_release(language, release).normalize(&text);
                    let tokens =
                        MosesTokenizer::with_options(language, options).tokenize(&normalized);
                    let _ = MosesDetokenizer::new(language).detokenize(&tokens);
                }
            }
            let mut words = String::new();
            text.lines()
                .for_each(|line| normalize_line(line, &mut words));
            let _ = TranslationCorpus::Multi30kDeEn
                .preparer(Language::De)
                .prepare(&text);
            true
        })
    },
};

/// Tables of GLUE.
pub const GLUE: Target = Target {
    name: "glue",
    corpus: || {
        let mnli = "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse\tsentence1\tsentence2\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n0\t1\t1n\tslate\t( a )\t( b )\tx\ty\tA b.\tC d.\tneutral\tneutral\tneutral\tneutral\tneutral\tneutral\n";
        Corpus::of([
            "gj04\t1\t\tThe sailors rode.\ngj05\t0\t*\tThe sailors rode the.\n",
            "sentence\tlabel\nit 's a charming\t1\nbad \"\t0\n",
            "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t12\t13\tA b.\tA c.\n",
            "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t2\t3\tWhat?\tWho?\t0\n1\t2\n",
            "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n0\tm\tf\t2012\t1\tn\tn\tA.\tB.\t2.5\n",
            mnli,
            "index\tquestion\tsentence\tlabel\n0\tWhat?\tThat.\tentailment\n",
            "\u{feff}index\tsentence1\tsentence2\tlabel\r\n0\tA.\tB.\tnot_entailment\r\n",
        ])
        .with_words(&["\t", "entailment", "5.0", "nan", "inf", "\u{feff}", "\r", "index"])
    },
    open: |folder| {
        let paths = ["dev.tsv", "dev_matched.tsv"].map(|name| folder.join(name));
        let folder = folder.to_owned();
        Box::new(move |bytes| {
            for path in &paths {
                fs::write(path, bytes).expect("written");
            }
            let read = |task: &GlueTask| {
                let part = task.dev_parts()[0];
                read_part(*task, &folder, part)
                    .map_err(|error| error.to_string())
                    .is_ok()
            };
            GlueTask::ALL.iter().filter(|task| read(task)).count() > 0
        })
    },
};

/// MRPC as its authors published it: ids before the table, divided by a line of `=`.
pub const MRPC: Target = Target {
    name: "mrpc",
    corpus: || {
        Corpus::of([
            "12\t13\n=\nQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t12\t13\tA b.\tA c.\n0\t14\t15\tD.\tE.\n",
            "\u{feff}14\t15\n=\n\u{feff}Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t12\t13\tA b.\tA c.\n",
        ])
        .with_words(&["\t", "=\n", "\u{feff}", "Quality"])
    },
    open: |folder| {
        let folder = folder.to_owned();
        Box::new(move |bytes| {
            let middle = bytes
                .windows(2)
                .position(|pair| pair == b"=\n")
                .unwrap_or(0);
            let (ids, table) = bytes.split_at(middle);
            fs::write(folder.join("dev_ids.tsv"), ids).expect("written");
            fs::write(
                folder.join("msr_paraphrase_train.txt"),
                table.get(2..).unwrap_or_default(),
            )
            .expect("written");
            let read = |part| read_part(GlueTask::Mrpc, &folder, part).is_ok();
            let _ = ClassificationTask::Glue(GlueTask::Mrpc).locate(Some(&folder), &folder);
            read("train") && read("dev")
        })
    },
};

/// SQuAD's JSON.
pub const SQUAD: Target = Target {
    name: "squad",
    corpus: || {
        Corpus::of([
            r#"{"version":"1.1","data":[{"title":"A_b","paragraphs":[{"context":"Zürich – größer. The cats sat, it says.","qas":[{"id":"1","question":"Was?","answers":[{"answer_start":9,"text":"größer"},{"answer_start":99,"text":"x"},{"answer_start":0,"text":""}]},{"id":"2","question":"What sat?","answers":[{"answer_start":21,"text":"cats"}]}]}]}]}"#,
            r#"{"data":[{"paragraphs":[{"context":"the cat.","qas":[]}]}]}"#,
        ])
        .with_words(&["\"answer_start\":18446744073709551615", "\"answers\":[]", "\"context\":\"\"", "\"v2.0\"", "\"text\":\"\\ud83d\\ude00\""])
    },
    open: |folder| {
        let path = folder.join("dev-v1.1.json");
        let vocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\ncat\n##s\n.\nsat\n";
        let tokenizer = WordPiece::from_vocab(vocab, Casing::Lower, "fuzz").expect("a tokenizer");
        Box::new(move |bytes| {
            fs::write(&path, bytes).expect("written");
            let Ok(articles) = read_articles(&path, SquadForm::V1_1) else {
                return false;
            };
            let options = WindowOptions {
                max_len: 12,
                stride: 2,
                max_question: 4,
            };
            windows(&articles, &tokenizer, &options).expect("texts");
            let _ = from_articles(&articles);
            true
        })
    },
};

/// Sentence pairs as they are prepared, one file a split and language.
pub const PAIRS: Target = Target {
    name: "pairs",
    corpus: || {
        Corpus::of(["ein haus .\nzwei häuser .\n", "\n\n", "a\r\nb\n"])
            .and(["ein haus ."])
            .with_words(&["\n", "\r", "\u{85}", "\u{2028}", "@@ "])
    },
    open: |folder| {
        let dir = folder.join("translation/multi30k-de-en-v1");
        fs::create_dir_all(&dir).expect("a folder");
        for split in Split::ALL {
            for language in ["de", "en"] {
                fs::write(dir.join(format!("{split}.{language}")), "a b\nc d\n").expect("written");
            }
        }
        let cache = folder.to_owned();
        Box::new(move |bytes| read_pairs(bytes, &dir, &cache))
    },
};

fn read_pairs(bytes: &[u8], dir: &Path, cache: &Path) -> bool {
    fs::write(dir.join("train.de"), bytes).expect("written");
    match TranslationCorpus::Multi30kDeEn.load(None, cache) {
        Ok(corpus) => {
            let pairs: &[SentencePair] = corpus.pairs(Split::Train);
            assert_eq!(pairs.len(), 2);
            true
        }
        Err(Error::UnmatchedPairs { .. } | Error::WrongFile { .. } | Error::Io { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}
