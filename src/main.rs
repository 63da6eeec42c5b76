//! The program: a server that tells firewalls who is behind each IP address, and the command line
//! that asks it. The life of the server is this page.

mod announce;
mod command_line;
mod signals;

use std::path::Path;
use std::process::ExitCode;

use actix::System;
use rollcall_config::{self as config, Environment};
use rollcall_runtime::clock_jump::system_clock;
use rollcall_runtime::prometheus;
use rollcall_server::{BindError, Server, ServerBuilder};

use crate::command_line::Failed;
use crate::signals::{Call, Calls};

fn main() -> ExitCode {
    command_line::run(std::env::args_os())
}

/// Serves until it is told to stop, and drains.
fn serve(path: Option<&Path>) -> Result<(), Failed> {
    let settings = config::load(path, &Environment::process())?;
    announce::open_log(settings.log);
    let recorder = prometheus::install(rollcall_server::metrics::catalogue())
        .map_err(|error| Failed::Request(error.to_string()))?;
    let builder =
        ServerBuilder::bind(settings, &system_clock()).map_err(|all| start_failed(&all))?;
    System::new().block_on(async {
        let (calls, reload) = Calls::listen().map_err(failed)?;
        let listening = builder.listening();
        let server = builder.build(reload, recorder).await.map_err(failed)?;
        announce::ready(server.settings(), &listening, path);
        let server = live(server, calls, path).await;
        announce::leaving();
        server.drain().await.map_err(failed)
    })
}

/// Answers what the process is called for, until it is told to stop. Then nobody is heard any more.
async fn live(mut server: Server, mut calls: Calls, path: Option<&Path>) -> Server {
    loop {
        match calls.next().await {
            Call::Stop => return server,
            Call::LookAround => {
                if !server.is_watched().await {
                    announce::ill(&"nobody is there who replaces what ends");
                    return server;
                }
            }
            Call::Reload(answer) => {
                let done = match config::load(path, &Environment::process()) {
                    Ok(settings) => server.reload(settings).await,
                    Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
                };
                announce::reloaded(&done);
                answer.tell(done);
                if let Err(error) = server.reconcile().await {
                    announce::ill(&error);
                    return server;
                }
            }
        }
    }
}

/// What is wrong with the configuration is wrong at every start; what the system withholds may be
/// had at another.
fn start_failed(all: &[BindError]) -> Failed {
    let text = all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    match all.iter().any(|obstacle| matches!(obstacle, BindError::Config(_))) {
        true => Failed::Usage(text),
        false => Failed::Request(text),
    }
}

fn failed(error: impl std::fmt::Display) -> Failed {
    Failed::Request(error.to_string())
}
