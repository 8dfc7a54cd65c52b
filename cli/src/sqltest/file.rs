//! SQL test files: directives and statements, parted into tests.
//!
//! A directive is a comment that begins with `--@`, its name and a colon. `--@test: name` begins a test; what follows belongs
//! to it until the next one.

use std::path::{Path, PathBuf};

use tidemill_parser::ast::Location;
use tidemill_parser::{RawStatement, did_you_mean, split_script};

/// The directives that are known.
const DIRECTIVES: [&str; 3] = ["test", "expected.error", "expected.message"];

/// One test of a file.
#[derive(Debug, Clone)]
pub struct SqlTest {
    pub file: PathBuf,
    /// The file's text, for quoting lines.
    pub text: std::sync::Arc<str>,
    pub name: String,
    /// The line of its `--@test`.
    pub line: u32,
    pub steps: Vec<Step>,
}

/// What a test does, in order.
#[derive(Debug, Clone)]
pub enum Step {
    /// From here on, something must fail. ksqlDB's tests name the Java class; that it fails counts.
    ExpectError,
    /// From here on, something must fail with this text in its message.
    ExpectMessage(String),
    Statement(Box<RawStatement>),
    /// A statement that is not closed before the directive on this line.
    Unclosed(Box<RawStatement>, u32),
    /// A statement that can't be told from what follows: where, and why.
    Broken(Location, String),
    /// A mistake in the test itself, in this line: it fails, whatever it expects.
    Wrong(u32, String),
}

/// The tests of a file, and what may be a mistake in it.
#[derive(Debug, Default)]
pub struct TestFile {
    pub tests: Vec<SqlTest>,
    pub warnings: Vec<String>,
}

/// A directive and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Directive {
    at: Location,
    /// The same in bytes.
    offset: usize,
    /// In lower case.
    name: String,
    contents: String,
    /// A quote that is open before it, and where it was opened: the text before it is broken.
    open: Option<(char, Location)>,
}

/// A comment that begins with `--@`.
enum Found {
    Directive(Directive),
    /// It has no name and colon; the contents are all of it.
    Other(Directive),
}

/// Whether a text holds tests.
pub fn holds_tests(text: &str) -> bool {
    directives(text).iter().any(|found| found.directive().name == "test")
}

/// Reads a file of tests.
///
/// # Errors
/// It can't be read, or it is no file of tests.
pub fn read(path: &Path) -> Result<TestFile, String> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|e| format!("{shown}: {e}"))?;
    let text = String::from_utf8(bytes).map_err(|e| format!("{shown}: not UTF-8 at byte {}", e.utf8_error().valid_up_to()))?;
    // As blanks, so that places stay what they are.
    parse(path, &text.replace('\u{feff}', " "))
}

pub(super) fn parse(path: &Path, text: &str) -> Result<TestFile, String> {
    let shown = path.display();
    let mut file = TestFile::default();
    let source: std::sync::Arc<str> = text.into();
    let found = directives(text);
    // Each test is read by itself, so that what is wrong in one is no other's matter.
    let begins = |found: &Found| matches!(found, Found::Directive(directive) if directive.name == "test");
    let mut rest = &*found;
    let first = rest.iter().position(begins).unwrap_or(rest.len());
    let (before, _) = rest.split_at(first);
    check_before(&shown.to_string(), text, before, rest.get(first))?;
    while let Some(at) = rest.iter().position(begins) {
        let (_, from) = rest.split_at(at);
        let [Found::Directive(named), after @ ..] = from else { break };
        let end = after.iter().position(begins).unwrap_or(after.len());
        let (own, next) = after.split_at(end);
        let mut test =
            SqlTest { file: path.to_owned(), text: source.clone(), name: named.contents.clone(), line: named.at.line, steps: Vec::new() };
        if test.name.is_empty() {
            test.steps.push(Step::Wrong(named.at.line, "a test has a name: --@test: NAME".to_owned()));
        }
        if let Some(twin) = file.tests.iter().find(|other| other.name == test.name && !test.name.is_empty()) {
            let (line, first) = (test.line, twin.line);
            file.warnings.push(format!(
                "{shown}:{line}: the test in line {first} has the same name. Reports call this one '{} (line {line})'",
                test.name
            ));
            test.name = format!("{} (line {line})", test.name);
        }
        test.steps.extend(steps(text, named, own, next.first()));
        file.tests.push(test);
        rest = next;
    }
    if file.tests.is_empty() {
        return Err(format!("{shown}: there is no test in this file: a test begins with a comment --@test: NAME"));
    }
    Ok(file)
}

/// What stands before the first test has no test to fail.
fn check_before(shown: &str, text: &str, before: &[Found], first: Option<&Found>) -> Result<(), String> {
    let head = text.get(..first.map_or(text.len(), |found| found.directive().offset)).unwrap_or(text);
    if let Some(statement) = split_script(head).first().filter(|_| first.is_some()) {
        let line = statement.span.start.line;
        return Err(format!("{shown}:{line}: a test begins with --@test: NAME, and this statement stands before the first one"));
    }
    match before.first() {
        Some(Found::Directive(Directive { at, name, .. })) if DIRECTIVES.contains(&name.as_str()) => {
            Err(format!("{shown}:{}: --@{name} stands before the first --@test: NAME", at.line))
        }
        Some(found) => Err(format!("{shown}:{}: {}", found.directive().at.line, found.what_is_wrong())),
        None => Ok(()),
    }
}

/// The steps of the test that `named` begins, with the directives that are its `own`, up to the one that begins the next.
fn steps(text: &str, named: &Directive, own: &[Found], next: Option<&Found>) -> Vec<Step> {
    let end = next.map_or(text.len(), |found| found.directive().offset);
    let count = |n: u32| usize::try_from(n.saturating_sub(1)).unwrap_or(0);
    // Places are those of the file.
    let padding = format!("{}{}", "\n".repeat(count(named.at.line)), " ".repeat(count(named.at.column)));
    let part = format!("{padding}{}", text.get(named.offset..end).unwrap_or(""));
    let mut steps = Vec::new();
    let mut own = own.iter().peekable();
    for statement in split_script(&part) {
        while let Some(found) = own.next_if(|found| is_before(found.directive().at, statement.span.start)) {
            steps.push(found.step());
        }
        let runs_into = own.peek().map(|found| found.directive()).filter(|directive| is_before(directive.at, statement.span.end));
        let next = next.map(Found::directive).filter(|_| !statement.terminated);
        steps.push(match (runs_into, next) {
            (None, Some(Directive { at, open: Some(quote), .. })) => {
                let (quote, opened) = quote;
                let message = format!("the quote {quote} that is opened here is not closed before the test in line {}", at.line);
                Step::Broken(*opened, message)
            }
            (Some(directive), _) | (None, Some(directive)) => Step::Unclosed(Box::new(statement), directive.at.line),
            // A semicolon alone.
            (None, None) if statement.text.is_empty() => continue,
            (None, None) => Step::Statement(Box::new(statement)),
        });
    }
    steps.extend(own.map(Found::step));
    steps
}

/// Places are all equal to the trees that hold them.
fn is_before(one: Location, other: Location) -> bool {
    (one.line, one.column) < (other.line, other.column)
}

impl Found {
    fn directive(&self) -> &Directive {
        match self {
            Found::Directive(directive) | Found::Other(directive) => directive,
        }
    }

    fn step(&self) -> Step {
        match self {
            Found::Directive(directive) if directive.name == "expected.error" => Step::ExpectError,
            Found::Directive(directive) if directive.name == "expected.message" => Step::ExpectMessage(directive.contents.clone()),
            found => Step::Wrong(found.directive().at.line, found.what_is_wrong()),
        }
    }

    fn what_is_wrong(&self) -> String {
        match self {
            Found::Directive(Directive { name, .. }) => {
                let hint = match did_you_mean(name, DIRECTIVES.into_iter()) {
                    Some(meant) => format!("Did you mean --@{meant}?"),
                    None => format!("There are --@{}.", DIRECTIVES.join(", --@")),
                };
                format!("unknown directive --@{name}. {hint}")
            }
            Found::Other(Directive { contents, .. }) => {
                format!("{contents} is no directive: its name ends with a colon, as in --@test: NAME")
            }
        }
    }
}

/// All comments that begin with `--@`. A line that begins with `--@test:` begins a test, whatever quotes or comments are open
/// before it.
fn directives(text: &str) -> Vec<Found> {
    /// What the scan stands in.
    enum Within {
        Plain,
        Quotes(char, Location),
        BlockComment,
    }
    let mut found = Vec::new();
    let mut within = Within::Plain;
    let mut offset = 0;
    for (line, number) in text.split('\n').zip(1..) {
        let mut column = 1;
        let mut rest = line;
        let mut open = None;
        if begins_test(line) {
            match within {
                Within::Quotes(quote, at) => (open, within) = (Some((quote, at)), Within::Plain),
                Within::BlockComment if !text.get(offset..).is_some_and(|behind| behind.contains("*/")) => within = Within::Plain,
                Within::BlockComment | Within::Plain => {}
            }
        }
        while let Some(first) = rest.chars().next() {
            let mut taken = first.len_utf8();
            match within {
                Within::Plain if rest.starts_with("--") => {
                    if rest.starts_with("--@") {
                        let at = Location { line: number, column };
                        found.push(directive(rest.trim_end(), at, offset + line.len() - rest.len(), open));
                    }
                    break;
                }
                Within::Plain if rest.starts_with("/*") => {
                    within = Within::BlockComment;
                    taken = 2;
                }
                Within::Plain if matches!(first, '\'' | '"' | '`') => within = Within::Quotes(first, Location { line: number, column }),
                // Two of them close and open again, which comes to the same.
                Within::Quotes(quote, _) if quote == first => within = Within::Plain,
                Within::BlockComment if rest.starts_with("*/") => {
                    within = Within::Plain;
                    taken = 2;
                }
                _ => {}
            }
            let (skipped, behind) = rest.split_at(taken);
            column += u32::try_from(skipped.chars().count()).unwrap_or(u32::MAX);
            rest = behind;
        }
        offset += line.len() + 1;
    }
    found
}

fn begins_test(line: &str) -> bool {
    let name = line.trim_start().strip_prefix("--@").and_then(|rest| rest.split_once(':')).map(|(name, _)| name);
    name.is_some_and(|name| name.eq_ignore_ascii_case("test"))
}

fn directive(comment: &str, at: Location, offset: usize, open: Option<(char, Location)>) -> Found {
    let other = |contents: &str| Directive { at, offset, name: String::new(), contents: contents.to_owned(), open };
    match comment.trim_start_matches("--@").split_once(':') {
        Some((name, contents)) if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic() || b == b'.') => {
            Found::Directive(Directive { name: name.to_ascii_lowercase(), ..other(contents.trim()) })
        }
        _ => Found::Other(other(comment)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TestFile, String> {
        parse(Path::new("t.sql"), text)
    }

    #[test]
    fn directives_part_a_file_into_tests() {
        let text = "-- a comment\n--@test:  one \nSET 'a'='--@test: no';\n/* --@test: no\n*/ SHOW\nSTREAMS;;\n--@Test: two\n--@test: three\n\
                    --@expected.error: java.lang.Any\nSHOW `--@test: x`; --@expected.message: a: b\n";
        let file = read(text).expect("tests");
        let shown: Vec<_> = file.tests.iter().map(|t| (t.name.as_str(), t.line, t.steps.len())).collect();
        assert_eq!(shown, [("one", 2, 2), ("two", 7, 0), ("three", 8, 3)]);
        assert!(matches!(&file.tests[2].steps[..], [Step::ExpectError, Step::Statement(_), Step::ExpectMessage(m)] if m == "a: b"));
        assert!(file.warnings.is_empty());
    }

    #[test]
    fn what_is_no_test_file_is_told_with_its_line() {
        for (text, expected) in [
            ("SHOW STREAMS;\n--@test: a", "t.sql:1: a test begins with --@test: NAME"),
            ("\n--@expected.error: x", "t.sql:2: --@expected.error stands before"),
            ("-- nothing", "t.sql: there is no test in this file"),
            ("--@test", "t.sql:1: --@test is no directive"),
            ("--@tset: x\n--@test: a", "t.sql:1: unknown directive --@tset. Did you mean --@test?"),
        ] {
            let error = read(text).expect_err("no tests");
            assert!(error.starts_with(expected), "{error}");
        }
    }

    /// What is wrong in a test fails that test, with what would be right.
    #[test]
    fn a_mistake_is_the_matter_of_its_test_alone() {
        let file = read("--@test: a\n--@expected.eror: x\n--@test: b\n--@nothing\n--@test:\n--@test: c\nSHOW STREAMS;").expect("tests");
        let wrong: Vec<(u32, &str)> = file
            .tests
            .iter()
            .flat_map(|test| &test.steps)
            .filter_map(|step| match step {
                Step::Wrong(line, why) => Some((*line, why.as_str())),
                _ => None,
            })
            .collect();
        let expected = [
            (2, "unknown directive --@expected.eror. Did you mean --@expected.error?"),
            (4, "--@nothing is no directive: its name ends with a colon, as in --@test: NAME"),
            (5, "a test has a name: --@test: NAME"),
        ];
        assert_eq!(wrong, expected);
        assert!(matches!(&file.tests[3].steps[..], [Step::Statement(_)]));
    }

    #[test]
    fn names_tell_tests_apart() {
        let file = read("--@test: a\n--@test: b\n--@test: a\n").expect("tests");
        let names: Vec<&str> = file.tests.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "a (line 3)"]);
        assert!(file.warnings[0].starts_with("t.sql:3: the test in line 1 has the same name"), "{:?}", file.warnings);
    }

    #[test]
    fn an_open_quote_ends_with_its_test() {
        for quote in ['\'', '"', '`'] {
            let file = read(&format!("--@test: a\nSHOW STREAMS;\nSELECT {quote}x FROM s;\nSHOW TABLES;\n--@test: b\nSHOW TABLES;\n"))
                .expect("tests");
            let [a, b] = &file.tests[..] else { panic!("{:?}", file.tests) };
            let [Step::Statement(_), Step::Broken(at, why)] = &a.steps[..] else { panic!("{:?}", a.steps) };
            assert_eq!((at.line, at.column), (3, 8));
            assert!(why.contains("not closed before the test in line 5"), "{why}");
            let [Step::Statement(statement)] = &b.steps[..] else { panic!("{:?}", b.steps) };
            assert_eq!((statement.text.as_str(), statement.span.start.line), ("SHOW TABLES", 6));
        }
        let commented = read("--@test: a\n/*\n--@test: b\n*/\nSHOW TABLES;\n/*\n--@test: c").expect("tests");
        let names: Vec<&str> = commented.tests.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["a", "c"], "a comment that is closed is one");
    }

    #[test]
    fn a_statement_that_runs_into_the_next_test_is_not_closed() {
        let file = read("--@test: a\nSHOW STREAMS\n--@test: b\nSHOW TABLES;").expect("tests");
        assert!(matches!(&file.tests[0].steps[..], [Step::Unclosed(_, 3)]));
        assert!(matches!(&file.tests[1].steps[..], [Step::Statement(_)]));
    }
}
