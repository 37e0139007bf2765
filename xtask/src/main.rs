//! The project's chores: `cargo xtask <chore>`.

#[cfg(test)]
mod arrows;
mod bench;
mod test;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask <chore>

  test    install what the tests need, then fmt, clippy with warnings denied, all tests
  ci      test, then cargo deny and the documentation with warnings denied
  bench   measure, beside peers where there are some: `proxy`, `rules`, `faults`, `serving` or `models`
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.first().map(String::as_str) {
        Some("test") => test::test(),
        Some("ci") => test::ci(),
        Some("bench") => bench::bench(&arguments[1..]),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask: {problem}");
            ExitCode::FAILURE
        }
    }
}
