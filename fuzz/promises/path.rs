//! Templates, and how paths are split, judged, matched and decoded.
//!
//! Held against a plain reading of the rules: split at `/`, decode each segment once, compare.

use std::sync::Arc;

use apifrom::{Api, EndpointSpec, Handler, PathTemplate, Reply, Request, Response, ResponseBody};
use serde_json::{Value, json};

/// Two templates and a path as it is sent.
pub fn check(one: &str, other: &str, path: &str) {
    let templates = [one, other].map(|text| PathTemplate::parse(text).ok());
    for (text, template) in [one, other].iter().zip(&templates) {
        if let Some(template) = template {
            check_template(text, template);
        }
    }
    let mut routed: Vec<PathTemplate> = templates.into_iter().flatten().collect();
    let specs = |templates: &[PathTemplate]| -> Vec<EndpointSpec> {
        templates
            .iter()
            .map(PathTemplate::as_str)
            .map(spec)
            .collect()
    };
    let quiet = || Api::new().configure(|config| config.access_log = false);
    let mut built = quiet().endpoints(specs(&routed)).build();
    if built.is_err() {
        // They take each other's place; one alone never conflicts.
        assert_eq!(routed.len(), 2);
        routed.truncate(1);
        built = quiet().endpoints(specs(&routed)).build();
    }
    let engine = built.expect("a template that parses is routed");
    let Ok(uri) = path.parse::<http::Uri>() else {
        return;
    };
    if uri.authority().is_some() {
        // It contradicts the host that is asked for, which is another matter.
        return;
    }
    let Some((status, body)) = super::ask(&engine, path, &[]) else {
        return;
    };
    match expected(&routed, uri.path()) {
        Expected::Refused => assert_eq!(status, 400, "{path:?}: {body}"),
        Expected::Nothing => assert_eq!(status, 404, "{path:?}: {body}"),
        Expected::OneOf(answers) => {
            assert_eq!(status, 200, "{path:?}: {body}");
            assert!(
                answers.contains(&body),
                "{path:?}: {body} and not of {answers:?}"
            );
        }
    }
}

/// An endpoint that answers with its template and its captures.
fn spec(template: &str) -> EndpointSpec {
    let name = template.to_owned();
    EndpointSpec::new("shows", template, ["GET"], move |binding| {
        let count = binding.captures().count();
        let handler = move |request: Request| {
            let values: Vec<_> = (0..count).map(|at| request.capture(at)).collect();
            assert!(request.capture(count).is_none());
            let body = json!([name, values]).to_string();
            Reply::Ready(Ok(Response::new(ResponseBody::full(body))))
        };
        let handler: Arc<dyn Handler> = Arc::new(handler);
        Some(handler)
    })
}

fn check_template(text: &str, template: &PathTemplate) {
    assert_eq!(template.as_str(), text);
    let names: Vec<&str> = template.captures().collect();
    assert!(names.len() <= 12);
    for (at, name) in names.iter().enumerate() {
        assert!(!name.is_empty() && !name.contains(['/', '{', '}', '*']));
        assert!(!names[..at].contains(name));
    }
    // It stays one below a prefix that adds nothing else.
    let below = template
        .below("/prefix/")
        .expect("a prefix without captures");
    assert_eq!(below.as_str(), format!("/prefix{text}"));
    assert!(below.captures().eq(template.captures()));
}

#[derive(Debug)]
enum Expected {
    Refused,
    Nothing,
    OneOf(Vec<Value>),
}

fn expected(templates: &[PathTemplate], path: &str) -> Expected {
    let Some(rest) = path.strip_prefix('/') else {
        return Expected::Refused;
    };
    let mut segments = Vec::new();
    for segment in rest.split('/') {
        match decoded(segment) {
            Some(text) if !matches!(&*text, "." | "..") && !text.contains(['\\', '\0']) => {
                segments.push(text);
            }
            _ => return Expected::Refused,
        }
    }
    let answers: Vec<_> = templates
        .iter()
        .filter_map(|template| Some(json!([template.as_str(), matched(template, &segments)?])))
        .collect();
    if answers.is_empty() {
        Expected::Nothing
    } else {
        Expected::OneOf(answers)
    }
}

/// The captures of `segments`, which are decoded.
fn matched(template: &PathTemplate, segments: &[String]) -> Option<Vec<String>> {
    let parts: Vec<&str> = template.as_str().split('/').skip(1).collect();
    let mut values = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        if part.starts_with("{*") {
            let rest = segments.get(at..)?.join("/");
            if rest.is_empty() {
                return None;
            }
            values.push(rest);
            return Some(values);
        }
        let segment = segments.get(at)?;
        if part.starts_with('{') {
            if segment.is_empty() {
                return None;
            }
            values.push(segment.clone());
        } else if segment != part {
            return None;
        }
    }
    (parts.len() == segments.len()).then_some(values)
}

/// `segment` without its escapes; `None` where it cannot be read.
fn decoded(segment: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}
