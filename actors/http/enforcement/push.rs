//! Pushes. A push is acknowledged only when its events are in the journal and visible to all
//! consumers.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpResponse;
use rollcall_wire::http::RequestParts;
use rollcall_wire::ptim::{self, PtimError, PtimErrorKind};
use serde::Serialize;
use tokio::time::timeout;

use super::points::Client;
use super::{Enforcement, RequestContext};
use crate::admission::Rejection;
use crate::telemetry::PushNotGranted;
use rollcall_identity::Receipt;
use rollcall_producers::InputBatch;
use rollcall_runtime::telemetry::TelemetryEvent;

/// How long a push waits until its events are committed and visible. The client must retry after
/// that: a disk may not respond for minutes, and each waiting push would hold its batch.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// The format of pushed events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PushFormat {
    /// Any of the known formats of a firewall.
    Ptim,
    /// Rollcall's own JSON.
    Json,
}

/// The result of a push. Refused events are not an error of the request: a retry would have the
/// same result.
#[derive(Serialize)]
struct PushReply {
    received: usize,
    applied: usize,
    deduplicated: usize,
    refused: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    reasons: BTreeMap<&'static str, usize>,
    revision: u64,
}

impl Enforcement {
    /// Handles a push of a client.
    pub(super) async fn push(
        &self,
        request: &RequestParts<'_>,
        context: &RequestContext,
        client: &Client,
        format: PushFormat,
    ) -> Result<HttpResponse, Rejection> {
        if request.method != "POST" && format == PushFormat::Json {
            return Err(Rejection::route());
        }
        if !context.registry.push_enabled {
            return Err(Rejection::forbidden("pushes are disabled"));
        }
        let Some(sink) = self.pushes.get() else {
            return Err(Rejection::unavailable("the PTIM producer is restarting"));
        };
        // A reload is renaming the producer; events are accounted for under one name.
        if client
            .push_settings
            .as_ref()
            .is_some_and(|p| p.json.producer.as_str() != sink.producer())
        {
            return Err(Rejection::unavailable("the PTIM producer is being replaced"));
        }
        let mut batch = InputBatch::default();
        let read = read(request, context, client, format, &mut batch);
        if let Err(rejection) = &read
            && client.push_settings.is_none()
            && let Some(unlogged) = self.ungranted_pushes.admit(context.now)
        {
            let (point, detail) = (client.name.as_str(), &*rejection.detail);
            PushNotGranted { point, detail, unlogged }.emit();
        }
        let commit = async {
            let pending = sink.submit(&mut batch).await;
            read?;
            let Some(pending) = pending else {
                return Err(PtimError::from(PtimErrorKind::Empty).into());
            };
            // A client that disconnects here leaves its events in the queue: they are decided all
            // the same.
            let receipt = pending.receipt().await;
            receipt.map_err(|why| Rejection::unavailable(why.to_string()))
        };
        let receipt = timeout(COMMIT_TIMEOUT, commit).await.unwrap_or_else(|_| {
            Err(Rejection::unavailable(format!(
                "commit not confirmed within {} s; a retry with the same event time is not counted \
                 twice",
                COMMIT_TIMEOUT.as_secs()
            )))
        })?;
        let Receipt { revision, applied, deduplicated, refused, reasons } = receipt;
        let received = applied + deduplicated + refused;
        client.stats.record_push(received);
        let reasons = reasons.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
        let revision = revision.0;
        let reply = PushReply { received, applied, deduplicated, refused, reasons, revision };
        Ok(HttpResponse::Ok().json(reply))
    }
}

/// Reads the events into `batch`, or counts a drop, so that each push is accounted for.
fn read(
    request: &RequestParts<'_>,
    context: &RequestContext,
    client: &Client,
    format: PushFormat,
    batch: &mut InputBatch,
) -> Result<(), Rejection> {
    let Some(settings) = &client.push_settings else {
        batch.count_drop("not_allowed", None);
        let name = &client.name;
        return Err(Rejection::forbidden(format!(
            "{name} is not granted to push events: run `rollcall client grant {name}` with \
             --vpn-pool NETWORK for VPN events or --portal NETWORK for logins, or set allow in its \
             [enforcement.points.push]"
        )));
    };
    let origin = match format {
        PushFormat::Ptim => &settings.ptim,
        PushFormat::Json => &settings.json,
    };
    let (domain, untimed) = (settings.domain.as_ref(), settings.missing_time);
    let received = ptim::PtimContext { seen: context.now, origin, domain, untimed };
    let events = match format {
        PushFormat::Ptim => ptim::read(request, received),
        PushFormat::Json => ptim::read_json_events(request, received),
    };
    match events {
        Ok(events) => batch.events = events,
        Err(bad @ PtimError { problem, .. }) => {
            batch.count_drop(problem.as_str(), Some(&origin.form));
            return Err(bad.into());
        }
    }
    Ok(())
}
