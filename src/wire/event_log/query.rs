//! Queries of an event log: event identifiers and a maximum age.

use std::fmt::Write;
use std::time::Duration;

use quick_xml::escape::escape;

/// A query over one channel (MS-EVEN6 sections 2.2.15 and 2.2.16).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventLogQuery<'a> {
    /// For instance `Security`.
    pub channel: &'a str,
    /// The selections; an event matches if one of them matches.
    pub selections: &'a [EventSelection<'a>],
    /// The maximum age of an event when the server evaluates the query, in milliseconds.
    pub no_older_than: Option<Duration>,
}

/// Events of one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventSelection<'a> {
    /// The name of the provider; `None` for all providers.
    pub provider: Option<&'a str>,
    /// The event identifiers.
    pub event_ids: &'a [u16],
}

/// Why a query cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventLogQueryError {
    /// The query selects nothing.
    #[error("the query has no event identifiers")]
    NoEvents,
    /// A name with both kinds of quotes cannot be written in this XPath subset.
    #[error("the name of the provider has both kinds of quotes")]
    Quotes,
    /// A name has a control character.
    #[error("the name of the channel or the provider has a control character")]
    Control,
}

/// Windows rejects a filter with more than about twenty comparisons, so that more are split over
/// several selections. Sixteen leaves room for provider and time.
const COMPARISONS: usize = 16;

impl EventLogQuery<'_> {
    /// The provider of logon audits.
    pub const SECURITY_AUDITING: &'static str = "Microsoft-Windows-Security-Auditing";

    /// The provider of events about the log itself, such as that it was cleared.
    pub const EVENT_LOG: &'static str = "Microsoft-Windows-Eventlog";

    /// The query as XML.
    ///
    /// # Errors
    /// [`EventLogQueryError`].
    pub fn to_xml(&self) -> Result<String, EventLogQueryError> {
        if self.selections.iter().all(|selection| selection.event_ids.is_empty()) {
            return Err(EventLogQueryError::NoEvents);
        }
        let providers = self.selections.iter().filter_map(|selection| selection.provider);
        let mut names = std::iter::once(self.channel).chain(providers);
        if names.any(|name| name.contains(char::is_control)) {
            return Err(EventLogQueryError::Control);
        }
        let channel = escape(self.channel);
        let mut xml = format!("<QueryList><Query Id=\"0\" Path=\"{channel}\">");
        for selection in self.selections {
            for event_ids in selection.event_ids.chunks(COMPARISONS) {
                let filter = self.filter(selection.provider, event_ids)?;
                let filter = escape(&filter);
                // Writing to a String does not fail.
                let _ = write!(xml, "<Select Path=\"{channel}\">{filter}</Select>");
            }
        }
        Ok(xml + "</Query></QueryList>")
    }

    /// One XPath filter.
    fn filter(
        &self,
        provider: Option<&str>,
        event_ids: &[u16],
    ) -> Result<String, EventLogQueryError> {
        let comparisons: Vec<_> = event_ids.iter().map(|id| format!("EventID={id}")).collect();
        let mut filter = "*[System[".to_owned();
        if let Some(provider) = provider {
            let quote = match (provider.contains('\''), provider.contains('"')) {
                (false, _) => '\'',
                (true, false) => '"',
                (true, true) => return Err(EventLogQueryError::Quotes),
            };
            let _ = write!(filter, "Provider[@Name={quote}{provider}{quote}] and ");
        }
        let _ = write!(filter, "({})", comparisons.join(" or "));
        if let Some(age) = self.no_older_than {
            let millis = age.as_millis();
            let _ = write!(filter, " and TimeCreated[timediff(@SystemTime) <= {millis}]");
        }
        Ok(filter + "]]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGONS: EventSelection<'_> = EventSelection {
        provider: Some(EventLogQuery::SECURITY_AUDITING),
        event_ids: &[4624, 4768],
    };

    fn query(selections: &[EventSelection<'_>]) -> Result<String, EventLogQueryError> {
        EventLogQuery { channel: "Security", selections, no_older_than: None }.to_xml()
    }

    #[test]
    fn query_is_written_like_the_event_viewer() {
        assert_eq!(
            query(&[LOGONS]).unwrap(),
            "<QueryList><Query Id=\"0\" Path=\"Security\"><Select Path=\"Security\">\
             *[System[Provider[@Name=&apos;Microsoft-Windows-Security-Auditing&apos;] and \
             (EventID=4624 or EventID=4768)]]</Select></Query></QueryList>"
        );
        let (channel, selections) = ("Security", &[EventSelection { provider: None, ..LOGONS }]);
        let no_older_than = Some(Duration::from_secs(86_400));
        let xml = EventLogQuery { channel, selections, no_older_than }.to_xml().unwrap();
        let filter = "*[System[(EventID=4624 or EventID=4768) and \
            TimeCreated[timediff(@SystemTime) &lt;= 86400000]]]";
        assert!(xml.contains(filter), "{xml}");
    }

    #[test]
    fn many_event_ids_are_split_over_selections() {
        let event_ids: Vec<u16> = (1..=40).collect();
        let cleared =
            EventSelection { provider: Some(EventLogQuery::EVENT_LOG), event_ids: &[1102] };
        let many = EventSelection { event_ids: &event_ids, ..LOGONS };
        let xml = query(&[many, cleared]).unwrap();
        assert_eq!(xml.matches("<Select").count(), 4);
        assert!(xml.contains("Name=&apos;Microsoft-Windows-Eventlog&apos;] and (EventID=1102)"));
        for id in event_ids {
            let one = [" ", "("].map(|before| {
                xml.matches(&format!("{before}EventID={id})")).count()
                    + xml.matches(&format!("{before}EventID={id} ")).count()
            });
            assert_eq!(one.iter().sum::<usize>(), 1, "{id}");
        }
    }

    #[test]
    fn names_are_escaped_in_queries() {
        let query = |channel, provider| {
            let selections = &[EventSelection { provider: Some(provider), ..LOGONS }];
            EventLogQuery { channel, selections, no_older_than: None }.to_xml()
        };
        let xml = query("a\"><b", "it's").unwrap();
        assert!(xml.contains("Path=\"a&quot;&gt;&lt;b\""), "{xml}");
        assert!(xml.contains("@Name=&quot;it&apos;s&quot;"), "{xml}");
        assert_eq!(query("a", "'\""), Err(EventLogQueryError::Quotes));
        assert_eq!(query("a\0", "b"), Err(EventLogQueryError::Control));
        assert_eq!(query("a", "b\n"), Err(EventLogQueryError::Control));
    }

    #[test]
    fn empty_query_is_rejected() {
        let nothing = EventSelection { event_ids: &[], ..LOGONS };
        assert_eq!(query(&[]), Err(EventLogQueryError::NoEvents));
        assert_eq!(query(&[nothing, nothing]), Err(EventLogQueryError::NoEvents));
        assert!(query(&[nothing, LOGONS]).is_ok());
    }
}
