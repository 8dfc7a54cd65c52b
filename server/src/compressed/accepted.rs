//! `Accept-Encoding`, as RFC 9110 has it.

use hyper::header::{ACCEPT_ENCODING, HeaderMap};

/// Whether a client would rather have gzip than the answer as it is.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for value in headers.get_all(ACCEPT_ENCODING) {
        for one in value.to_str().unwrap_or_default().split(',') {
            let (name, weight) = weighed(one);
            match name.to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => gzip = Some(weight),
                "*" => any = Some(weight),
                "identity" => identity = Some(weight),
                _ => {}
            }
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// A coding and its weight, thousandths; one that can't be read is none.
fn weighed(one: &str) -> (&str, u16) {
    let mut parts = one.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let weight = weight.map_or(Some(1.0), |text| text.trim().parse::<f32>().ok()).filter(|weight| (0.0..=1.0).contains(weight));
    (name, (weight.unwrap_or(0.0) * 1000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_what_they_ask_for() {
        for (asked, expected) in [
            ("gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("GZIP", true),
            ("x-gzip", true),
            ("*", true),
            ("br, zstd", false),
            ("gzip;q=0", false),
            ("gzip; q=0.000, *", false),
            ("identity", false),
            ("identity;q=1, gzip;q=0.5", false),
            ("identity;q=0.5, gzip", true),
            ("gzip;q=nonsense", false),
            ("gzip;q=-1", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, asked.parse().expect("a value"))]);
            assert_eq!(accepts_gzip(&headers), expected, "{asked}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}
