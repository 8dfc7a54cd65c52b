//! Numbers: types of results, wrapping, division, nulls; `+` on strings.

use super::{check, check_types};

#[test]
fn results_have_the_wider_type() {
    check_types(&[
        ("I + I", "INTEGER"),
        ("I * L", "BIGINT"),
        ("I + D", "DOUBLE"),
        ("C + D", "DOUBLE"),
        ("C + C", "DECIMAL(5, 2)"),
        ("C * C", "DECIMAL(9, 4)"),
        ("C + I", "DECIMAL(13, 2)"),
        ("C * L", "DECIMAL(24, 2)"),
        ("1.50", "DECIMAL(3, 2)"),
        (".5", "DECIMAL(2, 1)"),
        ("1E3", "DOUBLE"),
        ("2147483648", "BIGINT"),
        ("-2147483648", "INTEGER"),
        ("NULL", "null"),
        ("S + 'x'", "STRING"),
    ]);
}

#[test]
fn integers_wrap_and_cut_towards_zero() {
    check(&[
        ("2147483647 + 1", "-2147483648"),
        ("9223372036854775807 + 1", "-9223372036854775808"),
        ("65536 * 65536", "0"),
        ("-7 / 2", "-3"),
        ("-7 % 2", "-1"),
        ("I / 2", "3"),
        ("I / Z", "fails"),
        ("I % Z", "fails"),
        ("L / Z", "fails"),
        ("-I", "-7"),
        ("-(-I)", "7"),
    ]);
}

#[test]
fn doubles_have_infinities() {
    check(&[
        ("D / 0", "Infinity"),
        ("-D / 0", "-Infinity"),
        ("0E0 / 0", "NaN"),
        ("D % 0", "NaN"),
        ("D * 2", "3.0"),
        ("D + C", "4.0"),
        ("L / 2E0", "1.5"),
    ]);
}

#[test]
fn decimals_never_round() {
    check(&[
        ("C + 1", "3.50"),
        ("C * C", "6.2500"),
        ("I * 0.10", "0.70"),
        ("I / 2.0", "3.500000"),
        ("1.0 / 3.0", "fails"),
        ("C / 0.0", "fails"),
        ("C % 0.7", "0.40"),
        ("1.5 - 2", "-0.5"),
    ]);
}

#[test]
fn a_null_operand_fails_but_joins_as_text() {
    check(&[
        ("NI + 1", "fails"),
        ("1 - NL", "fails"),
        ("ND * 2", "fails"),
        ("NC / 1", "fails"),
        ("-NI", "fails"),
        ("S + 'x'", "hellox"),
        ("NS + 'x'", "nullx"),
        ("'a' + NS + 'b'", "anullb"),
    ]);
}
