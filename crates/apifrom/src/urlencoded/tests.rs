use proptest::prelude::*;

use super::*;

fn read(input: impl AsRef<[u8]>) -> Result<Vec<(String, String)>, UrlencodedFault> {
    fields(input.as_ref(), &UrlencodedLimits::default())
        .map(|field| field.map(|(name, value)| (name.into_owned(), value.into_owned())))
        .collect()
}

fn assert_read(input: &str, expected: &[(&str, &str)]) {
    let expected = expected
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    assert_eq!(read(input), Ok(expected), "{input:?}");
}

fn assert_refused(kind: UrlencodedFaultKind, inputs: &[(&[u8], usize)]) {
    for (input, offset) in inputs {
        let offset = *offset;
        assert_eq!(
            read(input),
            Err(UrlencodedFault { kind, offset }),
            "{input:?}"
        );
    }
}

#[test]
fn names_and_values_are_decoded() {
    assert_read("a=1&b=two", &[("a", "1"), ("b", "two")]);
    assert_read("a+b=c+d%20e", &[("a b", "c d e")]);
    assert_read("n%C3%A4me=%e4%b8%96", &[("näme", "世")]);
    assert_read("näme=世", &[("näme", "世")]);
    assert_read("a=%26%3D%25%2B%3B", &[("a", "&=%+;")]);
    assert_read("a%3D=b", &[("a=", "b")]);
    assert_read("a=%00\u{1}", &[("a", "\0\u{1}")]);
}

#[test]
fn a_value_is_decoded_once() {
    assert_read("a=%2525&b=%2B", &[("a", "%25"), ("b", "+")]);
}

#[test]
fn a_field_is_split_at_its_first_equals_sign() {
    assert_read("a==b=c", &[("a", "=b=c")]);
    assert_read("a", &[("a", "")]);
    assert_read("a=", &[("a", "")]);
    assert_read("=b", &[("", "b")]);
    assert_read("=", &[("", "")]);
}

#[test]
fn empty_fields_are_passed_over() {
    assert_read("", &[]);
    assert_read("&", &[]);
    assert_read("&&a=1&&&b=2&", &[("a", "1"), ("b", "2")]);
}

#[test]
fn a_semicolon_separates_nothing() {
    assert_read("a=1;b=2", &[("a", "1;b=2")]);
}

#[test]
fn a_name_that_occurs_twice_is_handed_out_twice() {
    assert_read("a=1&b=2&a=3", &[("a", "1"), ("b", "2"), ("a", "3")]);
    assert_read("a=1&%61=2", &[("a", "1"), ("a", "2")]);
}

#[test]
fn a_percent_sign_without_two_hexadecimal_digits_is_refused_where_it_stands() {
    assert_refused(
        UrlencodedFaultKind::PercentEncoding,
        &[
            (b"%", 0),
            (b"a=%", 2),
            (b"a=%4", 2),
            (b"a=1%4G", 3),
            (b"a=%%41", 2),
            (b"a=% 41", 2),
            (b"ab=c&d%=1", 6),
            (b"ab=c&d=%41%u0041", 10),
            (b"a=%4&1=2", 2),
            (b"a=%+41", 2),
        ],
    );
}

#[test]
fn what_is_not_utf_8_once_decoded_is_refused() {
    assert_refused(
        UrlencodedFaultKind::InvalidUtf8,
        &[
            (b"a=%FF", 2),
            (b"a=\xFF", 2),
            (b"x=1&%C3=1", 4),
            (b"a=%ED%A0%80", 2),
            (b"a=%C0%AF", 2),
            // The sequence is whole only across the separator.
            (b"a=%C3&%A9=1", 2),
            (b"a=%C3=%A9", 2),
        ],
    );
}

#[test]
fn nothing_is_read_after_a_fault() {
    let limits = UrlencodedLimits::default();
    let mut fields = fields(b"a=1&b=%&c=3", &limits);
    assert!(fields.next().is_some_and(|field| field.is_ok()));
    assert!(fields.next().is_some_and(|field| field.is_err()));
    assert_eq!(fields.next(), None);
    assert_eq!(fields.next(), None);
}

#[test]
fn the_number_of_fields_is_bounded_and_the_bound_itself_passes() {
    assert_eq!(read("a&".repeat(1000)).map(|read| read.len()), Ok(1000));
    assert_refused(
        UrlencodedFaultKind::TooManyFields,
        &[("a&".repeat(1001).as_bytes(), 2000)],
    );
    // Empty fields cost nothing and count for nothing.
    assert_eq!(read("&".repeat(100_000)), Ok(Vec::new()));
    let none = UrlencodedLimits { max_fields: 0 };
    assert_eq!(fields(b"", &none).next(), None);
    assert!(
        fields(b"a", &none)
            .next()
            .is_some_and(|field| field.is_err())
    );
}

#[test]
fn what_needs_no_decoding_is_borrowed() {
    let limits = UrlencodedLimits::default();
    for field in fields("name=Größe&b=%31".as_bytes(), &limits)
        .flatten()
        .take(1)
    {
        assert!(matches!(
            field,
            (Cow::Borrowed("name"), Cow::Borrowed("Größe"))
        ));
    }
}

#[test]
fn the_text_of_a_fault_names_a_place_and_never_the_input() {
    let fault = read("hunter2=%zz").unwrap_err();
    assert_eq!(fault.code(), "urlencoded_percent_encoding");
    assert_eq!(fault.to_string(), "malformed percent-encoding, at byte 8");
}

fn encode(text: &str, plus: bool) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b' ' if plus => "+".to_owned(),
        b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).into(),
        _ => format!("%{byte:02X}"),
    });
    bytes.collect::<Vec<_>>().concat()
}

proptest! {
    #[test]
    fn what_is_encoded_comes_back_as_it_was(
        pairs in prop::collection::vec((any::<String>(), any::<String>()), 0..20),
        plus in any::<bool>(),
    ) {
        let encoded: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name, plus), encode(value, plus)))
            .collect();
        prop_assert_eq!(read(encoded.join("&")), Ok(pairs));
    }

    #[test]
    fn any_bytes_give_fields_or_one_fault_inside_the_input(
        input in prop::collection::vec(prop_oneof![
            3 => prop::sample::select(b"%&=+;aF0\xC3\xA9".to_vec()), 1 => any::<u8>(),
        ], 0..60),
    ) {
        let read: Vec<_> = fields(&input, &UrlencodedLimits::default()).collect();
        let faults = read.iter().filter(|field| field.is_err()).count();
        prop_assert!(faults <= 1);
        if let Some(Err(fault)) = read.last() {
            prop_assert!(fault.offset <= input.len());
        } else {
            prop_assert_eq!(faults, 0);
        }
    }
}
