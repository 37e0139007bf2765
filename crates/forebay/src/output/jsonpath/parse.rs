//! Reading templates.

use serde_json::Value;

use super::{Filter, Operator, ParseError, Part, Path, Slice, Step, Template};

/// How deep ranges and filters may stand in each other.
const DEPTH: usize = 16;

/// Reads a template.
pub(super) fn template(template: &str) -> Result<Template, ParseError> {
    let mut parser = Parser { characters: template.chars().collect(), at: 0 };
    parser.parts(0).map(|parts| Template { parts }).map_err(|Problem { at, problem }| ParseError {
        template: template.to_owned(),
        at,
        problem,
    })
}

struct Parser {
    characters: Vec<char>,
    at: usize,
}

struct Problem {
    at: usize,
    problem: String,
}

type Parsed<T> = Result<T, Problem>;

/// What stands in braces.
enum Action {
    Path(Path),
    Range(Path),
    End,
}

impl Parser {
    /// The parts of a template, or of a range up to its end.
    fn parts(&mut self, depth: usize) -> Parsed<Vec<Part>> {
        let mut parts = Vec::new();
        loop {
            let text = self.take_while(|character| character != '{');
            if !text.is_empty() {
                parts.push(Part::Text(text));
            }
            let start = self.at;
            if self.next().is_none() {
                return if depth == 0 { Ok(parts) } else { self.fail_at(start, "a range without {end}") };
            }
            match self.action()? {
                Action::Path(path) => parts.push(Part::Path(path)),
                Action::Range(_) if depth == DEPTH => {
                    return self.fail_at(start, "too many ranges in each other");
                }
                Action::Range(path) => parts.push(Part::Range(path, self.parts(depth + 1)?)),
                Action::End if depth == 0 => return self.fail_at(start, "an {end} without a range"),
                Action::End => return Ok(parts),
            }
        }
    }

    /// What stands in braces, from behind the opening one to behind the closing one.
    fn action(&mut self) -> Parsed<Action> {
        self.skip_spaces();
        let start = self.at;
        let word = self.take_while(char::is_alphanumeric);
        let is_range = word == "range";
        if word == "end" {
            self.skip_spaces();
            self.expect('}', "unclosed action")?;
            return Ok(Action::End);
        }
        if !is_range {
            self.at = start;
        }
        let path = self.path(&['}'], 0)?;
        self.expect('}', "unclosed action")?;
        Ok(if is_range { Action::Range(path) } else { Action::Path(path) })
    }

    /// Steps up to one of some characters, which is left to be read.
    fn path(&mut self, ends: &[char], depth: usize) -> Parsed<Path> {
        let mut steps = Vec::new();
        loop {
            self.skip_spaces();
            let at = self.at;
            let Some(character) = self.peek() else { return self.fail("unclosed action") };
            match character {
                end if ends.contains(&end) => return Ok(steps),
                '@' | '$' => self.at += 1,
                '.' => steps.extend(self.fields()?),
                '[' => steps.push(self.bracket(depth)?),
                '"' | '\'' => steps.push(Step::Literal(Value::from(self.quoted()?))),
                '+' | '-' | '0'..='9' => steps.push(Step::Literal(self.number()?)),
                letter if letter.is_alphabetic() => steps.push(Step::Literal(self.word()?)),
                other => return self.fail_at(at, format!("unrecognised character `{other}`")),
            }
        }
    }

    /// `.name`, `..name`, `.*`, and `.` alone, which is where one is.
    fn fields(&mut self) -> Parsed<Vec<Step>> {
        let mut steps = Vec::new();
        self.at += 1;
        if self.peek() == Some('.') {
            self.at += 1;
            steps.push(Step::Descendants);
        }
        let name = self.name()?;
        match name.as_str() {
            "" => {}
            "*" => steps.push(Step::All),
            _ => steps.push(Step::Field(name)),
        }
        Ok(steps)
    }

    /// The name of a field, in which `\` takes the meaning from what follows.
    fn name(&mut self) -> Parsed<String> {
        const ENDS: &[char] = &['.', ',', '[', ']', '$', '@', '{', '}', '(', ')', '=', '!', '<', '>'];
        let mut name = String::new();
        while let Some(character) = self.peek().filter(|c| !ENDS.contains(c) && !c.is_whitespace()) {
            self.at += 1;
            if character != '\\' {
                name.push(character);
                continue;
            }
            match self.next() {
                Some(escaped) => name.push(escaped),
                None => return self.fail("nothing to escape"),
            }
        }
        Ok(name)
    }

    /// What stands in brackets.
    fn bracket(&mut self, depth: usize) -> Parsed<Step> {
        let start = self.at;
        self.at += 1;
        self.skip_spaces();
        if self.peek() == Some('?') {
            if depth == DEPTH {
                return self.fail_at(start, "too many filters in each other");
            }
            return self.filter(depth + 1).map(Step::Filter);
        }
        let mut steps = Vec::new();
        loop {
            self.skip_spaces();
            steps.push(self.element(start)?);
            self.skip_spaces();
            match self.next() {
                Some(',') => {}
                Some(']') => break,
                None | Some('}') => return self.fail_at(start, "unclosed bracket"),
                Some(other) => return self.fail_at(self.at - 1, format!("`{other}` within brackets")),
            }
        }
        if steps.len() > 1 {
            return Ok(Step::Union(steps));
        }
        steps.pop().map_or_else(|| self.fail_at(start, "empty brackets"), Ok)
    }

    /// One of the things that stand in brackets, with commas between them.
    fn element(&mut self, start: usize) -> Parsed<Step> {
        match self.peek() {
            Some('*') => {
                self.at += 1;
                Ok(Step::All)
            }
            Some('\'' | '"') => self.quoted().map(Step::Field),
            Some(':' | '-' | '0'..='9') => self.index_or_slice(),
            Some('.') => match self.fields()?.as_slice() {
                [step] => Ok(step.clone()),
                _ => self.fail_at(start, "a path within brackets"),
            },
            Some(']') => self.fail_at(start, "empty brackets"),
            Some(other) => self.fail(format!("`{other}` within brackets: names are quoted there")),
            None => self.fail_at(start, "unclosed bracket"),
        }
    }

    fn index_or_slice(&mut self) -> Parsed<Step> {
        let mut bounds = [None; 3];
        let mut n_bounds = 0;
        let start = self.at;
        loop {
            let digits = self.take_while(|character| character == '-' || character.is_ascii_digit());
            if !digits.is_empty() {
                bounds[n_bounds] = Some(digits.parse().or_else(|_| self.fail_at(start, "this is no index"))?);
            }
            if self.peek() != Some(':') || n_bounds == 2 {
                break;
            }
            self.at += 1;
            n_bounds += 1;
        }
        let [first, end, step] = bounds;
        if step.is_some_and(|step| step <= 0) {
            return self.fail_at(start, "a step is at least 1");
        }
        match (n_bounds, first) {
            (0, Some(index)) => Ok(Step::Index(index)),
            _ => Ok(Step::Slice(Slice { first, end, step })),
        }
    }

    /// `?(left operator right)]`
    fn filter(&mut self, depth: usize) -> Parsed<Filter> {
        self.at += 1;
        self.expect('(', "a filter begins with ?(")?;
        let left = self.path(&[')', '=', '!', '<', '>'], depth)?;
        let comparison = match self.operator()? {
            Some(operator) => Some((operator, self.path(&[')'], depth)?)),
            None => None,
        };
        self.expect(')', "unclosed filter")?;
        self.skip_spaces();
        self.expect(']', "unclosed filter")?;
        Ok(Filter { left, comparison })
    }

    fn operator(&mut self) -> Parsed<Option<Operator>> {
        let at = self.at;
        let written = self.take_while(|character| "=!<>".contains(character));
        Ok(Some(match written.as_str() {
            "" => return Ok(None),
            "==" | "=" => Operator::Equal,
            "!=" => Operator::NotEqual,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            other => return self.fail_at(at, format!("`{other}` is no comparison")),
        }))
    }

    /// Text in quotes of either kind.
    fn quoted(&mut self) -> Parsed<String> {
        let start = self.at;
        let quote = self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return self.fail_at(start, "unterminated quoted string"),
                end if end == quote => return Ok(text),
                Some('\\') => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some(escaped) => text.push(escaped),
                    None => return self.fail_at(start, "unterminated quoted string"),
                },
                Some(character) => text.push(character),
            }
        }
    }

    fn number(&mut self) -> Parsed<Value> {
        let at = self.at;
        let written = self.take_while(|character| "+-.eE".contains(character) || character.is_ascii_digit());
        let number = written.trim_start_matches('+');
        let whole = number.parse::<i64>().map(Value::from);
        let any = whole
            .ok()
            .or_else(|| number.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::from));
        any.map_or_else(|| self.fail_at(at, format!("`{written}` is no number")), Ok)
    }

    fn word(&mut self) -> Parsed<Value> {
        let at = self.at;
        let word = self.take_while(char::is_alphanumeric);
        match word.as_str() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "range" | "end" => {
                self.fail_at(at, format!("`{word}` stands alone in its braces, or before a path"))
            }
            _ => self.fail_at(at, format!("unrecognised word `{word}`: a field begins with a dot")),
        }
    }

    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek();
        self.at += usize::from(character.is_some());
        character
    }

    fn take_while(&mut self, is_wanted: impl Fn(char) -> bool) -> String {
        let start = self.at;
        while self.peek().is_some_and(&is_wanted) {
            self.at += 1;
        }
        self.characters[start..self.at].iter().collect()
    }

    fn skip_spaces(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn expect(&mut self, wanted: char, problem: &str) -> Parsed<()> {
        if self.peek() != Some(wanted) {
            return self.fail(problem);
        }
        self.at += 1;
        Ok(())
    }

    fn fail<T>(&self, problem: impl Into<String>) -> Parsed<T> {
        self.fail_at(self.at, problem)
    }

    fn fail_at<T>(&self, at: usize, problem: impl Into<String>) -> Parsed<T> {
        Err(Problem { at, problem: problem.into() })
    }
}
