//! The catalog: models that people export, in our runtime beside onnxruntime, as a table.

#![allow(clippy::unwrap_used, reason = "a check stops where it fails")]
#![allow(unreachable_pub, reason = "the reader of cases belongs to the other tests")]

#[path = "../it/support/case.rs"]
#[allow(dead_code, reason = "the other tests damage models, too")]
mod case;

use potoroo::runtime::Pool;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(directory) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!("tests/catalog/run makes the models and gives their directory");
        return ExitCode::from(2);
    };
    let pool = Pool::start(1).unwrap();
    let cases = case::cases(&directory);
    let mut differ = 0;
    println!("{:<40} relative difference, or steps where it is quantised", "model");
    for case in &cases {
        match case.difference(&pool) {
            Ok(apart) if case.step.is_some() => println!("{:<40} {apart:.2} steps", case.name),
            Ok(apart) => match case.inexact() {
                None => println!("{:<40} {apart:.1e}", case.name),
                Some(theirs) => println!(
                    "{:<40} {apart:.1e} from the answer in double precision, onnxruntime {theirs:.1e}",
                    case.name
                ),
            },
            Err(reason) => {
                differ += 1;
                println!("{:<40} {}", case.name, reason.chars().take(300).collect::<String>());
            }
        }
    }
    println!("{} of {} as onnxruntime", cases.len() - differ, cases.len());
    ExitCode::from(u8::from(differ > 0))
}
