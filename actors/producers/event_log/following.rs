//! Following a log: from the last committed event on, and then as events are written, until something
//! goes wrong.

use std::net::IpAddr;
use std::time::Duration;

use rollcall_wire::event_log::call::{
    Batch, Call, Delivery, Gaps, RegisterRemoteSubscription, RemoteSubscriptionNext,
    RemoteSubscriptionWaitAsync, Start,
};
use rollcall_wire::event_log::{Bookmark, Query, Status};
use rollcall_wire::msrpc::ndr::ContextHandle;
use tokio::time::timeout;

use super::connection::{Connection, Server};
use super::harvesting::{Harvester, bookmark, log};
use super::{CHANNEL, Failure, Source};
use crate::clock::Clock;
use crate::happenings::{
    EventLogConnected, EventLogFailed, EventLogGap, EventLogHeard, EventLogSilent, Happening,
    RecordsUnreadable,
};
use crate::producers::{Harvest, Outlet};

/// How long the server looks for events: what comes within is answered at once, and after that it is
/// waited for.
const LOOKING: Duration = Duration::from_secs(1);

/// Follows the log of one server.
pub(super) struct Follower<'a> {
    source: &'a Source,
    clock: &'a Clock,
    outlet: &'a Outlet,
    /// Kept over a lost connection: it remembers who logged on.
    harvester: Option<(Vec<IpAddr>, Harvester)>,
    /// Whether the present connection brought an event.
    heard: bool,
}

impl<'a> Follower<'a> {
    pub(super) const fn new(source: &'a Source, clock: &'a Clock, outlet: &'a Outlet) -> Self {
        Self { source, clock, outlet, harvester: None, heard: false }
    }

    /// Connects and follows the log until it cannot be followed any more.
    pub(super) async fn follow(&mut self) -> Failure {
        self.heard = false;
        let Err(failure) = self.try_follow().await;
        failure
    }

    /// Whether the connection that failed had brought an event.
    pub(super) const fn has_heard(&self) -> bool {
        self.heard
    }

    /// Tells why.
    pub(super) fn failed(&self, why: &Failure) {
        let producer = self.outlet.producer();
        match why {
            Failure::Quiet(span) => EventLogSilent { producer, span: *span }.emit(),
            why => EventLogFailed { producer, why }.emit(),
        }
    }

    async fn try_follow(&mut self) -> Result<std::convert::Infallible, Failure> {
        // What was handed over and not committed is read again.
        let place = self.outlet.last_read(log()).await?;
        let bookmark = place.as_deref().and_then(bookmark);
        let servers = Server::all(self.source).await?;
        let addresses: Vec<IpAddr> = servers.iter().map(|server| server.address).collect();
        if self.harvester.as_ref().is_none_or(|(known, _)| *known != addresses) {
            let harvester = Harvester::new(self.source, &addresses);
            self.harvester = Some((addresses, harvester));
        }
        let mut connection = connect(&servers).await?;
        let handle = self.begin(&mut connection, bookmark.as_ref()).await?;
        EventLogConnected { producer: self.outlet.producer(), server: &self.source.server.host }
            .emit();
        loop {
            if self.pull(&mut connection, handle).await? == Found::Nothing {
                self.wait(&mut connection, handle).await?;
            }
        }
    }

    /// Subscribes behind the bookmark. Where that is not to be had any more, the gap is told, and the
    /// log is caught up with as at the first time.
    async fn begin(
        &self,
        connection: &mut Connection,
        bookmark: Option<&Bookmark>,
    ) -> Result<ContextHandle, Failure> {
        let Some(bookmark) = bookmark else {
            return subscribe(connection, self.source, None).await;
        };
        match subscribe(connection, self.source, Some(bookmark)).await {
            Err(why) if why.is_gap() => {
                let producer = self.outlet.producer();
                let after = bookmark.record_id(CHANNEL).unwrap_or_default();
                EventLogGap { producer, after }.emit();
                subscribe(connection, self.source, None).await
            }
            subscribed => subscribed,
        }
    }

    /// Asks for events, and hands over what they come to. Returns when all of it is visible.
    async fn pull(
        &mut self,
        connection: &mut Connection,
        handle: ContextHandle,
    ) -> Result<Found, Failure> {
        const CALL: &str = "EvtRpcRemoteSubscriptionNext";
        let records = self.source.settings.limits.records;
        let next = RemoteSubscriptionNext { handle, records, timeout: LOOKING };
        let stub = connection.call(CALL, &next).await?;
        let batch = RemoteSubscriptionNext::answer(&stub);
        let batch: Batch<'_> = batch.map_err(|why| Failure::Answer { call: CALL, why })?;
        match batch.status {
            Status::Success | Status::Timeout | Status::NoMoreItems => {}
            status => return Err(Failure::Status { call: CALL, status }),
        }
        if batch.events().len() == 0 {
            return Ok(Found::Nothing);
        }
        let producer = self.outlet.producer();
        EventLogHeard { producer }.emit();
        self.heard = true;
        let mut harvest = Harvest::default();
        if let Some((_, harvester)) = &mut self.harvester {
            let unreadable = harvester.read(&batch, self.clock.now(), &mut harvest);
            if let Some((record_id, why)) = unreadable.first {
                let count = unreadable.count;
                RecordsUnreadable { producer, count, record_id, why: &why }.emit();
            }
        }
        if let Some(pending) = self.outlet.hand_over(&mut harvest).await {
            pending.receipt().await?;
        }
        Ok(Found::Some)
    }

    /// Waits until there are events.
    async fn wait(
        &self,
        connection: &mut Connection,
        handle: ContextHandle,
    ) -> Result<(), Failure> {
        const CALL: &str = "EvtRpcRemoteSubscriptionWaitAsync";
        let silent = self.source.settings.silent;
        let wait = RemoteSubscriptionWaitAsync { handle };
        let stub = timeout(silent, connection.wait(CALL, &wait)).await;
        let stub = stub.map_err(|_| Failure::Quiet(silent))??;
        let status = RemoteSubscriptionWaitAsync::answer(&stub);
        match status.map_err(|why| Failure::Answer { call: CALL, why })? {
            Status::Success | Status::Timeout => Ok(()),
            status => Err(Failure::Status { call: CALL, status }),
        }
    }
}

/// What a pull brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Some,
    Nothing,
}

/// Connects to the first of the servers that lets the account in.
pub(super) async fn connect(servers: &[Server<'_>]) -> Result<Connection, Failure> {
    let mut failed = None;
    for server in servers {
        let connected = match server.port().await {
            Ok(port) => server.connect(port).await,
            Err(why) => Err(why),
        };
        match connected {
            Ok(connection) => return Ok(connection),
            Err(why) => failed = Some(why),
        }
    }
    Err(failed.unwrap_or_else(|| Failure::Configured("the server has no address".to_owned())))
}

/// Subscribes to what follows `bookmark`, or else to what is not too old.
pub(super) async fn subscribe(
    connection: &mut Connection,
    source: &Source,
    bookmark: Option<&Bookmark>,
) -> Result<ContextHandle, Failure> {
    const CALL: &str = "EvtRpcRegisterRemoteSubscription";
    let catch_up = source.settings.catch_up;
    let (start, no_older_than, gaps) = match bookmark {
        Some(bookmark) => (Start::After(bookmark), None, Gaps::Refused),
        None if catch_up.is_zero() => (Start::Now, None, Gaps::Accepted),
        None => (Start::Oldest, Some(catch_up), Gaps::Accepted),
    };
    let query = Query {
        channel: CHANNEL,
        provider: Some(Query::SECURITY_AUDITING),
        event_ids: &source.server.event_ids,
        no_older_than,
    };
    let query = query.to_xml().map_err(|why| Failure::Configured(why.to_string()))?;
    let (channel, delivery) = (None, Delivery::Pull);
    let asked = RegisterRemoteSubscription { channel, query: &query, start, delivery, gaps };
    let stub = connection.call(CALL, &asked).await?;
    let opened = RegisterRemoteSubscription::answer(&stub);
    let opened = opened.map_err(|why| Failure::Answer { call: CALL, why })?;
    let refused = opened.channels.iter().map(|channel| channel.status);
    let refused = refused.chain([opened.status]).find(|status| !status.is_success());
    match refused {
        Some(status) => Err(Failure::Status { call: CALL, status }),
        None => Ok(opened.handle),
    }
}
