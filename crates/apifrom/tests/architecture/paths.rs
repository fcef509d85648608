//! Reads from Rust source the paths that begin with `crate`, `super` or `self`.

use std::collections::BTreeSet;
use std::error::Error;
use std::iter::Peekable;
use std::str::FromStr;

use proc_macro2::{Delimiter, TokenStream, TokenTree, token_stream};

/// A path as it stands in a file, from the crate's root.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mention {
    pub(crate) line: usize,
    pub(crate) names: Vec<String>,
}

/// The paths of a file whose module is `module`; none of those that only tests use.
pub(crate) fn mentions(text: &str, module: &[String]) -> Result<BTreeSet<Mention>, Box<dyn Error>> {
    // `lib.rs` is the root itself.
    let module = if module == ["lib"] { &[] } else { module };
    let mut found = BTreeSet::new();
    collect(TokenStream::from_str(text)?, module, &mut found);
    Ok(found)
}

fn collect(tokens: TokenStream, module: &[String], found: &mut BTreeSet<Mention>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut after_pub = false;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => {
                if let Some(TokenTree::Group(attribute)) = tokens.peek()
                    && is_test_only(&attribute.stream())
                {
                    skip_item(&mut tokens);
                }
            }
            // The reach of a `pub(in …)` is not an import.
            TokenTree::Group(group) if after_pub && group.delimiter() == Delimiter::Parenthesis => {
            }
            TokenTree::Group(group) => collect(group.stream(), module, found),
            TokenTree::Ident(ident) if ident == "mod" => {
                let name = match tokens.next() {
                    Some(TokenTree::Ident(name)) => name.to_string(),
                    _ => continue,
                };
                if let Some(TokenTree::Group(body)) = tokens.peek() {
                    let inner: Vec<String> = module.iter().cloned().chain([name]).collect();
                    collect(body.stream(), &inner, found);
                    tokens.next();
                }
            }
            TokenTree::Ident(ident)
                if ["crate", "super", "self"].iter().any(|&root| ident == root) =>
            {
                let line = ident.span().start().line;
                let mut names = match ident.to_string().as_str() {
                    "crate" => Vec::new(),
                    "self" => module.to_vec(),
                    _ => parent(module.to_vec()),
                };
                while matches!(tokens.peek(), Some(TokenTree::Punct(mark)) if mark.as_char() == ':')
                {
                    tokens.next();
                    match tokens.peek() {
                        Some(TokenTree::Ident(next)) if next == "super" => names = parent(names),
                        Some(TokenTree::Ident(next)) => names.push(next.to_string()),
                        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                            branches(group.stream(), &names, line, found);
                        }
                        Some(TokenTree::Punct(mark)) if mark.as_char() == ':' => continue,
                        _ => break,
                    }
                    tokens.next();
                }
                // A bare `self` is a receiver.
                if names != module {
                    found.insert(Mention { line, names });
                }
            }
            other => {
                after_pub = matches!(&other, TokenTree::Ident(ident) if ident == "pub");
                continue;
            }
        }
        after_pub = false;
    }
}

/// The paths of a `use` group, each beginning with `prefix`.
fn branches(tokens: TokenStream, prefix: &[String], line: usize, found: &mut BTreeSet<Mention>) {
    let mut names = prefix.to_vec();
    let mut line = line;
    let mut renamed = false;
    for token in tokens {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == ',' => {
                found.insert(Mention {
                    line,
                    names: std::mem::replace(&mut names, prefix.to_vec()),
                });
                renamed = false;
            }
            TokenTree::Ident(ident) if ident == "as" => renamed = true,
            TokenTree::Ident(ident) if ident != "self" && !renamed => {
                line = ident.span().start().line;
                names.push(ident.to_string());
            }
            TokenTree::Group(group) => branches(group.stream(), &names, line, found),
            _ => {}
        }
    }
    found.insert(Mention { line, names });
}

fn parent(mut names: Vec<String>) -> Vec<String> {
    names.pop();
    names
}

/// Whether an attribute's brackets hold `cfg(test)`.
fn is_test_only(attribute: &TokenStream) -> bool {
    let text: String = attribute.to_string().split_whitespace().collect();
    text == "cfg(test)"
}

/// Moves past the item that an attribute stands on: to its semicolon or to the end of its braces.
fn skip_item(tokens: &mut Peekable<token_stream::IntoIter>) {
    for token in tokens {
        match token {
            TokenTree::Punct(mark) if mark.as_char() == ';' => return,
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            _ => {}
        }
    }
}
