//! Following a log: from the last committed event on, and then as events are written, until something
//! goes wrong.

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
use super::subscription::{Answer, Subscription, connect, subscribe};
use super::{CHANNEL, Cause, EventLog, EventLogError, EventLogState, LastFailure, LastGap};
use crate::event_log::telemetry::{
    EventLogAudits, EventLogConnected, EventLogFailed, EventLogGap, EventLogResumed,
    EventLogSilent, RecordsUnreadable,
};
use crate::{EventSink, InputBatch};
use rollcall_runtime::clock::Clock;
use rollcall_runtime::telemetry::TelemetryEvent;

/// Follows the log of one server.
pub(super) struct Follower<'a> {
    log: &'a EventLog,
    sink: &'a EventSink,
    /// What was handed over.
    under_way: InFlight<'a>,
    /// Kept over a lost connection: it remembers who logged on.
    harvester: RecordDecoder,
    /// The addresses of all servers, as the harvester knows them: which change that was.
    others: Option<u64>,
    /// What the server was said not to audit.
    unaudited: Vec<AuditGap>,
    /// Whether the present connection brought an event.
    heard: bool,
}

impl<'a> Follower<'a> {
    pub(super) fn new(log: &'a EventLog, sink: &'a EventSink) -> Self {
        let harvester = RecordDecoder::new(&log.source, &BTreeSet::new(), log.logs.hosts());
        let (under_way, unaudited) = (InFlight::new(sink), Vec::new());
        Self { log, sink, under_way, harvester, others: None, unaudited, heard: false }
    }

    /// Connects and follows the log until it cannot be followed any more.
    pub(super) async fn follow(&mut self) -> EventLogError {
        self.heard = false;
        let Err(failure) = self.try_follow().await;
        failure
    }

    /// Whether the connection that failed had brought an event.
    pub(super) const fn has_heard(&self) -> bool {
        self.heard
    }

    /// Tells why.
    pub(super) fn failed(&self, why: &EventLogError) {
        let (producer, now) = (self.sink.producer(), self.log.clock.now());
        let state = match why {
            EventLogError::Quiet(span) => {
                EventLogSilent { producer, span: *span }.emit();
                EventLogState::Silent
            }
            why => {
                EventLogFailed { producer, why }.emit();
                EventLogState::Failing
            }
        };
        self.log.board.write(|status| {
            status.enter(state, now);
            status.last_failure = Some(LastFailure::of(why, now));
        });
    }

    async fn try_follow(&mut self) -> Result<Infallible, EventLogError> {
        // What was handed over and not committed is read again.
        let place = self.sink.last_read(log()).await?;
        let bookmark = place.as_deref().and_then(bookmark);
        let last = bookmark.as_ref().and_then(|bookmark| bookmark.record_id(CHANNEL));
        self.harvester.continuity = Continuity::after_record(last);
        self.log.board.write(|status| status.bookmark = last);
        let servers = self.servers().await?;
        let connection = connect(&servers).await?;
        let mut subscription = self.begin(connection, bookmark.as_ref()).await?;
        let (producer, server) = (self.sink.producer(), &*self.log.source.server.host);
        EventLogConnected { producer, server }.emit();
        let Err(failure) = self.read_on(&mut subscription).await;
        // What came before the failure came; where to go on is asked for behind it.
        self.settle().await?;
        Err(failure)
    }

    /// Reads what there is and what will be.
    async fn read_on(
        &mut self,
        subscription: &mut Subscription,
    ) -> Result<Infallible, EventLogError> {
        let (mut gaps, mut heard) = (Gaps::default(), Clock::instant());
        loop {
            let patience = self.patience(heard)?;
            let answer = self.next(subscription, patience).await?;
            let batch = answer.batch()?;
            let is_empty = batch.events().len() == 0;
            if is_empty {
                self.settle().await?;
                self.caught_up();
            } else {
                heard = Clock::instant();
                self.take(&batch).await?;
            }
            let continuity = &mut self.harvester.continuity;
            let lost = gaps.look(&mut subscription.connection, continuity).await?;
            if lost.is_some() {
                // Were they refused, they would be read again, and so would the gap before them.
                self.settle().await?;
            }
            self.looked(lost, gaps.unable.as_ref());
            if is_empty {
                subscription.wait(patience).await?;
            }
        }
    }

    /// The next answer; meanwhile, what is under way becomes visible.
    async fn next(
        &mut self,
        subscription: &mut Subscription,
        patience: Duration,
    ) -> Result<Answer, EventLogError> {
        let mut asked = pin!(subscription.next(patience));
        let visible = match select(asked.as_mut(), pin!(self.under_way.settled())).await {
            Either::Left((answer, _)) => return answer,
            Either::Right((visible, _)) => visible?,
        };
        self.visible(visible);
        asked.await
    }

    /// Where the server is; the others are heeded from now on, too.
    async fn servers(&self) -> Result<Vec<EventLogServer<'a>>, EventLogError> {
        let EventLog { source, board, logs, .. } = self.log;
        let servers = EventLogServer::all(source).await;
        // One that cannot be found keeps nobody waiting.
        let found: Vec<IpAddr> = servers.iter().flatten().map(|server| server.address).collect();
        let changed = board.look(|status| status.addresses.as_ref() != Some(&found));
        if changed && (servers.is_ok() || board.look(|status| status.addresses.is_none())) {
            board.write(|status| status.addresses = Some(found));
            logs.changed();
        }
        let servers = servers?;
        logs.found().await;
        Ok(servers)
    }

    /// Subscribes behind the bookmark. Where that is not to be had any more, the gap is told, and the
    /// log is caught up with as at the first time.
    async fn begin(
        &mut self,
        mut connection: RpcConnection,
        bookmark: Option<&Bookmark>,
    ) -> Result<Subscription, EventLogError> {
        let source = &self.log.source;
        // After a silence it is silent until an event comes.
        if self.log.board.look(|status| status.state) != EventLogState::Silent {
            self.enter(EventLogState::CatchingUp);
        }
        let handle = match subscribe(&mut connection, source, bookmark).await {
            Err(why) if bookmark.is_some() && why.is_gap() => {
                let handle = subscribe(&mut connection, source, None).await?;
                let after = self.harvester.continuity.last().unwrap_or_default();
                self.harvester.continuity = Continuity::default();
                let (at, cause) = (self.log.clock.now(), Cause::Refused);
                self.lost(LastGap { at, cause, after, records: None });
                handle
            }
            subscribed => subscribed?,
        };
        Ok(Subscription::new(connection, handle, source))
    }

    /// How long it may still be silent, after it was `heard` the last time.
    fn patience(&self, heard: Instant) -> Result<Duration, EventLogError> {
        let silent = self.log.source.settings.silent;
        let left = silent.saturating_sub(Clock::instant().duration_since(heard));
        if left.is_zero() { Err(EventLogError::Quiet(silent)) } else { Ok(left) }
    }

    /// Reads events, and hands over what they come to as soon as those before are visible.
    async fn take(&mut self, batch: &EventBatch<'_>) -> Result<(), EventLogError> {
        let EventLog { source, clock, logs, .. } = self.log;
        EventLogResumed { producer: self.sink.producer() }.emit();
        self.heard = true;
        let changes = logs.changes();
        if self.others.replace(changes) != Some(changes) {
            self.harvester.heed(source, &logs.addresses());
        }
        let mut input = InputBatch::default();
        let gathered = self.harvester.read(batch, clock.now(), &mut input);
        let asked = usize::try_from(source.settings.limits.records).unwrap_or(usize::MAX);
        let is_full = batch.events().len() >= asked;
        let (unaudited, place) = (self.harvester.unaudited(), self.harvester.continuity.last());
        let read = Read { gathered, unaudited, place, is_full };
        let before = self.under_way.submit(input, read).await?;
        self.visible(before);
        Ok(())
    }

    /// Waits until all that was read is visible.
    async fn settle(&mut self) -> Result<(), EventLogError> {
        let visible = self.under_way.settled().await?;
        self.visible(visible);
        Ok(())
    }

    /// Tells of a batch that is visible from now on.
    fn visible(&mut self, batch: Option<Read>) {
        let Some(Read { gathered, unaudited, place, is_full }) = batch else { return };
        let now = self.log.clock.now();
        self.log.board.write(|status| {
            status.enter(
                if is_full { EventLogState::CatchingUp } else { EventLogState::Following },
                now,
            );
            status.last_event = gathered.last.or(status.last_event);
            status.bookmark = place;
            status.unreadable += gathered.unreadable;
        });
        self.tell(gathered, unaudited);
    }

    /// Tells what was wrong with records, and what the log says of itself.
    fn tell(&mut self, gathered: DecodedBatch, unaudited: Vec<AuditGap>) {
        let producer = self.sink.producer();
        if let Some((record_id, why)) = gathered.first_unreadable {
            let count = gathered.unreadable;
            RecordsUnreadable { producer, count, record_id, why: &why }.emit();
        }
        for gap in gathered.gaps {
            self.lost(gap);
        }
        if unaudited != self.unaudited {
            EventLogAudits { producer, before: &self.unaudited, now: &unaudited }.emit();
            self.unaudited.clone_from(&unaudited);
            self.log.board.write(|status| status.unaudited = unaudited);
        }
    }

    /// What a look at the oldest record showed.
    fn looked(&self, lost: Option<LostRecords>, unable: Option<&String>) {
        if let Some(LostRecords { after, records }) = lost {
            let (at, cause) = (self.log.clock.now(), Cause::Overwritten);
            self.lost(LastGap { at, cause, after, records: Some(records) });
        }
        if self.log.board.look(|status| status.unverifiable.as_ref() != unable) {
            self.log.board.write(|status| status.unverifiable = unable.cloned());
        }
    }

    fn lost(&self, gap: LastGap) {
        EventLogGap { producer: self.sink.producer(), gap }.emit();
        self.log.board.write(|status| {
            status.gaps += 1;
            status.last_gap = Some(gap);
        });
    }

    /// There is nothing more to read; a silence goes on until an event comes.
    fn caught_up(&self) {
        if self.log.board.look(|status| status.state) == EventLogState::CatchingUp {
            self.enter(EventLogState::Following);
        }
    }

    fn enter(&self, state: EventLogState) {
        let now = self.log.clock.now();
        self.log.board.write(|status| status.enter(state, now));
    }
}
