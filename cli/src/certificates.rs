//! What is wrong with a certificate, in words.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use crate::client::Means;

/// What kept an encrypted connection from coming about, and what would be right; `None`: something else did.
pub fn explained(error: &(dyn std::error::Error + 'static), means: Means) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<Error>() {
            return Some(in_words(tls, means));
        }
        // An I/O error hides what it was made from.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<Error>()) {
            return Some(in_words(tls, means));
        }
        if inner.is_some_and(|inner| inner.to_string() == HANDSHAKE_CUT) {
            return Some(
                "the server closed the connection where it should have answered in TLS; is https spoken at this port, or http?".to_owned(),
            );
        }
        cause = error.source();
    }
    None
}

/// What tokio-rustls calls the end of a connection in the midst of a handshake; the error has no kind of its own.
const HANDSHAKE_CUT: &str = "tls handshake eof";

fn in_words(error: &Error, means: Means) -> String {
    match error {
        Error::InvalidCertificate(wrong) => of_certificate(wrong, means),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS at this port; is it http:// instead of https://?".to_owned()
        }
        Error::AlertReceived(alert) => of_alert(*alert, means),
        Error::PeerIncompatible(_) => format!("the server speaks no version of TLS that is spoken here, 1.2 and 1.3 ({error})"),
        Error::PeerMisbehaved(rustls::PeerMisbehaved::SelectedUnofferedApplicationProtocol) | Error::NoApplicationProtocol => {
            "another protocol than HTTP is spoken at this port".to_owned()
        }
        other => format!("no encrypted connection came about: {other}"),
    }
}

/// The server's reason for ending the handshake.
fn of_alert(alert: AlertDescription, means: Means) -> String {
    let Means { identity, .. } = means;
    match alert {
        AlertDescription::CertificateRequired => {
            format!("the server asks for a certificate that says who you are: {identity}")
        }
        // TLS 1.2 has no word of its own for it.
        AlertDescription::HandshakeFailure => format!(
            "the server refused the handshake: it asks for a certificate that says who you are ({identity}), or has no way to encrypt \
             in common with this client"
        ),
        AlertDescription::UnknownCA => {
            format!("the server trusts nobody who signed the certificate that says who you are ({identity})")
        }
        AlertDescription::BadCertificate
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError => {
            format!("the server does not trust the certificate that says who you are ({identity})")
        }
        AlertDescription::CertificateExpired => {
            format!("the certificate that says who you are has expired: get a new one ({identity}); or a clock is wrong, here or there")
        }
        AlertDescription::CertificateRevoked => format!("the certificate that says who you are was revoked: get a new one ({identity})"),
        AlertDescription::UnrecognisedName => "the server has no certificate for the name in the URL".to_owned(),
        AlertDescription::ProtocolVersion => "the server speaks no version of TLS that is spoken here, 1.2 and 1.3".to_owned(),
        AlertDescription::NoApplicationProtocol => "the server does not speak HTTP at this port".to_owned(),
        AlertDescription::InternalError => "the server could not finish the handshake; its log says why".to_owned(),
        other => format!("the server refused the handshake ({other:?})"),
    }
}

fn of_certificate(wrong: &CertificateError, means: Means) -> String {
    let trust = means.trust;
    match wrong {
        CertificateError::UnknownIssuer => format!(
            "the server's certificate is signed by nobody that is trusted here. If it is the right server, give the certificate of its \
             authority (or its own): {trust}"
        ),
        CertificateError::BadSignature => format!(
            "the server's certificate was not signed by the key of the authority that it names. If it is the right server, its authority \
             has another certificate by now: {trust}"
        ),
        CertificateError::NotValidForName => {
            "the server's certificate is for another name than that in the URL: use a name that is in it".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } if presented.is_empty() => format!(
            "the server's certificate is not for {}: it has no name of a server at all. Names count where they are a subjectAltName; \
             a common name (CN) does not",
            expected.to_str(),
        ),
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is not for {}; it is for {}. Use one of these in the URL, or a certificate with that name",
            expected.to_str(),
            presented.iter().map(|name| bare_name(name)).collect::<Vec<_>>().join(", ")
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the server's certificate has expired{}: it needs a new one; or the clock of this machine is wrong", when(wrong))
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the server's certificate is not valid yet{}; or the clock of this machine is wrong", when(wrong))
        }
        CertificateError::Revoked => "the server's certificate was revoked: it needs a new one".to_owned(),
        CertificateError::BadEncoding => "the server's certificate can't be read: it is damaged, or not X.509".to_owned(),
        CertificateError::UnhandledCriticalExtension => {
            "the server's certificate has a critical extension that is not known here; it can't be used".to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not meant for servers: its extendedKeyUsage must have serverAuth".to_owned()
        }
        CertificateError::Other(other) => match other.to_string().as_str() {
            // Errors of rustls-webpki that rustls has no name for.
            "CaUsedAsEndEntity" => format!(
                "the server shows a certificate of an authority (CA:TRUE) as its own. If it is the right server, trust that very \
                 certificate: {trust}; or give the server one with basicConstraints=CA:FALSE"
            ),
            "EndEntityUsedAsCa" => {
                "the server's certificate is signed by one that is no authority's (CA:FALSE); it needs one that an authority signed"
                    .to_owned()
            }
            "UnsupportedCertVersion" => "the server's certificate is of X.509 version 1, which can't name a server: it needs one of \
                                         version 3, with a subjectAltName"
                .to_owned(),
            unnamed => format!("the server's certificate is not good: {unnamed}"),
        },
        other => format!("the server's certificate is not good: {other}"),
    }
}

/// `DnsName("here.example")`, as rustls has it, without what is around the name.
fn bare_name(presented: &str) -> &str {
    let inside = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inside.unwrap_or(presented).trim_matches('"')
}

/// ` (it ended on …)`, where the error says when.
fn when(wrong: &CertificateError) -> String {
    let seconds = match wrong {
        CertificateError::ExpiredContext { not_after, .. } => not_after.as_secs(),
        CertificateError::NotValidYetContext { not_before, .. } => not_before.as_secs(),
        _ => return String::new(),
    };
    let day = i64::try_from(seconds).ok().and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0));
    let (ended, begins) = (" (it ended on", " (it begins on");
    let word = if matches!(wrong, CertificateError::ExpiredContext { .. }) { ended } else { begins };
    day.map(|day| format!("{word} {})", day.format("%Y-%m-%d %H:%M:%S UTC"))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use rustls::OtherError;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    #[test]
    fn every_kind_of_wrong_certificate_is_told_with_what_to_do() {
        let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let other = |text: &'static str| CertificateError::Other(OtherError(Arc::new(std::io::Error::other(text))));
        for (wrong, said) in [
            (CertificateError::UnknownIssuer, "--cacert FILE"),
            (
                CertificateError::ExpiredContext { time: at(9), not_after: at(86_400) },
                "it ended on 1970-01-02 00:00:00 UTC): it needs a new",
            ),
            (CertificateError::NotValidYetContext { time: at(9), not_before: at(86_400) }, "it begins on 1970-01-02 00:00:00 UTC)"),
            (CertificateError::InvalidPurpose, "serverAuth"),
            (
                CertificateError::NotValidForNameContext {
                    expected: ServerName::try_from("a.example").expect("a name"),
                    presented: vec!["DnsName(\"b.example\")".to_owned(), "IpAddress(::1)".to_owned()],
                },
                "not for a.example; it is for b.example, ::1.",
            ),
            (other("CaUsedAsEndEntity"), "trust that very certificate: --cacert FILE"),
            (other("UnsupportedCertVersion"), "subjectAltName"),
        ] {
            let text = in_words(&Error::InvalidCertificate(wrong), Means::FLAGS);
            assert!(text.contains(said), "{text}");
        }
        let means = Means { trust: "t", identity: "my.identity=FILE", login: "l" };
        for alert in [AlertDescription::CertificateRequired, AlertDescription::UnknownCA, AlertDescription::CertificateExpired] {
            let text = in_words(&Error::AlertReceived(alert), means);
            assert!(text.contains("my.identity=FILE") && !text.contains("--cert"), "{text}");
        }
    }
}
