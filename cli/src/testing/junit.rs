//! Results as JUnit's XML: a suite for each file, which is what CI systems show.

use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::report::{CaseResult, Verdict};

/// Writes the results to a file.
///
/// # Errors
/// The file can't be written.
pub fn write(path: &Path, results: &[CaseResult]) -> Result<(), String> {
    std::fs::write(path, xml(results)?).map_err(|e| format!("{}: {e}", path.display()))
}

fn xml(results: &[CaseResult]) -> Result<String, String> {
    let mut report = Report::new("tidemill test");
    let mut rest = results;
    while let Some(first) = rest.first() {
        let length = rest.iter().take_while(|result| result.file == first.file).count();
        let (of_file, behind) = rest.split_at(length.max(1));
        rest = behind;
        let mut suite = TestSuite::new(first.file.clone());
        suite.add_test_cases(of_file.iter().map(case));
        report.add_test_suite(suite);
    }
    report.to_string().map_err(|e| format!("the JUnit report: {e}"))
}

fn case(result: &CaseResult) -> TestCase {
    let status = match &result.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Different(reason) => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(reason.clone());
            status
        }
        Verdict::Failed(reason) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(reason.lines().next().unwrap_or_default().to_owned()).set_description(reason.clone());
            status
        }
    };
    let mut case = TestCase::new(result.name.clone(), status);
    case.set_classname(result.file.clone()).set_time(Duration::from_secs_f64(result.seconds.max(0.0)));
    if let Some(line) = result.line {
        case.add_property(("line", line.to_string().as_str()));
    }
    case
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_for_each_file() {
        let result = |file: &str, name: &str, verdict| CaseResult {
            file: file.to_owned(),
            line: Some(3),
            name: name.to_owned(),
            is_rejection: false,
            seconds: 0.5,
            verdict,
        };
        let xml = xml(&[
            result("a.sql", "one", Verdict::Passed),
            result("a.sql", "two", Verdict::Failed("a.sql:7: 1 < 2 & \u{1}\nmore".to_owned())),
            result("b.sql", "three", Verdict::Passed),
        ])
        .expect("a report");
        for expected in [
            r#"tests="3" failures="1""#,
            r#"<testsuite name="a.sql" tests="2""#,
            r#"<testcase name="two" classname="a.sql" time="0.500">"#,
            "a.sql:7: 1 &lt; 2 &amp; ",
        ] {
            assert!(xml.contains(expected), "{expected} is missing:\n{xml}");
        }
    }
}
