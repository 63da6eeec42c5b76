//! What following domain controllers costs, and how soon it shows what happens there.

use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::json;

use super::simulator::Simulator;
use crate::contender::{Contender, Rollcall, Stand};
use crate::firewall;
use crate::process::wait_until;

/// Events that one controller has to tell, and how many of them a second.
pub const OFFERED: u32 = 120_000;
/// See [`OFFERED`].
pub const RATE: u32 = 10_000;

/// How many controllers have nothing to say, and for how long.
pub const IDLE: usize = 100;
/// See [`IDLE`].
pub const QUIET: Duration = Duration::from_secs(30);

/// How many events are waited for one by one.
const PROBES: u32 = 500;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a server kept up with one controller.
#[derive(Debug)]
pub struct Flow {
    /// Events that were read and visible a second, from the first until the last.
    pub rate: f64,
    /// Events that were not visible yet when the last one happened.
    pub backlog: f64,
    /// Processor time of one, in nanoseconds.
    pub cost: f64,
}

/// Follows one controller at which [`RATE`] users a second get their tickets, each at an address of
/// their own.
pub fn flow(stand: &Stand) -> io::Result<Flow> {
    let simulator = Simulator::start(1)?;
    // Written beforehand, so that the simulator only has to send them.
    let held =
        json!({"do": "hold", "count": OFFERED, "id": 4768, "user": "user", "ip": "10.64.0.0"});
    simulator.tell(&held)?;
    let server = following(stand, &simulator, 1)?;
    let (before, begin) = (server.processor_time()?, Instant::now());
    simulator.tell(&json!({"do": "release", "rate": RATE}))?;
    wait_until("the last event", PATIENCE, || {
        Ok(simulator.tell(&json!({"do": "state"}))?["is_releasing"] == false)
    })?;
    let all = u64::from(OFFERED);
    let backlog = all.saturating_sub(server.account()?.applied);
    wait_until("events", PATIENCE, || Ok(server.account()?.applied >= all))?;
    let took = begin.elapsed().as_secs_f64();
    let spent = server.processor_time()?.saturating_sub(before);
    let offered = f64::from(OFFERED);
    let cost = spent.as_nanos() as f64 / offered;
    Ok(Flow { rate: offered / took, backlog: backlog as f64, cost })
}

/// From before an event is written at the controller until a firewall is answered with its user, for
/// one after the other.
pub fn delays(stand: &Stand) -> io::Result<Vec<Duration>> {
    let simulator = Simulator::start(1)?;
    let server = following(stand, &simulator, 1)?;
    let mut asking = server.firewall()?;
    let mut delays = Vec::new();
    for index in 0..PROBES {
        let (user, ip) = (format!("probe{index}"), Ipv4Addr::from(0x0a40_0000 + index));
        let begin = Instant::now();
        simulator.tell(&json!({"id": 4768, "user": user, "ip": ip}))?;
        while !firewall::knows(&mut asking, &ip.to_string(), &user)? {
            if begin.elapsed() > PATIENCE {
                return Err(io::Error::other("an event never became visible"));
            }
        }
        delays.push(begin.elapsed());
        // Not in step with anything else.
        std::thread::sleep(Duration::from_micros(3_000 + u64::from(index) * 7_919 % 20_000));
    }
    Ok(delays)
}

/// What [`IDLE`] controllers cost that have nothing to say.
#[derive(Debug)]
pub struct Idle {
    /// Resident memory beyond that of a server without them, in bytes.
    pub resident: f64,
    /// The share of a core.
    pub share: f64,
}

/// Follows them for [`QUIET`].
pub fn idle(stand: &Stand) -> io::Result<Idle> {
    let empty = Rollcall::start(stand)?.resident()? as f64;
    let simulator = Simulator::start(IDLE)?;
    let server = following(stand, &simulator, IDLE)?;
    let (before, begin) = (server.processor_time()?, Instant::now());
    std::thread::sleep(QUIET);
    let spent = server.processor_time()?.saturating_sub(before);
    let share = spent.as_secs_f64() / begin.elapsed().as_secs_f64();
    Ok(Idle { resident: server.resident()? as f64 - empty, share })
}

/// A server that is connected to all `count` controllers.
fn following(stand: &Stand, simulator: &Simulator, count: usize) -> io::Result<Rollcall> {
    let server = Rollcall::start_with(stand, &simulator.sections())?;
    wait_until("connections", PATIENCE, || {
        let connected = server.sum("rollcall_event_log_connected")?;
        Ok(connected as usize == count)
    })?;
    Ok(server)
}
