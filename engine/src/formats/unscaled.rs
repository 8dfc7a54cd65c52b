//! The unscaled number of a DECIMAL as AVRO and PROTOBUF have it: big-endian, in two's complement, as few bytes as hold it.

/// A number of up to 128 bits.
pub(super) struct Unscaled {
    bytes: [u8; size_of::<i128>()],
    /// Bytes that only repeat the sign.
    spare: usize,
}

impl Unscaled {
    #[inline]
    pub fn new(number: i128) -> Self {
        let alike = if number < 0 { number.leading_ones() } else { number.leading_zeros() };
        // One of the leading bits that are alike has to stay.
        Unscaled { bytes: number.to_be_bytes(), spare: alike.saturating_sub(1) as usize / 8 }
    }

    #[inline]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(self.spare..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;

    use super::*;

    #[test]
    fn numbers_take_as_few_bytes_as_they_can() {
        let numbers = [0i128, 1, -1, 127, 128, -128, -129, 255, 256, 32_767, 32_768, -32_768, -32_769, i128::MAX, i128::MIN];
        for number in numbers {
            assert_eq!(Unscaled::new(number).bytes(), BigInt::from(number).to_signed_bytes_be(), "{number}");
        }
    }
}
