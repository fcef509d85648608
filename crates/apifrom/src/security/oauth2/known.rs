//! What is known of tokens, for a while.

use std::sync::Arc;
use std::time::Duration;

use super::super::known::Known as Table;
use super::{Active, Digest, Verdict};

/// How long it is known that a token is not good.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// Good tokens and refused ones apart, so that no flood of the one drives out the other.
#[derive(Default)]
pub(super) struct Known {
    good: Table<Arc<Active>>,
    refused: Table<&'static str>,
}

impl Known {
    /// What is known of a token now.
    pub(super) fn find(&self, digest: &Digest, now: Duration) -> Option<Verdict> {
        let good = self.good.find(digest, now).map(Verdict::Active);
        good.or_else(|| self.refused.find(digest, now).map(Verdict::Refused))
    }

    /// Keeps what was found out; that the server could not be asked is nothing about a token.
    pub(super) fn keep(&self, digest: &Digest, verdict: &Verdict, now: Duration, ttl: Duration) {
        match verdict {
            Verdict::Active(active) => {
                let latest = now.saturating_add(ttl);
                let bounds = [active.expires, active.until];
                let until = bounds.into_iter().flatten().fold(latest, Duration::min);
                self.good.keep(digest, Arc::clone(active), now, until);
            }
            Verdict::Refused(reason) if !ttl.is_zero() => {
                let until = now.saturating_add(REFUSED_FOR);
                self.refused.keep(digest, reason, now, until);
            }
            Verdict::Refused(_) | Verdict::Unavailable(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::Scopes;
    use crate::security::known::KNOWN;

    fn digest(number: usize) -> Digest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_le_bytes());
        digest
    }

    fn active(expires: Option<u64>) -> Verdict {
        Verdict::Active(Arc::new(Active {
            claims: bytes::Bytes::new(),
            subject: None,
            marks: super::super::Marks::of(None, None, None),
            scopes: Scopes::NONE,
            expires: expires.map(Duration::from_secs),
            until: None,
        }))
    }

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_is_known_no_longer_than_allowed_and_never_past_its_expiry() {
        let known = Known::default();
        known.keep(&digest(1), &active(None), at(100), at(60));
        known.keep(&digest(2), &active(Some(130)), at(100), at(60));
        known.keep(&digest(3), &active(None), at(100), at(0));
        known.keep(&digest(4), &Verdict::Refused("no"), at(100), at(60));
        known.keep(&digest(5), &Verdict::Unavailable("down"), at(100), at(60));
        let found = |number, now| known.find(&digest(number), at(now)).is_some();
        assert!(found(1, 100) && found(1, 159) && !found(1, 160));
        assert!(found(2, 129) && !found(2, 130));
        assert!(!found(3, 100));
        assert!(found(4, 109) && !found(4, 110));
        assert!(!found(5, 100));
        assert!(!found(1, 99), "the clock was put back");
    }

    #[test]
    fn a_flood_of_refused_tokens_drives_out_no_good_one() {
        let known = Known::default();
        known.keep(&digest(0), &active(None), at(0), at(60));
        for number in 1..=KNOWN + 100 {
            known.keep(&digest(number), &Verdict::Refused("no"), at(0), at(60));
        }
        assert!(known.find(&digest(0), at(1)).is_some());
        assert!(known.find(&digest(1), at(1)).is_none());
        assert!(known.find(&digest(KNOWN + 100), at(1)).is_some());
        assert_eq!(known.refused.len(), KNOWN);
    }
}
