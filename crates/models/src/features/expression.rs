//! Arithmetic over columns, as a feature says it: `price * (1 - discount)`.
//!
//! Precedence is that of Python: `**` binds tighter than a sign before it and to the right; then `*` and `/`; then `+`
//! and `-`. What is missing makes what is computed of it missing.

/// Bytes of an expression.
const MAX_BYTES: usize = 4 << 10;

/// Operations inside each other.
const MAX_DEPTH: usize = 64;

/// An expression, as the operations of a machine with a stack.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expression {
    operations: Vec<Operation>,
    /// The columns that it names, each once.
    pub(crate) columns: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operation {
    Number(f64),
    /// One of the columns.
    Column(usize),
    /// The function, and how many numbers it takes from the stack.
    Call(&'static Function, usize),
}

/// Something that is computed of numbers.
struct Function {
    name: &'static str,
    /// How many numbers it takes, at least and at most.
    n_arguments: [usize; 2],
    of: fn(&[f64]) -> f64,
}

/// The most numbers that a function takes.
const ANY: usize = 64;

/// All functions by name.
const FUNCTIONS: &[Function] = &[
    Function { name: "abs", n_arguments: [1, 1], of: |x| x[0].abs() },
    Function { name: "clip", n_arguments: [3, 3], of: |x| least(&[greatest(&[x[0], x[1]]), x[2]]) },
    Function { name: "exp", n_arguments: [1, 1], of: |x| x[0].exp() },
    Function { name: "log", n_arguments: [1, 1], of: |x| x[0].ln() },
    Function { name: "log1p", n_arguments: [1, 1], of: |x| x[0].ln_1p() },
    Function { name: "max", n_arguments: [2, ANY], of: greatest },
    Function { name: "min", n_arguments: [2, ANY], of: least },
    Function { name: "sqrt", n_arguments: [1, 1], of: |x| x[0].sqrt() },
];

const NEGATIVE: Function = Function { name: "-", n_arguments: [1, 1], of: |x| -x[0] };
const POWER: Function = Function { name: "**", n_arguments: [2, 2], of: |x| x[0].powf(x[1]) };
const PRODUCTS: &[Function] = &[
    Function { name: "*", n_arguments: [2, 2], of: |x| x[0] * x[1] },
    Function { name: "/", n_arguments: [2, 2], of: |x| x[0] / x[1] },
];
const SUMS: &[Function] = &[
    Function { name: "+", n_arguments: [2, 2], of: |x| x[0] + x[1] },
    Function { name: "-", n_arguments: [2, 2], of: |x| x[0] - x[1] },
];

fn greatest(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::NEG_INFINITY, |a, b| if a.is_nan() || a > b { a } else { b })
}

fn least(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::INFINITY, |a, b| if a.is_nan() || a < b { a } else { b })
}

// === impl Expression ===

impl Expression {
    /// Reads an expression. The problem, in words, if it is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("an expression has at most {MAX_BYTES} bytes"));
        }
        let mut parser =
            Parser { rest: text, depth: 0, expression: Self { operations: Vec::new(), columns: Vec::new() } };
        parser.sum()?;
        match parser.peek() {
            None => Ok(parser.expression),
            Some(_) => Err(parser.unexpected("an operator")),
        }
    }

    /// The number that it gives. `column` gives those of [`Expression::columns`].
    pub(crate) fn evaluate(&self, column: impl Fn(usize) -> f64) -> f64 {
        let mut stack = Vec::with_capacity(8);
        for operation in &self.operations {
            match operation {
                Operation::Number(number) => stack.push(*number),
                Operation::Column(index) => stack.push(column(*index)),
                Operation::Call(function, n_arguments) => {
                    let start = stack.len() - n_arguments;
                    let number = (function.of)(&stack[start..]);
                    stack.truncate(start);
                    stack.push(number);
                }
            }
        }
        stack.pop().unwrap_or(f64::NAN)
    }
}

/// Reads from left to right, and writes down operations when their numbers are known.
struct Parser<'t> {
    rest: &'t str,
    depth: usize,
    expression: Expression,
}

impl Parser<'_> {
    fn sum(&mut self) -> Result<(), String> {
        self.chain(SUMS, Self::product)
    }

    fn product(&mut self) -> Result<(), String> {
        self.chain(PRODUCTS, Self::signed)
    }

    /// Operands with operators of one precedence between them.
    fn chain(
        &mut self,
        operators: &'static [Function],
        operand: fn(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        operand(self)?;
        while let Some(operator) = operators.iter().find(|operator| self.takes(operator.name)) {
            operand(self)?;
            self.expression.operations.push(Operation::Call(operator, 2));
        }
        Ok(())
    }

    fn signed(&mut self) -> Result<(), String> {
        self.deeper(|parser| {
            if parser.takes("-") {
                parser.signed()?;
                parser.expression.operations.push(Operation::Call(&NEGATIVE, 1));
                return Ok(());
            }
            if parser.takes("+") {
                return parser.signed();
            }
            parser.operand()?;
            if parser.takes("**") {
                parser.signed()?;
                parser.expression.operations.push(Operation::Call(&POWER, 2));
            }
            Ok(())
        })
    }

    fn operand(&mut self) -> Result<(), String> {
        if self.takes("(") {
            self.sum()?;
            return self.expect(")");
        }
        match self.peek() {
            Some('0'..='9' | '.') => self.number(),
            Some('`') => self.quoted_column(),
            Some(first) if first == '_' || first.is_alphabetic() => self.name(),
            _ => Err(self.unexpected("a number, a column or `(`")),
        }
    }

    fn number(&mut self) -> Result<(), String> {
        let is_sign =
            |before: Option<char>, next: char| matches!(next, '+' | '-') && matches!(before, Some('e' | 'E'));
        let mut before = None;
        let end = self.rest.find(|next: char| {
            let goes_on = next.is_ascii_alphanumeric() || next == '.' || is_sign(before, next);
            before = Some(next);
            !goes_on
        });
        let text = self.advance(end.unwrap_or(self.rest.len()));
        let number: f64 = text.parse().map_err(|_| format!("`{text}` is no number"))?;
        self.expression.operations.push(Operation::Number(number));
        Ok(())
    }

    /// A column whose name is no word: `` `fixed acidity` ``.
    fn quoted_column(&mut self) -> Result<(), String> {
        self.advance(1);
        let end = self.rest.find('`').ok_or("a quoted name has no end")?;
        let name = self.advance(end).to_owned();
        self.advance(1);
        self.column(name);
        Ok(())
    }

    fn name(&mut self) -> Result<(), String> {
        let end = self.rest.find(|next: char| next != '_' && !next.is_alphanumeric());
        let name = self.advance(end.unwrap_or(self.rest.len())).to_owned();
        if !self.takes("(") {
            self.column(name);
            return Ok(());
        }
        let Some(function) = FUNCTIONS.iter().find(|function| function.name == name) else {
            let names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
            return Err(format!("there is no function `{name}`; there are {}", names.join(", ")));
        };
        let mut n_arguments = 1;
        self.sum()?;
        while self.takes(",") {
            self.sum()?;
            n_arguments += 1;
        }
        self.expect(")")?;
        let [least, most] = function.n_arguments;
        if !(least..=most).contains(&n_arguments) {
            return Err(format!("`{name}` does not take {n_arguments} numbers"));
        }
        self.expression.operations.push(Operation::Call(function, n_arguments));
        Ok(())
    }

    fn column(&mut self, name: String) {
        let columns = &mut self.expression.columns;
        let index = columns.iter().position(|known| *known == name).unwrap_or_else(|| {
            columns.push(name);
            columns.len() - 1
        });
        self.expression.operations.push(Operation::Column(index));
    }

    fn deeper(&mut self, parse: impl FnOnce(&mut Self) -> Result<(), String>) -> Result<(), String> {
        if self.depth >= MAX_DEPTH {
            return Err(format!("there are more than {MAX_DEPTH} operations inside each other"));
        }
        self.depth += 1;
        let result = parse(self);
        self.depth -= 1;
        result
    }

    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start();
        self.rest.chars().next()
    }

    /// Goes past a sign, if it comes next. `*` does not, where it is the begin of `**`.
    fn takes(&mut self, sign: &str) -> bool {
        self.peek();
        let is_next = self.rest.starts_with(sign) && !(sign == "*" && self.rest.starts_with("**"));
        if is_next {
            self.advance(sign.len());
        }
        is_next
    }

    fn expect(&mut self, sign: &str) -> Result<(), String> {
        if self.takes(sign) { Ok(()) } else { Err(self.unexpected(&format!("`{sign}`"))) }
    }

    fn unexpected(&mut self, expected: &str) -> String {
        match self.peek() {
            None => format!("the expression ends where {expected} should be"),
            Some(_) => format!("{expected} is expected before `{}`", crate::rows::short(self.rest)),
        }
    }

    fn advance(&mut self, n_bytes: usize) -> &str {
        let (past, rest) = self.rest.split_at(n_bytes);
        self.rest = rest;
        past
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.n_arguments) == (other.name, other.n_arguments)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// `a` is 2, `b` is 3, `unit price` is 10, and others are missing.
    #[expect(clippy::needless_pass_by_value, reason = "`expect!` is written in place")]
    fn check(text: &str, expected: Expect) {
        let shown = match Expression::parse(text) {
            Err(problem) => problem,
            Ok(expression) => {
                let value = |column: usize| match expression.columns[column].as_str() {
                    "a" => 2.0,
                    "b" => 3.0,
                    "unit price" => 10.0,
                    _ => f64::NAN,
                };
                expression.evaluate(value).to_string()
            }
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn precedence_is_that_of_python() {
        check("1 + 2 * 3", expect!["7"]);
        check("(1 + 2) * 3", expect!["9"]);
        check("10 - 4 - 3", expect!["3"]);
        check("12 / 4 / 3", expect!["1"]);
        check("2 ** 3 ** 2", expect!["512"]);
        check("-2 ** 2", expect!["-4"]);
        check("2 ** -1", expect!["0.5"]);
        check("2*-a", expect!["-4"]);
        check("--a - +b", expect!["-1"]);
    }

    #[test]
    fn columns_functions_and_numbers() {
        check("`unit price` * (1 - a / 8)", expect!["7.5"]);
        check("max(a, b, 1) + min(a, b) - abs(-1)", expect!["4"]);
        check("clip(a * 100, 0, 99.5)", expect!["99.5"]);
        check("log(exp(a)) + log1p(0) + sqrt(16)", expect!["6"]);
        check("1.5e1 + .5 + 2.", expect!["17.5"]);
        check("2e-1+a", expect!["2.2"]);
    }

    #[test]
    fn what_is_missing_stays_missing() {
        check("c + 1", expect!["NaN"]);
        check("max(a, c)", expect!["NaN"]);
        check("min(c, a)", expect!["NaN"]);
        check("clip(c, 0, 1)", expect!["NaN"]);
        check("log(0 - a)", expect!["NaN"]);
    }

    #[test]
    fn what_is_wrong_is_said() {
        check("", expect!["the expression ends where a number, a column or `(` should be"]);
        check("a +", expect!["the expression ends where a number, a column or `(` should be"]);
        check("a b", expect!["an operator is expected before `b`"]);
        check("(a", expect!["the expression ends where `)` should be"]);
        check("a ? b", expect!["an operator is expected before `? b`"]);
        check("1x", expect!["`1x` is no number"]);
        check("`a", expect!["a quoted name has no end"]);
        check(
            "eval(a)",
            expect!["there is no function `eval`; there are abs, clip, exp, log, log1p, max, min, sqrt"],
        );
        check("sqrt(a, b)", expect!["`sqrt` does not take 2 numbers"]);
        check("clip(a)", expect!["`clip` does not take 1 numbers"]);
        check(&"(".repeat(100), expect!["there are more than 64 operations inside each other"]);
        check(&"-".repeat(100), expect!["there are more than 64 operations inside each other"]);
        check(&"1+".repeat(5000), expect!["an expression has at most 4096 bytes"]);
    }
}
