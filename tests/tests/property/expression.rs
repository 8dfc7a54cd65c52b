//! Random expressions, each in both dialects. They are of what SQL means the same everywhere, or can be made to: a comparison
//! with null is false in ksqlDB's dialect, so the batch side says that.

use tidemill_engine::types::SqlType;

use crate::random::Random;

/// The same expression twice.
#[derive(Debug, Clone)]
pub struct Pair {
    pub ksql: String,
    pub batch: String,
}

impl Pair {
    fn same(text: impl Into<String>) -> Pair {
        let text = text.into();
        Pair { ksql: text.clone(), batch: text }
    }
}

/// What expressions may name: columns with their types.
pub struct Scope<'c> {
    pub columns: &'c [(String, SqlType)],
}

impl Scope<'_> {
    fn column(&self, random: &mut Random, sql_type: &SqlType) -> Option<Pair> {
        let able: Vec<&String> = self.columns.iter().filter(|(_, of)| of == sql_type).map(|(name, _)| name).collect();
        if able.is_empty() { None } else { Some(Pair::same(*random.pick(&able))) }
    }

    /// A column, or a literal where there is none.
    fn leaf(&self, random: &mut Random, sql_type: &SqlType) -> Pair {
        match self.column(random, sql_type) {
            Some(column) if random.percent(80) => column,
            _ => literal(random, sql_type),
        }
    }

    /// An expression that is not null: arithmetic with null fails in ksqlDB's dialect, and takes the expression around with it.
    fn sure(&self, random: &mut Random, sql_type: &SqlType, depth: usize) -> Pair {
        let (value, instead) = (self.value(random, sql_type, depth), literal(random, sql_type));
        call("COALESCE", "coalesce", &[value, instead])
    }

    /// An expression of a tame type.
    pub fn value(&self, random: &mut Random, sql_type: &SqlType, depth: usize) -> Pair {
        if depth == 0 {
            return self.leaf(random, sql_type);
        }
        if random.percent(15) {
            let condition = self.condition(random, depth - 1);
            let (yes, no) = (self.value(random, sql_type, depth - 1), self.value(random, sql_type, depth - 1));
            return Pair {
                ksql: format!("CASE WHEN {} THEN {} ELSE {} END", condition.ksql, yes.ksql, no.ksql),
                batch: format!("CASE WHEN {} THEN {} ELSE {} END", condition.batch, yes.batch, no.batch),
            };
        }
        if random.percent(10) {
            let (first, second) = (self.value(random, sql_type, depth - 1), literal(random, sql_type));
            return call("COALESCE", "coalesce", &[first, second]);
        }
        match sql_type {
            SqlType::Int => match random.below(5) {
                0 => call("LEN", "character_length", &[self.value(random, &SqlType::String, depth - 1)]),
                1 => {
                    let divisor = literal_of(&(2 + random.below(5)).to_string(), sql_type);
                    let operator = random.pick(&["/", "%"]);
                    binary(&self.sure(random, sql_type, depth - 1), operator, &divisor)
                }
                _ => {
                    let operator = *random.pick(&["+", "-", "*"]);
                    binary(&self.sure(random, sql_type, depth - 1), operator, &self.sure(random, sql_type, depth - 1))
                }
            },
            SqlType::BigInt if random.percent(30) => cast(&self.value(random, &SqlType::Int, depth - 1), "BIGINT"),
            SqlType::Double if random.percent(30) => cast(&self.value(random, &SqlType::Int, depth - 1), "DOUBLE"),
            SqlType::BigInt | SqlType::Double => {
                let operator = *random.pick(if *sql_type == SqlType::BigInt { &["+", "-", "*"][..] } else { &["+", "-"][..] });
                binary(&self.sure(random, sql_type, depth - 1), operator, &self.sure(random, sql_type, 0))
            }
            SqlType::String => match random.below(6) {
                0 => call("UCASE", "upper", &[self.value(random, sql_type, depth - 1)]),
                1 => call("LCASE", "lower", &[self.value(random, sql_type, depth - 1)]),
                2 => call("TRIM", "btrim", &[self.value(random, sql_type, depth - 1)]),
                3 => cast(&self.value(random, &SqlType::Int, depth - 1), "VARCHAR"),
                4 => {
                    let text = self.value(random, sql_type, depth - 1);
                    let (from, length) = (1 + random.below(3), random.below(4));
                    Pair {
                        ksql: format!("SUBSTRING({}, {from}, {length})", text.ksql),
                        batch: format!("substr({}, {from}, {length})", text.batch),
                    }
                }
                _ => {
                    let text = self.value(random, sql_type, depth - 1);
                    Pair { ksql: format!("REPLACE({}, 'a', 'bb')", text.ksql), batch: format!("replace({}, 'a', 'bb')", text.batch) }
                }
            },
            _ => self.condition(random, depth),
        }
    }

    /// A condition that is never null.
    pub fn condition(&self, random: &mut Random, depth: usize) -> Pair {
        match random.below(if depth == 0 { 5 } else { 8 }) {
            0 => {
                let sql_type = random.pick(crate::rows::TAME).clone();
                let word = random.pick(&["IS NULL", "IS NOT NULL"]);
                let value = self.leaf(random, &sql_type);
                Pair { ksql: format!("({} {word})", value.ksql), batch: format!("({} {word})", value.batch) }
            }
            1 => {
                let value = self.leaf(random, &SqlType::Int);
                let (low, high) = (literal(random, &SqlType::Int), literal(random, &SqlType::Int));
                certain(
                    format!("{} BETWEEN {} AND {}", value.ksql, low.ksql, high.ksql),
                    format!("{} BETWEEN {} AND {}", value.batch, low.batch, high.batch),
                )
            }
            2 => {
                let sql_type = random.pick(&[SqlType::Int, SqlType::String]).clone();
                let value = self.leaf(random, &sql_type);
                let items = [literal(random, &sql_type), literal(random, &sql_type)];
                certain(
                    format!("{} IN ({}, {})", value.ksql, items[0].ksql, items[1].ksql),
                    format!("{} IN ({}, {})", value.batch, items[0].batch, items[1].batch),
                )
            }
            3 | 4 => {
                let operator = *random.pick(&["=", "<>", "<", "<=", ">", ">="]);
                let sql_type = random.pick(&[SqlType::Int, SqlType::BigInt, SqlType::String, SqlType::Double]).clone();
                // Doubles are compared as they stand: computed ones may be a negative zero.
                let depth = if sql_type == SqlType::Double { 0 } else { depth.saturating_sub(1) };
                let (left, right) = (self.value(random, &sql_type, depth), self.value(random, &sql_type, depth));
                certain(format!("{} {operator} {}", left.ksql, right.ksql), format!("{} {operator} {}", left.batch, right.batch))
            }
            5 => {
                let inner = self.condition(random, depth - 1);
                Pair { ksql: format!("(NOT {})", inner.ksql), batch: format!("(NOT {})", inner.batch) }
            }
            word => {
                let word = if word == 6 { "AND" } else { "OR" };
                let (left, right) = (self.condition(random, depth - 1), self.condition(random, depth - 1));
                binary(&left, word, &right)
            }
        }
    }
}

/// A comparison: false where the batch side would say null.
fn certain(ksql: String, batch: String) -> Pair {
    Pair { ksql: format!("({ksql})"), batch: format!("coalesce({batch}, false)") }
}

fn binary(left: &Pair, operator: &str, right: &Pair) -> Pair {
    Pair { ksql: format!("({} {operator} {})", left.ksql, right.ksql), batch: format!("({} {operator} {})", left.batch, right.batch) }
}

fn call(ksql: &str, batch: &str, arguments: &[Pair]) -> Pair {
    let joined = |side: fn(&Pair) -> &str| arguments.iter().map(side).collect::<Vec<_>>().join(", ");
    Pair { ksql: format!("{ksql}({})", joined(|p| &p.ksql)), batch: format!("{batch}({})", joined(|p| &p.batch)) }
}

fn cast(value: &Pair, to: &str) -> Pair {
    Pair { ksql: format!("CAST({} AS {to})", value.ksql), batch: format!("CAST({} AS {to})", value.batch) }
}

fn literal(random: &mut Random, sql_type: &SqlType) -> Pair {
    match sql_type {
        SqlType::Boolean => Pair::same(if random.percent(50) { "true" } else { "false" }),
        SqlType::String => Pair::same(*random.pick(&["'a'", "'bX'", "'é'", "''", "'it''s'", "' Z '"])),
        SqlType::Double => literal_of(random.pick::<&str>(&["0.25", "-17.5", "100.0"]), sql_type),
        _ => literal_of(random.pick::<&str>(&["0", "1", "3", "-2", "7"]), sql_type),
    }
}

/// A number: the batch side takes literals for wider than they are.
fn literal_of(text: &str, sql_type: &SqlType) -> Pair {
    match sql_type {
        SqlType::Int => Pair { ksql: format!("({text})"), batch: format!("CAST({text} AS INT)") },
        SqlType::BigInt => Pair::same(format!("CAST({text} AS BIGINT)")),
        _ => Pair::same(format!("CAST({text} AS DOUBLE)")),
    }
}
