//! What is refused before any row, and in which words.

use super::check_refused;

#[test]
fn operators() {
    check_refused(&[
        ("true + 1.5", "Error processing expression: (true + 1.5). Unsupported arithmetic types. BOOLEAN DECIMAL"),
        ("S - S", "Unsupported arithmetic types. STRING STRING"),
        ("A * 2", "(A * 2). Unsupported arithmetic types. ARRAY INTEGER"),
        ("1 + NULL", "Error processing expression: (1 + null). Arithmetic on types INTEGER and null are not supported."),
        ("NULL * NULL", "Arithmetic on types null and null are not supported."),
        ("-S", "expression: -S"),
        ("NULL <> I", "Comparison with NULL not supported"),
        ("I IS DISTINCT FROM NULL", "Comparison with NULL not supported"),
        ("I >= 'no'", "Cannot compare I (INTEGER) to 'no' (STRING) with GREATER_THAN_OR_EQUAL."),
        ("S = 11", "Cannot compare S (STRING) to 11 (INTEGER) with EQUAL.\nStatement: (S = 11)"),
        ("A < A", "Cannot compare A (ARRAY<INTEGER>) to A (ARRAY<INTEGER>) with LESS_THAN."),
        ("B < true", "Cannot compare B (BOOLEAN) to true (BOOLEAN) with LESS_THAN."),
        ("I LIKE '1%'", "expression: (I LIKE '1%')"),
        ("A['x']", "expression: A['x']"),
        ("I->F", "Expected STRUCT type, got: INTEGER"),
        ("ST->W", "Could not find field 'W'"),
        ("Q", "Column 'Q' cannot be resolved."),
        ("TIMESTAMPADD(MONTHS, 1, NULL)", "MONTHS is no unit of intervals here: use DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS."),
        ("TIMESUB(WEEK, 1, NULL)", "WEEKS is no unit of intervals here"),
    ]);
}

#[test]
fn lists_and_cases() {
    check_refused(&[
        ("ARRAY[]", "Array constructor cannot be empty. Please supply at least one element (see"),
        ("ARRAY[NULL]", "Cannot construct an array with all NULL elements (see"),
        ("MAP()", "Map constructor cannot be empty. Please supply at least one key value pair (see"),
        ("MAP(S := NULL)", "Cannot construct a map with all NULL values"),
        ("MAP('a' := 1, 'b' := 'x')", "invalid input syntax for type INTEGER: \"x\"."),
        ("ARRAY[1, true]", "operator does not exist: INTEGER = BOOLEAN (true)"),
        ("STRUCT(a := 1, a := 2)", "Duplicate field names found in STRUCT: '`A` INTEGER' and '`A` INTEGER'"),
        ("B IN (true, 'Not a boolean')", "invalid input syntax for type BOOLEAN: \"Not a boolean\"."),
        ("B IN (true, S)", "operator does not exist: BOOLEAN = STRING (S)\nHint: You might need to add explicit type casts."),
        ("C IN (10, true)", "operator does not exist: DECIMAL(12, 2) = BOOLEAN (true)"),
        ("S IN (10, D)", "operator does not exist: STRING = DOUBLE (D)"),
        ("A IN (A, ARRAY[B])", "operator does not exist: ARRAY<INTEGER> = ARRAY<BOOLEAN> (ARRAY[B])"),
        ("A IN (A, ARRAY['1', 'not 1'])", "invalid input syntax for type INTEGER: \"not 1\""),
        ("ST IN (STRUCT(X := 'x'))", "invalid input syntax for type INTEGER: \"x\""),
        ("M IN (10)", "operator does not exist: MAP<STRING, INTEGER> = INTEGER (10)"),
        ("CASE WHEN B THEN 'x' ELSE 1 END", "Type for the default clause should be the same as for 'THEN' clauses."),
        ("CASE WHEN B THEN 'x' WHEN B THEN 1 END", "Type for all 'THEN' clauses should be the same."),
        ("CASE WHEN B THEN NULL ELSE NULL END", "Invalid Case expression. All case branches have NULL type"),
        ("CASE WHEN I THEN 1 END", "WHEN operand type should be boolean."),
        ("CASE I WHEN 1 THEN 2 END", "Simple CASE"),
    ]);
}

#[test]
fn casts() {
    check_refused(&[
        ("CAST(B AS INT)", "Cast of BOOLEAN to INTEGER is not supported"),
        ("CAST(I AS BOOLEAN)", "Cast of INTEGER to BOOLEAN is not supported"),
        ("CAST(C AS TIMESTAMP)", "Cast of DECIMAL(4, 2) to TIMESTAMP is not supported"),
        ("CAST(BT AS STRING)", "Cast of BYTES to STRING is not supported"),
        ("CAST(I AS BYTES)", "Cast of INTEGER to BYTES is not supported"),
        ("CAST(DT AS TIME)", "Cast of DATE to TIME is not supported"),
        ("CAST(TM AS DATE)", "Cast of TIME to DATE is not supported"),
        ("CAST(T AS DOUBLE)", "Cast of TIMESTAMP to DOUBLE is not supported"),
        ("CAST(A AS MAP<STRING, INT>)", "Cast of ARRAY<INTEGER> to MAP<STRING, INTEGER> is not supported"),
        ("CAST(S AS ARRAY<INT>)", "Cast of STRING to ARRAY<INTEGER> is not supported"),
        ("CAST(ST AS INT)", "Cast of STRUCT<`X` INTEGER, `Y` STRING> to INTEGER is not supported"),
    ]);
}

#[test]
fn calls() {
    check_refused(&[
        ("NOFUNC(I)", "Can't find any functions with the name 'NOFUNC'"),
        ("COUNT(*)", "Can't find any functions with the name 'COUNT'"),
        ("LEAST()", "Function 'least' does not accept parameters ()."),
        ("GREATEST(*)", "Function 'greatest' does not accept parameters ()."),
        ("LEAST(S, I)", "Function 'least' does not accept parameters (STRING, INTEGER)."),
        ("LEAST(I, L, C)", "Function 'least' cannot be resolved due to ambiguous method parameters (INTEGER, BIGINT, DECIMAL(4, 2))."),
        ("GREATEST(NULL, NULL)", "Function 'greatest' cannot be resolved due to ambiguous method parameters (null, null)."),
        ("COALESCE()", "Function 'COALESCE' does not accept parameters ()"),
        ("AS_VALUE(I, S)", "Function 'AS_VALUE' does not accept parameters (INTEGER, STRING)."),
        ("ABS(I, x => x)", "does not accept parameters (INTEGER, LAMBDA)."),
        ("ABS(1, I => 1)", "Lambda function argument can't be a column name: I"),
        ("ABS(1, (x, x) => 1)", "Lambda arguments have duplicates: [X, X]"),
    ]);
}
