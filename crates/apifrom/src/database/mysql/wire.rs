//! Packets of the protocol: how they are framed, and what the parts of one are.
//!
//! A packet has three bytes of length, one that counts, and its content; content of 16 MiB or more goes
//! on in the next one. What a server says is bounded by what it announces and read as far as it is there:
//! no packet, however broken, is more than an error.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The longest content of one packet.
const CHUNK: usize = 0x00ff_ffff;

/// The longest content of all: no server sends more.
const LONGEST: usize = 1 << 30;

/// A connection's bytes.
pub(super) trait Line: AsyncRead + AsyncWrite + Send + Sync + Unpin {
    /// True while there is nothing to be read: a server says nothing unasked but that it hangs up.
    fn is_quiet(&self) -> bool;
}

/// Reads one packet's content.
pub(super) async fn receive<L: Line + ?Sized>(line: &mut L, count: &mut u8) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let mut head = [0; 4];
        line.read_exact(&mut head).await?;
        let [a, b, c, number] = head;
        if number != *count {
            return Err(broken("packets are out of order"));
        }
        *count = count.wrapping_add(1);
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        if content.len() + length > LONGEST {
            return Err(broken("a packet is too long"));
        }
        // It grows with what comes, and not with what is announced.
        let mut part = (&mut *line).take(length as u64);
        if part.read_to_end(&mut content).await? != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if length < CHUNK {
            return Ok(content);
        }
    }
}

/// Sends one packet's content.
pub(super) async fn send<L: Line + ?Sized>(
    line: &mut L,
    count: &mut u8,
    content: &[u8],
) -> io::Result<()> {
    let mut chunks = content.chunks(CHUNK);
    loop {
        let chunk = chunks.next().unwrap_or_default();
        let [a, b, c, ..] = u32::try_from(chunk.len()).unwrap_or_default().to_le_bytes();
        let mut packet = Vec::with_capacity(chunk.len() + 4);
        packet.extend_from_slice(&[a, b, c, *count]);
        packet.extend_from_slice(chunk);
        *count = count.wrapping_add(1);
        line.write_all(&packet).await?;
        if chunk.len() < CHUNK {
            return line.flush().await;
        }
    }
}

pub(super) fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What is left of a packet's content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content<'a>(pub(super) &'a [u8]);

impl<'a> Content<'a> {
    pub(super) fn bytes(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| broken("a packet ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let bytes = self.bytes(N)?;
        bytes
            .try_into()
            .map_err(|_| broken("a packet ends too early"))
    }

    pub(super) fn byte(&mut self) -> io::Result<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn short(&mut self) -> io::Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn long(&mut self) -> io::Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A number of one to nine bytes.
    pub(super) fn number(&mut self) -> io::Result<u64> {
        Ok(match self.byte()? {
            0xfc => self.short()?.into(),
            0xfd => {
                let [a, b, c] = self.array()?;
                u32::from_le_bytes([a, b, c, 0]).into()
            }
            0xfe => u64::from_le_bytes(self.array()?),
            small @ 0..=0xfa => small.into(),
            _ => return Err(broken("a length is none")),
        })
    }

    /// Bytes with their length before them.
    pub(super) fn measured(&mut self) -> io::Result<&'a [u8]> {
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        self.bytes(length)
    }

    /// Bytes up to a NUL, or to the end.
    pub(super) fn terminated(&mut self) -> &'a [u8] {
        let end = memchr::memchr(0, self.0).unwrap_or(self.0.len());
        let (taken, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        taken
    }
}

/// Writes bytes with their length before them.
pub(super) fn put_measured(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = bytes.len() as u64;
    let [a, b, c, d, ..] = length.to_le_bytes();
    match length {
        0..=0xfa => out.push(a),
        0xfb..=0xffff => out.extend_from_slice(&[0xfc, a, b]),
        0x1_0000..=0x00ff_ffff => out.extend_from_slice(&[0xfd, a, b, c]),
        _ => {
            let _ = d;
            out.push(0xfe);
            out.extend_from_slice(&length.to_le_bytes());
        }
    }
    out.extend_from_slice(bytes);
}

/// What a server refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    /// The five characters of SQLSTATE; empty before a login.
    pub(super) state: String,
    pub(super) message: String,
}

impl Refusal {
    /// Reads a packet that begins with 0xff.
    pub(super) fn read(content: &[u8]) -> io::Result<Self> {
        let mut content = Content(content);
        content.byte()?;
        let code = content.short()?;
        let mut state = "";
        if content.0.first() == Some(&b'#') {
            state = std::str::from_utf8(content.bytes(6)?).unwrap_or_default();
        }
        Ok(Self {
            code,
            state: state.trim_start_matches('#').to_owned(),
            message: String::from_utf8_lossy(content.0).into_owned(),
        })
    }
}

/// What a server says of itself with each answer.
pub(super) mod status {
    pub(in super::super) const IN_TRANSACTION: u16 = 0x0001;
    pub(in super::super) const AUTOCOMMIT: u16 = 0x0002;
    pub(in super::super) const MORE_RESULTS: u16 = 0x0008;
}

/// What a statement did that gave no rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) rows: u64,
    pub(super) last_id: u64,
    pub(super) status: u16,
}

impl Done {
    /// Reads a packet that begins with 0x00.
    pub(super) fn read(content: &[u8]) -> io::Result<Self> {
        let mut content = Content(content);
        content.byte()?;
        Ok(Self {
            rows: content.number()?,
            last_id: content.number()?,
            status: content.short()?,
        })
    }

    /// Reads the packet behind rows, or behind columns: 0xfe, warnings, the status.
    pub(super) fn read_end(content: &[u8]) -> io::Result<u16> {
        let mut content = Content(content);
        content.byte()?;
        content.short()?;
        content.short()
    }
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: Box<str>,
    pub(super) kind: u8,
    /// The character set; 63 for bytes.
    pub(super) charset: u16,
    pub(super) is_unsigned: bool,
}

impl Column {
    pub(super) fn read(content: &[u8]) -> io::Result<Self> {
        let mut content = Content(content);
        // Catalogue, schema, table, and the table's own name.
        for _ in 0..4 {
            content.measured()?;
        }
        let name = content.measured()?;
        content.measured()?;
        content.number()?;
        let charset = content.short()?;
        content.long()?;
        let kind = content.byte()?;
        let flags = content.short()?;
        Ok(Self {
            name: String::from_utf8_lossy(name).into(),
            kind,
            charset,
            is_unsigned: flags & 0x20 != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_written_as_they_are_read() {
        for length in [
            0,
            1,
            250,
            251,
            252,
            0xffff,
            0x1_0000,
            0x00ff_ffff,
            0x0100_0000,
        ] {
            let bytes = vec![7; length];
            let mut out = Vec::new();
            put_measured(&mut out, &bytes);
            let mut content = Content(&out);
            assert_eq!(content.measured().unwrap().len(), length);
            assert!(content.0.is_empty());
        }
    }

    #[test]
    fn what_a_server_refused_is_read_with_and_without_a_state() {
        let refusal = Refusal::read(b"\xff\x15\x04#28000no").unwrap();
        assert_eq!((refusal.code, &*refusal.state), (1045, "28000"));
        assert_eq!(refusal.message, "no");
        let refusal = Refusal::read(b"\xff\x10\x04Too many").unwrap();
        assert_eq!((refusal.code, &*refusal.state), (1040, ""));
        assert!(Refusal::read(b"\xff\x10").is_err());
    }

    proptest! {
        #[test]
        fn no_packet_is_more_than_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Refusal::read(&bytes);
            let _ = Done::read(&bytes);
            let _ = Done::read_end(&bytes);
            let _ = Column::read(&bytes);
            let mut content = Content(&bytes);
            content.terminated();
            while content.measured().is_ok() {}
        }
    }
}
