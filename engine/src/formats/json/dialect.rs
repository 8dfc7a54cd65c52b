//! What the JSON of a Schema Registry's topics may say otherwise than plain JSON.

/// How a payload is read.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::formats) struct Dialect {
    /// A MAP may be an array of `{"key": …, "value": …}` as well, which is how Connect writes maps whose keys may be null.
    pub map_entries: bool,
    pub decimals: DecimalTexts,
}

/// What a text means where a DECIMAL should stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::formats) enum DecimalTexts {
    /// The number in digits.
    #[default]
    Numbers,
    /// Connect's other way: the unscaled number, big-endian, as base64.
    Base64,
    /// Depends on the record's schema, which nobody has looked at yet: a text is an error, and is noted.
    Undecided,
    /// The record's schema has decimals of another scale than the column.
    OtherScale,
}
