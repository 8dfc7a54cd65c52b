//! Writes a moment by a pattern.

use super::field::{Field, Moment};
use super::names::{self, Language, TextStyle};
use super::pattern::{Element, Number, NumberKind, OffsetStyle, Presence, Sign};
use super::zone::{Zone, localized_offset};

/// What is printed: the moment, and the zone it is seen in with the instant that gives its name.
pub(super) struct Subject {
    pub moment: Moment,
    pub zone: Option<(Zone, i64)>,
}

/// Appends the elements.
///
/// # Errors
/// A field that the moment does not have, or a number that does not fit.
pub(super) fn print(elements: &[Element], subject: &Subject, out: &mut String) -> Result<(), String> {
    elements.iter().try_for_each(|element| print_one(element, subject, out))
}

fn print_one(element: &Element, subject: &Subject, out: &mut String) -> Result<(), String> {
    match element {
        Element::Literal(text) => out.push_str(text),
        Element::Number(number) => print_number(number, value(subject, number.field)?, out)?,
        Element::Text(field, style) => print_text(*field, *style, value(subject, *field)?, out)?,
        Element::Offset(style) => print_offset(style, offset(subject)?, out),
        Element::LocalizedOffset(full) => out.push_str(&localized_offset(offset(subject)?, *full)),
        Element::ZoneId => out.push_str(&zone(subject)?.0.to_string()),
        Element::ZoneName => {
            let (zone, instant) = zone(subject)?;
            out.push_str(&zone.short_name(instant));
        }
        Element::Optional(inner) => {
            let start = out.len();
            if print(inner, subject, out).is_err() {
                out.truncate(start);
            }
        }
        Element::Pad(width, inner) => {
            let mut text = String::new();
            print_one(inner, subject, &mut text)?;
            let length = text.chars().count();
            if length > *width {
                return Err(format!("Cannot print as output of {length} characters exceeds pad width of {width}"));
            }
            out.extend(std::iter::repeat_n(' ', width - length));
            out.push_str(&text);
        }
    }
    Ok(())
}

fn value(subject: &Subject, field: Field) -> Result<i64, String> {
    subject.moment.get(field).ok_or_else(|| format!("Unsupported field: {field:?}"))
}

fn offset(subject: &Subject) -> Result<i32, String> {
    subject.moment.offset.ok_or_else(|| "Unsupported field: OffsetSeconds".to_owned())
}

fn zone(subject: &Subject) -> Result<(Zone, i64), String> {
    subject.zone.ok_or_else(|| "Unable to extract ZoneId from temporal".to_owned())
}

fn print_number(number: &Number, value: i64, out: &mut String) -> Result<(), String> {
    match number.kind {
        NumberKind::Fraction => {
            let digits = format!("{value:09}");
            out.push_str(digits.get(..number.max_width).unwrap_or(&digits));
            return Ok(());
        }
        NumberKind::TwoDigitYear => {
            out.push_str(&format!("{:02}", value.unsigned_abs() % 100));
            return Ok(());
        }
        NumberKind::Plain => {}
    }
    let digits = value.unsigned_abs().to_string();
    if digits.len() > number.max_width {
        return Err(format!(
            "Field {:?} cannot be printed as the value {value} exceeds the maximum print width of {}",
            number.field, number.max_width
        ));
    }
    match (value < 0, number.sign) {
        (true, Sign::Never) => {
            return Err(format!(
                "Field {:?} cannot be printed as the value {value} cannot be negative according to the SignStyle",
                number.field
            ));
        }
        (true, _) => out.push('-'),
        (false, Sign::ExceedsPad) if digits.len() > number.min_width => out.push('+'),
        (false, _) => {}
    }
    out.extend(std::iter::repeat_n('0', number.min_width.saturating_sub(digits.len())));
    out.push_str(&digits);
    Ok(())
}

fn print_text(field: Field, style: TextStyle, value: i64, out: &mut String) -> Result<(), String> {
    let name = names::name(field, style, Language::English, value).ok_or_else(|| format!("Field {field:?} has no name for {value}"))?;
    out.push_str(name);
    Ok(())
}

fn print_offset(style: &OffsetStyle, seconds: i32, out: &mut String) {
    let magnitude = seconds.unsigned_abs();
    let (hours, minutes, rest) = (magnitude / 3600 % 100, magnitude / 60 % 60, magnitude % 60);
    let wants = |presence: Presence, value: u32| presence == Presence::Always || (presence == Presence::IfNotZero && value > 0);
    if seconds == 0 {
        return out.push_str(style.zero);
    }
    let start = out.len();
    let mut shown = hours;
    out.push(if seconds < 0 { '-' } else { '+' });
    out.push_str(&format!("{hours:02}"));
    let colon = if style.colon { ":" } else { "" };
    if wants(style.minutes, minutes) {
        out.push_str(&format!("{colon}{minutes:02}"));
        shown += minutes;
        if wants(style.seconds, rest) {
            out.push_str(&format!("{colon}{rest:02}"));
            shown += rest;
        }
    }
    if shown == 0 {
        out.truncate(start);
        out.push_str(style.zero);
    }
}
