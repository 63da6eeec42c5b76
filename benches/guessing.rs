//! What the response time reveals to a client that guesses secrets, and what the guessing costs clients
//! with a token.

use std::io;
use std::time::{Duration, Instant};

use crate::asking::{self, Pace};
use crate::contender::Rollcall;
use crate::firewall;
use crate::http::Connection;

/// The lockout is disabled, so that each guess is verified.
pub const PATIENT: &str = "\n[enforcement.lockout]\nthreshold = 1000\n";

/// Guesses of each kind, in turn.
const GUESSES: u32 = 40;

/// Guesses a second, and over how many connections: most are turned away at once, as many as may wait
/// are not answered for a while.
const GUESSED: f64 = 1000.0;
const GUESSERS: usize = 24;

/// IP queries a second beside them.
const ASKED: f64 = 1000.0;

/// How long IP queries took, and how many guesses were answered meanwhile.
#[derive(Debug, Default)]
pub struct Cost {
    /// Without guesses.
    pub quiet: Vec<Duration>,
    /// Beside them.
    pub pressed: Vec<Duration>,
    /// Guesses a second.
    pub rate: f64,
}

/// The response time for a wrong secret of an existing client and of an unknown client, in alternation,
/// so that other load on the machine affects both.
pub fn apart(server: &Rollcall) -> io::Result<(Vec<Duration>, Vec<Duration>)> {
    let mut connection = server.stranger()?;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for number in 0..GUESSES {
        known.push(guess(&mut connection, "bench")?);
        unknown.push(guess(&mut connection, &format!("nobody{number}"))?);
    }
    Ok((known, unknown))
}

/// How long IP queries for the first `known` tunnels take without and beside guesses, in `turns` turns of
/// each.
pub fn beside(server: &Rollcall, known: u32, time: Duration, turns: u32) -> io::Result<Cost> {
    let mut firewalls = firewall::lines(server)?;
    let mut guessers: Vec<_> =
        (0..GUESSERS).map(|_| server.stranger()).collect::<io::Result<_>>()?;
    let (pace, mut cost, mut answered) = (Pace { rate: ASKED, time }, Cost::default(), 0);
    for _ in 0..turns {
        cost.quiet.extend(asking::ask(&mut firewalls, pace, firewall::find(known))?);
        let (pressed, guesses) = std::thread::scope(|scope| {
            let guessing = scope.spawn(|| {
                asking::ask(&mut guessers, Pace { rate: GUESSED, time }, |connection, number| {
                    guess(connection, &format!("guess{number}")).map(drop)
                })
            });
            let pressed = asking::ask(&mut firewalls, pace, firewall::find(known));
            let guesses = guessing.join().map_err(|_| io::Error::other("a guesser panicked"));
            io::Result::Ok((pressed?, guesses??))
        })?;
        cost.pressed.extend(pressed);
        answered += guesses.len();
    }
    cost.rate = answered as f64 / (time * turns).as_secs_f64();
    Ok(cost)
}

/// Sends a wrong secret, and returns the response time.
fn guess(connection: &mut Connection, id: &str) -> io::Result<Duration> {
    let form = "application/x-www-form-urlencoded";
    let body = format!("grant_type=client_credentials&client_id={id}&client_secret=wrong");
    let begin = Instant::now();
    let answer = connection.post("/oauth_token/oauth", (form, body.as_bytes()))?;
    match answer.status {
        401 | 429 => Ok(begin.elapsed()),
        status => Err(io::Error::other(format!("a wrong secret is answered with {status}"))),
    }
}
