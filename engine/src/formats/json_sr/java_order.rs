//! The order in which Java's `HashMap` gives its entries.
//!
//! Confluent's library keeps the properties of an object in one. So this is the order of the columns that ksqlDB infers
//! where nothing else orders them (`connect.index`), and the order of properties in the schemas that it registers.

/// Buckets of a new map.
const FIRST_BUCKETS: usize = 16;

/// Sorts entries as a map that they are put into, one after the other, would give them.
pub(super) fn sort<T>(entries: &mut [(&str, T)]) {
    let mut buckets = FIRST_BUCKETS;
    // A map doubles where it is more than three quarters full.
    while entries.len() > buckets / 4 * 3 {
        buckets *= 2;
    }
    // Entries of one bucket stay in the order in which they came.
    entries.sort_by_key(|(name, _)| bucket(name, buckets));
}

/// `buckets` is a power of two.
fn bucket(name: &str, buckets: usize) -> usize {
    let hash = name.encode_utf16().fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    (hash ^ hash >> 16) as usize & (buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<&'n str> {
        let mut entries: Vec<(&str, ())> = names.into_iter().map(|name| (name, ())).collect();
        sort(&mut entries);
        entries.into_iter().map(|(name, ())| name).collect()
    }

    /// The expected orders were printed by a Java program.
    #[test]
    fn entries_come_as_in_java() {
        assert_eq!(sorted(["c", "b", "a", "FOO", "ID", "order_total"]), ["a", "b", "c", "FOO", "order_total", "ID"]);
        assert_eq!(sorted(["key", "value"]), ["value", "key"]);
        let few = ["INTC", "DECC", "DATEC", "DBL", "STR", "BYT", "BOOL", "ARR", "MAPC", "ST"];
        let many: Vec<String> = few.iter().map(|name| (*name).to_owned()).chain((10..40).map(|i| format!("COL_{i}"))).collect();
        let expected = "ARR DATEC COL_31 COL_30 COL_11 COL_33 DBL COL_10 COL_32 STR COL_24 COL_23 COL_26 COL_25 COL_28 COL_27 COL_29 BYT ST \
                        MAPC COL_20 COL_22 COL_21 COL_13 COL_35 COL_12 COL_34 COL_15 COL_37 COL_14 COL_36 COL_17 COL_39 BOOL COL_16 COL_38 \
                        INTC COL_19 COL_18 DECC";
        assert_eq!(sorted(many.iter().map(String::as_str)).join(" "), expected);
    }
}
