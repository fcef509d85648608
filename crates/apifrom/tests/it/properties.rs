//! What the fuzz targets promise, of inputs that are mostly well formed.

#[path = "../../../../fuzz/promises/mod.rs"]
#[expect(unreachable_pub, reason = "to the fuzz targets it is a library")]
mod promises;

use proptest::collection::vec;
use proptest::prelude::*;

use self::promises::{binding, path};

fn template() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => "[a-c]{0,2}",
        2 => "\\{[a-d]\\}",
        1 => "[a%é.]{1,3}",
        1 => "[{}*a/?\\\\]{0,3}",
    ];
    let rest = prop_oneof![3 => Just(String::new()), 1 => Just("/{*rest}".to_owned())];
    (vec(segment, 0..4), rest).prop_map(|(segments, rest)| format!("/{}{rest}", segments.join("/")))
}

/// A path that was made to match a template now and then.
fn target() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => "[a-c]{0,2}",
        2 => "(%61|%2[fF]|%25|%2e|[a.;+]){0,3}",
        1 => "(%C3%A9|%ff|%c3|%00|%5c|%|%zz|%4){0,2}",
    ];
    vec(segment, 0..5).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// A text that one of the parameters may be read from.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("true".to_owned()),
        "[01]",
        "-?[0-9]{1,21}",
        "-?[0-9]{0,3}(\\.[0-9]{0,3})?([eE][-+]?[0-9]{1,3})?",
        "[ -~]{0,4}",
    ]
}

fn query() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        9 => prop::sample::select(vec!["flag", "text", "list", "number"]).prop_map(str::to_owned),
        1 => "[a-z%=]{0,3}",
    ];
    let value = prop_oneof![8 => text(), 1 => "(%[0-9a-f]{2}|%|\\+|;|é){0,3}"];
    let field = (name, value).prop_map(|(name, value)| {
        // What cannot stand in a target would end the request before anything is bound.
        let value = value.replace(
            ['#', ' ', '"', '<', '>', '`', '\\', '^', '{', '|', '}'],
            "+",
        );
        format!("{name}={value}")
    });
    vec(field, 0..7).prop_map(|fields| fields.join("&"))
}

proptest! {
    #[test]
    fn paths_are_matched_as_a_plain_reading_of_the_rules_says(
        one in template(),
        other in template(),
        target in target(),
    ) {
        path::check(&one, &other, &target);
    }

    #[test]
    fn what_a_template_is_filled_with_comes_out_again(values in vec("[^\0\\\\]{1,6}", 1..4)) {
        prop_assume!(values.iter().all(|value| value != "." && value != ".."));
        let names = ["{a}", "{b}", "{c}"];
        let template = format!("/x/{}", names[..values.len()].join("/"));
        let encoded: Vec<String> = values
            .iter()
            .map(|value| {
                let bytes = value.bytes();
                bytes.fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
            })
            .collect();
        // The reading of the rules that it is held against decodes them to the values.
        path::check(&template, "/y", &format!("/x/{}", encoded.join("/")));
    }

    #[test]
    fn any_text_is_a_template_or_refused(one in "\\PC{0,12}", target in "/\\PC{0,12}") {
        path::check(&one, &format!("/{one}"), &target);
    }

    #[test]
    fn both_faces_bind_a_query_alike(query in query()) {
        binding::check_query(&query);
    }

    #[test]
    fn both_faces_bind_headers_alike(
        lines in vec((0_u8..4, prop_oneof![4 => text().prop_map(String::into_bytes), 1 => vec(any::<u8>(), 0..4)]), 0..7),
    ) {
        let lines: Vec<_> = lines.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        binding::check_headers(&lines);
    }
}
