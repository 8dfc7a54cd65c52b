//! From pattern letters to elements, by the rules of Java's `DateTimeFormatterBuilder.appendPattern`.

use super::field::Field;
use super::names::TextStyle;

/// The most digits of a number.
const MAX_WIDTH: usize = 19;

/// Which signs a number may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// A minus where it is negative.
    Normal,
    /// A plus too where it has more digits than asked for.
    ExceedsPad,
    Never,
}

/// A number of digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub field: Field,
    pub min_width: usize,
    pub max_width: usize,
    pub sign: Sign,
    /// Digits that the fixed-width numbers right behind this one need.
    pub following_digits: usize,
    pub kind: NumberKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumberKind {
    Plain,
    /// Two digits of a year, read as 2000 to 2099.
    TwoDigitYear,
    /// Leading digits of a second's fraction.
    Fraction,
}

/// How an offset from UTC is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OffsetStyle {
    pub minutes: Presence,
    pub seconds: Presence,
    pub colon: bool,
    /// Stands for no offset.
    pub zero: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Never,
    IfNotZero,
    Always,
}

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Element {
    Literal(String),
    Number(Number),
    /// A name.
    Text(Field, TextStyle),
    Offset(OffsetStyle),
    /// `GMT+2`; the flag: `GMT+02:00`.
    LocalizedOffset(bool),
    ZoneId,
    ZoneName,
    Optional(Vec<Element>),
    /// The element, padded with blanks on the left.
    Pad(usize, Box<Element>),
}

/// Compiles a pattern.
///
/// # Errors
/// What is wrong with the pattern, in Java's words where it has some.
pub(super) fn compile(pattern: &str) -> Result<Vec<Element>, String> {
    let mut builder = Builder { stack: vec![Section::default()], pad: None };
    let chars: Vec<char> = pattern.chars().collect();
    let mut at = 0;
    while let Some(&letter) = chars.get(at) {
        if letter.is_ascii_alphabetic() {
            let count = run(&chars, at);
            at += count;
            if letter == 'p' {
                let Some(&next) = chars.get(at).filter(|c| c.is_ascii_alphabetic()) else {
                    return Err(format!("Pad letter 'p' must be followed by valid pad pattern: {pattern}"));
                };
                if next == 'p' {
                    return Err(format!("Pad letter 'p' must be followed by valid pad pattern: {pattern}"));
                }
                builder.pad = Some(count);
                continue;
            }
            builder.letters(letter, count)?;
            continue;
        }
        at += 1;
        match letter {
            '\'' => at = builder.quoted(&chars, at).ok_or_else(|| format!("Pattern ends with an incomplete string literal: {pattern}"))?,
            '[' => builder.stack.push(Section::default()),
            ']' => {
                if builder.stack.len() == 1 {
                    return Err("Pattern invalid as it contains ] without previous [".to_owned());
                }
                builder.close_section();
            }
            '{' | '}' | '#' => return Err(format!("Pattern includes reserved character: '{letter}'")),
            literal => builder.literal(literal.to_string()),
        }
    }
    while builder.stack.len() > 1 {
        builder.close_section();
    }
    Ok(builder.stack.pop().unwrap_or_default().elements)
}

/// How often the letter at `at` stands there in a row.
fn run(chars: &[char], at: usize) -> usize {
    chars.iter().skip(at).take_while(|c| Some(*c) == chars.get(at)).count()
}

#[derive(Default)]
struct Section {
    elements: Vec<Element>,
    /// The number that following fixed-width numbers take their digits from.
    open_number: Option<usize>,
}

struct Builder {
    stack: Vec<Section>,
    /// Width that the next element is padded to.
    pad: Option<usize>,
}

impl Builder {
    fn push(&mut self, element: Element) {
        let element = match self.pad.take() {
            Some(width) => Element::Pad(width, Box::new(element)),
            None => element,
        };
        if let Some(section) = self.stack.last_mut() {
            section.open_number = None;
            section.elements.push(element);
        }
    }

    fn close_section(&mut self) {
        if let Some(section) = self.stack.pop()
            && !section.elements.is_empty()
        {
            self.push(Element::Optional(section.elements));
        }
        if let Some(section) = self.stack.last_mut() {
            section.open_number = None;
        }
    }

    fn literal(&mut self, text: String) {
        self.push(Element::Literal(text));
    }

    /// Reads a quoted text that begins at `at`; gives the position behind it.
    fn quoted(&mut self, chars: &[char], mut at: usize) -> Option<usize> {
        let mut text = String::new();
        loop {
            match (chars.get(at)?, chars.get(at + 1)) {
                ('\'', Some('\'')) => {
                    text.push('\'');
                    at += 2;
                }
                ('\'', _) => break,
                (other, _) => {
                    text.push(*other);
                    at += 1;
                }
            }
        }
        self.literal(if text.is_empty() { "'".to_owned() } else { text });
        Some(at + 1)
    }

    /// Adds a number. Numbers that touch share their digits: the fixed ones take theirs, the first takes the rest.
    fn number(&mut self, number: Number) {
        if self.pad.is_some() {
            return self.push(Element::Number(number));
        }
        let Some(section) = self.stack.last_mut() else { return };
        let next = section.elements.len();
        match section.open_number {
            Some(open) => {
                let is_fixed = number.min_width == number.max_width && number.sign == Sign::Never;
                if let Some(Element::Number(base)) = section.elements.get_mut(open) {
                    if is_fixed {
                        base.following_digits += number.max_width;
                    } else {
                        base.following_digits = 0;
                        section.open_number = Some(next);
                    }
                }
            }
            None => section.open_number = Some(next),
        }
        section.elements.push(Element::Number(number));
    }

    fn plain(&mut self, field: Field, min_width: usize, max_width: usize, sign: Sign) -> Result<(), String> {
        if min_width > MAX_WIDTH {
            return Err(format!("The minimum width must be from 1 to 19 inclusive but was {min_width}"));
        }
        self.number(Number { field, min_width, max_width, sign, following_digits: 0, kind: NumberKind::Plain });
        Ok(())
    }

    /// One letter: any number of digits; several: exactly so many.
    fn digits(&mut self, field: Field, count: usize) -> Result<(), String> {
        if count == 1 { self.plain(field, 1, MAX_WIDTH, Sign::Normal) } else { self.plain(field, count, count, Sign::Never) }
    }

    fn year(&mut self, field: Field, count: usize) -> Result<(), String> {
        match count {
            2 => {
                self.number(Number {
                    field,
                    min_width: 2,
                    max_width: 2,
                    sign: Sign::Never,
                    following_digits: 0,
                    kind: NumberKind::TwoDigitYear,
                });
                Ok(())
            }
            1 | 3 => self.plain(field, count, MAX_WIDTH, Sign::Normal),
            _ => self.plain(field, count, MAX_WIDTH, Sign::ExceedsPad),
        }
    }

    fn text(&mut self, letter: char, field: Field, count: usize) -> Result<(), String> {
        let style = match count {
            1..=3 => TextStyle::Short,
            4 => TextStyle::Full,
            5 => TextStyle::Narrow,
            _ => return Err(format!("Too many pattern letters: {letter}")),
        };
        self.push(Element::Text(field, style));
        Ok(())
    }

    fn letters(&mut self, letter: char, count: usize) -> Result<(), String> {
        let too_many = || Err(format!("Too many pattern letters: {letter}"));
        match letter {
            'u' => self.year(Field::Year, count),
            'y' => self.year(Field::YearOfEra, count),
            'Y' => self.year(Field::WeekBasedYear, count),
            'M' | 'L' if count <= 2 => self.digits(Field::MonthOfYear, count),
            'M' | 'L' => self.text(letter, Field::MonthOfYear, count),
            'Q' | 'q' if count <= 2 => self.digits(Field::QuarterOfYear, count),
            'Q' | 'q' => self.text(letter, Field::QuarterOfYear, count),
            'E' => self.text(letter, Field::DayOfWeek, count),
            'c' if count == 2 => Err("Invalid pattern \"cc\"".to_owned()),
            'e' | 'c' if count <= 2 => self.plain(Field::LocalDayOfWeek, count, 2, Sign::Never),
            'e' | 'c' => self.text(letter, Field::DayOfWeek, count),
            'a' if count == 1 => self.text(letter, Field::AmPmOfDay, 1),
            'G' => self.text(letter, Field::Era, count),
            'S' if count <= 9 => {
                let number = Number {
                    field: Field::NanoOfSecond,
                    min_width: count,
                    max_width: count,
                    sign: Sign::Never,
                    following_digits: 0,
                    kind: NumberKind::Fraction,
                };
                self.number(number);
                Ok(())
            }
            'S' => Err(format!("Maximum width must be from 1 to 9 inclusive but was {count}")),
            'F' if count == 1 => self.digits(Field::AlignedDayOfWeekInMonth, 1),
            'd' if count <= 2 => self.digits(Field::DayOfMonth, count),
            'h' if count <= 2 => self.digits(Field::ClockHourOfAmPm, count),
            'H' if count <= 2 => self.digits(Field::HourOfDay, count),
            'k' if count <= 2 => self.digits(Field::ClockHourOfDay, count),
            'K' if count <= 2 => self.digits(Field::HourOfAmPm, count),
            'm' if count <= 2 => self.digits(Field::MinuteOfHour, count),
            's' if count <= 2 => self.digits(Field::SecondOfMinute, count),
            'D' if count == 1 => self.digits(Field::DayOfYear, 1),
            'D' if count <= 3 => self.plain(Field::DayOfYear, count, 3, Sign::Never),
            'g' => self.plain(Field::ModifiedJulianDay, count, MAX_WIDTH, Sign::Normal),
            'A' => self.plain(Field::MilliOfDay, count, MAX_WIDTH, Sign::Never),
            'n' => self.plain(Field::NanoOfSecond, count, MAX_WIDTH, Sign::Never),
            'N' => self.plain(Field::NanoOfDay, count, MAX_WIDTH, Sign::Never),
            'W' if count == 1 => self.plain(Field::WeekOfMonth, 1, 2, Sign::Never),
            'w' if count <= 2 => self.plain(Field::WeekOfYear, count, 2, Sign::Never),
            'X' | 'x' | 'Z' | 'O' | 'V' | 'z' => self.zone(letter, count),
            'B' | 'v' => Err(format!("The pattern letter '{letter}' is not supported")),
            'a' | 'F' | 'd' | 'h' | 'H' | 'k' | 'K' | 'm' | 's' | 'D' | 'W' | 'w' => too_many(),
            _ => Err(format!("Unknown pattern letter: {letter}")),
        }
    }

    fn zone(&mut self, letter: char, count: usize) -> Result<(), String> {
        let element = match (letter, count) {
            ('X' | 'x', 1..=5) => {
                let zero = match (letter, count) {
                    ('X', _) => "Z",
                    (_, 1) => "+00",
                    (_, 2 | 4) => "+0000",
                    _ => "+00:00",
                };
                let minutes = if count == 1 { Presence::IfNotZero } else { Presence::Always };
                let seconds = if count >= 4 { Presence::IfNotZero } else { Presence::Never };
                Element::Offset(OffsetStyle { minutes, seconds, colon: count == 3 || count == 5, zero })
            }
            ('Z', 1..=3) => {
                Element::Offset(OffsetStyle { minutes: Presence::Always, seconds: Presence::Never, colon: false, zero: "+0000" })
            }
            ('Z', 5) => Element::Offset(OffsetStyle { minutes: Presence::Always, seconds: Presence::IfNotZero, colon: true, zero: "Z" }),
            ('Z' | 'O', 4) => Element::LocalizedOffset(true),
            ('O', 1) => Element::LocalizedOffset(false),
            ('V', 2) => Element::ZoneId,
            ('V', _) => return Err("Pattern letter count must be 2: V".to_owned()),
            ('O', _) => return Err("Pattern letter count must be 1 or 4: O".to_owned()),
            ('z', 1..=3) => Element::ZoneName,
            ('z', 4) => return Err("Full zone names (zzzz) are not supported: use z, VV or OOOO".to_owned()),
            _ => return Err(format!("Too many pattern letters: {letter}")),
        };
        self.push(element);
        Ok(())
    }
}
