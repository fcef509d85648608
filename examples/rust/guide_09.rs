//! The guide's block on security headers.

mod ping;
mod start;

use apifrom::middleware::{Directive, Hsts, SecurityHeaders};
use apifrom::{Api, ServeError, endpoints};

fn main() -> Result<(), ServeError> {
    Api::new()
        .add_middleware(
            SecurityHeaders::new()
                .csp::<Directive>([
                    ("default-src", ["'self'"].into()),
                    ("script-src", ["'self'", "https://cdn.example.com"].into()),
                    ("style-src", ["'self'", "'unsafe-inline'"].into()),
                    ("img-src", ["'self'", "data:"].into()),
                    (
                        "font-src",
                        ["'self'", "https://fonts.googleapis.com"].into(),
                    ),
                    ("connect-src", ["'self'", "https://api.example.com"].into()),
                    ("object-src", ["'none'"].into()),
                    ("frame-ancestors", ["'none'"].into()),
                    ("upgrade-insecure-requests", true.into()),
                    ("block-all-mixed-content", true.into()),
                ])
                .hsts(Hsts {
                    max_age: 31_536_000,
                    include_sub_domains: true,
                    preload: true,
                })
                .x_frame_options("DENY")
                .x_xss_protection("1; mode=block")
                .referrer_policy("strict-origin-when-cross-origin")
                .permissions_policy::<Directive>([
                    ("geolocation", ["self"].into()),
                    ("microphone", [].into()),
                    ("camera", [].into()),
                    ("payment", [].into()),
                ]),
        )
        .endpoints(endpoints![ping::ping, ping::boom])
        .run(&start::address())
}
