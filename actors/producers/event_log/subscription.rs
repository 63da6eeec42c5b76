//! The subscription to a log: which events, from where on, and how they come.

use std::time::Duration;

use rollcall_identity::logon::auditing::LogNotice;
use rollcall_wire::event_log::call::{
    Delivery, EventBatch, EventLogCall, GapPolicy as Missing, RegisterRemoteSubscription,
    RemoteSubscriptionNext, RemoteSubscriptionNextAsync, RemoteSubscriptionWaitAsync,
    SubscriptionStart,
};
use rollcall_wire::event_log::{Bookmark, CallStatus, EventLogQuery, EventSelection};
use rollcall_wire::msrpc::ndr::{ContextHandle, NdrError};
use tokio::time::timeout;

use super::connection::RpcConnection;
use super::{CHANNEL, EventLogError, Source};

/// How long the server looks for events: what comes within is answered at once, and after that it is
/// waited for.
const LOOKING: Duration = Duration::from_secs(1);

/// A subscription, over the connection that it lasts as long as.
pub(super) struct Subscription {
    pub(super) connection: RpcConnection,
    handle: ContextHandle,
    delivery: Delivery,
    records: u32,
    /// After how long without any event the server is called silent.
    silent: Duration,
}

/// An answer with events, or without any.
pub(super) struct Answer {
    stub: Vec<u8>,
    read: fn(&[u8]) -> Result<EventBatch<'_>, NdrError>,
    call: &'static str,
}

impl Subscription {
    /// The one that `handle` is, of `source`.
    pub(super) const fn new(
        connection: RpcConnection,
        handle: ContextHandle,
        source: &Source,
    ) -> Self {
        let settings = &source.settings;
        let (delivery, records) = (settings.delivery, settings.limits.records);
        Self { connection, handle, delivery, records, silent: settings.silent }
    }

    /// The next answer: with events, or, when none comes within `patience`, a failure. Whoever pulls
    /// may be answered without events, and asks again.
    pub(super) async fn next(&mut self, patience: Duration) -> Result<Answer, EventLogError> {
        match self.delivery {
            Delivery::Pull => self.pull().await,
            Delivery::Push => self.pushed(patience).await,
        }
    }

    /// Waits until there are events to be pulled; what is pushed comes of itself.
    pub(super) async fn wait(&mut self, patience: Duration) -> Result<(), EventLogError> {
        const CALL: &str = "EvtRpcRemoteSubscriptionWaitAsync";
        if self.delivery == Delivery::Push {
            return Ok(());
        }
        let wait = RemoteSubscriptionWaitAsync { handle: self.handle };
        let stub = timeout(patience, self.connection.wait(CALL, &wait)).await;
        let stub = stub.map_err(|_| EventLogError::Quiet(self.silent))??;
        let status = RemoteSubscriptionWaitAsync::decode(&stub);
        match status.map_err(|why| EventLogError::Answer { call: CALL, why })? {
            CallStatus::Success | CallStatus::Timeout => Ok(()),
            status => Err(EventLogError::Status { call: CALL, status }),
        }
    }

    async fn pull(&mut self) -> Result<Answer, EventLogError> {
        const CALL: &str = "EvtRpcRemoteSubscriptionNext";
        let (handle, records) = (self.handle, self.records);
        let next = RemoteSubscriptionNext { handle, records, timeout: LOOKING };
        let stub = self.connection.call(CALL, &next).await?;
        Ok(Answer { stub, read: RemoteSubscriptionNext::decode, call: CALL })
    }

    async fn pushed(&mut self, patience: Duration) -> Result<Answer, EventLogError> {
        const CALL: &str = "EvtRpcRemoteSubscriptionNextAsync";
        let next = RemoteSubscriptionNextAsync { handle: self.handle, records: self.records };
        let stub = timeout(patience, self.connection.wait(CALL, &next)).await;
        let stub = stub.map_err(|_| EventLogError::Quiet(self.silent))??;
        Ok(Answer { stub, read: RemoteSubscriptionNextAsync::decode, call: CALL })
    }
}

impl Answer {
    /// The events in it.
    pub(super) fn batch(&self) -> Result<EventBatch<'_>, EventLogError> {
        let call = self.call;
        let batch = (self.read)(&self.stub).map_err(|why| EventLogError::Answer { call, why })?;
        match batch.status {
            CallStatus::Success | CallStatus::Timeout | CallStatus::NoMoreItems => Ok(batch),
            status => Err(EventLogError::Status { call, status }),
        }
    }
}

/// Subscribes to what follows `bookmark`, or else to what is not too old.
pub(super) async fn subscribe(
    connection: &mut RpcConnection,
    source: &Source,
    bookmark: Option<&Bookmark>,
) -> Result<ContextHandle, EventLogError> {
    const CALL: &str = "EvtRpcRegisterRemoteSubscription";
    let catch_up = source.settings.catch_up;
    let (start, no_older_than, gaps) = match bookmark {
        Some(bookmark) => (SubscriptionStart::After(bookmark), None, Missing::Reject),
        None if catch_up.is_zero() => (SubscriptionStart::Now, None, Missing::Continue),
        None => (SubscriptionStart::Oldest, Some(catch_up), Missing::Continue),
    };
    let logons = EventSelection {
        provider: Some(EventLogQuery::SECURITY_AUDITING),
        event_ids: &source.server.event_ids,
    };
    let [cleared, policy] = LogNotice::IDS
        .map(|(provider, event_ids)| EventSelection { provider: Some(provider), event_ids });
    let query =
        EventLogQuery { channel: CHANNEL, selections: &[logons, cleared, policy], no_older_than };
    let query = query.to_xml().map_err(|why| EventLogError::Configured(why.to_string()))?;
    let delivery = source.settings.delivery;
    let asked = RegisterRemoteSubscription { channel: None, query: &query, start, delivery, gaps };
    let stub = connection.call(CALL, &asked).await?;
    let opened = RegisterRemoteSubscription::decode(&stub);
    let opened = opened.map_err(|why| EventLogError::Answer { call: CALL, why })?;
    let refused = opened.channels.iter().map(|channel| channel.status);
    let refused = refused.chain([opened.status]).find(|status| !status.is_success());
    match refused {
        Some(status) => Err(EventLogError::Status { call: CALL, status }),
        None => Ok(opened.handle),
    }
}
