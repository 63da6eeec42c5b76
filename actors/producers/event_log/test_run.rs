//! One look at an event log, from the server's name to its first event, each step said in plain words.

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

/// What a look at an event log showed.
#[derive(Debug)]
pub struct EventLogTestReport {
    /// What was found out, a line each.
    pub lines: Vec<String>,
    /// Why it cannot be read, if it cannot.
    pub failure: Option<EventLogError>,
}

/// Connects to `source`, proves the account, subscribes, and reads one event.
pub async fn test(source: &Source) -> EventLogTestReport {
    let mut lines = Vec::new();
    let failure = look(source, &mut lines).await.err();
    EventLogTestReport { lines, failure }
}

async fn look(source: &Source, lines: &mut Vec<String>) -> Result<(), EventLogError> {
    // Whether there is an event can only be asked, and not waited for.
    let settings = config::EventLog { delivery: Delivery::Pull, ..source.settings.clone() };
    let source = &Source { settings, server: source.server.clone() };
    let servers = EventLogServer::all(source).await?;
    let host = &source.server.host;
    let addresses: Vec<String> = servers.iter().map(|server| server.address.to_string()).collect();
    lines.push(format!("{host} is at {}", addresses.join(", ")));
    // The others are tried when it runs; a test that hid the first one's trouble would be none.
    let Some(server) = servers.first() else { return Ok(()) };
    let port = server.port().await?;
    let by = if source.server.port.is_some() { "as configured" } else { "by its endpoint mapper" };
    lines.push(format!("its event log is at port {port}, {by}"));
    let mut connection = server.connect(port).await?;
    let auth: &str = source.settings.auth.into();
    lines.push(format!(
        "{} proved itself by {auth}; everything is sealed",
        source.settings.account.name
    ));
    if source.server.role == ServerRole::DomainController && source.server.port.is_none() {
        lines.push(match server.domain().await {
            Ok((name, sid)) => format!("it is a controller of {name}, whose accounts have {sid}"),
            // Nothing needs it but whoever wonders about the names in its events.
            Err(why) => format!("which domain it is of, it does not say: {why}"),
        });
    }
    let handle = match subscribe(&mut connection, source, None).await {
        Err(why) if why.is_of_no_such_call() => {
            // What it has, for whoever wonders what the server is.
            if let Ok(count) = queried(&mut connection, source).await {
                lines.push(format!(
                    "it answers a query of its log, with {count} events, and serves no subscription"
                ));
            }
            return Err(why);
        }
        subscribed => subscribed?,
    };
    lines.push("it gives its log Security".to_owned());
    let records = source.settings.limits.records;
    let next = RemoteSubscriptionNext { handle, records, timeout: Duration::ZERO };
    let call = "EvtRpcRemoteSubscriptionNext";
    let stub = connection.call(call, &next).await?;
    let batch = RemoteSubscriptionNext::decode(&stub);
    let batch = batch.map_err(|why| EventLogError::Answer { call, why })?;
    lines.push(match batch.events().next() {
        None => "it holds no event of those that are asked for, within catch_up".to_owned(),
        Some(Err(why)) => format!("its first event cannot be read: {why}"),
        Some(Ok(set)) => first_event(set.event),
    });
    Ok(())
}

/// How many events a query of the log has, of those that one answer holds. The query ends with the
/// connection.
async fn queried(connection: &mut RpcConnection, source: &Source) -> Result<usize, EventLogError> {
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
    let (handle, records) = (opened.handle, source.settings.limits.records);
    let next = QueryNext { handle, records, timeout: Duration::ZERO };
    let stub = connection.call(call, &next).await?;
    let batch = QueryNext::decode(&stub).map_err(|why| EventLogError::Answer { call, why })?;
    Ok(batch.events().len())
}

fn first_event(event: &[u8]) -> String {
    let mut decoder = Decoder::default();
    let record = match decoder.record(event) {
        Ok(record) => record,
        Err(why) => return format!("its first event cannot be read: {why}"),
    };
    match AuditRecord::of(&record) {
        Err(why) => format!("its first event cannot be read: {why}"),
        Ok(audit) => {
            let record = audit.record();
            let (id, time, computer) = (record.id, record.time, record.computer);
            format!("its first event is record {}, {id} of {time}, by {computer}", record.record_id)
        }
    }
}
