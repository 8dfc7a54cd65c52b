//! `authentication.skip.paths`: paths at which nobody is asked who it is. `*` stands for anything, slashes as well.

use regex::Regex;

/// Nobody is asked at these in ksqlDB either.
const ALWAYS: [&str; 2] = ["/v1/metadata", "/v1/metadata/id"];

pub struct SkippedPaths(Vec<Regex>);

impl SkippedPaths {
    pub fn new(paths: &str) -> Self {
        let patterns = paths.split(',').map(str::trim).filter(|path| !path.is_empty()).chain(ALWAYS);
        let compiled = patterns.filter_map(|path| {
            let path = path.trim_end_matches('/');
            let parts: Vec<String> = path.split('*').map(regex::escape).collect();
            Regex::new(&format!("^{}$", parts.join(".*"))).ok()
        });
        SkippedPaths(compiled.collect())
    }

    /// Whether a path, its parts decoded, is one of them. A part with a slash within is none: it would look like several.
    pub fn contains(&self, path: &[String]) -> bool {
        if path.iter().any(|part| part.contains('/') || part == "..") {
            return false;
        }
        let path = format!("/{}", path.join("/"));
        self.0.iter().any(|pattern| pattern.is_match(&path))
    }
}

/// What needs no password then answers with rows or says what there is.
const TELLING: [&str; 6] = ["/ksql", "/query", "/query-stream", "/ws/query", "/metrics", "/subjects"];

impl SkippedPaths {
    /// What is to be said of paths that are given away with what is there.
    pub fn warning(&self) -> Option<String> {
        let given: Vec<&str> = TELLING.into_iter().filter(|path| self.0.iter().any(|pattern| pattern.is_match(path))).collect();
        let rows = given.iter().any(|path| *path != "/metrics");
        rows.then(|| format!("authentication.skip.paths: whoever reaches the server reads what it holds, at {}", given.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_paths() {
        let skipped = SkippedPaths::new("/healthcheck, /chc/*,/info/");
        let contains = |path: &[&str]| skipped.contains(&path.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert!(contains(&["healthcheck"]) && contains(&["chc", "live"]) && contains(&["info"]) && contains(&["v1", "metadata"]));
        for path in [&["ksql"][..], &["healthcheck", "x"], &["chc"], &["chc/../ksql"], &["chc", "..", "ksql"], &["chcx"], &[]] {
            assert!(!contains(path), "{path:?}");
        }
        assert!(!SkippedPaths::new("").contains(&["healthcheck".to_owned()]));
    }

    #[test]
    fn giving_away_what_is_there_is_said() {
        for quiet in ["", "/healthcheck,/chc/*", "/metrics", "/info"] {
            assert_eq!(SkippedPaths::new(quiet).warning(), None, "{quiet}");
        }
        for told in ["/*", "*", "/query*", "/chc/*,/ksql"] {
            assert!(SkippedPaths::new(told).warning().is_some(), "{told}");
        }
    }
}
