//! A complete server on loopback (journal, cache, query actor, PTIM producer and listener), queried
//! as by a firewall.

pub(super) mod fixture;
mod groups;
mod login;
mod push;
mod queries;

use super::{Route, route};

#[test]
fn paths_are_routed_with_any_prefix() {
    let of = |path| match route(path, "/oauth_token/oauth", "/api/query") {
        Route::Token => "token".to_owned(),
        Route::Api(rest) => format!("api {rest}"),
        Route::Events => "events".to_owned(),
        Route::Unknown => "unknown".to_owned(),
    };
    for (path, expected) in [
        ("/oauth_token/oauth", "token"),
        ("/oauth_token/oauth/", "token"),
        ("/oauth_token/oauth/more", "unknown"),
        ("/api/query", "api "),
        ("/api/query/ip/10.0.0.1", "api /ip/10.0.0.1"),
        ("/api/queryall", "unknown"),
        ("/user_query/v1/ip/10.0.0.1", "api /user_query/v1/ip/10.0.0.1"),
        ("/user_query/v2", "api /user_query/v2"),
        ("/api/userfw/v1/post-entry", "api /api/userfw/v1/post-entry"),
        ("/api/v1/events", "events"),
        ("/api/v1/sessions", "unknown"),
        ("", "unknown"),
    ] {
        assert_eq!(of(path), expected, "{path}");
    }
}
