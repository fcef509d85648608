//! Counts that processes and hosts share, kept by Redis.
//!
//! 1. One script decides about one key in one step, by the server's clock, which never goes back for
//!    a key. It works as [`super::rule`] does, in microseconds, which is what that clock tells; what is
//!    cut to whole units is cut to the side of the first bound.
//! 2. A key is known by a digest of the limit and of what is counted, made with the password of the
//!    address, so that who reads the store without it cannot try addresses. It is forgotten once
//!    nothing of it counts, and takes at most 256 bytes of the store (`MEMORY USAGE`).
//! 3. The limits of one program are told apart by where they are declared and what they say; the same
//!    program counts together wherever it runs. So do programs of one title that use one database.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use redis::Script;

use super::rule::Count;
use crate::store::{Away, Redis};

/// Up to this limit times are kept, and so many parts a window has above it.
const PARTS: u64 = 32;
/// In how many units of time a window is cut where times are kept.
const UNITS: u64 = 1 << 28;

const SCRIPT: &str = r"
local limit, unit, span, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local keeps_times = limit <= 32
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local at = (now - now % unit) / unit
local held = redis.call('GET', KEYS[1])
local last, used, slots = at, 0, {}
if keeps_times then
  if held then
    local read = {struct.unpack('>I8' .. string.rep('I4', (#held - 8) / 4), held)}
    last = read[1]
    at = math.max(at, last)
    for place = 2, #read - 1 do
      local time = last - read[place]
      if at - time < span then
        slots[#slots + 1] = time
      end
    end
    used = #slots
  end
else
  for part = 1, 33 do slots[part] = 0 end
  if held then
    local read = {struct.unpack('>I8' .. string.rep('I4', 33), held)}
    last = read[1]
    at = math.max(at, last)
    if at - last < span then
      for part = 1, 33 do slots[part] = read[part + 1] end
      for passed = last + 1, at do slots[passed % 33 + 1] = 0 end
      for part = 1, 33 do used = used + slots[part] end
    end
  end
end
local retry = 0
if used + cost <= limit then
  used, last = used + cost, at
  local ages = {}
  if keeps_times then
    for _ = 1, cost do slots[#slots + 1] = at end
    for place = 1, #slots do ages[place] = last - slots[place] end
  else
    slots[at % 33 + 1] = slots[at % 33 + 1] + cost
    ages = slots
  end
  local written = struct.pack('>I8' .. string.rep('I4', #ages), last, unpack(ages))
  redis.call('SET', KEYS[1], written, 'PX', math.ceil((span + 1) * unit / 1000))
else
  local excess, passing = used + cost - limit, at + span
  if keeps_times then
    if slots[excess] then passing = slots[excess] + span end
  else
    local gone = 0
    for part = math.max(at + 1 - span, 0), at do
      gone = gone + slots[part % 33 + 1]
      if gone >= excess then passing = part + span break end
    end
  end
  retry = math.max(passing * unit - now, 1)
end
local reset = 0
if used > 0 then reset = math.max((last + span) * unit - now, 0) end
return {retry == 0 and 1 or 0, limit - used, reset, retry}
";

static COUNT: LazyLock<Script> = LazyLock::new(|| Script::new(SCRIPT));

/// A limit whose counts are shared.
pub(super) struct SharedCounts {
    store: Arc<Redis>,
    limit: u64,
    unit: u64,
    span: u64,
    name: [u8; 32],
    secret: hmac::Key,
}

impl SharedCounts {
    /// `place` is where in which program the limit is declared, `password` that of the address.
    pub(super) fn new(
        store: Arc<Redis>,
        (limit, window): (u32, Duration),
        place: &str,
        password: &[u8],
    ) -> Self {
        let micros = u64::try_from(window.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX);
        let limit = u64::from(limit);
        let unit = micros.div_ceil(if limit <= PARTS { UNITS } else { PARTS });
        let name = format!("{place}\n{limit}\n{}", window.as_nanos());
        let mut digested = [0; 32];
        for (to, from) in digested
            .iter_mut()
            .zip(digest::digest(&digest::SHA256, name.as_bytes()).as_ref())
        {
            *to = *from;
        }
        Self {
            store,
            limit,
            unit,
            // One more than a window has: the unit in which the oldest lies counts whole.
            span: micros.div_ceil(unit) + 1,
            name: digested,
            secret: hmac::Key::new(hmac::HMAC_SHA256, password),
        }
    }

    /// True while counts can be had.
    pub(super) fn is_there(&self) -> bool {
        self.store.is_there()
    }

    /// The name that `key` is counted under.
    pub(super) fn name(&self, key: &[u8]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.secret);
        context.update(&self.name);
        context.update(key);
        let tag = context.sign();
        // Half of it is as much as no two keys share. In base 64 the name takes 48 bytes there, in base 16
        // it would take 64, and the whole key more than the 256 that it may.
        let half = tag.as_ref().get(..16).unwrap_or_default();
        let mut name = String::from("apifrom:limit:");
        BASE64_URL_SAFE_NO_PAD.encode_string(half, &mut name);
        name.into_bytes()
    }

    /// Asks for `cost`.
    pub(super) async fn ask(&self, name: Vec<u8>, cost: u32) -> Result<Count, Away> {
        let arguments = vec![self.limit, self.unit, self.span, u64::from(cost)];
        let answered = self.store.ask(&COUNT, name, arguments).await?;
        let [accepted, remaining, reset, retry_after] = answered;
        Ok(Count {
            accepted: accepted == 1,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            reset: Duration::from_micros(reset),
            retry_after: Duration::from_micros(retry_after),
        })
    }
}
