//! A connection, and what it can be asked.

use std::io;

use super::super::error::DatabaseError;
use super::super::rows::Columns;
use super::super::value::Value;
use super::Fault;
use super::login::{Account, Greeting, log_in};
use super::values::{is_read, put_all, row, unread};
use super::wire::{Column, Content, Done, Line, Refusal, broken, receive, send, status};

/// What a server is asked to do.
mod command {
    pub(super) const QUIT: u8 = 0x01;
    pub(super) const QUERY: u8 = 0x03;
    pub(super) const PING: u8 = 0x0e;
    pub(super) const PREPARE: u8 = 0x16;
    pub(super) const EXECUTE: u8 = 0x17;
    pub(super) const CLOSE: u8 = 0x19;
    pub(super) const SET_OPTION: u8 = 0x1b;
    pub(super) const RESET: u8 = 0x1f;
}

/// One connection that is logged in.
pub(super) struct Connection {
    line: Box<dyn Line>,
    /// Its number at the server.
    pub(super) id: u32,
    /// What the server said last of itself.
    status: u16,
    /// True where it refused something since.
    is_stale: bool,
}

/// A statement that the server knows.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    id: u32,
    parameters: usize,
    columns: Vec<Column>,
}

/// What a statement gave.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) names: Vec<Box<str>>,
    pub(super) values: Vec<Value>,
    pub(super) count: usize,
    pub(super) done: Done,
    /// A value that none here stands for.
    misread: Option<DatabaseError>,
}

impl Connection {
    pub(super) async fn begin(
        mut line: Box<dyn Line>,
        mut count: u8,
        greeting: Greeting,
        account: &Account<'_>,
        is_private: bool,
        has_tls: bool,
    ) -> Result<Self, Fault> {
        let id = greeting.id;
        log_in(
            &mut *line, &mut count, greeting, account, is_private, has_tls,
        )
        .await?;
        Ok(Self {
            line,
            id,
            status: status::AUTOCOMMIT,
            is_stale: false,
        })
    }

    /// True while the server has not hung up.
    pub(super) fn is_quiet(&self) -> bool {
        self.line.is_quiet()
    }

    /// True while a transaction is open at the server.
    pub(super) fn is_in_transaction(&self) -> bool {
        self.status & status::IN_TRANSACTION != 0
    }

    /// True while each statement is kept by itself, outside of a transaction.
    pub(super) fn has_autocommit(&self) -> bool {
        self.status & status::AUTOCOMMIT != 0
    }

    /// Asks what is open, where the server refused something: a refusal does not tell. A procedure may have
    /// begun a transaction before it failed, and a deadlock undoes one.
    pub(super) async fn learn(&mut self) -> Result<(), Fault> {
        if !self.is_stale {
            return Ok(());
        }
        let mut count = self.ask(command::PING, &[]).await?;
        let content = self.receive(&mut count).await?;
        self.status = Done::read(&content)?.status;
        self.is_stale = false;
        Ok(())
    }

    /// Makes the session a new one: variables, temporary tables, locks and statements are gone.
    pub(super) async fn reset(&mut self) -> Result<(), Fault> {
        let mut count = self.ask(command::RESET, &[]).await?;
        let content = self.receive(&mut count).await?;
        self.status = Done::read(&content)?.status;
        Ok(())
    }

    /// Runs text that holds no values; returns how many statements of it were done before one failed.
    pub(super) async fn run(&mut self, text: &str) -> (usize, Result<(), Fault>) {
        let mut done = 0;
        let result = self.run_counted(text, &mut done).await;
        (done, result)
    }

    async fn run_counted(&mut self, text: &str, done: &mut usize) -> Result<(), Fault> {
        let mut count = self.ask(command::QUERY, text.as_bytes()).await?;
        loop {
            let content = self.receive(&mut count).await?;
            self.status = match content.first() {
                Some(0x00) => Done::read(&content)?.status,
                Some(0xfb) => return Err(broken("the server asks for a file").into()),
                _ => {
                    let width = Content(&content).number()?;
                    for _ in 0..width {
                        self.receive(&mut count).await?;
                    }
                    self.end(&mut count).await?;
                    loop {
                        let content = self.receive(&mut count).await?;
                        if is_end(&content) {
                            break Done::read_end(&content)?;
                        }
                    }
                }
            };
            *done += 1;
            if self.status & status::MORE_RESULTS == 0 {
                return Ok(());
            }
        }
    }

    /// Runs text that may be several statements.
    pub(super) async fn run_all(&mut self, text: &str) -> (usize, Result<(), Fault>) {
        if let Err(fault) = self.allow_several(true).await {
            return (0, Err(fault));
        }
        let (done, result) = self.run(text).await;
        if matches!(result, Err(Fault::Lost(_))) {
            return (done, result);
        }
        let again = self.allow_several(false).await;
        (done, result.and(again))
    }

    async fn allow_several(&mut self, allow: bool) -> Result<(), Fault> {
        let option = u16::from(!allow).to_le_bytes();
        let mut count = self.ask(command::SET_OPTION, &option).await?;
        self.receive(&mut count).await?;
        Ok(())
    }

    /// Makes a statement known to the server.
    pub(super) async fn prepare(&mut self, text: &str) -> Result<Prepared, Fault> {
        let mut count = self.ask(command::PREPARE, text.as_bytes()).await?;
        let content = self.receive(&mut count).await?;
        let mut content = Content(&content);
        if content.byte()? != 0 {
            return Err(broken("the answer to a statement is none").into());
        }
        let id = content.long()?;
        let width = content.short()?;
        let parameters = content.short()?.into();
        if parameters > 0 {
            self.columns(&mut count, parameters).await?;
        }
        let columns = match width {
            0 => Vec::new(),
            width => self.columns(&mut count, width.into()).await?,
        };
        Ok(Prepared {
            id,
            parameters,
            columns,
        })
    }

    /// Forgets a statement. There is no answer to it.
    pub(super) async fn close(&mut self, prepared: &Prepared) -> Result<(), Fault> {
        self.ask(command::CLOSE, &prepared.id.to_le_bytes()).await?;
        Ok(())
    }

    /// Runs a statement that is known, with `values` for its placeholders.
    pub(super) async fn execute(
        &mut self,
        prepared: &Prepared,
        values: &[Value],
        needs_rows: bool,
    ) -> Result<Outcome, Fault> {
        prepared.check(values.len(), needs_rows)?;
        let mut out = Vec::with_capacity(32);
        out.extend_from_slice(&prepared.id.to_le_bytes());
        // No cursor; once.
        out.extend_from_slice(&[0, 1, 0, 0, 0]);
        put_all(&mut out, values);
        let mut count = self.ask(command::EXECUTE, &out).await?;
        drop(out);
        let mut outcome = self.outcome(&mut count).await?;
        while self.status & status::MORE_RESULTS != 0 {
            // What a procedure answers besides is passed over.
            self.outcome(&mut count).await?;
        }
        match outcome.misread.take().filter(|_| needs_rows) {
            Some(error) => Err(Fault::Own(error)),
            None => Ok(outcome),
        }
    }

    async fn outcome(&mut self, count: &mut u8) -> Result<Outcome, Fault> {
        let content = self.receive(count).await?;
        let mut outcome = Outcome::default();
        match content.first() {
            Some(0x00) => {
                outcome.done = Done::read(&content)?;
                self.status = outcome.done.status;
                return Ok(outcome);
            }
            Some(0xfb) => return Err(broken("the server asks for a file").into()),
            _ => {}
        }
        let width = usize::try_from(Content(&content).number()?).unwrap_or(usize::MAX);
        let columns = self.columns(count, width).await?;
        loop {
            let content = self.receive(count).await?;
            if is_end(&content) {
                self.status = Done::read_end(&content)?;
                break;
            }
            outcome.count += 1;
            row(
                &content,
                &columns,
                &mut outcome.values,
                &mut outcome.misread,
            )?;
        }
        outcome.names = columns.into_iter().map(|column| column.name).collect();
        Ok(outcome)
    }

    /// Says good-bye, so that the server need not notice by itself.
    pub(super) async fn quit(mut self) {
        // Whoever is gone already needs none.
        let _ = self.ask(command::QUIT, &[]).await;
    }

    async fn columns(&mut self, count: &mut u8, width: usize) -> Result<Vec<Column>, Fault> {
        let mut columns = Vec::new();
        for _ in 0..width {
            columns.push(Column::read(&self.receive(count).await?)?);
        }
        self.end(count).await?;
        Ok(columns)
    }

    async fn end(&mut self, count: &mut u8) -> Result<(), Fault> {
        if is_end(&self.receive(count).await?) {
            return Ok(());
        }
        Err(broken("there is more than was announced").into())
    }

    /// Sends a command; returns the number of the answer's first packet.
    async fn ask(&mut self, command: u8, content: &[u8]) -> io::Result<u8> {
        let mut packet = Vec::with_capacity(content.len() + 1);
        packet.push(command);
        packet.extend_from_slice(content);
        let mut count = 0;
        send(&mut *self.line, &mut count, &packet).await?;
        Ok(count)
    }

    async fn receive(&mut self, count: &mut u8) -> Result<Vec<u8>, Fault> {
        let content = receive(&mut *self.line, count).await?;
        if content.first() == Some(&0xff) {
            self.is_stale = true;
            return Err(Refusal::read(&content)?.into());
        }
        Ok(content)
    }
}

/// A row of the same first byte would be longer.
fn is_end(content: &[u8]) -> bool {
    content.first() == Some(&0xfe) && content.len() < 9
}

impl Prepared {
    /// What cannot be answered must not be done either.
    fn check(&self, values: usize, needs_rows: bool) -> Result<(), DatabaseError> {
        if self.parameters != values {
            return Err(DatabaseError::statement(format!(
                "MySQL finds {} placeholders in the statement, and {values} are meant",
                self.parameters
            )));
        }
        if needs_rows {
            if self.columns.is_empty() {
                return Err(DatabaseError::statement(
                    "the statement gives no rows; use execute",
                ));
            }
            let names = self.columns.iter().map(|column| column.name.clone());
            Columns::new(names.collect())?;
            if let Some(column) = self.columns.iter().find(|column| !is_read(column)) {
                return Err(unread(column));
            }
        }
        Ok(())
    }
}
