//! Tokens, handed to clients.

use std::ffi::{CString, c_char};

use rdkafka::bindings as rd;

use super::{Client, ERROR_TEXT_BYTES, buffer_text};
use crate::log::kafka::login::Token;

impl Client {
    /// Gives the client the token that it logs in with from now on. Those of its connections that wait for one go on at once.
    pub(in crate::log::kafka) fn log_in(&self, token: &Token) {
        // SAFETY: the client lives.
        unsafe { give(self.rk(), token) }
    }
}

/// As [`Client::log_in`], for a client of the rdkafka crate.
pub(in crate::log::kafka) fn log_in<C: rdkafka::ClientContext>(client: &rdkafka::client::Client<C>, token: &Token) {
    // SAFETY: the client lives as long as it is borrowed.
    unsafe { give(client.native_ptr(), token) }
}

/// # Safety
/// The client must be valid.
unsafe fn give(rk: *mut rd::rd_kafka_t, token: &Token) {
    let text = |text: &str| CString::new(text).unwrap_or_default();
    let (value, principal) = (text(token.value()), text(token.principal()));
    let extensions: Vec<CString> = token.extensions().iter().flat_map(|(name, value)| [text(name), text(value)]).collect();
    let mut pointers: Vec<*const c_char> = extensions.iter().map(|text| text.as_ptr()).collect();
    let mut error = [0 as c_char; ERROR_TEXT_BYTES];
    // SAFETY: the client is valid as the caller says; librdkafka copies the texts, which outlive the call, as does the buffer. The
    // codes are librdkafka's own.
    let code = unsafe {
        rd::rd_kafka_oauthbearer_set_token(
            rk,
            value.as_ptr(),
            token.ends_ms(),
            principal.as_ptr(),
            pointers.as_mut_ptr(),
            pointers.len(),
            error.as_mut_ptr(),
            error.len(),
        )
    };
    if code != rd::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        // What it says holds nothing of the token: that was looked at when it was made.
        tracing::warn!(target: "kafka", "a token was not taken: {}", buffer_text(&error));
    }
}
