//! Comparisons, logic, IN, BETWEEN, LIKE and CASE.

use super::{check, check_types};

#[test]
fn numbers_compare_across_types() {
    check(&[
        ("I = 7", "true"),
        ("I = 7.0", "true"),
        ("I < 7.5E0", "true"),
        ("L >= 3", "true"),
        ("C > D", "true"),
        ("D = 1.5", "true"),
        ("C = 2.5", "true"),
        ("I <> 7", "false"),
        ("9223372036854775807 = 9.223372036854776E18", "true"),
    ]);
}

#[test]
fn nan_equals_nothing_and_zero_has_no_sign() {
    check(&[("NANS = NANS", "false"), ("NANS <> NANS", "false"), ("NANS < 1", "false"), ("-0E0 = 0E0", "true")]);
}

#[test]
fn comparisons_with_null_are_false() {
    check(&[
        ("NI = 1", "false"),
        ("NI <> 1", "false"),
        ("NI = NI", "false"),
        ("NOT (NI > 1)", "true"),
        ("NS < 'a'", "false"),
        ("NI IS DISTINCT FROM 1", "true"),
        ("NI IS DISTINCT FROM NL", "false"),
        ("NI IS NOT DISTINCT FROM NI", "true"),
        ("I IS DISTINCT FROM 7", "false"),
        ("NI IS NULL", "true"),
        ("NST->X IS NULL", "true"),
        ("S IS NOT NULL", "true"),
        ("NULL IS NULL", "true"),
    ]);
}

#[test]
fn logic_stops_early_and_fails_of_null() {
    check(&[
        ("B AND NB", "fails"),
        ("NB AND B", "fails"),
        ("NOT B AND NB", "false"),
        ("B OR NB", "true"),
        ("NB OR B", "fails"),
        ("NOT NB", "fails"),
        ("I = 0 AND 1 / Z = 1", "false"),
    ]);
}

#[test]
fn text_and_structures_compare() {
    check(&[
        ("S = 'hello'", "true"),
        ("S < 'help'", "true"),
        ("'a' < 'B'", "false"),
        ("A = ARRAY[1, 2, NULL]", "true"),
        ("ST = ST", "true"),
        ("M <> M", "false"),
        ("BT = BT", "true"),
    ]);
}

#[test]
fn times_compare_with_their_text() {
    check(&[
        ("T = '2021-02-28T12:30:45.123'", "true"),
        ("T > '2021'", "true"),
        ("DT = '2021-02-28'", "true"),
        ("DT < T", "true"),
        ("TM = '12:30:45'", "true"),
        ("'12:30' < TM", "true"),
        ("NT = '2021'", "false"),
    ]);
}

#[test]
fn lists_pass_over_nulls() {
    check(&[
        ("I IN (1, 7)", "true"),
        ("NI IN (1, 2)", "false"),
        ("NI NOT IN (1, 2)", "true"),
        ("3 NOT IN (1, NULL)", "true"),
        ("NULL IN (1, 2)", "false"),
        ("NULL NOT IN (1, 2)", "true"),
        ("I IN ('7', '8')", "true"),
        ("I IN (1, '2147483648')", "false"),
        ("I IN (6.5, '7.000')", "true"),
        ("D IN (1, C, '1.50')", "true"),
        ("C IN (2.5)", "true"),
        ("B IN ('no', 'Y')", "true"),
        ("S IN (1, true, 'hello')", "true"),
        ("'10.30' IN (10.30)", "true"),
        ("'10.3' IN (10.30)", "false"),
        ("A IN (ARRAY[1], ARRAY['1', '2', NULL])", "true"),
        ("ST IN (STRUCT(Y := 'q', X := 5))", "true"),
        ("ST IN (STRUCT(X := 5))", "false"),
        ("M IN (MAP('a' := 1, 'b' := NULL))", "true"),
        ("T IN ('2021-02-28T12:30:45.123')", "true"),
        ("I IN (10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 7)", "true"),
        ("S IN ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j')", "false"),
        ("I IN (Z, L, I)", "true"),
    ]);
}

#[test]
fn between_takes_both_ends() {
    check(&[
        ("I BETWEEN 7 AND 9", "true"),
        ("I BETWEEN 8 AND 9", "false"),
        ("NI BETWEEN 1 AND 3", "false"),
        ("NI NOT BETWEEN 1 AND 3", "true"),
        ("NI + 1 BETWEEN 1 AND 3", "fails"),
        ("S BETWEEN 'h' AND 'i'", "true"),
        ("C BETWEEN 1 AND 2.5", "true"),
    ]);
}

#[test]
fn patterns() {
    check(&[
        ("S LIKE 'he%'", "true"),
        ("S LIKE '%llo'", "true"),
        ("S LIKE '%ell%'", "true"),
        ("S LIKE 'h_llo'", "true"),
        ("S NOT LIKE 'x%'", "true"),
        ("'10%' LIKE '10!%' ESCAPE '!'", "true"),
        ("S LIKE 'HE%'", "false"),
        ("NS LIKE '%'", "fails"),
        ("S LIKE NULL", "fails"),
        ("S NOT LIKE NS", "fails"),
        ("S LIKE 'h!' ESCAPE '!'", "fails"),
        ("'a\nalert\nb' LIKE '%alert%'", "true"),
    ]);
}

#[test]
fn case_takes_the_first_and_leaves_the_rest_alone() {
    check_types(&[("CASE WHEN B THEN 1.5 END", "DECIMAL(2, 1)"), ("CASE WHEN B THEN NULL ELSE S END", "STRING")]);
    check(&[
        ("CASE WHEN I > 10 THEN 'big' WHEN I > 5 THEN 'mid' END", "mid"),
        ("CASE WHEN I > 10 THEN 'big' END", "null"),
        ("CASE WHEN I = 7 THEN 1 ELSE 1 / Z END", "1"),
        ("CASE WHEN NB THEN 1 ELSE 2 END", "fails"),
        ("CASE WHEN NI = 1 THEN 1 ELSE 2 END", "2"),
        ("CASE WHEN B THEN ARRAY[I] ELSE ARRAY[0] END", "[7]"),
        ("CASE WHEN B THEN STRUCT(A := I) END", "Struct{A=7}"),
    ]);
}
