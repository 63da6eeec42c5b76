//! The Web API of an SRX in ClearPass mode, spoken: entries posted in XML, no faster than it takes.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rollcall_config::{self as config, Compression};
use rollcall_identity::Cursor;
use rollcall_identity::delivery::{DeliveryMode, TargetPosition};
use rollcall_identity::directory::NetbiosNames;
use rollcall_wire::secure_edge::DigestPages;
use rollcall_wire::srx::{self, ResponseFormatter, ResponseWriter, web_api};
use zeroize::Zeroizing;

use crate::dialect::{Acknowledgement, Dialect, PushBatch};
use crate::error::PushError;
use crate::http::{Http, Post};

/// One firewall.
pub(crate) struct SrxWebApi {
    settings: config::SrxWebApi,
    http: Http,
    formatter: ResponseFormatter,
}

impl SrxWebApi {
    pub(crate) fn new(settings: config::SrxWebApi, http: Http) -> Self {
        let formatter = web_api::formatter(settings.roles, settings.groups.clone());
        Self { settings, http, formatter }
    }

    fn authorisation(&self) -> Result<Zeroizing<String>, PushError> {
        let config::SrxWebApi { user, password: file, .. } = &self.settings;
        // Read each time: it is small, and may be exchanged.
        let text = fs::read_to_string(file).map_err(|why| PushError::file(file, &why))?;
        let password = Zeroizing::new(text);
        let pair = Zeroizing::new(format!("{user}:{}", password.trim_end_matches(['\r', '\n'])));
        Ok(Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
    }
}

impl Dialect for SrxWebApi {
    fn opening(&self) -> DeliveryMode {
        DeliveryMode::Upsert
    }

    fn place(&mut self) -> Result<(TargetPosition, usize), PushError> {
        Ok((TargetPosition::Unsupported, 1))
    }

    fn begin(&mut self, _: &str) -> Result<usize, PushError> {
        Ok(1)
    }

    fn tell(&mut self, batch: &PushBatch) -> Result<Acknowledgement, PushError> {
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
        let authorisation = self.authorisation()?;
        let answer = self.http.post(&post, &[("Authorization", &authorisation)])?;
        let status = answer.status;
        match web_api::check_response(status, &answer.success()?) {
            Ok(()) => Ok(Acknowledgement {
                accepted: batch.changes.len() as u64,
                ..Acknowledgement::default()
            }),
            // What it says of an entry is not documented: the batch is halved until it is alone.
            Err(web_api::PostEntryError::Error(said)) => {
                Err(PushError::BatchRejected { status: 200, said: Some(said) })
            }
            Err(other) => Err(PushError::Unaccepted(other.to_string())),
        }
    }

    fn end(&mut self, _: &str, _: &Cursor) -> Result<(), PushError> {
        Ok(())
    }

    fn digests(&mut self) -> Result<Option<DigestPages>, PushError> {
        Ok(None)
    }

    fn rate(&self) -> Option<u32> {
        Some(self.settings.rate)
    }

    fn take_sent(&mut self) -> u64 {
        self.http.take_sent()
    }
}
