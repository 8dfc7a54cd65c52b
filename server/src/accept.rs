//! Which of the media types that an endpoint can answer a client wants.

use hyper::HeaderMap;
use hyper::header::ACCEPT;

/// Longest `Accept` header that is looked at, entries; the rest is left out.
const MAX_ENTRIES: usize = 64;

/// The first of `offered` that the client ranks highest: without an Accept header, the first. `None`: it takes none.
pub fn negotiate<T: Copy>(headers: &HeaderMap, offered: &[(&str, T)]) -> Option<T> {
    let mut wanted = Vec::new();
    for header in headers.get_all(ACCEPT) {
        // A header that is no text asks for nothing that we have.
        let text = header.to_str().unwrap_or("-/-");
        wanted.extend(text.split(',').take(MAX_ENTRIES).filter_map(entry));
    }
    if wanted.is_empty() {
        return offered.first().map(|(_, value)| *value);
    }
    // Stable: of equal ranks the one named first.
    wanted.sort_by(|a, b| b.1.total_cmp(&a.1));
    wanted
        .iter()
        .filter(|(_, quality)| *quality > 0.0)
        .find_map(|(range, _)| offered.iter().find(|(media_type, _)| matches(range, media_type)).map(|(_, value)| *value))
}

/// A media range and its quality.
fn entry(text: &str) -> Option<(&str, f32)> {
    let mut parts = text.split(';');
    let range = parts.next()?.trim();
    if range.is_empty() {
        return None;
    }
    let quality = parts.find_map(|p| p.trim().strip_prefix("q=")).and_then(|q| q.trim().parse().ok()).unwrap_or(1.0);
    Some((range, quality))
}

fn matches(range: &str, media_type: &str) -> bool {
    match range.strip_suffix("/*") {
        Some("*") => true,
        Some(main) => media_type.split('/').next().is_some_and(|m| m.eq_ignore_ascii_case(main)),
        None => range.eq_ignore_ascii_case(media_type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn the_best_wins() {
        let offered = [("application/vnd.x", 1), ("application/json", 2)];
        for (accept, expected) in [
            (None, Some(1)),
            (Some("*/*"), Some(1)),
            (Some("application/*"), Some(1)),
            (Some("application/json"), Some(2)),
            (Some("text/html"), None),
            (Some("text/html, application/json;q=0.5"), Some(2)),
            (Some("application/vnd.x;q=0.1, application/json;q=0.9"), Some(2)),
            (Some("application/json;q=0"), None),
            (Some(""), Some(1)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(negotiate(&headers, &offered), expected, "{accept:?}");
        }
    }
}
