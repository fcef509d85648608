//! What caches that several people share must not keep.

use http::HeaderMap;
use http::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE};

/// Keeps an answer that sets a cookie out of shared caches: it is for one browser, whatever the handler
/// says of others. RFC 9111 §5.2.2.7.
pub(crate) fn keep_cookies_private(headers: &mut HeaderMap) {
    // Few fields are looked at sooner than one is looked up.
    if !headers.keys().any(|name| name == SET_COOKIE) {
        return;
    }
    let said = headers.get_all(CACHE_CONTROL).iter();
    let said: Vec<_> = said.filter_map(|line| line.to_str().ok()).collect();
    let words: Vec<_> = said.iter().flat_map(|line| line.split(',')).collect();
    let words: Vec<_> = words.into_iter().map(str::trim).collect();
    let is = |word: &str, name: &str| word.eq_ignore_ascii_case(name);
    if words
        .iter()
        .any(|word| is(word, "private") || is(word, "no-store"))
    {
        return;
    }
    let mut kept: Vec<&str> = words
        .into_iter()
        .filter(|word| {
            let name = word.split('=').next().unwrap_or_default();
            !word.is_empty() && !is(name, "public") && !is(name, "s-maxage")
        })
        .collect();
    kept.insert(0, "private");
    let value = HeaderValue::try_from(kept.join(", "));
    headers.insert(
        CACHE_CONTROL,
        value.unwrap_or(HeaderValue::from_static("no-store")),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cookie: bool, lines: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        if cookie {
            headers.insert(SET_COOKIE, HeaderValue::from_static("a=b"));
        }
        for line in lines {
            headers.append(CACHE_CONTROL, HeaderValue::from_str(line).unwrap());
        }
        keep_cookies_private(&mut headers);
        let lines = headers.get_all(CACHE_CONTROL).iter();
        lines
            .map(|line| line.to_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn an_answer_with_a_cookie_is_at_least_private() {
        for (said, expected) in [
            (&[][..], "private"),
            (&["max-age=60"], "private, max-age=60"),
            (
                &["Public, s-maxage=5, max-age=60", "immutable"],
                "private, max-age=60, immutable",
            ),
            (&["no-cache"], "private, no-cache"),
            (&[""], "private"),
            (&["private=\"x-one\""], "private, private=\"x-one\""),
            (&["PRIVATE, max-age=60"], "PRIVATE, max-age=60"),
            (&["max-age=0, No-Store"], "max-age=0, No-Store"),
        ] {
            assert_eq!(kept(true, said), [expected], "{said:?}");
        }
    }

    #[test]
    fn an_answer_without_one_says_what_its_handler_said() {
        assert_eq!(kept(false, &[]), [""; 0]);
        assert_eq!(kept(false, &["public, max-age=60"]), ["public, max-age=60"]);
    }
}
