//! Constructors, subscripts, fields.

use super::{check, check_types};

#[test]
fn constructors_take_a_common_type() {
    check_types(&[
        ("ARRAY[1, 2.5]", "ARRAY<DECIMAL(11, 1)>"),
        ("ARRAY[1, L, 2E0]", "ARRAY<DOUBLE>"),
        ("ARRAY[NULL, 'a']", "ARRAY<STRING>"),
        ("ARRAY[1, '2147483648']", "ARRAY<BIGINT>"),
        ("ARRAY[1, '2147483647']", "ARRAY<BIGINT>"),
        ("ARRAY[1, '9223372036854775807']", "ARRAY<DECIMAL(19, 0)>"),
        ("ARRAY[NULL, 10, '2e1', I, L]", "ARRAY<DECIMAL(19, 0)>"),
        ("ARRAY[1, '1e3']", "ARRAY<DECIMAL(10, 0)>"),
        ("ARRAY[L, '1.5e1']", "ARRAY<DECIMAL(19, 0)>"),
        ("ARRAY[1, '12e-1']", "ARRAY<DECIMAL(11, 1)>"),
        ("ARRAY[D, '1e3']", "ARRAY<DOUBLE>"),
        ("MAP('a' := 1, 2 := L)", "MAP<STRING, BIGINT>"),
        ("STRUCT(a := 1, `b` := 'x')", "STRUCT<`A` INTEGER, `b` STRING>"),
        ("ARRAY[ARRAY[1], ARRAY[L]]", "ARRAY<ARRAY<BIGINT>>"),
        ("ARRAY[STRUCT(X := I), STRUCT(Y := 1)]", "ARRAY<STRUCT<`X` INTEGER, `Y` INTEGER>>"),
    ]);
    check(&[
        ("ARRAY[I, L, '3']", "[7, 3, 3]"),
        ("ARRAY[NULL, 10, '2e1', I, L]", "[null, 10, 20, 7, 3]"),
        ("ARRAY['a', 1, true, 1.50]", "[a, 1, true, 1.50]"),
        ("MAP('a' := true, 'b' := 'no', 10 := 'Y')", "{a=true, b=false, 10=true}"),
        ("MAP('a' := 1, 'a' := 2)", "{a=2}"),
        ("MAP('a' := I, NULL := 1)", "{a=7, null=1}"),
        ("STRUCT(X := NI, Y := S)", "Struct{Y=hello}"),
        ("ARRAY[NULL, STRUCT(X := I), STRUCT(Y := 1)]", "[null, Struct{X=7}, Struct{Y=1}]"),
        ("ARRAY[NI + 1, 2]", "[null, 2]"),
    ]);
}

#[test]
fn subscripts_count_from_one_and_from_the_end() {
    check(&[
        ("A[1]", "1"),
        ("A[2]", "2"),
        ("A[-2]", "2"),
        ("A[-3]", "1"),
        ("A[0]", "null"),
        ("A[4]", "null"),
        ("A[-4]", "null"),
        ("A[L]", "null"),
        ("NA[1]", "null"),
        ("A[NI]", "null"),
        ("M['a']", "1"),
        ("M['b']", "null"),
        ("M['zz']", "null"),
        ("NM['a']", "null"),
        ("ARRAY[1, 2][1]", "1"),
    ]);
}

#[test]
fn fields_of_null_are_null() {
    check(&[("ST->X", "5"), ("ST->Y", "q"), ("NST->X", "null"), ("STRUCT(A := STRUCT(B := I))->A->B", "7")]);
}

#[test]
fn what_is_looked_up_in_null_is_null_and_the_expression_around_goes_on() {
    check(&[
        ("CASE WHEN NM['a'] = 1 THEN 'yes' ELSE 'no' END", "no"),
        ("CASE WHEN NA[1] = 1 THEN 'yes' ELSE 'no' END", "no"),
        ("NM['a'] IS NULL", "true"),
        ("NA[1] IS NULL", "true"),
        ("A[NI] IS NULL", "true"),
        ("NM['a'] = 1 OR I = 7", "true"),
        ("NA[1] BETWEEN 1 AND 2 OR I = 7", "true"),
        ("NM['a'] IN (1, 2)", "false"),
        ("ARRAY[NA[1], 2]", "[null, 2]"),
        ("M[NS] IS NULL", "true"),
        // There is nothing to look into, so the index is not asked.
        ("NA[I / Z] IS NULL", "true"),
        // Arithmetic takes no null.
        ("NM['a'] + 1", "fails"),
    ]);
}
