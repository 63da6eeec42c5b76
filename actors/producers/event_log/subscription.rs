//! The subscription to a log: the selected events, the start position and the delivery mode.

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

/// The timeout of a pull at the server. After a pull without events the client waits for the
/// notification of the server.
const PULL_TIMEOUT: Duration = Duration::from_secs(1);

/// A subscription. It ends with its connection.
pub(super) struct Subscription {
    pub(super) connection: RpcConnection,
    handle: ContextHandle,
    delivery: Delivery,
    records: u32,
    /// The period without events after which the server counts as silent.
    silent: Duration,
}

/// A response, with or without events.
pub(super) struct Answer {
    stub: Vec<u8>,
    read: fn(&[u8]) -> Result<EventBatch<'_>, NdrError>,
    call: &'static str,
}

impl Subscription {
    /// The subscription of `source` with the context handle `handle`.
    pub(super) const fn new(
        connection: RpcConnection,
        handle: ContextHandle,
        source: &Source,
    ) -> Self {
        let settings = &source.settings;
        let (delivery, records) = (settings.delivery, settings.limits.batch_size);
        Self { connection, handle, delivery, records, silent: settings.silent_after }
    }

    /// The next response. A pushed response has events; without one within `limit`, the call
    /// fails. A pull may return a response without events, and is then repeated.
    pub(super) async fn next(&mut self, limit: Duration) -> Result<Answer, EventLogError> {
        match self.delivery {
            Delivery::Pull => self.pull().await,
            Delivery::Push => self.receive_push(limit).await,
        }
    }

    /// Waits until events can be pulled. Pushed events need no wait.
    pub(super) async fn wait(&mut self, limit: Duration) -> Result<(), EventLogError> {
        const CALL: &str = "EvtRpcRemoteSubscriptionWaitAsync";
        if self.delivery == Delivery::Push {
            return Ok(());
        }
        let wait = RemoteSubscriptionWaitAsync { handle: self.handle };
        let stub = timeout(limit, self.connection.wait(CALL, &wait)).await;
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
        let next = RemoteSubscriptionNext { handle, records, timeout: PULL_TIMEOUT };
        let stub = self.connection.call(CALL, &next).await?;
        Ok(Answer { stub, read: RemoteSubscriptionNext::decode, call: CALL })
    }

    async fn receive_push(&mut self, limit: Duration) -> Result<Answer, EventLogError> {
        const CALL: &str = "EvtRpcRemoteSubscriptionNextAsync";
        let next = RemoteSubscriptionNextAsync { handle: self.handle, records: self.records };
        let stub = timeout(limit, self.connection.wait(CALL, &next)).await;
        let stub = stub.map_err(|_| EventLogError::Quiet(self.silent))??;
        Ok(Answer { stub, read: RemoteSubscriptionNextAsync::decode, call: CALL })
    }
}

impl Answer {
    /// The events of the response.
    pub(super) fn batch(&self) -> Result<EventBatch<'_>, EventLogError> {
        let call = self.call;
        let batch = (self.read)(&self.stub).map_err(|why| EventLogError::Answer { call, why })?;
        match batch.status {
            CallStatus::Success | CallStatus::Timeout | CallStatus::NoMoreItems => Ok(batch),
            status => Err(EventLogError::Status { call, status }),
        }
    }
}

/// Subscribes to the events after `bookmark`. Without a bookmark, it subscribes to the events of
/// the configured catch-up period.
pub(super) async fn subscribe(
    connection: &mut RpcConnection,
    source: &Source,
    bookmark: Option<&Bookmark>,
) -> Result<ContextHandle, EventLogError> {
    const CALL: &str = "EvtRpcRegisterRemoteSubscription";
    let catch_up = source.settings.lookback;
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
    let request =
        RegisterRemoteSubscription { channel: None, query: &query, start, delivery, gaps };
    let stub = connection.call(CALL, &request).await?;
    let opened = RegisterRemoteSubscription::decode(&stub);
    let opened = opened.map_err(|why| EventLogError::Answer { call: CALL, why })?;
    let statuses = opened.channels.iter().map(|channel| channel.status);
    let failed = statuses.chain([opened.status]).find(|status| !status.is_success());
    match failed {
        Some(status) => Err(EventLogError::Status { call: CALL, status }),
        None => Ok(opened.handle),
    }
}
