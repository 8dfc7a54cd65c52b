//! Values as bytes: rows in stores and changelogs, and keys whose byte order is the order of their values.

/// The bytes of a number in an order-preserving form.
pub fn to_ordered(value: i64) -> [u8; 8] {
    (value ^ i64::MIN).to_be_bytes()
}

/// The number of [`to_ordered`].
pub fn from_ordered(bytes: [u8; 8]) -> i64 {
    i64::from_be_bytes(bytes) ^ i64::MIN
}

/// The smallest bytes that are larger than everything with this prefix; `None` if there are none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut end = prefix.get(..=keep)?.to_vec();
    *end.last_mut()? += 1;
    Some(end)
}
