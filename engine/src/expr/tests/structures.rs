//! Constructors, subscripts, fields.

use super::{check, check_types};

#[test]
fn constructors_take_a_common_type() {
    check_types(&[
        ("ARRAY[1, 2.5]", "ARRAY<DECIMAL(11, 1)>"),
        ("ARRAY[1, L, 2E0]", "ARRAY<DOUBLE>"),
        ("ARRAY[NULL, 'a']", "ARRAY<STRING>"),
        ("ARRAY[1, '2147483648']", "ARRAY<BIGINT>"),
        ("MAP('a' := 1, 2 := L)", "MAP<STRING, BIGINT>"),
        ("STRUCT(a := 1, `b` := 'x')", "STRUCT<`A` INTEGER, `b` STRING>"),
        ("ARRAY[ARRAY[1], ARRAY[L]]", "ARRAY<ARRAY<BIGINT>>"),
        ("ARRAY[STRUCT(X := I), STRUCT(Y := 1)]", "ARRAY<STRUCT<`X` INTEGER, `Y` INTEGER>>"),
    ]);
    check(&[
        ("ARRAY[I, L, '3']", "[7, 3, 3]"),
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
        ("NA[1]", "fails"),
        ("A[NI]", "fails"),
        ("M['a']", "1"),
        ("M['b']", "null"),
        ("M['zz']", "null"),
        ("NM['a']", "fails"),
        ("ARRAY[1, 2][1]", "1"),
    ]);
}

#[test]
fn fields_of_null_are_null() {
    check(&[("ST->X", "5"), ("ST->Y", "q"), ("NST->X", "null"), ("STRUCT(A := STRUCT(B := I))->A->B", "7")]);
}
