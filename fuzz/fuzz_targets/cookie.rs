//! The cookies of a request: separators, several lines, doubled names.

#![no_main]

use apifrom::cookie::{CookieLimits, Cookies, Found};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let limits = CookieLimits { max_cookies: 30 };
    let lines: Vec<_> = input.split(|byte| *byte == b'\n').collect();
    let read = Cookies::parse(lines.iter().copied(), &limits);
    let joined = lines.join(&b"; "[..]);
    let read_joined = Cookies::parse([&joined[..]], &limits);
    assert_eq!(read.is_ok(), read_joined.is_ok());
    let (Ok(read), Ok(read_joined)) = (read, read_joined) else {
        return;
    };
    assert_eq!(read.len(), read_joined.len());
    assert!(read.iter().eq(read_joined.iter()));

    let readable: Vec<_> = read.iter().collect();
    assert!(readable.len() <= read.len() && read.len() <= limits.max_cookies);
    for &(name, value) in &readable {
        assert!(!name.is_empty() && !name.contains(['=', ';']) && !value.contains(';'));
        let same = readable.iter().filter(|(other, _)| *other == name).count();
        match read.find(name) {
            Found::One(found) => assert_eq!((found, same), (value, 1)),
            // The other one may be unreadable.
            Found::Doubled => assert!(same > 1 || readable.len() < read.len()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read.find("no;such"), Found::Absent);
});
