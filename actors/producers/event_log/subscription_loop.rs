//! Reads a log: from the last committed event on, then new events as they are written, until the
//! connection fails.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use rollcall_identity::logon::auditing::AuditGap;
use rollcall_wire::event_log::call::EventBatch;
use rollcall_wire::event_log::{Bookmark, Continuity, LostRecords};

use super::connection::{EventLogServer, RpcConnection};
use super::decoder::{DecodedBatch, RecordDecoder, bookmark, log};
use super::gaps::Gaps;
use super::in_flight::{InFlight, Read};
use super::subscription::{Answer, Subscription, subscribe};
use super::{CHANNEL, EventLog, EventLogError, EventLogState, GapCause, LastGap};
use crate::event_log::telemetry::{
    EventLogAudits, EventLogConnected, EventLogFailed, EventLogGap, EventLogResumed,
    EventLogSilent, RecordsUnreadable,
};
use crate::remote::{LastFailure, RemoteReader};
use crate::{EventSink, InputBatch};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Reads the log of one server.
pub(super) struct EventLogReader<'a> {
    log: &'a EventLog,
    sink: &'a EventSink,
    /// The batch that is submitted and not committed.
    in_flight: InFlight<'a>,
    /// Lives longer than a connection, because it remembers logons.
    decoder: RecordDecoder,
    /// The state of the registry whose server addresses the decoder has.
    registry_state: Option<u64>,
    /// The subcategories that were last reported as not audited.
    unaudited: Vec<AuditGap>,
    /// Whether the current connection delivered an event.
    has_events: bool,
}

impl RemoteReader for EventLogReader<'_> {
    type Error = EventLogError;

    async fn read(&mut self) -> EventLogError {
        self.has_events = false;
        let Err(failure) = self.try_read().await;
        failure
    }

    fn has_progressed(&self) -> bool {
        self.has_events
    }

    fn failed(&mut self, why: &EventLogError) {
        let (producer, now) = (self.sink.producer(), self.log.clock.now());
        if let EventLogError::Quiet(span) = why {
            EventLogSilent { producer, span: *span }.emit();
        } else {
            EventLogFailed { producer, why }.emit();
        }
        let state = match why {
            EventLogError::Quiet(_) => EventLogState::Silent,
            why if why.is_credentials_refused() => EventLogState::CredentialsRefused,
            _ => EventLogState::Failing,
        };
        self.log.status.write(|status| {
            status.enter(state, now);
            status.last_failure = Some(LastFailure::new(why, now));
        });
    }
}

impl<'a> EventLogReader<'a> {
    pub(super) fn new(log: &'a EventLog, sink: &'a EventSink) -> Self {
        let decoder = RecordDecoder::new(&log.source, &BTreeSet::new(), log.logs.hosts());
        let (in_flight, unaudited) = (InFlight::new(sink), Vec::new());
        Self { log, sink, in_flight, decoder, registry_state: None, unaudited, has_events: false }
    }

    async fn try_read(&mut self) -> Result<Infallible, EventLogError> {
        // Events that were submitted and not committed are read again.
        let position = self.sink.last_read(log()).await?;
        let bookmark = position.as_deref().and_then(bookmark);
        let last = bookmark.as_ref().and_then(|bookmark| bookmark.record_id(CHANNEL));
        self.decoder.continuity = Continuity::after_record(last);
        self.log.status.write(|status| status.bookmark = last);
        let servers = self.resolve().await?;
        let connection = EventLogServer::connect_first(&servers).await?;
        let mut subscription = self.subscribe(connection, bookmark.as_ref()).await?;
        let (producer, server) = (self.sink.producer(), &*self.log.source.server.host);
        EventLogConnected { producer, server }.emit();
        let Err(failure) = self.read_events(&mut subscription).await;
        // The events before the failure are committed first. The next connection reads the bookmark
        // after that.
        self.settle().await?;
        Err(failure)
    }

    /// Reads the existing events, then new ones.
    async fn read_events(
        &mut self,
        subscription: &mut Subscription,
    ) -> Result<Infallible, EventLogError> {
        let (mut gaps, mut last_event) = (Gaps::default(), Clock::instant());
        loop {
            let limit = self.time_until_silent(last_event)?;
            let answer = self.next(subscription, limit).await?;
            let batch = answer.batch()?;
            let is_empty = batch.events().len() == 0;
            if is_empty {
                self.settle().await?;
                self.caught_up();
            } else {
                last_event = Clock::instant();
                self.submit(&batch).await?;
            }
            let continuity = &mut self.decoder.continuity;
            let lost = gaps.verify(&mut subscription.connection, continuity).await?;
            if lost.is_some() {
                // If the batch is refused, it is read again, and so is the gap before it.
                self.settle().await?;
            }
            self.report_overwritten(lost, gaps.unverifiable.as_ref());
            if is_empty {
                subscription.wait(limit).await?;
            }
        }
    }

    /// The next response. While the server prepares it, the batch in flight becomes visible.
    async fn next(
        &mut self,
        subscription: &mut Subscription,
        limit: Duration,
    ) -> Result<Answer, EventLogError> {
        let mut request = pin!(subscription.next(limit));
        let visible = match select(request.as_mut(), pin!(self.in_flight.settled())).await {
            Either::Left((answer, _)) => return answer,
            Either::Right((visible, _)) => visible?,
        };
        self.report(visible);
        request.await
    }

    /// Resolves the server, and waits for the addresses of the other servers.
    async fn resolve(&self) -> Result<Vec<EventLogServer<'a>>, EventLogError> {
        let EventLog { source, account, status, logs, .. } = self.log;
        let servers = EventLogServer::resolve(source, account).await;
        // A server that cannot be resolved has no address, and the other logs do not wait for it.
        let found: Vec<IpAddr> = servers.iter().flatten().map(|server| server.address).collect();
        let changed = status.look(|status| status.addresses.as_ref() != Some(&found));
        if changed && (servers.is_ok() || status.look(|status| status.addresses.is_none())) {
            status.write(|status| status.addresses = Some(found));
            logs.changed();
        }
        let servers = servers?;
        logs.resolved().await;
        Ok(servers)
    }

    /// Subscribes after the bookmark. If the server no longer has these events, a gap is reported,
    /// and the log is read as at the first start.
    async fn subscribe(
        &mut self,
        mut connection: RpcConnection,
        bookmark: Option<&Bookmark>,
    ) -> Result<Subscription, EventLogError> {
        let source = &self.log.source;
        // A silent log stays silent until an event arrives.
        if self.log.status.look(|status| status.state) != EventLogState::Silent {
            self.enter(EventLogState::CatchingUp);
        }
        let handle = match subscribe(&mut connection, source, bookmark).await {
            Err(why) if bookmark.is_some() && why.is_gap() => {
                let handle = subscribe(&mut connection, source, None).await?;
                let after = self.decoder.continuity.last().unwrap_or_default();
                self.decoder.continuity = Continuity::default();
                let (at, cause) = (self.log.clock.now(), GapCause::Refused);
                self.report_gap(LastGap { at, cause, after, records: None });
                handle
            }
            subscribed => subscribed?,
        };
        Ok(Subscription::new(connection, handle, source))
    }

    /// The time until the log counts as silent, if its last event arrived at `last_event`.
    fn time_until_silent(&self, last_event: Instant) -> Result<Duration, EventLogError> {
        let silent = self.log.source.settings.silent_after;
        let left = silent.saturating_sub(Clock::instant().duration_since(last_event));
        if left.is_zero() { Err(EventLogError::Quiet(silent)) } else { Ok(left) }
    }

    /// Decodes events, and submits them as soon as the batch before is visible.
    async fn submit(&mut self, response: &EventBatch<'_>) -> Result<(), EventLogError> {
        let EventLog { source, clock, logs, .. } = self.log;
        EventLogResumed { producer: self.sink.producer() }.emit();
        self.has_events = true;
        let changes = logs.changes();
        if self.registry_state.replace(changes) != Some(changes) {
            self.decoder.set_server_addresses(source, &logs.addresses());
        }
        let mut input = InputBatch::default();
        let batch = self.decoder.read(response, clock.now(), &mut input);
        let limit = usize::try_from(source.settings.limits.batch_size).unwrap_or(usize::MAX);
        let is_full = response.events().len() >= limit;
        let (unaudited, last_record) = (self.decoder.unaudited(), self.decoder.continuity.last());
        let read = Read { batch, unaudited, last_record, is_full };
        let before = self.in_flight.submit(input, read).await?;
        self.report(before);
        Ok(())
    }

    /// Waits until everything that was submitted is visible.
    async fn settle(&mut self) -> Result<(), EventLogError> {
        let visible = self.in_flight.settled().await?;
        self.report(visible);
        Ok(())
    }

    /// Reports a batch that has become visible.
    fn report(&mut self, batch: Option<Read>) {
        let Some(Read { batch, unaudited, last_record, is_full }) = batch else { return };
        let now = self.log.clock.now();
        self.log.status.write(|status| {
            status.enter(
                if is_full { EventLogState::CatchingUp } else { EventLogState::Following },
                now,
            );
            status.last_event = batch.last.or(status.last_event);
            status.bookmark = last_record;
            status.unreadable += batch.unreadable;
        });
        self.report_problems(batch, unaudited);
    }

    /// Reports unreadable records, gaps, and changes of the audit policy.
    fn report_problems(&mut self, batch: DecodedBatch, unaudited: Vec<AuditGap>) {
        let producer = self.sink.producer();
        if let Some((record_id, why)) = batch.first_unreadable {
            let count = batch.unreadable;
            RecordsUnreadable { producer, count, record_id, why: &why }.emit();
        }
        for gap in batch.gaps {
            self.report_gap(gap);
        }
        if unaudited != self.unaudited {
            EventLogAudits { producer, before: &self.unaudited, now: &unaudited }.emit();
            self.unaudited.clone_from(&unaudited);
            self.log.status.write(|status| status.unaudited = unaudited);
        }
    }

    /// Reports records that were overwritten before they were read, or why that is unknown.
    fn report_overwritten(&self, lost: Option<LostRecords>, unverifiable: Option<&String>) {
        if let Some(LostRecords { after, records }) = lost {
            let (at, cause) = (self.log.clock.now(), GapCause::Overwritten);
            self.report_gap(LastGap { at, cause, after, records: Some(records) });
        }
        if self.log.status.look(|status| status.unverifiable.as_ref() != unverifiable) {
            self.log.status.write(|status| status.unverifiable = unverifiable.cloned());
        }
    }

    fn report_gap(&self, gap: LastGap) {
        EventLogGap { producer: self.sink.producer(), gap }.emit();
        self.log.status.write(|status| {
            status.gaps += 1;
            status.last_gap = Some(gap);
        });
    }

    /// All existing events are read. A silent log stays silent until an event arrives.
    fn caught_up(&self) {
        if self.log.status.look(|status| status.state) == EventLogState::CatchingUp {
            self.enter(EventLogState::Following);
        }
    }

    fn enter(&self, state: EventLogState) {
        let now = self.log.clock.now();
        self.log.status.write(|status| status.enter(state, now));
    }
}
