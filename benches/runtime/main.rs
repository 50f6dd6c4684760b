//! Runtime: nets and trees in our runtime, tract alone, onnxruntime, OpenVINO and rten, by wall and CPU time of a run.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops where it fails")]
#![expect(clippy::print_stdout, reason = "figures are its output")]

mod alone;
mod engines;
mod peer;
mod profile;
mod results;

use engines::{Engine, Engines, NAMES, Turn};
use results::Results;
use std::path::{Path, PathBuf};

/// What the engine is shipped with, for whatever computes in this process; where there is musl, it has it already.
#[cfg(not(target_env = "musl"))]
#[global_allocator]
static MIMALLOC: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(not(target_env = "musl"))]
#[expect(unsafe_code, reason = "one function of the allocator's, which asks for nothing")]
// SAFETY: as in the engine, whose allocator this is.
unsafe extern "C" {
    safe fn mi_collect(force: bool);
}

/// Turns of each engine: what else the machine does meets all of them.
const ROUNDS: usize = 9;

/// A turn takes so long, or one run.
const TURN_MICROSECONDS: f64 = 60_000.0;

/// What takes longer has one turn, which is told apart by nothing: it is tract's trees.
const SLOW_MICROSECONDS: f64 = 3e6;

/// Runs of a turn at most.
const RUNS_A_TURN_MAX: f64 = 4_000.0;

/// How far the checksum of an engine may be from onnxruntime's, relative to it.
const FLOAT_DIFFERENCE_MAX: f64 = 1e-3;

/// The same where values are quantised: steps that are rounded the other way add up on their way.
const QUANTISED_DIFFERENCE_MAX: f64 = 2e-2;

/// A model, the shape of a row, and the numbers of rows that are run at once.
pub(crate) struct Case {
    name: &'static str,
    row: &'static [usize],
    rows: &'static [usize],
}

const IMAGE: &[usize] = &[3, 224, 224];

const CASES: [Case; 20] = [
    Case { name: "passing", row: &[29], rows: &[1] },
    Case { name: "random_forest", row: &[29], rows: &[1, 32, 1_024, 10_000] },
    Case { name: "xgboost", row: &[29], rows: &[1, 32, 1_024, 10_000] },
    Case { name: "lightgbm", row: &[29], rows: &[1, 32, 1_024, 10_000] },
    Case { name: "mlp", row: &[29], rows: &[1, 1_024] },
    Case { name: "lstm", row: &[50, 16], rows: &[1, 32] },
    Case { name: "minilm", row: &[128, 384], rows: &[1, 8] },
    Case { name: "mobilenet_v2", row: IMAGE, rows: &[1, 8] },
    Case { name: "mobilenet_v3", row: IMAGE, rows: &[1, 8] },
    Case { name: "efficientnet_b0", row: IMAGE, rows: &[1, 8] },
    Case { name: "resnet50", row: IMAGE, rows: &[1, 8] },
    Case { name: "yolov8n", row: &[3, 320, 320], rows: &[1, 8] },
    Case { name: "ocr_det", row: &[3, 640, 640], rows: &[1] },
    Case { name: "ocr_rec", row: &[3, 48, 320], rows: &[1, 8] },
    Case { name: "vit_tiny", row: IMAGE, rows: &[1, 8] },
    Case { name: "mlp_qdq", row: &[29], rows: &[1, 1_024] },
    Case { name: "minilm_qdq", row: &[128, 384], rows: &[1, 8] },
    Case { name: "minilm_dynamic", row: &[128, 384], rows: &[1, 8] },
    Case { name: "mobilenet_v2_qdq", row: IMAGE, rows: &[1, 8] },
    Case { name: "resnet50_qdq", row: IMAGE, rows: &[1] },
];

fn main() {
    #[cfg(not(target_env = "musl"))]
    potoroo::allocator::gives_back_by(|| mi_collect(true));
    let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtime");
    let directory = std::env::var_os("POTOROO_NETS").map_or(made, PathBuf::from);
    if let Ok(asked) = std::env::var(alone::VARIABLE) {
        return alone::run(&asked, &directory);
    }
    for script in ["trees.py", "nets.py"] {
        let script = here().join(script);
        let made = peer::python().arg(&script).arg("make").arg(&directory).status().unwrap();
        assert!(made.success(), "{} could not make the models", script.display());
    }
    // What `cargo bench` hands over itself begins with dashes.
    let mut wanted: Vec<String> =
        std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let mut is_told = |word: &str| {
        let count = wanted.len();
        wanted.retain(|it| it != word);
        wanted.len() < count
    };
    let (of_memory, of_profile) = (is_told("memory"), is_told("profile"));
    // A number is one of rows.
    let rows = wanted.iter().find_map(|it| it.parse().ok());
    wanted.retain(|it| it.parse::<usize>().is_err());
    let is_wanted = |case: &&Case| wanted.is_empty() || wanted.iter().any(|it| it == case.name);
    let cases = CASES.iter().filter(is_wanted);
    if of_memory {
        return alone::memory(cases);
    }
    if of_profile {
        return profile::profile(cases, rows, &directory);
    }
    println!(
        "us of a run, medians of {ROUNDS} turns, in brackets theirs / ours; - has no such operators"
    );
    println!();
    println!("| net | rows | threads | | {} |", NAMES.join(" | "));
    println!("| --- | --: | --: | --- |{}", " --: |".repeat(NAMES.len()));
    let mut results = Results::begin();
    for case in cases {
        for rows in case.rows.iter().filter(|it| rows.is_none_or(|wanted| wanted == **it)) {
            for threads in [1, 2] {
                measure(case, *rows, threads, &directory, &mut results);
            }
        }
    }
    results.end();
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/runtime")
}

fn measure(case: &Case, rows: usize, threads: usize, directory: &Path, results: &mut Results) {
    let mut engines = Engines::start(case, rows, threads, directory);
    let is_quantised = ["_qdq", "_dynamic"].iter().any(|form| case.name.ends_with(form));
    let allowed = match is_quantised {
        true => QUANTISED_DIFFERENCE_MAX,
        false => FLOAT_DIFFERENCE_MAX,
    };
    let known = engines.onnxruntime.run(1).checksum;
    let mut turns: [Vec<Turn>; NAMES.len()] = Default::default();
    let mut times = [0; NAMES.len()];
    let mut wrong = [false; NAMES.len()];
    for (place, engine) in engines.all().into_iter().enumerate() {
        let Some(engine) = engine else { continue };
        let first = engine.run(1);
        let difference = (first.checksum - known).abs() / known.abs().max(1e-9);
        wrong[place] = allowed < difference || difference.is_nan();
        assert!(
            place > 0 || !wrong[place],
            "ours gives {} for {} with {rows} rows, onnxruntime {known}",
            first.checksum,
            case.name
        );
        if SLOW_MICROSECONDS < first.wall {
            turns[place].push(first);
        } else if !wrong[place] {
            let again = engine.run(1); // on memory that is warm
            times[place] = (TURN_MICROSECONDS / again.wall).clamp(1.0, RUNS_A_TURN_MAX) as usize;
        }
    }
    for _ in 0..ROUNDS {
        for ((engine, turns), times) in engines.all().into_iter().zip(&mut turns).zip(&times) {
            turns.extend(engine.filter(|_| *times > 0).map(|engine| engine.run(*times)));
        }
    }
    for (place, turns) in turns.iter().enumerate().filter(|it| !it.1.is_empty() || wrong[it.0]) {
        results.turns((case.name, rows, threads), place, times[place].max(1), turns);
    }
    for (what, figure) in
        [("wall", (|turn| turn.wall) as fn(&Turn) -> f64), ("CPU", |turn| turn.cpu)]
    {
        let figures = turns.each_ref().map(|turns| median(turns.iter().map(figure).collect()));
        let ours = figures[0].unwrap();
        let cells = figures.iter().enumerate().map(|(place, figure)| match (place, figure) {
            _ if wrong[place] => " wrong |".to_owned(),
            (_, None) => " - |".to_owned(),
            (0, Some(figure)) => format!(" {} |", shown(*figure)),
            (_, Some(figure)) => format!(" {} ({:.2}) |", shown(*figure), figure / ours),
        });
        let cells: String = cells.collect();
        println!("| {} | {rows} | {threads} | {what} |{cells}", case.name);
    }
}

fn shown(figure: f64) -> String {
    match figure < 100.0 {
        true => format!("{figure:.1}"),
        false => format!("{figure:.0}"),
    }
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}
