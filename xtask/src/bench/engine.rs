//! A program that predicts: a line on its standard input is a question, a line on its standard output the answer.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::folder;

/// A running engine, with its model loaded. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Engine {
    name: String,
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

// === impl Engine ===

impl Engine {
    /// Starts a command. What it complains about goes to a log.
    pub(super) fn start(name: &str, mut command: Command) -> Result<Self, String> {
        let log = folder("logs")?.join(format!("{}.log", name.replace(|c: char| !c.is_alphanumeric(), "-")));
        let problem = |problem: &dyn std::fmt::Display| format!("cannot start {name}: {problem}");
        let log = File::create(&log).map_err(|error| problem(&error))?;
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(|error| problem(&error))?;
        let questions = child.stdin.take();
        let answers = child.stdout.take().ok_or_else(|| problem(&"it has no output"))?;
        Ok(Self { name: name.to_owned(), child, questions, answers: BufReader::new(answers) })
    }

    /// The answer to a question.
    pub(super) fn ask(&mut self, question: &str) -> Result<Value, String> {
        let mut answer = String::new();
        let asked = self.questions.as_mut().map(|questions| writeln!(questions, "{question}"));
        let answered = self.answers.read_line(&mut answer);
        match (asked, answered, serde_json::from_str(&answer)) {
            (Some(Ok(())), Ok(_), Ok(answer)) => Ok(answer),
            _ => Err(format!("{} does not answer `{question}`; see its log in target/bench/logs", self.name)),
        }
    }

    /// The answer to a question for a number of seconds.
    pub(super) fn seconds(&mut self, question: &str) -> Result<f64, String> {
        let answer = self.ask(question)?;
        answer.as_f64().ok_or_else(|| format!("{} answers `{question}` with {answer}", self.name))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Without questions to come, it ends.
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}
