//! librdkafka's error codes as the numbers that they are.
//!
//! A broker may answer with a code that is newer than librdkafka, which hands it on as it came. The enum of the bindings
//! lacks it then, and an enum with another value is undefined behaviour. So every call that returns a code is declared
//! here once more with the `int` that C returns. (Calls that only ever return a code of librdkafka's own, such as those that
//! set an option, are not.)

use std::ffi::{c_char, c_int, c_void};

use rdkafka::bindings as rd;

/// All went well.
pub(super) const NO_ERROR: c_int = 0;

unsafe extern "C" {
    pub(super) fn rd_kafka_err2str(code: c_int) -> *const c_char;
    pub(super) fn rd_kafka_last_error() -> c_int;
    pub(super) fn rd_kafka_fatal_error(rk: *mut rd::rd_kafka_t, text: *mut c_char, size: usize) -> c_int;
    pub(super) fn rd_kafka_error_code(error: *const rd::rd_kafka_error_t) -> c_int;
    pub(super) fn rd_kafka_event_error(event: *mut rd::rd_kafka_event_t) -> c_int;
    pub(super) fn rd_kafka_topic_result_error(result: *const rd::rd_kafka_topic_result_t) -> c_int;
    pub(super) fn rd_kafka_ConfigResource_error(resource: *const rd::rd_kafka_ConfigResource_t) -> c_int;
    pub(super) fn rd_kafka_metadata(
        rk: *mut rd::rd_kafka_t,
        all_topics: c_int,
        only: *mut rd::rd_kafka_topic_t,
        found: *mut *const rd::rd_kafka_metadata,
        timeout_ms: c_int,
    ) -> c_int;
    pub(super) fn rd_kafka_seek(topic: *mut rd::rd_kafka_topic_t, partition: i32, offset: i64, timeout_ms: c_int) -> c_int;
    pub(super) fn rd_kafka_get_watermark_offsets(
        rk: *mut rd::rd_kafka_t,
        topic: *const c_char,
        partition: i32,
        low: *mut i64,
        high: *mut i64,
    ) -> c_int;
    pub(super) fn rd_kafka_position(rk: *mut rd::rd_kafka_t, partitions: *mut rd::rd_kafka_topic_partition_list_t) -> c_int;
    pub(super) fn rd_kafka_flush(rk: *mut rd::rd_kafka_t, timeout_ms: c_int) -> c_int;
    pub(super) fn rd_kafka_purge(rk: *mut rd::rd_kafka_t, flags: c_int) -> c_int;
    pub(super) fn rd_kafka_message_headers(message: *const rd::rd_kafka_message_t, headers: *mut *mut rd::rd_kafka_headers_t) -> c_int;
    pub(super) fn rd_kafka_header_get_all(
        headers: *const rd::rd_kafka_headers_t,
        index: usize,
        name: *mut *const c_char,
        value: *mut *const c_void,
        size: *mut usize,
    ) -> c_int;
}

#[cfg(test)]
mod tests {
    use super::super::failure_of;
    use super::*;

    #[test]
    fn a_code_that_nobody_knows_yet_stays_what_it_is() {
        unsafe extern "C" {
            fn rd_kafka_error_new(code: c_int, format: *const c_char, ...) -> *mut rd::rd_kafka_error_t;
        }
        let known = rd::rd_kafka_resp_err_t::try_from(9_999);
        assert!(known.is_err(), "the bindings know it");
        // SAFETY: the format has no arguments; the error is read and destroyed here.
        let failure = unsafe {
            let error = rd_kafka_error_new(9_999, c"a broker from the future".as_ptr());
            let failure = failure_of(error);
            rd::rd_kafka_error_destroy(error);
            failure
        };
        let failure = failure.expect("an error is a failure");
        assert_eq!((failure.code, failure.text.as_str()), (9_999, "a broker from the future"));
        assert!(!failure.is_retriable() && !failure.is_unknown_topic());
        // One without a text of its own has librdkafka's words for any number.
        assert!(super::super::failure(9_999).text.contains("9999"));
    }

    #[test]
    fn the_bindings_are_called_for_nothing_that_returns_a_code() {
        let sources = [
            include_str!("mod.rs"),
            include_str!("admin.rs"),
            include_str!("consume.rs"),
            include_str!("offsets.rs"),
            include_str!("produce.rs"),
            include_str!("transactions.rs"),
        ];
        let declared = include_str!("codes.rs");
        let names = declared.lines().filter_map(|line| line.trim().strip_prefix("pub(super) fn ")?.split('(').next());
        for name in names {
            let raw = format!("rd::{name}(");
            assert!(
                sources.iter().all(|source| !source.contains(&raw)),
                "{raw} returns an enum that lacks newer codes: call codes::{name}"
            );
        }
    }
}
