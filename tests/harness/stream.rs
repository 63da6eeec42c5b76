//! A client of the event stream of the REST API (server-sent events).

use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;
use ureq::Agent;

use super::{Server, WAIT_LIMIT};

/// An open stream. It ends when the server closes it, or at the next write of the server after this
/// was dropped.
pub(crate) struct Stream(Receiver<Event>);

/// One server-sent event.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Its name, such as `began`.
    pub(crate) name: String,
    /// The cursor after this event.
    pub(crate) id: String,
    /// Its JSON document.
    pub(crate) data: Value,
}

impl Stream {
    /// Opens the stream with the query `query`, continuing after `last_event_id`. Returns after the
    /// response of the server: later events are not missed.
    pub(crate) fn open(server: &Server, query: &str, last_event_id: Option<&str>) -> Self {
        // No deadline for the whole response: a stream does not end.
        let agent = Agent::config_builder().http_status_as_error(false).build().new_agent();
        let request = agent
            .get(format!("{}/api/v1/stream{query}", server.rest()))
            .header("Authorization", format!("Bearer {}", server.token()));
        let request = match last_event_id {
            Some(id) => request.header("Last-Event-ID", id),
            None => request,
        };
        let response = request.call().unwrap();
        assert_eq!(response.status(), 200);
        let body = BufReader::new(response.into_body().into_reader());
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let (mut name, mut id, mut data) = (String::new(), String::new(), String::new());
            for line in body.lines().map_while(Result::ok) {
                let (field, value) = line.split_once(':').unwrap_or((line.as_str(), ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "event" => value.clone_into(&mut name),
                    "id" => value.clone_into(&mut id),
                    "data" => data.push_str(value),
                    "" if line.is_empty() && !data.is_empty() => {
                        let data = serde_json::from_str(&std::mem::take(&mut data)).unwrap();
                        let event = Event { name: std::mem::take(&mut name), id: id.clone(), data };
                        if sender.send(event).is_err() {
                            return;
                        }
                    }
                    // Comments, retries, and ids without data.
                    _ => {}
                }
            }
        });
        Self(receiver)
    }

    /// The next event.
    #[track_caller]
    pub(crate) fn next(&self) -> Event {
        self.0.recv_timeout(WAIT_LIMIT).expect("an event comes while the stream is open")
    }

    /// Whether the server closes the stream in time; further events are ignored.
    pub(crate) fn ends(&self) -> bool {
        loop {
            match self.0.recv_timeout(WAIT_LIMIT) {
                Ok(_) => {}
                Err(error) => return error == std::sync::mpsc::RecvTimeoutError::Disconnected,
            }
        }
    }
}
