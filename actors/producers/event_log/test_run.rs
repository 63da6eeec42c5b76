//! The self-test of an event log source, from its name to its first event.

use std::time::Duration;

use rollcall_config as config;
use rollcall_identity::logon::ServerRole;
use rollcall_wire::event_log::call::{
    Delivery, EventLogCall, EventOrder, QueryNext, RegisterLogQuery, RemoteSubscriptionNext,
};
use rollcall_wire::event_log::{AuditRecord, Decoder};

use super::connection::{EventLogServer, RpcConnection};
use super::subscription::subscribe;
use super::{CHANNEL, EventLogError, Source};
use crate::remote::{AccountGuard, TestReport};

/// Connects to `source`, authenticates, subscribes, and reads one event.
pub async fn test(source: &Source, accounts: &AccountGuard) -> TestReport<EventLogError> {
    let mut lines = Vec::new();
    let failure = run(source, accounts, &mut lines).await.err();
    TestReport { lines, failure }
}

async fn run(
    source: &Source,
    accounts: &AccountGuard,
    lines: &mut Vec<String>,
) -> Result<(), EventLogError> {
    // With pull delivery, the server also responds if there is no event.
    let settings = config::EventLog { delivery: Delivery::Pull, ..source.settings.clone() };
    let source = &Source { settings, server: source.server.clone() };
    let account = source.account(accounts);
    let servers = EventLogServer::resolve(source, &account).await?;
    let host = &source.server.host;
    let addresses: Vec<String> = servers.iter().map(|server| server.address.to_string()).collect();
    lines.push(format!("{host} has the address {}", addresses.join(", ")));
    // Only the first address is tested: a test that went on to the next would hide its failure.
    let Some(server) = servers.first() else { return Ok(()) };
    let port = server.port().await?;
    let by = match source.server.port {
        Some(_) => "as configured",
        None => "from its endpoint mapper",
    };
    lines.push(format!("the event log service has port {port}, {by}"));
    let mut connection = server.connect(port).await?;
    let auth: &str = source.settings.auth.into();
    lines.push(format!(
        "{} authenticated with {auth}; all messages are sealed",
        source.settings.account.name
    ));
    if source.server.role == ServerRole::DomainController && source.server.port.is_none() {
        lines.push(match server.domain().await {
            Ok((name, sid)) => format!("it is a domain controller of {name}, SID {sid}"),
            // Rollcall does not need it to read the log.
            Err(why) => format!("its domain is unknown: {why}"),
        });
    }
    let handle = match subscribe(&mut connection, source, None).await {
        Err(why) if why.is_unsupported_call() => {
            // What the server supports helps to identify it.
            if let Ok(count) = query_log(&mut connection, source).await {
                lines.push(format!(
                    "it answers a query of its log, with {count} events, but does not support subscriptions"
                ));
            }
            return Err(why);
        }
        subscribed => subscribed?,
    };
    lines.push("the subscription to its log Security works".to_owned());
    let records = source.settings.limits.batch_size;
    let next = RemoteSubscriptionNext { handle, records, timeout: Duration::ZERO };
    let call = "EvtRpcRemoteSubscriptionNext";
    let stub = connection.call(call, &next).await?;
    let batch = RemoteSubscriptionNext::decode(&stub);
    let batch = batch.map_err(|why| EventLogError::Answer { call, why })?;
    lines.push(match batch.events().next() {
        None => "its log has no matching event within lookback".to_owned(),
        Some(Err(why)) => format!("its first event cannot be decoded: {why}"),
        Some(Ok(set)) => first_event(set.event),
    });
    Ok(())
}

/// The number of events in the first response to a query of the log. The query ends with the connection.
async fn query_log(
    connection: &mut RpcConnection,
    source: &Source,
) -> Result<usize, EventLogError> {
    let call = "EvtRpcRegisterLogQuery";
    let query =
        RegisterLogQuery { channel: Some(CHANNEL), query: "*", order: EventOrder::NewestFirst };
    let stub = connection.call(call, &query).await?;
    let opened =
        RegisterLogQuery::decode(&stub).map_err(|why| EventLogError::Answer { call, why })?;
    if !opened.status.is_success() {
        return Err(EventLogError::Status { call, status: opened.status });
    }
    let call = "EvtRpcQueryNext";
    let (handle, records) = (opened.handle, source.settings.limits.batch_size);
    let next = QueryNext { handle, records, timeout: Duration::ZERO };
    let stub = connection.call(call, &next).await?;
    let batch = QueryNext::decode(&stub).map_err(|why| EventLogError::Answer { call, why })?;
    Ok(batch.events().len())
}

fn first_event(event: &[u8]) -> String {
    let mut decoder = Decoder::default();
    let record = match decoder.record(event) {
        Ok(record) => record,
        Err(why) => return format!("its first event cannot be decoded: {why}"),
    };
    match AuditRecord::of(&record) {
        Err(why) => format!("its first event cannot be decoded: {why}"),
        Ok(audit) => {
            let record = audit.record();
            let (id, time, computer) = (record.id, record.time, record.computer);
            format!("its first event is record {}, {id} of {time}, by {computer}", record.record_id)
        }
    }
}
