//! The program: a server that tells firewalls who is behind each IP address, and the command line
//! that asks it. The life of the server is this page.

mod announce;
mod command_line;
mod signals;

use std::path::Path;
use std::process::ExitCode;

use actix::System;
use rollcall_actors::clock::Clock;
use rollcall_actors::house::{House, Plan};
use rollcall_actors::metrics;
use rollcall_config::{self as config, Environment};

use crate::command_line::Failed;
use crate::signals::{Call, Calls};

fn main() -> ExitCode {
    command_line::run(std::env::args_os())
}

/// Serves until it is told to stop, and drains.
fn serve(path: Option<&Path>) -> Result<(), Failed> {
    let settings = config::load(path, &Environment::process())?;
    announce::open_log(settings.log);
    let recorder = metrics::install().map_err(|error| Failed::Request(error.to_string()))?;
    let plan = Plan::draw(settings, &Clock::system())
        .map_err(|problems| Failed::Usage(problems.join("\n")))?;
    System::new().block_on(async {
        let (mut calls, reload) = Calls::listen().map_err(failed)?;
        let listening = plan.listening();
        let house = plan.build(reload, recorder).await.map_err(failed)?;
        announce::ready(house.settings(), &listening, path);
        let house = live(house, &mut calls, path).await;
        announce::leaving();
        house.drain().await.map_err(failed)
    })
}

/// Answers what the process is called for, until it is told to stop.
async fn live(mut house: House, calls: &mut Calls, path: Option<&Path>) -> House {
    loop {
        match calls.next().await {
            Call::Stop => return house,
            Call::Reload(answer) => {
                let done = match config::load(path, &Environment::process()) {
                    Ok(settings) => house.reload(settings).await,
                    Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
                };
                announce::reloaded(&done);
                answer.tell(done);
                if let Err(error) = house.settle().await {
                    announce::ill(&error);
                    return house;
                }
            }
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed::Request(error.to_string())
}
