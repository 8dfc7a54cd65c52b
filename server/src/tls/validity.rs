//! When a certificate is valid, and what for.

use chrono::DateTime;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::{CertificateError, Error};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;
/// How long before its end a certificate is warned about, days.
const WARN_DAYS: i64 = 30;

/// What a certificate is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Server,
    Client,
}

/// Whether a certificate is valid now, and for this purpose.
///
/// # Errors
/// It is not, or can't be read.
pub(super) fn check(certificate: &CertificateDer<'_>, now: UnixTime, purpose: Purpose) -> Result<(), Error> {
    let (_, read) = X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let seconds = seconds_of(now);
    let at = |seconds: i64| UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or_default()));
    let (not_before, not_after) = (read.validity().not_before.timestamp(), read.validity().not_after.timestamp());
    if seconds < not_before {
        return Err(CertificateError::NotValidYetContext { time: now, not_before: at(not_before) }.into());
    }
    if seconds > not_after {
        return Err(CertificateError::ExpiredContext { time: now, not_after: at(not_after) }.into());
    }
    let uses = read.extended_key_usage().map_err(|_| CertificateError::BadEncoding)?;
    let fits = uses.is_none_or(|uses| match purpose {
        Purpose::Server => uses.value.server_auth,
        Purpose::Client => uses.value.client_auth,
    });
    if fits { Ok(()) } else { Err(CertificateError::InvalidPurpose.into()) }
}

/// What is to be said of the dates of certificates that are shown to others: those that are not valid now, and those that soon are not.
/// `place` says where they stand.
pub(super) fn warnings(place: &str, chain: &[CertificateDer<'_>], now: UnixTime) -> Vec<String> {
    chain.iter().filter_map(|certificate| warning(place, certificate, seconds_of(now))).collect()
}

fn warning(place: &str, certificate: &CertificateDer<'_>, now: i64) -> Option<String> {
    let (_, read) = X509Certificate::from_der(certificate).ok()?;
    let (not_before, not_after) = (read.validity().not_before.timestamp(), read.validity().not_after.timestamp());
    let of = read.subject();
    if now > not_after {
        return Some(format!("{place}: the certificate of {of} expired on {}; clients refuse it", day(not_after)));
    }
    if now < not_before {
        return Some(format!("{place}: the certificate of {of} is not valid before {}; clients refuse it until then", day(not_before)));
    }
    let days = (not_after - now) / SECONDS_OF_A_DAY;
    let s = if days == 1 { "" } else { "s" };
    (days < WARN_DAYS).then(|| format!("{place}: the certificate of {of} expires on {}, in {days} day{s}", day(not_after)))
}

fn seconds_of(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn day(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .map_or_else(|| "a day without a name".to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}
