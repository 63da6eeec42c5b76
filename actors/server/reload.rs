//! The reload: the new settings are applied completely or not at all, and only what differs is
//! replaced.

use std::sync::Arc;

use rollcall_config::Settings;
use rollcall_http::rest::ReloadReport;
use rollcall_http::telemetry::InsecureListeners;
use rollcall_producers::REGISTRATIONS;
use rollcall_producers::registration::BindError;
use rollcall_runtime::mailbox::MailboxClosed;
use rollcall_runtime::telemetry::TelemetryEvent;

use super::bind::{BoundListeners, InheritedSockets};
use super::listener_slot::{close, open};
use super::producer_set::{self, PreparedProducers};
use super::{Server, effective_rules};

impl Server {
    /// Applies other settings, or nothing if any resource is unavailable. Only what changed is
    /// replaced, on the same sockets where the addresses stay. No session is lost.
    ///
    /// # Errors
    /// All resources that are unavailable, and all settings that a reload cannot change.
    pub async fn reload(&mut self, settings: Settings) -> Result<ReloadReport, Vec<String>> {
        let mut report = self.compare(&settings);
        let mut problems = Vec::new();
        let mut noted = |error: BindError| problems.push(error);
        let prepared = producer_set::prepare(&settings, &self.context, &self.running, &mut noted);
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
        // Before the rules change: what a removed producer received is decided by its own rules.
        self.stop_removed(&settings, &mut report).await;
        self.engine.rules.store(Arc::new(effective_rules(&settings)));
        self.points.apply_settings(&settings.enforcement, &settings.ptim);
        self.validation.apply_settings(&settings.validator);
        InsecureListeners { listeners: &settings.insecure_listeners() }.emit();
        self.settings = self.short_of_a_restart(settings);
        let done = self.replace(prepared, listeners, &mut report).await;
        done.map(|()| report).map_err(|error| vec![error.to_string()])
    }

    /// The effective settings after a reload of `new`. What needs a restart of the server keeps its
    /// old value, so that the next reload reports it again.
    fn short_of_a_restart(&self, new: Settings) -> Settings {
        let old = &self.settings;
        let token_file = old.rest.token_file.clone();
        Settings {
            change_log: old.change_log.clone(),
            journal: old.journal.clone(),
            log: old.log,
            rest: rollcall_config::Rest { token_file, ..new.rest },
            ..new
        }
    }

    /// The sections that differ from the effective settings, and those of them that need a restart
    /// of the server.
    fn compare(&self, new: &Settings) -> ReloadReport {
        let old = &self.settings;
        let engine = [
            ("shutdown_timeout", old.shutdown_timeout != new.shutdown_timeout),
            ("rules", old.rules != new.rules),
            ("change_log", old.change_log != new.change_log),
            ("journal", old.journal != new.journal),
        ];
        let producers = REGISTRATIONS.iter().map(|kind| (kind.section, (kind.differs)(old, new)));
        let outputs = [
            ("enforcement", old.enforcement != new.enforcement),
            ("validator", old.validator != new.validator),
            ("push", old.push != new.push),
            ("rest", old.rest != new.rest),
            ("rest.token_file", old.rest.token_file != new.rest.token_file),
            ("log", old.log != new.log),
        ];
        let differs: Vec<_> = engine.into_iter().chain(producers).chain(outputs).collect();
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

    /// Stops the producers that are not configured any more.
    async fn stop_removed(&mut self, settings: &Settings, report: &mut ReloadReport) {
        for name in producer_set::removed(settings, &self.running) {
            if let Some(running) = self.running.remove(&name) {
                self.stop(name.as_str(), &running.mailbox, self.settings.shutdown_timeout).await;
                running.bound.remove_data(None).await;
                running.bound.unregister(&name);
                report.restarted.push(name.to_string());
            }
        }
    }

    async fn replace(
        &mut self,
        prepared: PreparedProducers,
        BoundListeners { enforcement, validator, rest }: BoundListeners,
        report: &mut ReloadReport,
    ) -> Result<(), MailboxClosed> {
        // All are stopped before the first one starts: two directories may have exchanged their
        // domains, and objects that one has just read must not be removed for the other.
        for (name, prepared) in &prepared {
            if let Some(running) = self.running.remove(name) {
                self.stop(name.as_str(), &running.mailbox, self.settings.shutdown_timeout).await;
                running.bound.remove_data(Some(&*prepared.bound)).await;
            }
        }
        self.register(&prepared);
        producer_set::apply(&self.settings, &self.context);
        report.restarted.extend(prepared.keys().map(ToString::to_string));
        self.spawn_all(prepared).await?;
        let targets = self.push_set.reconcile(&self.engine, &self.settings, &self.clock).await?;
        report.restarted.extend(targets);
        let (engine, clock, drain) = (&self.engine, &self.clock, self.settings.shutdown_timeout);
        if self.enforcement.reconcile(enforcement, engine, drain, clock).await? {
            report.restarted.push("enforcement".to_owned());
        }
        if self.validator.reconcile(validator, engine, drain, clock).await? {
            report.restarted.push("validator".to_owned());
        }
        self.hosts.set(crate::bind::rest_hosts(&self.settings));
        if !self.rest.0.is_same(&rest) {
            report.restarted.push("rest".to_owned());
            self.next_rest = Some(rest);
        }
        Ok(())
    }

    /// Replaces the REST listener, if the last reload changed it. Separate from [`Server::reload`],
    /// because a client that requested the reload over REST must be answered before its listener
    /// closes.
    ///
    /// # Errors
    /// When the supervisor has ended.
    pub async fn reconcile(&mut self) -> Result<(), MailboxClosed> {
        if let Some(rest) = self.next_rest.take() {
            // The live streams end, and their clients reconnect to the new listener.
            self.draining.send_replace(true);
            close(&self.engine, "rest", &self.rest.1, self.settings.shutdown_timeout).await;
            self.draining.send_replace(false);
            let (routes, drain) = (&self.rest_routes, self.settings.shutdown_timeout);
            let mailbox = open(&self.engine, &rest, routes, drain, &self.clock).await?;
            self.rest = (rest, mailbox);
        }
        Ok(())
    }
}
