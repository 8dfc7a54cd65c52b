//! What a group has agreed is a member's, as brokers hand it out: the assignment of Kafka's consumer protocol.

use std::collections::BTreeSet;

/// The partitions of a member of a group that shares one topic; `None` where the bytes are something else. Empty while the group
/// agrees anew.
pub(super) fn partitions(bytes: &[u8]) -> Option<BTreeSet<u16>> {
    let mut found = BTreeSet::new();
    if bytes.is_empty() {
        return Some(found);
    }
    // Behind its version: topics, each with its partitions; then what is nobody's here.
    let (_, mut rest) = bytes.split_first_chunk::<2>()?;
    for _ in 0..take_i32(&mut rest)? {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        rest = behind.get(usize::try_from(i16::from_be_bytes(*length)).ok()?..)?;
        for _ in 0..take_i32(&mut rest)? {
            found.insert(u16::try_from(take_i32(&mut rest)?).ok()?);
        }
    }
    Some(found)
}

fn take_i32(rest: &mut &[u8]) -> Option<i32> {
    let (number, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    Some(i32::from_be_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_is_read_as_far_as_it_is_one() {
        let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 2];
        bytes.extend(b"ts");
        bytes.extend([0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 1, 0]);
        let whole = bytes.len();
        bytes.extend([0xff, 0xff, 0xff, 0xff]);
        assert_eq!(partitions(&bytes), Some(BTreeSet::from([0, 7, 256])));
        for length in 1..whole {
            assert_eq!(partitions(&bytes[..length]), None, "{length} bytes");
        }
        assert_eq!(partitions(&[]), Some(BTreeSet::new()));
        // Without a topic.
        assert_eq!(partitions(&[0, 0, 0, 0, 0, 0, 255, 255, 255, 255]), Some(BTreeSet::new()));
    }
}
