//! The `rollcall` program: the life cycle of the server. The other commands are in `command_line`.

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

use crate::command_line::CommandError;
use crate::signals::{ProcessEvent, ProcessEvents};

fn main() -> ExitCode {
    command_line::run(std::env::args_os())
}

/// Runs the server until a stop signal, then shuts down.
fn serve(path: Option<&Path>) -> Result<(), CommandError> {
    let settings = config::load(path, &Environment::process())?;
    announce::open_log(settings.log);
    let recorder = prometheus::install(&rollcall_server::metrics::registry())
        .map_err(|error| CommandError::Request(error.to_string()))?;
    let builder =
        ServerBuilder::bind(settings, &system_clock()).map_err(|all| start_error(&all))?;
    System::new().block_on(async {
        let (events, reload) = ProcessEvents::subscribe().map_err(request_error)?;
        let listening = builder.listening();
        let server = builder.build(reload, recorder).await.map_err(request_error)?;
        announce::ready(server.settings(), &listening, path);
        let server = run(server, events, path).await;
        announce::shutting_down();
        server.drain().await.map_err(request_error)
    })
}

/// Handles signals and reload requests until a stop signal.
async fn run(mut server: Server, mut events: ProcessEvents, path: Option<&Path>) -> Server {
    loop {
        match events.next().await {
            ProcessEvent::Stop => return server,
            ProcessEvent::LivenessCheck => {
                if !server.is_watched().await {
                    announce::fatal(&"the supervisor does not respond");
                    return server;
                }
            }
            ProcessEvent::Reload(reply) => {
                let done = match config::load(path, &Environment::process()) {
                    Ok(settings) => server.reload(settings).await,
                    Err(problems) => Err(problems.iter().map(ToString::to_string).collect()),
                };
                announce::reloaded(&done);
                reply.send(done);
                if let Err(error) = server.reconcile().await {
                    announce::fatal(&error);
                    return server;
                }
            }
        }
    }
}

/// Converts start errors. An invalid configuration fails at every start; an unavailable resource may
/// be available at the next one.
fn start_error(all: &[BindError]) -> CommandError {
    let text = all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    match all.iter().any(|error| matches!(error, BindError::Config(_))) {
        true => CommandError::Usage(text),
        false => CommandError::Request(text),
    }
}

fn request_error(error: impl std::fmt::Display) -> CommandError {
    CommandError::Request(error.to_string())
}
