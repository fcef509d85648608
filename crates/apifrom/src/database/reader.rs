//! Reading a statement: where its placeholders are, and what is none.

use super::error::DatabaseError;
use super::lasting::{Lasting, Watch};
use super::statement::Dialect;

/// What a statement does, as its first word tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It begins like a query: it never waits for whoever writes.
    Reads,
    Changes,
    /// It changes a schema, by which MySQL ends a transaction.
    EndsTransaction,
}

/// Walks through a statement, byte by byte: everything that it looks for is ASCII.
pub(super) struct Reader<'a> {
    dialect: Dialect,
    text: &'a str,
    /// What the piece holds already that is not in the text as it is.
    carried: String,
    at: usize,
    /// Where the piece begins that is being read.
    begin: usize,
    pub(super) pieces: Vec<Box<str>>,
    pub(super) places: Vec<Option<usize>>,
    pub(super) names: Vec<Box<str>>,
    pub(super) has_words: bool,
    pub(super) effect: Effect,
    watch: Watch<'a>,
    /// True where statements may follow each other.
    is_several: bool,
    /// True behind a `;`.
    ended: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, dialect: Dialect) -> Self {
        Self {
            dialect,
            text,
            carried: String::new(),
            at: 0,
            begin: 0,
            pieces: Vec::new(),
            places: Vec::new(),
            names: Vec::new(),
            has_words: false,
            effect: Effect::Changes,
            watch: Watch::new(dialect),
            is_several: false,
            ended: false,
        }
    }

    /// Reads several statements, such as a migration's.
    ///
    /// # Errors
    /// When one changes a connection that others have as well, or cannot be read.
    #[cfg(feature = "database-sqlite")]
    pub(super) fn check_all(text: &'a str, dialect: Dialect) -> Result<(), DatabaseError> {
        let mut reader = Self::new(text, dialect);
        reader.is_several = true;
        reader.read()
    }

    /// How long what the statement does to its connection lasts.
    pub(super) fn lasting(&self) -> Lasting {
        self.watch.lasting
    }

    pub(super) fn read(&mut self) -> Result<(), DatabaseError> {
        while let Some(byte) = self.byte(0) {
            match byte {
                b'-' if self.byte(1) == Some(b'-') && self.begins_comment() => self.skip_line(),
                b'#' if self.dialect == Dialect::MySql => self.skip_line(),
                b'/' if self.byte(1) == Some(b'*') => self.skip_comment()?,
                byte if byte.is_ascii_whitespace() => self.at += 1,
                b';' => {
                    self.ended = true;
                    self.at += 1;
                }
                _ if self.ended && self.is_several => {
                    self.ended = false;
                    self.watch = Watch::new(self.dialect);
                }
                _ if self.ended => {
                    return Err(DatabaseError::statement(
                        "there is something behind the statement's ';': one statement a call",
                    ));
                }
                byte => {
                    if !self.has_words {
                        self.has_words = true;
                        if self.begins_query() {
                            self.effect = Effect::Reads;
                        }
                        self.check_first_word()?;
                    }
                    let begin = self.at;
                    self.word(byte)?;
                    self.watch
                        .see(self.text.get(begin..self.at).unwrap_or_default())?;
                }
            }
        }
        Ok(())
    }

    fn word(&mut self, byte: u8) -> Result<(), DatabaseError> {
        match byte {
            b'\'' if self.dialect == Dialect::MySql => self.skip_backslashed()?,
            b'\'' | b'"' => self.skip_quoted(byte)?,
            b'`' if self.dialect != Dialect::Postgres => self.skip_quoted(byte)?,
            b'[' if self.dialect == Dialect::Sqlite => self.skip_bracketed()?,
            b'?' if self.byte(1) == Some(b'?') && self.dialect == Dialect::Postgres => {
                let piece = self.text.get(self.begin..=self.at).unwrap_or_default();
                self.carried.push_str(piece);
                self.at += 2;
                self.begin = self.at;
            }
            b'?' => {
                if self
                    .byte(1)
                    .is_some_and(|next| next.is_ascii_digit() || next == b'?')
                {
                    return Err(DatabaseError::statement(
                        "?1 and ?? are no placeholders; use ? or :name",
                    ));
                }
                self.place(None, 1);
            }
            b':' if self.byte(1) == Some(b':') => self.at += 2,
            b':' if self.byte(1).is_some_and(starts_name) => {
                let length = self.name_length(1);
                let name = self.text.get(self.at + 1..self.at + 1 + length);
                let name = name.unwrap_or_default();
                let known = self.names.iter().position(|known| **known == *name);
                let known = known.unwrap_or_else(|| {
                    self.names.push(name.into());
                    self.names.len() - 1
                });
                self.place(Some(known), 1 + length);
            }
            b'$' if self.dialect == Dialect::Postgres && self.skip_dollar_quoted()? => {}
            // Operators and parts of arrays there.
            b'@' | b'#' | b':' if self.dialect == Dialect::Postgres => self.at += 1,
            // A variable of the server's, which is only read.
            b'@' if self.dialect == Dialect::MySql && self.byte(1) == Some(b'@') => self.at += 2,
            b'@' | b'$' | b'#' | b':' if self.byte(1).is_some_and(in_name) => {
                return Err(DatabaseError::statement(
                    ":1, @name and $name are no placeholders; use ? or :name",
                ));
            }
            byte if starts_name(byte) || byte.is_ascii_digit() => {
                // A name may hold a `$`, which then begins nothing.
                let begin = self.at;
                self.at += 1;
                while self
                    .byte(0)
                    .is_some_and(|byte| in_name(byte) || byte == b'$')
                {
                    self.at += 1;
                }
                if self.dialect == Dialect::Postgres {
                    self.check_word(begin)?;
                }
            }
            _ => self.at += 1,
        }
        Ok(())
    }

    /// Looks at the word from `begin` to here as PostgreSQL reads it.
    fn check_word(&mut self, begin: usize) -> Result<(), DatabaseError> {
        let word = self.text.get(begin..self.at).unwrap_or_default();
        let is_quoted = self.byte(0) == Some(b'\'');
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            // Older servers read a number and then something else, newer ones refuse it.
            if is_quoted || word.contains('$') {
                return Err(DatabaseError::statement(
                    "a number in the statement runs into what stands behind it",
                ));
            }
        } else if is_quoted && word.eq_ignore_ascii_case("e") {
            self.skip_escaped()?;
        }
        Ok(())
    }

    /// What begins or ends a transaction would leave the connection in another state than is known, and
    /// `COPY` talks another way.
    fn check_first_word(&mut self) -> Result<(), DatabaseError> {
        if self.dialect == Dialect::Sqlite {
            return Ok(());
        }
        let length = self.name_length(0);
        let word = self.text.get(self.at..self.at + length).unwrap_or_default();
        let rest = self.text.get(self.at + length..).unwrap_or_default();
        let is = |known: &&str| word.eq_ignore_ascii_case(known);
        if is(&"prepare") && !begins_with(rest, "transaction") {
            return Err(DatabaseError::statement(
                "PREPARE is not supported; every statement is prepared by itself",
            ));
        }
        if ["begin", "start", "commit", "end", "abort", "prepare", "xa"]
            .iter()
            .any(is)
        {
            return Err(DatabaseError::statement(
                "a transaction is begun by transaction() or begin() and ended by commit() or rollback(), \
                 not by a statement",
            ));
        }
        if is(&"rollback") && !goes_to(rest) {
            return Err(DatabaseError::statement(
                "a transaction is undone by rollback(), not by a statement",
            ));
        }
        if is(&"copy") && self.dialect == Dialect::Postgres {
            return Err(DatabaseError::statement(
                "COPY is not supported; use INSERT",
            ));
        }
        if self.dialect == Dialect::MySql {
            let is_temporary = begins_with(rest, "temporary");
            if CHANGES_SCHEMA.iter().any(is) && !is_temporary {
                self.effect = Effect::EndsTransaction;
            }
        }
        Ok(())
    }

    fn begins_query(&self) -> bool {
        let word = self.text.get(self.at..self.at + self.name_length(0));
        word.is_some_and(|word| {
            word.eq_ignore_ascii_case("select") || word.eq_ignore_ascii_case("values")
        })
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn name_length(&self, ahead: usize) -> usize {
        let rest = self.text.as_bytes().get(self.at + ahead..);
        let rest = rest.unwrap_or_default().iter();
        rest.take_while(|byte| in_name(**byte)).count()
    }

    fn place(&mut self, name: Option<usize>, length: usize) {
        self.end_piece(self.at);
        self.places.push(name);
        self.at += length;
        self.begin = self.at;
    }

    pub(super) fn end_piece(&mut self, end: usize) {
        let mut piece = std::mem::take(&mut self.carried);
        piece.push_str(self.text.get(self.begin..end).unwrap_or_default());
        self.pieces.push(piece.into());
    }

    /// Whether `--` is more than a sign before a sign: on MySQL alone it may be.
    fn begins_comment(&self) -> bool {
        self.dialect != Dialect::MySql
            || self
                .byte(2)
                .is_none_or(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
    }

    fn skip_line(&mut self) {
        let is_end = |byte| byte == b'\n' || byte == b'\r' && self.dialect == Dialect::Postgres;
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        self.at += rest.iter().take_while(|byte| !is_end(**byte)).count();
    }

    fn skip_comment(&mut self) -> Result<(), DatabaseError> {
        if self.dialect == Dialect::Postgres {
            return self.skip_nested();
        }
        let rest = self.text.get(self.at + 2..).unwrap_or_default();
        if self.dialect == Dialect::MySql && (rest.starts_with('!') || rest.starts_with("M!")) {
            return Err(DatabaseError::statement(
                "/*! */ is no comment: the server would run what stands in it",
            ));
        }
        let end = rest.find("*/").ok_or_else(|| unclosed("comment"))?;
        self.at += 2 + end + 2;
        Ok(())
    }

    /// A comment that may hold others.
    fn skip_nested(&mut self) -> Result<(), DatabaseError> {
        let mut depth = 0_usize;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    self.at += 2;
                }
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(unclosed("comment")),
            }
        }
    }

    /// A string whose backslashes hide quotes.
    fn skip_escaped(&mut self) -> Result<(), DatabaseError> {
        self.at += 1;
        loop {
            match (self.byte(0), self.byte(1)) {
                (Some(b'\\'), Some(_)) | (Some(b'\''), Some(b'\'')) => self.at += 2,
                (Some(b'\''), _) => break,
                (Some(_), _) => self.at += 1,
                (None, _) => return Err(unclosed("quote")),
            }
        }
        self.at += 1;
        // On another line the string would go on, and its backslashes with it.
        let mut ahead = Reader::new(self.text, self.dialect);
        ahead.at = self.at;
        while let Some(byte) = ahead.byte(0) {
            match byte {
                b'-' if ahead.byte(1) == Some(b'-') => ahead.skip_line(),
                byte if byte.is_ascii_whitespace() || byte == 0x0b => ahead.at += 1,
                b'\'' => {
                    return Err(DatabaseError::statement(
                        "a string stands behind an E'' string; join them with ||",
                    ));
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// A string of MySQL's, whose backslashes hide quotes. A doubled quote ends one and begins another.
    fn skip_backslashed(&mut self) -> Result<(), DatabaseError> {
        self.at += 1;
        loop {
            match self.byte(0) {
                Some(b'\\') => self.at += 2,
                Some(b'\'') => break,
                Some(_) => self.at += 1,
                None => return Err(unclosed("quote")),
            }
        }
        self.at += 1;
        Ok(())
    }

    /// Skips `$tag$…$tag$`; false where none begins here.
    fn skip_dollar_quoted(&mut self) -> Result<bool, DatabaseError> {
        let length = match self.byte(1) {
            Some(b'$') => 0,
            Some(first) if starts_name(first) => self.name_length(1),
            _ => return Ok(false),
        };
        let quote = self
            .text
            .get(self.at..self.at + length + 2)
            .unwrap_or_default();
        if quote.len() < 2 || !quote.ends_with('$') {
            return Ok(false);
        }
        let begin = self.at + quote.len();
        let rest = self.text.get(begin..).unwrap_or_default();
        let end = rest.find(quote).ok_or_else(|| unclosed("quote"))?;
        self.at = begin + end + quote.len();
        Ok(true)
    }

    /// A doubled quote stands for itself, so it ends one and begins another.
    fn skip_quoted(&mut self, quote: u8) -> Result<(), DatabaseError> {
        let rest = self.text.as_bytes().get(self.at + 1..).unwrap_or_default();
        let end = memchr::memchr(quote, rest).ok_or_else(|| unclosed("quote"))?;
        self.at += 1 + end + 1;
        Ok(())
    }

    fn skip_bracketed(&mut self) -> Result<(), DatabaseError> {
        let rest = self.text.as_bytes().get(self.at + 1..).unwrap_or_default();
        let end = memchr::memchr(b']', rest).ok_or_else(|| unclosed("bracket"))?;
        self.at += 1 + end + 1;
        Ok(())
    }
}

/// What MySQL ends a transaction by.
const CHANGES_SCHEMA: [&str; 13] = [
    "alter",
    "analyze",
    "create",
    "drop",
    "flush",
    "grant",
    "install",
    "optimize",
    "rename",
    "repair",
    "revoke",
    "truncate",
    "uninstall",
];

fn begins_with(rest: &str, word: &str) -> bool {
    let first = rest.split_ascii_whitespace().next().unwrap_or_default();
    first.eq_ignore_ascii_case(word)
}

/// Whether what stands behind `ROLLBACK` is `[WORK | TRANSACTION] TO`.
fn goes_to(rest: &str) -> bool {
    let mut words = rest.split_ascii_whitespace();
    let mut word = words.next().unwrap_or_default();
    if word.eq_ignore_ascii_case("work") || word.eq_ignore_ascii_case("transaction") {
        word = words.next().unwrap_or_default();
    }
    word.eq_ignore_ascii_case("to")
}

fn unclosed(what: &str) -> DatabaseError {
    DatabaseError::statement(format!("a {what} in the statement is not closed"))
}

/// Bytes above ASCII are letters, as SQLite has it.
fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

pub(super) fn in_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit()
}
