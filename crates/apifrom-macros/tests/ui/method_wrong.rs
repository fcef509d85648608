#![allow(unused)]

use apifrom::api;

const METHOD: &str = "GET";

#[api(route = "/a", method = "GTE")]
fn misspelt() {}

#[api(route = "/b", method = METHOD)]
fn no_literal() {}

#[api(route = "/c", methods = ["GET", "GET", "TRACE"])]
fn doubled() {}

#[api(route = "/d", method = "GET", methods = ["POST"])]
fn both() {}

#[api(route = "/e", methods = "GET")]
fn no_list() {}

fn main() {}
