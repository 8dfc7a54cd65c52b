//! Why a request of ours had no answer, out of the errors that lie within each other.

use std::error::Error;

/// The innermost cause, which says what happened.
pub fn deepest(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// What TLS says, where it is the reason. An I/O error holds its cause without naming it as its source.
pub fn of_tls(error: &(dyn Error + 'static)) -> Option<String> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(tls.to_string());
    }
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => of_tls(inner),
        None => error.source().and_then(of_tls),
    }
}
