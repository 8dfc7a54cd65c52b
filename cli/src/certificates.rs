//! What is wrong with a certificate, in words.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// What kept an encrypted connection from coming about, and what would be right; `None`: something else did.
pub fn explained(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(tls) = error.downcast_ref::<Error>() {
            return Some(in_words(tls));
        }
        // An I/O error hides what it was made from.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<Error>()) {
            return Some(in_words(tls));
        }
        cause = error.source();
    }
    None
}

fn in_words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(wrong) => of_certificate(wrong),
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not speak TLS at this port; is it http:// instead of https://?".to_owned()
        }
        Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure) => {
            "the server asks for a certificate that says who you are: --cert FILE and --key FILE".to_owned()
        }
        Error::AlertReceived(AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::DecryptError) => {
            "the server does not trust the certificate that was given with --cert".to_owned()
        }
        Error::AlertReceived(AlertDescription::CertificateExpired) => "the certificate that was given with --cert has expired".to_owned(),
        Error::AlertReceived(AlertDescription::ProtocolVersion) | Error::PeerIncompatible(_) => {
            format!("the server speaks no version of TLS that is spoken here, 1.2 and 1.3 ({error})")
        }
        other => format!("no encrypted connection came about: {other}"),
    }
}

fn of_certificate(wrong: &CertificateError) -> String {
    match wrong {
        CertificateError::UnknownIssuer => "the server's certificate is signed by nobody that is trusted here. If it is the right server, \
                                            give the certificate of its authority (or its own): --cacert FILE"
            .to_owned(),
        CertificateError::NotValidForName => "the server's certificate is for another name than that in the URL".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is not for {}; it is for {}",
            expected.to_str(),
            if presented.is_empty() { "no name at all".to_owned() } else { presented.join(", ") }
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the server's certificate has expired ({wrong}); or the clock of this machine is wrong")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the server's certificate is not valid yet ({wrong}); or the clock of this machine is wrong")
        }
        CertificateError::Revoked => "the server's certificate was revoked".to_owned(),
        CertificateError::BadEncoding => "the server's certificate can't be read".to_owned(),
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "the server's certificate is not meant for servers".to_owned()
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "the server's certificate is one of an authority, and shown as its own".to_owned()
        }
        other => format!("the server's certificate is not good: {other}"),
    }
}
