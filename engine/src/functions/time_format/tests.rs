//! Tables made with Java 17's own `DateTimeFormatter`.

use super::*;

/// Pattern, text, milliseconds.
const PARSED: &[(&str, &str, Option<i64>)] = &[
    ("yyyy-MM-dd HH:mm:ss", "2021-02-29 24:00:00", Some(1614556800000)),
    ("yyyyMMddHHmmssSSS", "20210203040506789", Some(1612325106789)),
    ("yMMdd", "20210203", Some(1612310400000)),
    ("yyyyMMdd", "20210203", Some(1612310400000)),
    ("Hmm", "123", Some(4980000)),
    ("Hmm", "1234", Some(45240000)),
    ("HHmmy", "12342021", Some(1609504440000)),
    ("yyyy-MM-dd'T'HH:mm:ss[.SSS]X", "2021-01-01T00:00:00Z", Some(1609459200000)),
    ("yyyy-MM-dd'T'HH:mm:ss[.SSS]X", "2021-01-01t00:00:00.250+0130", Some(1609453800250)),
    ("yyyy-MM-dd'T'HH:mm:ssXXX", "2021-01-01T00:00:00-02:30", Some(1609468200000)),
    ("yyyy-MM-dd HH:mm:ss VV", "2021-07-01 00:00:00 Europe/Paris", Some(1625090400000)),
    ("yyyy-MM-dd HH:mm:ss z", "2021-07-01 00:00:00 CEST", Some(1625090400000)),
    ("yyyy-MM-dd HH:mm:ss z", "2021-07-01 00:00:00 UTC", Some(1625097600000)),
    ("yyyy-MM-dd HH:mm O", "2021-07-01 00:00 GMT+2", Some(1625090400000)),
    ("yyyy-MM-dd HH:mm OOOO", "2021-07-01 00:00 GMT+02:00", Some(1625090400000)),
    ("yyyy-MM-dd Z", "2021-07-01 +0200", Some(1625090400000)),
    ("yyyy-MM-dd ZZZZZ", "2021-07-01 +02:00", Some(1625090400000)),
    ("yyyy-MM-dd x", "2021-07-01 +0230", Some(1625088600000)),
    ("yyyy-MM-dd x", "2021-07-01 +00", Some(1625097600000)),
    ("d MMM yyyy", "1 JAN 2021", Some(1609459200000)),
    ("d MMMM yyyy", "1 Jan 2021", Some(1609459200000)),
    ("d MMMM yyyy", "1 January 2021", None),
    ("EEE d MMM yyyy", "Fri 1 Jan 2021", Some(1609459200000)),
    ("EEE d MMM yyyy", "Mon 1 Jan 2021", None),
    ("hh:mm a", "12:30 am", Some(1800000)),
    ("hh:mm a", "12:30 PM", Some(45000000)),
    ("hh:mm", "12:30", Some(1800000)),
    ("KK:mm a", "11:30 PM", Some(84600000)),
    ("kk:mm", "24:10", Some(600000)),
    ("kk:mm", "0:10", None),
    ("mm:ss", "10:20", Some(620000)),
    ("ss", "7", None),
    ("s", "7", Some(7000)),
    ("HH", "5", None),
    ("SSS", "123", Some(123)),
    ("A", "3600000", Some(3600000)),
    ("N", "1000000000", Some(1000)),
    ("n", "5000000", Some(5)),
    ("HH n", "1 5", None),
    ("a", "PM", Some(64800000)),
    ("E", "Sun", Some(259200000)),
    ("F", "3", Some(172800000)),
    ("dd", "31", Some(2592000000)),
    ("MM-dd", "02-29", Some(5011200000)),
    ("MM-dd", "02-30", Some(5011200000)),
    ("MM", "13", None),
    ("D", "366", None),
    ("D", "60", Some(5097600000)),
    ("yyyy-D", "2020-366", Some(1609372800000)),
    ("yyyy-D", "2021-366", None),
    ("yyyy-DDD", "2021-060", Some(1614556800000)),
    ("y", "-5", None),
    ("yyyy", "-0005", None),
    ("u-M-d", "-5-1-1", Some(-62324985600000)),
    ("uuuu-MM-dd", "0000-01-01", Some(-62167219200000)),
    ("yyyy-MM-dd G", "0001-01-01 BC", Some(-62167219200000)),
    ("yyyy-MM-dd", "12021-01-01", None),
    ("yyyy-MM-dd", "+12021-01-01", Some(317178979200000)),
    ("yyyy-MM-dd", "+2021-01-01", None),
    ("yy-M-d", "69-1-1", Some(3124224000000)),
    ("YYYY-'W'ww-e", "2021-W05-3", Some(1611619200000)),
    ("YYYY-MM-dd", "2021-05-06", Some(10800000000)),
    ("yyyy-MM-W-e", "2021-02-2-3", Some(1612828800000)),
    ("g", "59248", Some(1612310400000)),
    ("yyyy-MM-dd Q", "2021-05-01 2", Some(1619827200000)),
    ("yyyy-MM-dd Q", "2021-05-01 3", None),
    ("Q yyyy", "2 2021", Some(1609459200000)),
    ("''yyyy''", "'2021'", Some(1609459200000)),
    ("yyyy'o''clock'", "2021o'clock", Some(1609459200000)),
    ("'''yyyy'", "'yyyy", Some(0)),
    ("ppHH", "12", Some(43200000)),
    ("pppH", "  7", Some(25200000)),
    ("yyyy/MM[/dd]", "2021/05", Some(1619827200000)),
    ("yyyy/MM[/dd]", "2021/05/06", Some(1620259200000)),
    ("[yyyy][MM]", "2021", Some(1609459200000)),
    ("yyyy-MM-dd hh:mm:ss", "2021-01-01 13:00:00", None),
    ("HH:mm:ss.S", "1:2:3.4", None),
    ("HH:mm:ss.S", "01:02:03.4", Some(3723400)),
    ("HH:mm:ss.SS", "01:02:03.4", None),
    ("yyyyMMdd", "2021023", None),
    ("MMMMM d yyyy", "1 2 2021", Some(1609545600000)),
    ("MMM d yyyy", "Sept 2 2021", None),
    ("EEEEE", "M", Some(-259200000)),
    ("dd.MM.yyyy HH:mm", "1.02.2021 10:00", None),
    ("d.M.yyyy H:m", "1.2.2021 1:2", Some(1612141320000)),
    ("yyyy-MM-dd HH:mm:ss.SSSSSSSSS", "2021-01-01 00:00:00.123456789", Some(1609459200123)),
    ("XXX", "+25:00", None),
    ("X", "+02", Some(-7200000)),
    ("X", "+0260", None),
    ("yyyy-MM-dd'T'HH:mm:ss.SSSZ", "2021-01-01T00:00:00.000-0800", Some(1609488000000)),
    ("EEE, dd MMM yyyy HH:mm:ss zzz", "Fri, 01 Jan 2021 10:00:00 GMT", Some(1609495200000)),
    ("EEE MMM dd HH:mm:ss zzz yyyy", "Fri Jan 01 10:00:00 EST 2021", Some(1609513200000)),
    ("yyyy-MM-dd HH", "2021-01-01 25", None),
    ("HH:mm", "24:00", Some(0)),
    ("yyyy-MM-dd'T'HH:mm:ssX", "2021-01-01T00:00:60Z", None),
    ("ÀA", "àa", None),
    ("é yyyy", "É 2021", Some(1609459200000)),
];

/// Pattern, and whether Java takes it.
const PATTERNS: &[(&str, bool)] = &[
    ("yyyy-MM-ddTHH", false),
    ("ddd", false),
    ("HHH", false),
    ("aa", false),
    ("b", false),
    ("q{", false),
    ("'abc", false),
    ("]", false),
    ("[", true),
    ("r", false),
    ("SSSSSSSSSS", false),
    ("VV VV", true),
    ("V", false),
    ("OO", false),
    ("XXXXXX", false),
    ("pp", false),
    ("p-", false),
    ("", true),
    ("cc", false),
    ("eeeeee", false),
    ("MMMMMM", false),
    ("DDDD", false),
    ("bogus!", false),
];

/// Pattern, milliseconds, zone, text.
const PRINTED: &[(&str, i64, &str, &str)] = &[
    ("G GGGG y yy yyyy yyyyy u uuuu", 1612321506789, "Europe/Paris", "AD Anno Domini 2021 21 2021 02021 2021 2021"),
    ("G GGGG y yy yyyy yyyyy u uuuu", -63549360000000, "UTC", "BC Before Christ 45 45 0045 00045 -44 -0044"),
    ("G GGGG y yy yyyy yyyyy u uuuu", 1640964600000, "-03:30", "AD Anno Domini 2021 21 2021 02021 2021 2021"),
    ("G GGGG y yy yyyy yyyyy u uuuu", 1627756199999, "Asia/Kolkata", "AD Anno Domini 2021 21 2021 02021 2021 2021"),
    ("M MM MMM MMMM MMMMM L LL LLL", 1612321506789, "Europe/Paris", "2 02 Feb February F 2 02 Feb"),
    ("M MM MMM MMMM MMMMM L LL LLL", -63549360000000, "UTC", "3 03 Mar March M 3 03 Mar"),
    ("M MM MMM MMMM MMMMM L LL LLL", 1640964600000, "-03:30", "12 12 Dec December D 12 12 Dec"),
    ("M MM MMM MMMM MMMMM L LL LLL", 1627756199999, "Asia/Kolkata", "7 07 Jul July J 7 07 Jul"),
    ("d dd D DD DDD F g", 1612321506789, "Europe/Paris", "3 03 34 34 034 3 59248"),
    ("d dd D DD DDD F g", -63549360000000, "UTC", "15 15 75 75 075 1 -694938"),
    ("d dd D DD DDD F g", 1640964600000, "-03:30", "31 31 365 365 365 3 59579"),
    ("d dd D DD DDD F g", 1627756199999, "Asia/Kolkata", "31 31 212 212 212 3 59426"),
    ("E EEEE EEEEE e ee eee eeee c ccc", 1612321506789, "Europe/Paris", "Wed Wednesday W 4 04 Wed Wednesday 4 Wed"),
    ("E EEEE EEEEE e ee eee eeee c ccc", -63549360000000, "UTC", "Thu Thursday T 5 05 Thu Thursday 5 Thu"),
    ("E EEEE EEEEE e ee eee eeee c ccc", 1640964600000, "-03:30", "Fri Friday F 6 06 Fri Friday 6 Fri"),
    ("E EEEE EEEEE e ee eee eeee c ccc", 1627756199999, "Asia/Kolkata", "Sat Saturday S 7 07 Sat Saturday 7 Sat"),
    ("w ww W Y YY YYYY YYYYY", 1612321506789, "Europe/Paris", "6 06 1 2021 21 2021 02021"),
    ("w ww W Y YY YYYY YYYYY", -63549360000000, "UTC", "11 11 3 -44 44 -0044 -00044"),
    ("w ww W Y YY YYYY YYYYY", 1640964600000, "-03:30", "1 01 5 2022 22 2022 02022"),
    ("w ww W Y YY YYYY YYYYY", 1627756199999, "Asia/Kolkata", "31 31 5 2021 21 2021 02021"),
    ("Q QQ QQQ QQQQ q qqqq", 1612321506789, "Europe/Paris", "1 01 Q1 1st quarter 1 1st quarter"),
    ("Q QQ QQQ QQQQ q qqqq", -63549360000000, "UTC", "1 01 Q1 1st quarter 1 1st quarter"),
    ("Q QQ QQQ QQQQ q qqqq", 1640964600000, "-03:30", "4 04 Q4 4th quarter 4 4th quarter"),
    ("Q QQ QQQ QQQQ q qqqq", 1627756199999, "Asia/Kolkata", "3 03 Q3 3rd quarter 3 3rd quarter"),
    ("a h hh H HH k kk K KK", 1612321506789, "Europe/Paris", "AM 4 04 4 04 4 04 4 04"),
    ("a h hh H HH k kk K KK", -63549360000000, "UTC", "AM 12 12 0 00 24 24 0 00"),
    ("a h hh H HH k kk K KK", 1640964600000, "-03:30", "PM 12 12 12 12 12 12 0 00"),
    ("a h hh H HH k kk K KK", 1627756199999, "Asia/Kolkata", "PM 11 11 23 23 23 23 11 11"),
    ("m mm s ss S SS SSS SSSSSS n N A", 1612321506789, "Europe/Paris", "5 05 6 06 7 78 789 789000 789000000 14706789000000 14706789"),
    ("m mm s ss S SS SSS SSSSSS n N A", -63549360000000, "UTC", "0 00 0 00 0 00 000 000000 0 0 0"),
    ("m mm s ss S SS SSS SSSSSS n N A", 1640964600000, "-03:30", "0 00 0 00 0 00 000 000000 0 43200000000000 43200000"),
    ("m mm s ss S SS SSS SSSSSS n N A", 1627756199999, "Asia/Kolkata", "59 59 59 59 9 99 999 999000 999000000 86399999000000 86399999"),
    (
        "X XX XXX XXXX XXXXX x xx xxx xxxx xxxxx Z ZZZZ ZZZZZ O",
        1612321506789,
        "Europe/Paris",
        "+01 +0100 +01:00 +0100 +01:00 +01 +0100 +01:00 +0100 +01:00 +0100 GMT+01:00 +01:00 GMT+1",
    ),
    (
        "X XX XXX XXXX XXXXX x xx xxx xxxx xxxxx Z ZZZZ ZZZZZ O",
        -63549360000000,
        "UTC",
        "Z Z Z Z Z +00 +0000 +00:00 +0000 +00:00 +0000 GMT Z GMT",
    ),
    (
        "X XX XXX XXXX XXXXX x xx xxx xxxx xxxxx Z ZZZZ ZZZZZ O",
        1640964600000,
        "-03:30",
        "-0330 -0330 -03:30 -0330 -03:30 -0330 -0330 -03:30 -0330 -03:30 -0330 GMT-03:30 -03:30 GMT-3:30",
    ),
    (
        "X XX XXX XXXX XXXXX x xx xxx xxxx xxxxx Z ZZZZ ZZZZZ O",
        1627756199999,
        "Asia/Kolkata",
        "+0530 +0530 +05:30 +0530 +05:30 +0530 +0530 +05:30 +0530 +05:30 +0530 GMT+05:30 +05:30 GMT+5:30",
    ),
    ("VV z", 1612321506789, "Europe/Paris", "Europe/Paris CET"),
    ("VV z", -63549360000000, "UTC", "UTC UTC"),
    ("VV z", 1640964600000, "-03:30", "-03:30 -03:30"),
    ("VV z", 1627756199999, "Asia/Kolkata", "Asia/Kolkata IST"),
    ("ppppH pppd [HH] 'it''s'", 1612321506789, "Europe/Paris", "   4   3 04 it's"),
    ("ppppH pppd [HH] 'it''s'", -63549360000000, "UTC", "   0  15 00 it's"),
    ("ppppH pppd [HH] 'it''s'", 1640964600000, "-03:30", "  12  31 12 it's"),
    ("ppppH pppd [HH] 'it''s'", 1627756199999, "Asia/Kolkata", "  23  31 23 it's"),
];

#[test]
fn timestamps_are_read_as_java_reads_them() {
    for (pattern, text, expected) in PARSED {
        let got = TimePattern::compile(pattern).and_then(|pattern| pattern.parse_timestamp(text));
        assert_eq!(got.clone().ok(), *expected, "{pattern} {text}: {got:?}");
    }
}

#[test]
fn patterns_are_refused_as_java_refuses_them() {
    for (pattern, valid) in PATTERNS {
        assert_eq!(TimePattern::compile(pattern).is_ok(), *valid, "{pattern}");
    }
    assert!(TimePattern::compile("zzzz").is_err_and(|why| why.contains("zzzz")));
}

#[test]
fn instants_are_printed_as_java_prints_them() {
    for (pattern, ms, zone, expected) in PRINTED {
        let zone = Zone::parse(zone).unwrap();
        assert_eq!(
            TimePattern::compile(pattern).and_then(|pattern| pattern.format_timestamp(*ms, &zone)).as_deref(),
            Ok(*expected),
            "{pattern} {ms}"
        );
    }
}

#[test]
fn the_ends_of_bigint_print() {
    let pattern = TimePattern::compile("yyyy-MM-dd HH:mm:ss.SSS Z").unwrap();
    for (ms, zone, expected) in [
        (i64::MAX, "UTC", "+292278994-08-17 07:12:55.807 +0000"),
        (i64::MIN, "UTC", "+292278994-08-17 07:12:55.192 +0000"),
        (i64::MAX, "Australia/Lord_Howe", "+292278994-08-17 17:42:55.807 +1030"),
    ] {
        assert_eq!(pattern.format_timestamp(ms, &Zone::parse(zone).unwrap()).as_deref(), Ok(expected));
    }
}

#[test]
fn a_zone_in_the_text_wins() {
    let pattern = TimePattern::compile("yyyy-MM-dd HH:mm[ X]").unwrap();
    let paris = Zone::parse("Europe/Paris").unwrap();
    for (text, ms) in
        [("2021-07-01 12:00", 1_625_133_600_000), ("2021-01-01 12:00", 1_609_498_800_000), ("2021-01-01 12:00 Z", 1_609_502_400_000)]
    {
        assert_eq!(pattern.parse_timestamp_in(text, &paris), Ok(ms), "{text}");
    }
}

#[test]
fn dates_and_times_have_no_parts_of_each_other() {
    let whole = |pattern: &str, text: &str| TimePattern::compile(pattern).and_then(|pattern| pattern.parse_whole_date(text)).ok();
    for (pattern, text, days) in [
        ("yyyy/MM/dd", "2024/02/30", Some(19_782)),
        ("dd-MMM-yyyy", "01-Jan-2022", Some(18_993)),
        ("dd-MMM-yyyy", "01-JAN-2022", None),
        ("d MMMM yyyy", "1 January 2022", Some(18_993)),
        ("MM-yyyy", "01-2022", None),
    ] {
        assert_eq!(whole(pattern, text), days, "{pattern} {text}");
    }
    let time = |pattern: &str, text: &str| TimePattern::compile(pattern).and_then(|pattern| pattern.parse_time(text)).ok();
    for (pattern, text, ms) in [
        ("hh:mm:ss a", "01:00:00 Pm", Some(46_800_000)),
        ("HH", "05", Some(18_000_000)),
        ("mm:ss", "01:02", None),
        ("yyyy HH", "2021 05", None),
        ("HH:mm:ss.SSS", "23:59:59.999", Some(86_399_999)),
    ] {
        assert_eq!(time(pattern, text), ms, "{pattern} {text}");
    }
    let pattern = TimePattern::compile("yyyy-MM-dd").unwrap();
    assert_eq!(pattern.format_date(-719_529).as_deref(), Ok("0002-12-31"));
    assert!(pattern.format_time(0).is_err());
    assert!(TimePattern::compile("HH:mm").unwrap().format_date(0).is_err());
    assert_eq!(TimePattern::compile("HH:mm:ss.SSS n").unwrap().format_time(1).as_deref(), Ok("00:00:00.001 1000000"));
}

#[test]
fn an_error_says_where() {
    let why = TimePattern::compile("yyyy-MM-dd").and_then(|pattern| pattern.parse_timestamp("2021-2-8")).unwrap_err();
    assert_eq!(why, "Text '2021-2-8' could not be parsed at index 5");
}
