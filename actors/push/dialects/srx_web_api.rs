//! The dialect of the Web API of an SRX in ClearPass mode: entries posted as XML.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rollcall_config::{self as config, Compression, DialectSettings, PushTarget};
use rollcall_identity::delivery::DeliveryMode;
use rollcall_identity::directory::NetbiosNames;
use rollcall_runtime::clock::Clock;
use rollcall_wire::srx::{self, ResponseFormatter, ResponseWriter, web_api};
use zeroize::Zeroizing;

use crate::capabilities::{Capabilities, DeleteAbsent, GroupsModel, ReadBack};
use crate::dialect::{Acknowledgement, Dialect, DialectFactory, PushBatch, Registration};
use crate::error::{ErrorResponse, PushError};
use crate::http::{Http, Post};

/// The registration of the dialect.
pub(super) const REGISTRATION: Registration =
    Registration { section: config::SrxWebApi::SECTION, factory };

fn factory(target: &PushTarget) -> Option<Arc<dyn DialectFactory>> {
    let settings = target.dialect.settings::<config::SrxWebApi>()?.clone();
    Some(Arc::new(SrxWebApiFactory { target: target.clone(), settings }))
}

struct SrxWebApiFactory {
    target: PushTarget,
    settings: config::SrxWebApi,
}

impl DialectFactory for SrxWebApiFactory {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            batch: self.target.batch_size,
            // Entries must arrive in order.
            parallel: 1,
            rate: Some(self.settings.rate),
            resync: DeliveryMode::Upsert,
            read_back: ReadBack::None,
            // `authentication-entry-timeout` counts from the last use of an entry, and the firewall
            // does not report it.
            time_to_live: None,
            groups: GroupsModel::PerSession,
            delete_absent: DeleteAbsent::Acknowledged,
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        vec![self.settings.password.clone()]
    }

    /// With another group filter, the firewall would keep roles that no later entry removes.
    fn content_settings(&self) -> Option<String> {
        let config::SrxWebApi { roles, groups, .. } = &self.settings;
        let names: Vec<String> = groups.names.iter().map(ToString::to_string).collect();
        let bases: Vec<String> = groups.bases.iter().map(ToString::to_string).collect();
        Some(format!("{roles}|{}|{}|{}", groups.limit, names.join(","), bases.join(";")))
    }

    fn create(&self, clock: &Clock) -> Box<dyn Dialect> {
        let formatter = web_api::formatter(self.settings.roles, self.settings.groups.clone());
        let http = Http::new(self.target.clone(), clock.clone());
        Box::new(SrxWebApi { settings: self.settings.clone(), http, formatter })
    }
}

/// The connection to one firewall.
struct SrxWebApi {
    settings: config::SrxWebApi,
    http: Http,
    formatter: ResponseFormatter,
}

impl SrxWebApi {
    fn authorization(&self) -> Result<Zeroizing<String>, PushError> {
        let config::SrxWebApi { user, password: file, .. } = &self.settings;
        // Read for each request: the file is small and may be replaced.
        let text = fs::read_to_string(file).map_err(|why| PushError::file(file, &why))?;
        let password = Zeroizing::new(text);
        let pair = Zeroizing::new(format!("{user}:{}", password.trim_end_matches(['\r', '\n'])));
        Ok(Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
    }
}

impl Dialect for SrxWebApi {
    fn send(&mut self, batch: &PushBatch) -> Result<Acknowledgement, PushError> {
        let mut body = Vec::new();
        srx::reported_sessions(&batch.changes)
            .for_each(|session| self.formatter.cache_groups(session));
        let writer =
            ResponseWriter { formatter: &self.formatter, netbios: &NetbiosNames::default() };
        web_api::write_entries(writer, &batch.changes, &mut body);
        let post = Post {
            path: web_api::PATH,
            content_type: web_api::CONTENT_TYPE,
            body: &body,
            compression: Compression::Plain,
        };
        let authorization = self.authorization()?;
        let response = self.http.post(&post, &[("Authorization", &authorization)])?;
        let status = response.status;
        match web_api::check_response(status, &response.success()?) {
            Ok(()) => {
                let accepted = batch.changes.len() as u64;
                Ok(Acknowledgement { accepted, ..Acknowledgement::default() })
            }
            // The response does not identify the entry: the batch is split until the entry is alone.
            Err(web_api::PostEntryError::Error(text)) => {
                let (status, text) = (Some(status), Some(text));
                Err(PushError::BatchRejected(ErrorResponse { status, text }))
            }
            Err(other) => Err(PushError::ProtocolError(other.to_string())),
        }
    }

    fn take_bytes_sent(&mut self) -> u64 {
        self.http.take_bytes_sent()
    }
}
