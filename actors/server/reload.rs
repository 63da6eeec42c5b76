//! A reload: everything of the new settings, or nothing, and only what differs is replaced.

use std::sync::Arc;

use rollcall_config::Settings;
use rollcall_identity::Name;

use super::bind::{BindError, BoundListeners, InheritedSockets};
use super::listener_slot::{close, open};
use super::producer_set::{self, PreparedProducers};
use super::spawn::spawn_ptim;
use super::{Server, in_force};
use rollcall_http::rest::ReloadReport;
use rollcall_http::telemetry::Insecure;
use rollcall_runtime::mailbox::MailboxClosed;
use rollcall_runtime::telemetry::TelemetryEvent;

impl Server {
    /// Puts other settings in force: everything of them, or, when anything cannot be had, nothing.
    /// Only what changed is replaced, on the same sockets where the addresses stay. No session is
    /// lost.
    ///
    /// # Errors
    /// Everything that cannot be had.
    pub async fn reload(&mut self, settings: Settings) -> Result<ReloadReport, Vec<String>> {
        let mut report = self.compare(&settings);
        let mut problems = Vec::new();
        let mut noted = |error: BindError| problems.push(error);
        let shared = (&self.clock, &self.engine.directory, &self.event_logs);
        let prepared = producer_set::prepare(&settings, shared, &self.running, &mut noted);
        if settings.data != self.settings.data {
            noted(BindError::Config(format!(
                "data is {}, and the server runs with {}: stop it, move the folder, and start it",
                settings.data.display(),
                self.settings.data.display()
            )));
        }
        let before = InheritedSockets {
            enforcement: self.enforcement.listener(),
            validator: self.validator.listener(),
            rest: Some(&self.rest.0),
        };
        let listeners = match BoundListeners::bind(&settings, before, &mut noted) {
            Some(listeners) if problems.is_empty() => listeners.load_certificates(&self.clock),
            _ => return Err(problems.iter().map(ToString::to_string).collect()),
        };
        let listeners = listeners.map_err(|error| vec![error.to_string()])?;
        let gone = producer_set::gone(&settings, &self.running);
        if self.ptim.0 != settings.ptim.name {
            // What is pushed meanwhile is told to come again: no push is received under one name
            // and decided under another.
            self.stop(self.ptim.0.as_str(), &self.ptim.1, self.settings.drain).await;
        }
        self.engine.rules.store(Arc::new(in_force(&settings)));
        self.points.govern(&settings.enforcement, &settings.ptim);
        self.validation.govern(&settings.validator);
        Insecure { listeners: &settings.insecure_listeners() }.emit();
        self.settings = self.short_of_a_restart(settings);
        let done = self.replace(gone, prepared, listeners, &mut report).await;
        done.map(|()| report).map_err(|error| vec![error.to_string()])
    }

    /// The settings as they are in force when `new` is reloaded: what waits for a restart of the
    /// server stays as it was, so that the next reload still says that it waits.
    fn short_of_a_restart(&self, new: Settings) -> Settings {
        let old = &self.settings;
        let token_file = old.rest.token_file.clone();
        Settings {
            history: old.history.clone(),
            journal: old.journal.clone(),
            log: old.log,
            rest: rollcall_config::Rest { token_file, ..new.rest },
            ..new
        }
    }

    /// What differs from what is in force, by section, and what of it waits for a restart of the server.
    fn compare(&self, new: &Settings) -> ReloadReport {
        let old = &self.settings;
        let differs = [
            ("drain", old.drain != new.drain),
            ("rules", old.rules != new.rules),
            ("change_log", old.history != new.history),
            ("journal", old.journal != new.journal),
            ("syslog", old.syslog != new.syslog),
            ("active_directory", old.active_directory != new.active_directory),
            ("event_log", old.event_log != new.event_log),
            ("ptim", old.ptim != new.ptim),
            ("enforcement", old.enforcement != new.enforcement),
            ("validator", old.validator != new.validator),
            ("push", old.push != new.push),
            ("rest", old.rest != new.rest),
            ("rest.token_file", old.rest.token_file != new.rest.token_file),
            ("log", old.log != new.log),
        ];
        let names = |wanted: &[&str]| -> Vec<String> {
            let differs =
                differs.iter().filter(|(name, differs)| *differs && wanted.contains(name));
            differs.map(|(name, _)| (*name).to_owned()).collect()
        };
        let waits: &[&str] = &["change_log", "journal", "log", "rest.token_file"];
        ReloadReport {
            changed: differs
                .iter()
                .filter(|(_, d)| *d)
                .map(|(name, _)| (*name).to_owned())
                .collect(),
            restarted: Vec::new(),
            after_restart: names(waits),
        }
    }

    async fn replace(
        &mut self,
        gone: Vec<Name>,
        prepared: PreparedProducers,
        BoundListeners { enforcement, validator, rest }: BoundListeners,
        report: &mut ReloadReport,
    ) -> Result<(), MailboxClosed> {
        if self.ptim.0 != self.settings.ptim.name {
            let (engine, settings) = (&self.engine, &self.settings);
            self.ptim = spawn_ptim(engine, settings, &self.pushes, &self.clock).await?;
            report.restarted.push(self.ptim.0.to_string());
        }
        for name in gone {
            if let Some(running) = self.running.remove(&name) {
                self.stop(name.as_str(), &running.mailbox, self.settings.drain).await;
                running.forget(&self.engine.directory).await;
                self.directories.remove(&name);
                self.event_logs.remove(&name);
                report.restarted.push(name.to_string());
            }
        }
        // All of them go before the first comes: two directories may have exchanged their domains,
        // and what one has just read must not be forgotten for the other.
        for (name, prepared) in &prepared {
            if let Some(running) = self.running.remove(name) {
                self.stop(name.as_str(), &running.mailbox, self.settings.drain).await;
                if !running.reads_same_directory_as(prepared) {
                    running.forget(&self.engine.directory).await;
                }
            }
        }
        self.register(&prepared);
        self.engine.directory.write().expect_domains(self.settings.active_directory.len());
        for (name, prepared) in prepared {
            report.restarted.push(name.to_string());
            self.spawn(name, prepared).await?;
        }
        let told = self.outward.reconcile(&self.engine, &self.settings, &self.clock).await?;
        report.restarted.extend(told);
        let (engine, clock, drain) = (&self.engine, &self.clock, self.settings.drain);
        if self.enforcement.reconcile(enforcement, engine, drain, clock).await? {
            report.restarted.push("enforcement".to_owned());
        }
        if self.validator.reconcile(validator, engine, drain, clock).await? {
            report.restarted.push("validator".to_owned());
        }
        if !self.rest.0.is_same(&rest) {
            report.restarted.push("rest".to_owned());
            self.next_rest = Some(rest);
        }
        Ok(())
    }

    /// Replaces the REST listener, if the last reload changed it. Apart from [`Server::reload`],
    /// because whoever asked for that by REST must be answered before its listener can close.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub async fn reconcile(&mut self) -> Result<(), MailboxClosed> {
        if let Some(rest) = self.next_rest.take() {
            // The live streams end, and come back to the new listener.
            self.draining.send_replace(true);
            close(&self.engine, "rest", &self.rest.1, self.settings.drain).await;
            self.draining.send_replace(false);
            let (routes, drain) = (&self.rest_routes, self.settings.drain);
            let mailbox = open(&self.engine, &rest, routes, drain, &self.clock).await?;
            self.rest = (rest, mailbox);
        }
        Ok(())
    }
}
