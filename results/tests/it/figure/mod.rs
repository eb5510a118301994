//! Figures: JSON, CSV and SVG of known numbers.

mod data;

use std::fs;
use std::path::Path;

use sparta_results::ResultsError;
use sparta_results::attention::{DENSITY_BINS, Histogram};
use sparta_results::figure::*;

use data::*;

/// The texts of a figure's JSON, CSV and SVG, which hold to what every figure promises.
fn written<F: Figure + PartialEq + std::fmt::Debug>(figure: &F) -> [String; 3] {
    let dir = tempfile::tempdir().unwrap();
    let files = save(figure, dir.path()).unwrap();
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let texts = [0, 1, 2].map(|at| read(&files[at]));
    let name = figure.name();
    let ends = ["json", "csv", "svg"].map(|end| dir.path().join(format!("{name}.{end}")));
    assert_eq!(files, ends);
    // The picture is the one of the numbers in the file, to the byte.
    let loaded: F = load(&files[0]).unwrap();
    assert_eq!(loaded.svg().unwrap(), texts[2], "{name}");
    assert_eq!(loaded.csv().unwrap(), texts[1], "{name}");
    // And the same again.
    save(&loaded, dir.path()).unwrap();
    assert_eq!([0, 1, 2].map(|at| read(&files[at])), texts, "{name}");
    let [json, csv, svg] = &texts;
    assert!(
        svg.starts_with("<svg") && svg.ends_with("</svg>\n"),
        "{name}"
    );
    assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{name}");
    // Width and text that a README shows without making it smaller.
    assert!(svg.contains("width=\"880\""), "{name}");
    let sizes = svg.split("font-size=\"").skip(1);
    let sizes = sizes.map(|of| of.split('"').next().unwrap().parse().unwrap());
    assert!(sizes.fold(99.0, f64::min) >= 10.0, "{name}");
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert!(
        reader.records().all(|line| line.is_ok()),
        "{name}: lines of one length"
    );
    for (text, end) in texts.iter().zip(["json", "csv", "svg"]) {
        assert!(text.len() < 1_000_000, "{name}.{end}: {} bytes", text.len());
    }
    assert!(json.contains(&format!("\"figure\": \"{name}\"")));
    // To look at the pictures: FIGURES=folder cargo test --release -p sparta-results figure
    if let Ok(folder) = std::env::var("FIGURES") {
        save(figure, folder).unwrap();
    }
    texts
}

fn problem<T: std::fmt::Debug>(result: Result<T, ResultsError>) -> String {
    match result {
        Err(error @ ResultsError::Figure { .. }) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn alpha_is_shown_as_counted() {
    let [_, csv, svg] = written(&alpha());
    // Published: 26 of 48 cross-attention heads in the third bin.
    assert!(
        csv.contains("IWSLT17 de-en,cross,1.1333,1.2000,0.541667,48"),
        "{csv}"
    );
    for text in [">paper, IWSLT17 de-en<", ">26<", ">cross-attention<"] {
        assert!(svg.contains(text), "{text}");
    }
    let mut other = alpha();
    other.types[0].alphas[0].push(1.5);
    assert!(problem(save(&other, "never")).contains("heads in layer"));
    let mut other = alpha();
    other.types[1].alphas[0][0] = 2.5;
    assert!(problem(save(&other, "never")).contains("expected 1 to 2"));
    assert!(!Path::new("never").exists(), "nothing is written");
}

#[test]
fn trajectories_mark_heads_that_become_denser_first() {
    let mut figure = trajectory();
    figure.heads.truncate(2);
    figure.heads[0]
        .alphas
        .iter_mut()
        .for_each(|alpha| *alpha = 1.25);
    let path = &mut figure.heads[1].alphas;
    path.iter_mut().for_each(|alpha| *alpha = 1.5);
    (path[0], path[10]) = (1.4, 1.125);
    let [_, csv, svg] = written(&figure);
    assert!(csv.contains("ours,encoder-self,0,0,0,1.25,false"), "{csv}");
    assert!(
        csv.contains("ours,decoder-self,0,0,500,1.125,true"),
        "{csv}"
    );
    assert!(
        csv.contains("WMT14 en-de,encoder-self,1,7,lowest,1.353,true"),
        "{csv}"
    );
    let said = "1 of our 2 heads become denser first and end sparser than they began (start → lowest → end):";
    assert!(svg.contains(said), "{svg}");
    assert!(svg.contains("(1.40 → 1.12 → 1.50)"), "{svg}");
    written(&trajectory());
}

#[test]
fn density_ranks_the_heads_of_a_layer() {
    let mut figure = density();
    figure.panels.truncate(1);
    figure.panels[0].density[1] = vec![0.5, 0.25, 0.75, 0.125];
    let [json, csv, svg] = written(&figure);
    for line in [
        "ours,encoder-self,1.5-entmax,1,0,2,0.5,",
        "ours,encoder-self,1.5-entmax,1,3,0,0.125,",
        "IWSLT17 de-en,encoder-self,1.5-entmax,0,,0,0.068,,,",
    ] {
        assert!(csv.contains(line), "{line} in {csv}");
    }
    assert!(json.contains("[0.5,0.25,0.75,0.125]"), "{json}");
    // A variant without zeros has no panels beside others, but its numbers.
    let mut with_softmax = density();
    let mut softmax = with_softmax.panels[0].clone();
    softmax.variant = "softmax".into();
    softmax
        .density
        .iter_mut()
        .flatten()
        .for_each(|share| *share = 1.0);
    with_softmax.panels.push(softmax);
    let [_, csv, pictured] = written(&with_softmax);
    assert!(csv.contains("ours,encoder-self,softmax,0,0,0,1,"), "{csv}");
    assert!(
        pictured.contains(">softmax is not drawn: every head gives every key a weight above 0.<")
    );
    assert!(!pictured.contains(">softmax: ours,"));
    // Mean of the published panel.
    assert!(svg.contains(">mean 0.188<"), "{svg}");
    written(&density());
}

#[test]
fn density_histograms_leave_room_beside_softmax() {
    let [_, csv, svg] = written(&density_histogram());
    assert!(
        csv.contains("ours,cross,softmax,0.9333,1.0000,1,4000"),
        "{csv}"
    );
    assert!(svg.contains("softmax: at least 80\u{a0}% of the values stand in one bin"));
    let mut empty = density_histogram();
    empty.panels.clear();
    assert!(problem(empty.svg()).contains("nothing was measured"));
}

#[test]
fn diversity_stands_beside_the_papers() {
    let mut figure = diversity();
    figure.series[0].layers = vec![0.25, 0.5, 0.75];
    let [_, csv, svg] = written(&figure);
    assert!(csv.contains("ours,encoder-self,softmax,2,0.75"), "{csv}");
    assert!(
        csv.contains("IWSLT17 de-en,encoder-self,softmax,0,0.3131"),
        "{csv}"
    );
    assert!(svg.contains(">mean 0.500 · "), "{svg}");
    assert!(svg.contains(">mean 0.413 · 0.498 · 0.470<"), "{svg}");
    for bad in [f64::NAN, f64::INFINITY, -0.5, 1.5] {
        figure.series[0].layers[0] = bad;
        assert!(problem(figure.svg()).contains("divergence of encoder-self, softmax"));
    }
}

#[test]
fn heads_that_pass_are_marked_and_named() {
    let [_, csv, svg] = written(&positional());
    assert!(
        csv.contains("ours,1.5-entmax,encoder-self,offset −1,2,0,0.959,,true,12345"),
        "{csv}"
    );
    for text in [
        "2 heads pass (above 90\u{a0}%): layer\u{a0}3,",
        "No head passes at this size",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(svg.contains("paper, WMT14 en-de, softmax: 3 heads, median 93.5\u{a0}%"));
    // Two heads of two variants, each with an outline of its own.
    assert_eq!(svg.matches("stroke-width=\"2.6\"").count(), 4);
    // Pieces are escaped.
    assert!(svg.contains(">&lt;&amp;&quot;&gt;</text>") && !svg.contains("<&\">"));
    assert!(svg.contains(">exactly 0<"));
    written(&merging());
}

#[test]
fn nothing_to_score_is_said() {
    let [_, csv, svg] = written(&interrogation());
    assert_eq!(csv.lines().count(), 1);
    assert!(
        svg.contains("Nothing to score: no interrogative words"),
        "{svg}"
    );
    let mut figure = interrogation();
    (figure.scores[0].n, figure.scores[0].scores) = (1, vec![vec![0.5, 0.25]]);
    let [.., svg] = written(&figure);
    assert!(
        svg.contains("No head passes at this size") && svg.contains("word.<"),
        "{svg}"
    );
    let mut figure = positional();
    figure.examples[0].weights[3].pop();
    assert!(problem(figure.svg()).contains("expected 14 of 14"));
    let mut figure = positional();
    figure.examples[0].weights[3][0] = Some(f32::NAN);
    assert!(problem(figure.svg()).contains("NaN"));
}

#[test]
fn omega_has_curves_and_surfaces() {
    let [_, csv, svg] = written(&omega());
    assert!(csv.contains("2,softmax,1,0,,0.5,"), "{csv}");
    assert!(csv.contains("2,argmax,,1,,1,"), "{csv}");
    assert!(svg.contains(">1.25-entmax (α = 1.25)<") && svg.contains(">argmax (α → ∞)<"));
    let mut named = omega();
    named.two[0].name += " (α = 1)";
    assert_eq!(
        named.svg().unwrap(),
        omega().svg().unwrap(),
        "α is said once"
    );
    assert!(svg.contains(">α → ∞<") && svg.contains(">exactly 0<"));
    let mut figure = omega();
    figure.three[0].support[0][0] = 0;
    assert!(problem(figure.svg()).contains("1 to 3"));
}

#[test]
fn grids_are_means_of_legal_cells() {
    let cell = |query: usize, key: usize| (key <= query).then_some((query * 4 + key) as f32);
    let whole = Grid::of(4, 4, 4, cell);
    assert_eq!(
        (whole.bin, whole.cells[1].as_slice()),
        (1, &[Some(4.0), Some(5.0), None, None][..])
    );
    let half = Grid::of(4, 4, 2, cell);
    // Mean of 0, 4, 5; nothing; mean of 8, 9, 12, 13; mean of 10, 14, 15.
    let cells = [vec![Some(3.0), None], vec![Some(10.5), Some(13.0)]];
    assert_eq!((half.bin, half.cells.as_slice()), (2, &cells[..]));
    let odd = Grid::of(3, 5, 2, |_, _| Some(1.0));
    assert_eq!((odd.bin, odd.cells), (3, vec![vec![Some(1.0); 2]]));
}

#[test]
fn patterns_show_means_beside_masks() {
    let [_, csv, svg] = written(&pattern(3, 4, 64, 64));
    assert!(csv.starts_with("layer,head,what,query,bin,key_0,"), "{csv}");
    assert!(
        svg.contains("a cell is the mean of 3 × 3 positions"),
        "{svg}"
    );
    assert!(svg.contains(">hidden, or never visible<") && svg.contains(">layer 3<"));
    // The largest that anyone publishes: 12 layers of 12 heads, 512 positions.
    let mut big = pattern(12, 12, 512, 0);
    big.attention = "encoder-self".into();
    written(&big);
    big.named_by_variant = true;
    big.variant = "performer(256)/..".into();
    assert_eq!(big.name(), "pattern-encoder-self-performer-256--..");
}

#[test]
fn sparsity_and_overlap_print_their_numbers() {
    let mut figure = sparsity();
    figure.masks.truncate(1);
    figure.masks[0]
        .effective
        .iter_mut()
        .flatten()
        .for_each(|share| *share = 0.625);
    let [_, csv, svg] = written(&figure);
    assert!(
        csv.contains("AP,encoder-self,0.6,5,7,effective,0.625"),
        "{csv}"
    );
    assert!(svg.contains(">effective (62.5\u{a0}%)<"), "{svg}");
    let mut figure = overlap();
    figure.matrices[0].overlap[0][1] = Some(0.375);
    figure.matrices[0].overlap[0][2] = None;
    let [_, csv, svg] = written(&figure);
    let title = "\"between seeds, encoder self-attention, p = 60 %\"";
    assert!(
        csv.contains(&format!("{title},seed 1,seed 2,0.375,0.43")),
        "{csv}"
    );
    assert!(
        csv.contains(&format!("{title},seed 1,seed 3,,0.43")),
        "{csv}"
    );
    assert!(
        svg.contains(">0.38<") && svg.contains(">cannot be compared<"),
        "{svg}"
    );
}

#[test]
fn curves_have_gaps_where_training_gave_no_number() {
    let mut figure = curves();
    let points = [(0.0, 4.0), (10.0, f64::NAN), (20.0, 2.0), (30.0, 1.0)];
    figure.panels[0].lines = vec![CurveLine::of("softmax, seed 1", &points, 10)];
    assert_eq!(
        figure.panels[0].lines[0].y,
        [Some(4.0), None, Some(2.0), Some(1.0)]
    );
    let [_, csv, svg] = written(&figure);
    assert!(
        csv.contains("training loss (nats a token),\"softmax, seed 1\",10,,1"),
        "{csv}"
    );
    assert!(svg.contains("softmax, seed 1: a gap is where no value was finite."));
    // Two neighbours are one point.
    let short = CurveLine::of("a", &points, 2);
    assert_eq!(
        (short.every, short.x, short.y),
        (2, vec![5.0, 25.0], vec![Some(4.0), Some(1.5)])
    );
    figure.panels[0].log = true;
    figure.panels[0].lines[0].y[0] = Some(0.0);
    assert!(problem(figure.svg()).contains("logarithmic"));
    figure.panels.clear();
    assert!(problem(figure.svg()).contains("no log line"));
}

#[test]
fn what_is_no_figure_of_ours_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let files = save(&diversity(), dir.path()).unwrap();
    save(&diversity(), dir.path()).unwrap();
    fs::remove_file(&files[0]).unwrap();
    fs::write(&files[2], "mine").unwrap();
    fs::remove_file(&files[1]).unwrap();
    let said = save(&diversity(), dir.path()).unwrap_err().to_string();
    assert!(said.contains("diversity.svg is there already"), "{said}");
    assert_eq!(fs::read_to_string(&files[2]).unwrap(), "mine");
    assert!(!files[0].exists() && !files[1].exists());
    // Nor a JSON of another kind.
    fs::remove_file(&files[2]).unwrap();
    fs::write(&files[0], "{\"mine\": 1}").unwrap();
    let said = save(&diversity(), dir.path()).unwrap_err().to_string();
    assert!(said.contains("diversity.json is there already"), "{said}");
}

#[test]
fn other_files_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = save(&diversity(), dir.path()).unwrap().remove(0);
    assert!(problem(load::<DensityFigure>(&path)).contains("diversity.json"));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"schema\": 1", "\"schema\": 9")).unwrap();
    assert!(problem(load::<DiversityFigure>(&path)).contains("its schema is 9"));
    assert!(matches!(
        load::<DiversityFigure>("none.json"),
        Err(ResultsError::Io { .. })
    ));
}

/// The smallest networks, and texts that are long or hostile.
#[test]
fn extremes_are_drawn() {
    let source = Source {
        run: "<&\">'\u{7}".repeat(40),
        corpus: "a corpus with words ".repeat(20),
        n_sequences: Some(0),
    };
    let long = "variant-without-a-space".repeat(12);
    let one = |value: f64| vec![vec![value]];
    let panel = |value: f64| HeadDensity {
        attention: "decoder-self".into(),
        variant: long.clone(),
        density: one(value),
        union: vec![value],
        support: one(7.0 * value),
        alphas: Some(one(1.0)),
    };
    for value in [0.0, 1.0] {
        let figure = DensityFigure {
            source: source.clone(),
            panels: vec![panel(value)],
            published: density().published,
        };
        let [.., svg] = written(&figure);
        assert!(
            !svg.contains("<&") && svg.contains("&lt;&amp;&quot;&gt;'\u{fffd}"),
            "{svg}"
        );
        // Published panels of attention types that the run does not have stay out.
        assert!(!svg.contains("cross-attention"));
    }
    written(&DiversityFigure {
        source: source.clone(),
        series: vec![LayerDiversity {
            attention: long.clone(),
            variant: long.clone(),
            layers: vec![0.0],
        }],
        published: Vec::new(),
    });
    let full = Histogram::of(DENSITY_BINS, [1.0, 1.0]);
    written(&DensityHistogramFigure {
        source: source.clone(),
        panels: vec![VariantHistogram {
            attention: "cross".into(),
            variant: "softmax".into(),
            histogram: Shares::from(&full),
        }],
        published: Vec::new(),
    });
    written(&TrajectoryFigure {
        source: source.clone(),
        steps: vec![0],
        heads: vec![HeadTrajectory {
            attention: "cross".into(),
            layer: 0,
            head: 0,
            alphas: vec![1.5],
        }],
        published: Vec::new(),
    });
    let line = |y: Option<f64>| CurveLine {
        run: long.clone(),
        x: vec![7.0],
        y: vec![y],
        every: 1,
    };
    let panel = |log: bool, y: Option<f64>| CurvePanel {
        measure: long.clone(),
        log,
        lines: vec![line(y)],
    };
    let panels = [
        (true, Some(1e-9)),
        (false, Some(0.0)),
        (true, None),
        (false, Some(-1e9)),
    ];
    let [.., svg] = written(&CurvesFigure {
        x: long.clone(),
        panels: panels.map(|(log, y)| panel(log, y)).into(),
    });
    assert!(svg.contains(">no finite value was logged<"), "{svg}");
    written(&SparsityFigure {
        source: source.clone(),
        masks: vec![MaskSparsity {
            mask: long.clone(),
            attention: "cross".into(),
            nominal: 1.0,
            effective: one(1.0),
            token_weighted: one(0.0),
            blocks: Vec::new(),
        }],
    });
    written(&OverlapFigure {
        source,
        matrices: vec![OverlapMatrix {
            title: long.clone(),
            labels: vec![long.clone(); 9],
            overlap: vec![vec![None; 9]; 9],
            by_chance: None,
        }],
    });
}
