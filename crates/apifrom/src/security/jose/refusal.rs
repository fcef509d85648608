//! Why a token is refused, in fixed words.

/// Why a token is refused. What a client is told never depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
#[error("{}", self.reason())]
pub enum Refusal {
    /// Longer than [`MAX_TOKEN`](super::MAX_TOKEN).
    TooLarge,
    /// Not three parts of base64url, or a header that is no object with an `alg`.
    Malformed,
    /// `none`, or another algorithm that is not known.
    UnknownAlgorithm,
    /// A header that asks for what is not understood.
    CriticalHeader,
    /// An algorithm that is not on the list.
    WrongAlgorithm,
    /// A key that is not there.
    UnknownKey,
    /// Signed with another key, or changed.
    BadSignature,
    /// A payload that is no object, or a claim of the wrong type.
    MalformedClaims,
    /// `exp` is missing.
    MissingExpiry,
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come yet.
    NotYetValid,
    /// `iat` lies in the future.
    IssuedInFuture,
    /// `aud` is missing.
    MissingAudience,
    /// `aud` names nobody of ours.
    WrongAudience,
    /// `iss` is missing.
    MissingIssuer,
    /// `iss` names somebody else.
    WrongIssuer,
    /// `sub` is missing or empty.
    MissingSubject,
    /// `jti` is missing or empty.
    MissingId,
    /// `at_hash`, or the access token that it belongs to, is missing.
    MissingAccessTokenHash,
    /// `at_hash` belongs to another access token.
    WrongAccessTokenHash,
}

impl Refusal {
    /// The reason as log records name it; never changes.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::UnknownAlgorithm => "unknown_algorithm",
            Self::CriticalHeader => "critical_header",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::UnknownKey => "unknown_key",
            Self::BadSignature => "bad_signature",
            Self::MalformedClaims => "malformed_claims",
            Self::MissingExpiry => "missing_expiry",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::IssuedInFuture => "issued_in_future",
            Self::MissingAudience => "missing_audience",
            Self::WrongAudience => "wrong_audience",
            Self::MissingIssuer => "missing_issuer",
            Self::WrongIssuer => "wrong_issuer",
            Self::MissingSubject => "missing_subject",
            Self::MissingId => "missing_id",
            Self::MissingAccessTokenHash => "missing_access_token_hash",
            Self::WrongAccessTokenHash => "wrong_access_token_hash",
        }
    }
}
