//! The rules: what each of them is called, how much it weighs, and how to mend what it finds.

use std::fmt;

use serde::Serialize;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; may be meant.
    Note,
    /// Weaker than it should be.
    Warning,
    /// An attacker gets in, or learns what nobody should. Under `strict` the API does not start.
    Error,
}

impl Severity {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A line of the checklist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Area {
    /// Store secrets securely.
    Secrets,
    /// Implement proper authentication.
    Authentication,
    /// Implement proper authorization.
    Authorization,
    /// Use HTTPS in production.
    Transport,
    /// Implement security headers.
    Headers,
    /// Implement CORS.
    Cors,
    /// Implement CSRF protection.
    Csrf,
    /// Implement rate limiting.
    RateLimit,
    /// Implement proper error handling.
    Errors,
    /// Implement proper logging.
    Logging,
    /// Validate all input.
    Input,
    /// Sanitize all output.
    Output,
    /// Keep dependencies up to date.
    Dependencies,
    /// Perform security audits.
    Audits,
    /// Have a security incident response plan.
    Incidents,
}

/// A rule. Its id never changes, and never means anything else.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Rule {
    /// `AF101`.
    pub id: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// How much a finding weighs.
    pub severity: Severity,
    /// The line of the checklist.
    pub area: Area,
    /// What an attacker gains.
    pub why: &'static str,
    /// What to do about it.
    pub mend: &'static str,
    /// The requirements of the OWASP Application Security Verification Standard 5.0.
    pub asvs: &'static [&'static str],
    /// The risks of the OWASP API Security Top 10 of 2023.
    pub api_top_10: &'static [&'static str],
}

/// What no program can decide.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Manual {
    /// The line of the checklist.
    pub area: Area,
    /// What somebody has to look at.
    pub what: &'static str,
}

/// The rule with this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

macro_rules! rules {
    ($($id:literal $severity:ident $area:ident $title:literal
        why $why:literal mend $mend:literal asvs [$($asvs:literal),*] top [$($top:literal),*];)*) => {
        /// Every rule, by its id. Those from `AF801` to `AF899` read source code, which the Python face
        /// does.
        pub static RULES: &[Rule] = &[$(Rule {
            id: $id,
            title: $title,
            severity: Severity::$severity,
            area: Area::$area,
            why: $why,
            mend: $mend,
            asvs: &[$($asvs),*],
            api_top_10: &[$($top),*],
        }),*];
    };
}

rules! {
"AF101" Error Secrets "shared secret is short"
    why "a secret shorter than its hash can be found by trying, and whoever finds it makes tokens for everybody"
    mend "generate one with `python -c 'import secrets; print(secrets.token_urlsafe(64))'` and load it with secret(\"NAME\")"
    asvs ["11.2.3", "9.1.1"] top ["API2:2023"];
"AF102" Error Secrets "shared secret can be guessed"
    why "secrets that stand in examples or repeat themselves are the first that an attacker tries"
    mend "generate a random one and load it with secret(\"NAME\")"
    asvs ["11.5.1", "13.3.1"] top ["API2:2023"];
"AF103" Warning Secrets "API keys are stored as they are"
    why "whoever reads the program or its memory has every key"
    mend "make keys with `apifrom key new` and list their digests: api_keys={\"sha256:…\": [\"read\"]}"
    asvs ["13.3.1"] top ["API2:2023"];
"AF104" Error Secrets "passwords are stored as they are"
    why "whoever reads the program or its memory has every password, and people use theirs elsewhere too"
    mend "store what `apifrom password hash` prints"
    asvs ["11.4.2", "13.3.1"] top ["API2:2023"];
"AF105" Error Secrets "API key can be guessed"
    why "a key that is short or repeats itself can be found by trying"
    mend "make keys with `apifrom key new`, which have 130 random bits"
    asvs ["11.5.1", "6.3.1"] top ["API2:2023"];
"AF106" Warning Secrets "passwords are hashed in different ways"
    why "a user whose hash is cheaper answers sooner, so an attacker learns who exists"
    mend "hash all of them alike with `apifrom password hash`"
    asvs ["6.3.8", "11.4.2"] top ["API2:2023"];
"AF201" Warning Authentication "audience of tokens is not verified"
    why "a token that was made for another service with the same key gets in here"
    mend "say audience=\"this-api\" (which turns verify_aud on), and put it into the tokens"
    asvs ["9.2.3"] top ["API2:2023"];
"AF202" Error Authentication "expiry of tokens is not verified"
    why "a token that was stolen once is good for ever"
    mend "leave verify_exp on, and sign tokens with an expiry"
    asvs ["9.2.1"] top ["API2:2023"];
"AF203" Warning Authentication "credential stands in the query"
    why "queries are written to the logs of every proxy on the way, and to browser histories"
    mend "send it in a header"
    asvs ["14.2.1"] top ["API2:2023"];
"AF204" Warning Authentication "issuer of tokens is not verified"
    why "keys that are fetched may serve several issuers, each of which then gets in"
    mend "say issuer=\"https://…\" beside jwks_url"
    asvs ["9.1.3"] top ["API2:2023"];
"AF205" Note Authentication "plain JWTs are taken as access tokens"
    why "a token of another kind by the same server may look alike"
    mend "let the server send at+jwt (RFC 9068) and leave token_types as it is"
    asvs ["9.2.2"] top ["API2:2023"];
"AF206" Warning Authentication "tokens are good long after they expire"
    why "a token that was stolen is good for longer than its issuer meant"
    mend "set leeway to what clocks differ, a minute at most"
    asvs ["9.2.1"] top ["API2:2023"];
"AF207" Warning Authentication "a revoked credential is taken for long"
    why "what was revoked is taken until the cached answer is forgotten"
    mend "set cache_ttl to a few minutes at most"
    asvs ["7.4.1"] top ["API2:2023"];
"AF301" Warning Authorization "endpoint is open, and nobody said why"
    why "an endpoint that was forgotten looks like one that is meant to be open"
    mend "protect it, or say @public(reason=\"…\"); API(default=\"deny\") keeps it so"
    asvs ["8.2.1", "8.1.1"] top ["API5:2023", "API2:2023"];
"AF302" Note Authorization "whoever is authenticated may write"
    why "a caller who may only read can change and delete as well"
    mend "require scopes= or roles=, or decide by policy="
    asvs ["8.2.1", "8.2.2"] top ["API1:2023", "API5:2023"];
"AF401" Warning Transport "serves plain HTTP to the network"
    why "everybody on the way reads and changes requests, credentials included"
    mend "give ssl_keyfile= and ssl_certfile=, or listen on 127.0.0.1 behind a proxy with TLS that stands in trusted_proxies"
    asvs ["12.2.1"] top ["API8:2023"];
"AF402" Note Transport "answers to every host name"
    why "a page of another name that resolves to this machine (DNS rebinding) reaches the API as its own"
    mend "say API(trusted_hosts=[\"api.example.com\"])"
    asvs ["2.2.1"] top ["API8:2023"];
"AF403" Warning Transport "forwarding headers of nearly everybody are believed"
    why "a client that is believed chooses its own address, and so escapes limits and forges logs"
    mend "list the addresses of your own proxies in trusted_proxies"
    asvs ["4.1.3", "15.3.4"] top ["API8:2023", "API4:2023"];
"AF404" Warning Transport "development settings are on"
    why "they relax what protects a server that others reach"
    mend "leave development off; `apifrom dev` sets it by itself"
    asvs ["13.4.2"] top ["API8:2023"];
"AF405" Note Headers "no security headers"
    why "browsers frame, cache and run what they should not unless they are told"
    mend "add SecurityHeadersMiddleware()"
    asvs ["3.4.3", "3.4.5", "3.4.6"] top ["API8:2023"];
"AF406" Warning Headers "X-XSS-Protection is on"
    why "the filter is deprecated, gone from browsers, and opened holes in pages that had none"
    mend "leave x_xss_protection out, or say \"0\""
    asvs ["3.7.1"] top ["API8:2023"];
"AF407" Warning Headers "HSTS preload"
    why "browsers ship the host in a list that takes months to leave, for every host below it"
    mend "leave preload out unless every host below has TLS for good"
    asvs ["3.4.1", "3.7.4"] top ["API8:2023"];
"AF408" Warning Headers "HSTS is off, or short"
    why "a browser that comes by plain HTTP first can be kept there"
    mend "leave hsts at its default, a year"
    asvs ["3.4.1"] top ["API8:2023"];
"AF409" Warning Headers "content policy lets scripts in"
    why "what is injected into a page runs, which is what the policy is there to stop"
    mend "name the origins of scripts; take 'unsafe-inline', 'unsafe-eval', * and data: out"
    asvs ["3.4.3"] top ["API8:2023"];
"AF410" Note Headers "content policy has a deprecated directive"
    why "browsers ignore it, so it protects nobody"
    mend "leave it out; upgrade-insecure-requests does its work"
    asvs ["3.4.3", "3.7.1"] top ["API8:2023"];
"AF411" Warning Headers "no content policy"
    why "an answer that a browser shows may load and run anything"
    mend "leave csp at its default"
    asvs ["3.4.3"] top ["API8:2023"];
"AF412" Warning Headers "answers can be framed"
    why "a page elsewhere lays itself over the frame and steals clicks"
    mend "leave x_frame_options at DENY, or say frame-ancestors in the content policy"
    asvs ["3.4.6"] top ["API8:2023"];
"AF413" Warning Headers "answers for one caller are compressed"
    why "how long the compressed form is tells an attacker how much of what he put into a request stands in the rest of the answer, secrets included (BREACH)"
    mend "leave insecure_authenticated off, or turn it on only for endpoints whose answers hold no secret"
    asvs ["14.2.4"] top ["API8:2023"];
"AF501" Warning Cors "every origin reads what is protected"
    why "a page of anybody reads the answers with whatever credential it holds"
    mend "list the origins of your own pages in allow_origins"
    asvs ["3.4.2"] top ["API8:2023"];
"AF502" Error Cors "origin null is allowed with credentials"
    why "any page can make itself a frame whose origin is null, and reads answers with its victim's log-in"
    mend "take null out of allow_origins"
    asvs ["3.4.2"] top ["API8:2023"];
"AF503" Warning Cors "pages that came over plain HTTP are allowed"
    why "whoever is on the way writes such a page, and reads the answers by it"
    mend "list https origins"
    asvs ["3.4.2", "12.2.1"] top ["API8:2023"];
"AF504" Note Cors "every host below a domain is allowed with credentials"
    why "the weakest of those hosts reads answers with its visitors' log-ins"
    mend "list the hosts by name"
    asvs ["3.4.2"] top ["API8:2023"];
"AF511" Error Csrf "a browser's credential writes without CSRF protection"
    why "a page elsewhere sends the request, and the browser adds the log-in by itself"
    mend "add CSRFMiddleware(secret=secret(\"CSRF_SECRET\")), or take the credential in a header"
    asvs ["3.5.1"] top ["API2:2023", "API8:2023"];
"AF512" Note Csrf "CSRF cookie has no __Host- name"
    why "any host of the same site can plant the cookie"
    mend "leave cookie_name at its default, __Host-csrf"
    asvs ["3.3.1", "3.3.3"] top ["API8:2023"];
"AF513" Warning Csrf "CSRF cookie travels over plain HTTP"
    why "whoever is on the way reads and replaces it"
    mend "leave secure on"
    asvs ["3.3.1"] top ["API8:2023"];
"AF514" Warning Csrf "CSRF cookie is sent with requests of other sites"
    why "SameSite=None takes away the browser's own protection"
    mend "leave samesite at lax, or say strict"
    asvs ["3.3.2"] top ["API8:2023"];
"AF515" Warning Csrf "CSRF protection leaves writing methods out"
    why "a page elsewhere uses the method that is not listed"
    mend "leave methods at its default"
    asvs ["3.5.1"] top ["API8:2023"];
"AF601" Note RateLimit "no rate limit"
    why "one client can try credentials, or take all there is, as fast as it can send"
    mend "add RateLimitMiddleware(limit=…, window=…), or @rate_limit(\"100/minute\")"
    asvs ["2.4.1", "6.3.1"] top ["API4:2023", "API2:2023"];
"AF602" Warning RateLimit "bodies may be very large"
    why "a few requests fill the memory"
    mend "leave max_body_size at 1 MiB, and raise it on the endpoints that need more"
    asvs ["5.2.1", "15.2.2"] top ["API4:2023"];
"AF603" Warning RateLimit "JSON may nest very deep"
    why "a small body costs a lot to read"
    mend "leave max_json_depth at 64"
    asvs ["15.2.2"] top ["API4:2023"];
"AF604" Warning RateLimit "rate limit lets nearly everything pass"
    why "a limit that nobody reaches limits nobody"
    mend "set it to a few times what an honest client needs"
    asvs ["2.4.1"] top ["API4:2023"];
"AF605" Warning RateLimit "rate limit is off while its store is away"
    why "whoever can keep the store from answering is not limited"
    mend "leave on_failure at local, or say closed"
    asvs ["2.4.1", "16.5.3"] top ["API4:2023", "API2:2023"];
"AF701" Error Errors "answers show the text of failures"
    why "messages of libraries hold paths, statements and values"
    mend "leave debug off; the log has all of it"
    asvs ["13.4.2", "16.5.1"] top ["API8:2023"];
"AF702" Error Errors "answers show tracebacks"
    why "a traceback shows source code, paths and versions"
    mend "leave include_traceback off; the log has all of it"
    asvs ["13.4.2", "16.5.1"] top ["API8:2023"];
"AF703" Warning Logging "failures are not logged"
    why "an attack that makes handlers fail leaves no trace"
    mend "leave log_exceptions on"
    asvs ["16.3.4", "16.5.4"] top ["API8:2023"];
"AF704" Note Logging "answers are not logged"
    why "who asked for what cannot be told afterwards"
    mend "leave access_log on, or log in the proxy"
    asvs ["16.2.1"] top ["API8:2023"];
"AF705" Note Headers "a description of the API is open"
    why "it tells everybody which endpoints and fields there are"
    mend "protect it where the API is not public"
    asvs ["13.4.5"] top ["API9:2023"];
"AF801" Error Secrets "secret is written in the source"
    why "whoever reads the source, a copy or its history has the secret, and it cannot be replaced without a release"
    mend "load it with secret(\"NAME\") from the environment or a file"
    asvs ["13.3.1"] top ["API2:2023", "API8:2023"];
"AF802" Error Input "SQL is put together from values"
    why "a value can end the statement it stands in and begin another"
    mend "write ? or :name in the statement and give the values beside it; order and tables by sql(…, ident(…))"
    asvs ["1.2.4"] top ["API8:2023"];
"AF803" Note Input "SQL is taken as it is"
    why "insecure_raw takes any text as a statement"
    mend "write the statement as a literal, or compose it with sql(…, ident(…))"
    asvs ["1.2.4"] top ["API8:2023"];
"AF804" Warning Logging "credential is printed or logged"
    why "logs are read by many and kept for long"
    mend "log who it is (sub, key id), not the credential"
    asvs ["16.2.5"] top ["API8:2023"];
"AF805" Note Dependencies "engine was built for debugging"
    why "it is several times slower, and stops at overflows that a release wraps"
    mend "install the released wheel, or build with --release"
    asvs ["15.2.3", "13.4.2"] top ["API8:2023"];
"AF806" Note Input "body is not described"
    why "what is not described is not validated"
    mend "annotate the parameter with a Pydantic model, a dataclass or a TypedDict"
    asvs ["2.2.1", "15.3.3"] top ["API3:2023", "API8:2023"];
"AF807" Warning Headers "cookie is set without its protection"
    why "a cookie without Secure travels in clear text, one without HttpOnly is read by injected scripts, one with SameSite=None is sent by other sites"
    mend "leave secure, httponly and samesite at their defaults"
    asvs ["3.3.1", "3.3.2", "3.3.4"] top ["API8:2023", "API2:2023"];
}

/// What no program can decide: somebody has to look.
pub static MANUAL: [Manual; 6] = [
    Manual {
        area: Area::Output,
        what: "escape for the place where it lands (HTML, a shell, a spreadsheet) whatever answers carry of what users wrote",
    },
    Manual {
        area: Area::Authorization,
        what: "for each endpoint that takes an id: may this caller see this very object?",
    },
    Manual {
        area: Area::Transport,
        what: "under a foreign ASGI server: its TLS, its limits, and that its own handling of proxy headers is off",
    },
    Manual {
        area: Area::Dependencies,
        what: "compare installed versions with published advisories, which needs the network",
    },
    Manual {
        area: Area::Audits,
        what: "who audits this API, and when last?",
    },
    Manual {
        area: Area::Incidents,
        what: "who is called when a key leaks, and what do they do first?",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_order_and_never_twice() {
        for pair in RULES.windows(2) {
            assert!(pair[0].id < pair[1].id, "{} {}", pair[0].id, pair[1].id);
        }
        for rule in RULES {
            assert!(
                !rule.asvs.is_empty() && !rule.api_top_10.is_empty(),
                "{}",
                rule.id
            );
        }
    }

    #[test]
    fn every_line_of_the_checklist_is_a_rule_or_left_to_people() {
        use Area::*;
        for area in [
            Secrets,
            Authentication,
            Authorization,
            Transport,
            Headers,
            Cors,
            Csrf,
            RateLimit,
            Errors,
            Logging,
            Input,
            Output,
            Dependencies,
            Audits,
            Incidents,
        ] {
            let is_rule = RULES.iter().any(|rule| rule.area == area);
            assert!(
                is_rule || MANUAL.iter().any(|manual| manual.area == area),
                "{area:?}"
            );
        }
    }
}
