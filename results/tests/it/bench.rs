//! Summaries of the attention bench, and their plot.

use std::fs;

use sparta_results::ResultsError;
use sparta_results::bench::{BenchRow, plot};
use sparta_results::render::svg;

const SUMMARY: &str = "\
case,shape,p,dtype,device,ours_ms,peer_ms,ratio,peer,peak_bytes
entmax15,1x8x1024x64/s1,0,f32,flex,80.000,60.000,0.75,torch sdpa,4194304
entmax15,1x8x4096x64/s1,0,f32,flex,1000.000,900.000,0.90,torch sdpa,16777216
entmax15,8x8x512x64/s1,0,f32,flex,90.000,,,,16777216
entmax15/causal,1x8x1024x64/s1,0,f32,flex,45.000,,,,4194304
softmax,1x8x4096x64/s1,0,f32,flex,800.000,800.000,1.00,ours-dense,16777216
softmax/blocks,1x8x4096x64/s1,50,f32,flex,420.000,800.000,1.90,ours-dense,16000000
softmax/blocks,1x8x4096x64/s1,90,f32,flex,120.000,800.000,6.67,ours-dense,15000000
softmax/causal,2x12x256x512x64/s1,0,f32,flex,40.000,40.000,1.00,ours-dense,8000000
softmax/causal/ap-p80/effective=79.98/blocks64=3.12,2x12x256x512x64/s1,80,f32,flex,41.000,40.000,0.98,ours-dense,8100000
softmax/causal/blocks64-p80/effective=80.10/blocks64=78.00,2x12x256x512x64/s1,80,f32,flex,10.000,40.000,4.00,ours-dense,8000000
";

fn rows(text: &str) -> Vec<BenchRow> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.csv");
    fs::write(&path, text).unwrap();
    BenchRow::read(path).unwrap()
}

#[test]
fn a_summary_reads_back() {
    let rows = rows(SUMMARY);
    assert_eq!(rows.len(), 10);
    let sizes = rows[7].sizes().unwrap();
    assert_eq!((sizes.seq_q, sizes.seq_kv, sizes.d_head), (256, 512, 64));
    assert_eq!(rows[2].peer_ms, None);
    let series: Vec<_> = rows.iter().map(BenchRow::series).collect();
    assert_eq!(series[4], None);
    assert_eq!(series[5].as_deref(), Some("softmax, blocks"));
    assert_eq!(series[8].as_deref(), Some("softmax/causal, ap"));
    assert_eq!(series[9].as_deref(), Some("softmax/causal, blocks64"));
    assert_eq!(rows[0].time_change(), None, "the peer is another");
    assert!((rows[6].time_change().unwrap() + 85.0).abs() < 1e-9);
}

/// The bench of mechanisms times forward passes too, which have a heading of their own.
#[test]
fn forward_passes_are_drawn_apart() {
    let both = svg::cost(&rows(SUMMARY)).unwrap();
    assert!(!both.contains(">Forward, against"));
    let forward = "\"rfa(m=64)/forward\",1x4x512x64/s1,0,f32,flex,2.0,3.0,1.5,softmax,400000
\"rfa(m=64)/forward\",1x4x1024x64/s1,0,f32,flex,4.0,9.0,2.25,softmax,800000\n";
    let text = svg::cost(&rows(&format!("{SUMMARY}{forward}"))).unwrap();
    for label in [
        ">Forward, against",
        ">Forward and backward, against",
        "rfa(m=64)",
    ] {
        assert!(text.contains(label), "{label}");
    }
    assert!(!text.contains("/forward"));
}

#[test]
fn the_plot_has_every_series_beside_the_papers_lines() {
    let text = svg::cost(&rows(SUMMARY)).unwrap();
    assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
    for label in [
        "torch sdpa",
        "the scores alone would take",
        "softmax, blocks",
        "softmax/causal, ap",
        "softmax/causal, blocks64",
        "paper, SQuAD at p = 90, time: −9.4 %",
        "paper, SQuAD at p = 90, memory: −27.0 %",
        ">4096<",
    ] {
        assert!(text.contains(label), "{label}");
    }
    // The heads of the longest sequence only, and no causal row among the plain ones: two points of
    // ours and two of the peer; two and two of memory; then of each of three masks one a p. Each of the
    // six series has a mark in its legend; lines of reference have none.
    let marks = text.matches("<circle").count() + text.matches("<path").count();
    assert_eq!(marks, (4 + 4 + 3) + (4 + 4 + 3));
    assert_eq!(text, svg::cost(&rows(SUMMARY)).unwrap());
    let only_masks: Vec<_> = rows(SUMMARY).split_off(5);
    let text = svg::cost(&only_masks).unwrap();
    assert!(text.contains("softmax, blocks") && !text.contains(">tokens<"));
    assert!(matches!(svg::cost(&[]), Err(ResultsError::Empty)));
}

#[test]
fn each_device_has_its_plot_beside_the_summary() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("summary.csv");
    fs::write(&path, SUMMARY).unwrap();
    assert_eq!(plot(&path).unwrap(), [dir.path().join("summary.svg")]);
    let other = SUMMARY.lines().nth(6).unwrap().replace("flex", "cuda:0");
    fs::write(&path, format!("{SUMMARY}{other}\n")).unwrap();
    let expected = ["summary-cuda-0.svg", "summary-flex.svg"].map(|name| dir.path().join(name));
    assert_eq!(plot(&path).unwrap(), expected);
    assert!(expected.iter().all(|path| path.exists()));
    fs::write(&path, "run,words\n1,2\n").unwrap();
    assert!(matches!(plot(&path), Err(ResultsError::Csv(_))));
    assert!(matches!(
        plot(dir.path().join("none.csv")),
        Err(ResultsError::Io { .. })
    ));
}
