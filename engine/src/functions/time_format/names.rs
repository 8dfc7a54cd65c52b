//! Names of months, weekdays, eras and halves of the day, in the two languages that ksqlDB uses: Java's English for
//! formatting, Java's root locale (which knows short names only) for parsing timestamps.

use super::field::Field;

/// Which names are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Root,
}

/// How long a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextStyle {
    Short,
    Full,
    Narrow,
}

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const ROOT_NARROW_MONTHS: [&str; 12] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
const QUARTERS: [&str; 4] = ["1st quarter", "2nd quarter", "3rd quarter", "4th quarter"];
const SHORT_QUARTERS: [&str; 4] = ["Q1", "Q2", "Q3", "Q4"];
const NARROW_QUARTERS: [&str; 4] = ["1", "2", "3", "4"];

/// The name of a field's value; `None` where the field has no names or no such value.
pub(super) fn name(field: Field, style: TextStyle, language: Language, value: i64) -> Option<&'static str> {
    let first = first_value(field);
    let index = usize::try_from(value.checked_sub(first)?).ok()?;
    at(field, style, language, index)
}

/// The value whose name `text` begins with, and that name's length in bytes. The longest name wins; of values that share
/// a name, the last.
pub(super) fn parse(field: Field, style: TextStyle, language: Language, text: &str, any_case: bool) -> Option<(i64, usize)> {
    let mut best: Option<(i64, usize)> = None;
    let mut index = 0;
    while let Some(name) = at(field, style, language, index) {
        let matches = text.get(..name.len()).is_some_and(|head| if any_case { head.eq_ignore_ascii_case(name) } else { head == name });
        if matches && best.is_none_or(|(_, length)| name.len() >= length) {
            best = Some((i64::try_from(index).unwrap_or(0) + first_value(field), name.len()));
        }
        index += 1;
    }
    best
}

fn first_value(field: Field) -> i64 {
    if matches!(field, Field::AmPmOfDay | Field::Era) { 0 } else { 1 }
}

fn at(field: Field, style: TextStyle, language: Language, index: usize) -> Option<&'static str> {
    let english = language == Language::English;
    match field {
        Field::MonthOfYear if style == TextStyle::Narrow && !english => ROOT_NARROW_MONTHS.get(index).copied(),
        Field::MonthOfYear => MONTHS.get(index).and_then(|month| shorten(month, style, english)),
        Field::DayOfWeek => WEEKDAYS.get(index).and_then(|day| shorten(day, style, english)),
        Field::AmPmOfDay => ["AM", "PM"].get(index).copied(),
        Field::Era => {
            let names = match (style, english) {
                (TextStyle::Short, _) => ["BC", "AD"],
                (TextStyle::Full, true) => ["Before Christ", "Anno Domini"],
                (TextStyle::Narrow, true) => ["B", "A"],
                (_, false) => ["BCE", "CE"],
            };
            names.get(index).copied()
        }
        Field::QuarterOfYear => match style {
            TextStyle::Full if english => QUARTERS.get(index).copied(),
            TextStyle::Narrow => NARROW_QUARTERS.get(index).copied(),
            _ => SHORT_QUARTERS.get(index).copied(),
        },
        _ => None,
    }
}

fn shorten(full: &'static str, style: TextStyle, english: bool) -> Option<&'static str> {
    match style {
        TextStyle::Full if english => Some(full),
        TextStyle::Narrow => full.get(..1),
        _ => full.get(..3),
    }
}
