use proptest::prelude::*;

use super::*;

fn parse<'a>(lines: &[&'a [u8]]) -> Cookies<'a> {
    Cookies::parse(lines.iter().copied(), &CookieLimits::default()).unwrap()
}

fn pairs(line: &str) -> Vec<(&str, &str)> {
    parse(&[line.as_bytes()]).iter().collect()
}

#[test]
fn cookies_are_handed_out_in_order() {
    assert_eq!(pairs("a=1; b=2; c=3"), [("a", "1"), ("b", "2"), ("c", "3")]);
    assert_eq!(pairs(""), []);
    assert_eq!(pairs("a="), [("a", "")]);
}

#[test]
fn several_lines_are_one_list() {
    let cookies = parse(&[b"a=1; b=2", b"", b"c=3"]);
    assert_eq!(cookies.len(), 3);
    assert_eq!(cookies.find("c"), Found::One("3"));
}

#[test]
fn white_space_around_names_and_values_is_passed_over() {
    assert_eq!(
        pairs(" \ta\t = 1 ;b=2;  ;;c= x y \t"),
        [("a", "1"), ("b", "2"), ("c", "x y")]
    );
}

#[test]
fn a_piece_without_a_name_is_passed_over() {
    assert_eq!(pairs("a; =b; = ;  =; __Host-x; c=1"), [("c", "1")]);
}

#[test]
fn a_value_is_handed_out_as_it_came() {
    assert_eq!(pairs("a=b=c"), [("a", "b=c")]);
    assert_eq!(pairs("a==__Host-b=c"), [("a", "=__Host-b=c")]);
    assert_eq!(pairs("a=%20+"), [("a", "%20+")]);
    assert_eq!(pairs("a=x,y z\\"), [("a", "x,y z\\")]);
    assert_eq!(pairs("a=Größe"), [("a", "Größe")]);
}

#[test]
fn quotes_are_part_of_the_value_and_protect_nothing() {
    assert_eq!(pairs("a=\"b\""), [("a", "\"b\"")]);
    assert_eq!(pairs("a=\"b; c=d\""), [("a", "\"b"), ("c", "d\"")]);
}

#[test]
fn names_differ_by_letter_case() {
    let cookies = parse(&[b"sid=1; SID=2"]);
    assert_eq!(cookies.find("sid"), Found::One("1"));
    assert_eq!(cookies.find("SID"), Found::One("2"));
    assert_eq!(cookies.find("Sid"), Found::Absent);
}

#[test]
fn a_doubled_cookie_is_never_taken_for_one() {
    for lines in [
        &[&b"sid=1; sid=2"[..]][..],
        &[b"sid=1", b"sid=2"],
        &[b"sid=1; sid=1"],
        &[b"sid=1; sid=\xFF"],
        &[b"sid=\xFF; sid=1"],
        &[b"sid=; sid = "],
        &[b"sid=1; sid=2; sid=3"],
    ] {
        assert_eq!(parse(lines).find("sid"), Found::Doubled, "{lines:?}");
    }
    // A piece without `=` is no cookie.
    assert_eq!(parse(&[b"sid=1; sid"]).find("sid"), Found::One("1"));
}

#[test]
fn a_cookie_that_is_not_utf_8_disturbs_only_whoever_asks_for_it() {
    let cookies = parse(&[b"a=1; b=\xFF; \xFF=2; c=3"]);
    assert_eq!(cookies.find("a"), Found::One("1"));
    assert_eq!(cookies.find("b"), Found::Unreadable);
    assert_eq!(cookies.find("c"), Found::One("3"));
    assert_eq!(cookies.iter().collect::<Vec<_>>(), [("a", "1"), ("c", "3")]);
    assert_eq!(cookies.len(), 4);
}

#[test]
fn the_number_of_cookies_is_bounded_and_the_bound_itself_passes() {
    let limits = CookieLimits::default();
    let line = |count| "a=1;".repeat(count).into_bytes();
    assert_eq!(
        Cookies::parse([&line(256)[..]], &limits).map(|read| read.len()),
        Ok(256)
    );
    for lines in [&[&line(257)[..]][..], &[&line(200), &line(57)]] {
        let fault = Cookies::parse(lines.iter().copied(), &limits).unwrap_err();
        assert_eq!(fault.code(), "cookie_too_many");
        assert_eq!(fault.to_string(), "too many cookies, more than 256");
    }
    // What is no cookie costs nothing.
    assert!(parse(&[";".repeat(60_000).as_bytes()]).is_empty());
}

#[test]
fn debug_shows_names_and_never_values() {
    let cookies = parse(&[b"sid=hunter2; \n\xFF=hunter2"]);
    assert_eq!(format!("{cookies:?}"), r#"["sid", "\\n\\xff"]"#);
}

proptest! {
    #[test]
    fn what_a_browser_sends_comes_back_as_it_was(
        pairs in prop::collection::vec(
            ("[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}", "[!#-+\\--:<-\\[\\]-~]{0,20}"), 0..20,
        ),
        split in any::<prop::sample::Index>(),
    ) {
        let texts: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (first, second) = texts.split_at(split.index(texts.len() + 1));
        let lines = [first.join("; "), second.join("; ")];
        let cookies = parse(&[lines[0].as_bytes(), lines[1].as_bytes()]);
        let expected: Vec<_> = pairs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        prop_assert_eq!(cookies.iter().collect::<Vec<_>>(), expected);
        for (name, value) in &pairs {
            let same = pairs.iter().filter(|(other, _)| other == name).count();
            let expected = if same == 1 { Found::One(value.as_str()) } else { Found::Doubled };
            prop_assert_eq!(cookies.find(name), expected);
        }
    }

    #[test]
    fn any_bytes_are_read_and_no_name_or_value_holds_a_separator(
        line in prop::collection::vec(prop_oneof![
            3 => prop::sample::select(b"=; \t\"a,\xC3".to_vec()), 1 => any::<u8>(),
        ], 0..60),
    ) {
        let cookies = parse(&[&line]);
        for (name, value) in &cookies.pairs {
            prop_assert!(!name.is_empty() && !name.contains(&b'=') && !name.contains(&b';'));
            prop_assert!(!value.contains(&b';'));
            prop_assert_eq!((trim(name), trim(value)), (*name, *value));
        }
    }
}
