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
}
