#![allow(unused)]

use apifrom::{api, endpoints};

#[api(rout = "/users/{id}", method = "FETCH")]
#[inline(always)]
#[cold]
fn many<T>((a, b): (T, T), #[header("x")] _: u8) {
    drop((a, b));
}

fn main() {
    // The function and its endpoint are there all the same: nothing below is a second mistake.
    many::<u8>((1, 2), 3);
    let _ = endpoints![many];
}
