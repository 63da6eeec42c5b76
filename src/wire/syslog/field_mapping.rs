//! Converts the values of a line to events: user, addresses and other fields.

use std::borrow::Cow;
use std::sync::Arc;

use rollcall_identity::{
    Event, Kind, Membership, Name, Posture, Precision, Principal, Proof, Roles,
};

use super::client_defaults::{LineContext, TimeSource};
use super::error::SyslogParseError;
use super::message::SyslogMessage;
use super::rule::{CapturedValues, Rule};
use super::template_settings::TemplateSettings;
use super::timestamp::{TimeWithPrecision, read_whole};
use super::values::{Addresses, TemplateField, device, principal, text, trimmed};

/// The variable of a rule for each field.
#[derive(Debug, Clone)]
pub(super) struct FieldMapping {
    users: Vec<usize>,
    addresses: Vec<(TemplateField, usize)>,
    domain: Option<usize>,
    device: Option<usize>,
    groups: Option<usize>,
    time: Option<usize>,
    posture: Option<usize>,
    /// The fields with a lookup table, and the variable that is the key.
    maps: Vec<(TemplateField, usize)>,
}

/// The values of one line, with the settings of template and client.
struct Line<'a, 'b> {
    found: &'a CapturedValues<'b>,
    shared: &'a TemplateSettings,
    context: &'a LineContext<'a>,
}

impl FieldMapping {
    pub(super) fn new(rule: &Rule, user_from: &[String], maps: &[(TemplateField, String)]) -> Self {
        let variable = |field: TemplateField| rule.variable(field.as_str());
        Self {
            users: user_from.iter().filter_map(|group| rule.variable(group)).collect(),
            addresses: rule.addresses(),
            domain: variable(TemplateField::Domain),
            device: variable(TemplateField::Device),
            groups: variable(TemplateField::Groups),
            time: variable(TemplateField::Time),
            posture: variable(TemplateField::Posture),
            maps: maps.iter().filter_map(|(f, group)| Some((*f, rule.variable(group)?))).collect(),
        }
    }

    pub(super) fn has_user(&self) -> bool {
        !self.users.is_empty() || self.maps.iter().any(|(field, _)| *field == TemplateField::User)
    }

    pub(super) fn has_device(&self) -> bool {
        self.device.is_some() || self.maps.iter().any(|(field, _)| *field == TemplateField::Device)
    }

    /// Appends one event per address.
    pub(super) fn events(
        &self,
        kind: Kind,
        found: &CapturedValues<'_>,
        message: &SyslogMessage<'_>,
        (shared, context): (&TemplateSettings, &LineContext<'_>),
        out: &mut Vec<Event>,
    ) -> Result<usize, SyslogParseError> {
        let line = Line { found, shared, context };
        let mut addresses = Addresses::default();
        for (field, variable) in &self.addresses {
            if let Some(value) = line.value(*variable)? {
                addresses.add(*field, value)?;
            }
        }
        let principal = self.principal(&line)?;
        let device = self.device(&line)?;
        match kind {
            Kind::DeviceSeen if device.is_none() => return Err(SyslogParseError::NoDevice),
            Kind::DeviceSeen => {}
            _ if principal.is_none() => return Err(SyslogParseError::NoUser),
            _ => {}
        }
        let (at, precision) = self.moment(&line, message)?;
        let (roles, posture) = (self.roles(&line)?, self.posture(&line)?);
        let before = out.len();
        out.extend(addresses.iter().map(|address| Event {
            kind,
            address,
            principal: principal.clone(),
            device: device.clone(),
            roles: roles.clone(),
            membership: Membership::default(),
            renamed_from: None,
            sid: None,
            proof: Proof::default(),
            posture,
            at,
            precision,
            seen: context.seen,
            origin: Arc::clone(context.origin),
        }));
        let count = out.len() - before;
        if count == 0 { Err(SyslogParseError::NoAddress) } else { Ok(count) }
    }

    fn principal(&self, line: &Line<'_, '_>) -> Result<Option<Principal>, SyslogParseError> {
        let mut user = line.mapped(&self.maps, TemplateField::User)?;
        for variable in &self.users {
            if user.is_none() {
                user = line.value(*variable)?.map(Cow::Borrowed);
            }
        }
        let Some(user) = user else { return Ok(None) };
        let domain = match line.of(&self.maps, TemplateField::Domain, self.domain)? {
            Some(domain) => Some(Name::new(&domain).map_err(|_| SyslogParseError::BadName)?),
            None => None,
        };
        let fallback = line.shared.domain.as_ref().or(line.context.defaults.domain.as_ref());
        let principal = principal(&user, domain.as_ref().or(fallback));
        principal.map(Some).map_err(|_| SyslogParseError::BadName)
    }

    fn device(&self, line: &Line<'_, '_>) -> Result<Option<Name>, SyslogParseError> {
        match line.of(&self.maps, TemplateField::Device, self.device)? {
            Some(name) => device(&name).map(Some).map_err(|_| SyslogParseError::BadName),
            None => Ok(line.shared.device.clone()),
        }
    }

    /// A group that is not a valid name is left out, so that the login is not lost.
    fn roles(&self, line: &Line<'_, '_>) -> Result<Roles, SyslogParseError> {
        let Some(variable) = self.groups else { return Ok(line.shared.groups.clone()) };
        let Some(list) = line.value(variable)? else { return Ok(line.shared.groups.clone()) };
        let names = list.split(&*line.shared.separator).map(str::trim);
        let names =
            names.filter(|name| !line.is_none(name)).filter_map(|name| Name::new(name).ok());
        Ok(Some(names.collect()))
    }

    fn posture(&self, line: &Line<'_, '_>) -> Result<Option<Posture>, SyslogParseError> {
        let posture = line.of(&self.maps, TemplateField::Posture, self.posture)?;
        let read = |text: Cow<'_, str>| text.trim().parse().unwrap_or(Posture::Unknown);
        Ok(posture.map(read).or(line.shared.posture))
    }

    /// The time of the event: from a group, otherwise from the header, otherwise the time of
    /// arrival.
    fn moment(
        &self,
        line: &Line<'_, '_>,
        message: &SyslogMessage<'_>,
    ) -> Result<TimeWithPrecision, SyslogParseError> {
        let seen = line.context.seen;
        let arrival = (seen, Precision::Millisecond);
        if line.context.defaults.time == TimeSource::Arrival {
            return Ok(arrival);
        }
        let written = match self.time {
            Some(variable) => line.value(variable)?,
            None => None,
        };
        match written {
            Some(written) => {
                let zone = &line.context.defaults.zone;
                read_whole(written.as_bytes(), zone, seen).ok_or(SyslogParseError::BadTime)
            }
            None => Ok(message.at.unwrap_or(arrival)),
        }
    }
}

impl Line<'_, '_> {
    /// The text of a variable, unless it is a placeholder.
    fn value(&self, variable: usize) -> Result<Option<&str>, SyslogParseError> {
        match self.found[variable].as_deref() {
            Some(bytes) => Ok(Some(text(bytes)?).filter(|value| !self.is_none(value))),
            None => Ok(None),
        }
    }

    fn is_none(&self, value: &str) -> bool {
        let value = trimmed(value);
        value.is_empty() || self.shared.none.iter().any(|none| none.eq_ignore_ascii_case(value))
    }

    /// The value from the lookup table of the client, otherwise of the template, for `field`.
    fn mapped(
        &self,
        maps: &[(TemplateField, usize)],
        field: TemplateField,
    ) -> Result<Option<Cow<'_, str>>, SyslogParseError> {
        for (_, variable) in maps.iter().filter(|(mapped, _)| *mapped == field) {
            if let Some(key) = self.value(*variable)? {
                let client = self.context.defaults.maps.get(field, trimmed(key));
                let value = client.or_else(|| self.shared.maps.get(field, trimmed(key)));
                if let Some(value) = value {
                    return Ok(Some(Cow::Borrowed(value)));
                }
            }
        }
        Ok(None)
    }

    /// The value of a field: from a lookup table, otherwise from the line.
    fn of(
        &self,
        maps: &[(TemplateField, usize)],
        field: TemplateField,
        variable: Option<usize>,
    ) -> Result<Option<Cow<'_, str>>, SyslogParseError> {
        let mapped = self.mapped(maps, field)?;
        match (mapped, variable) {
            (Some(mapped), _) => Ok(Some(mapped)),
            (None, Some(variable)) => Ok(self.value(variable)?.map(Cow::Borrowed)),
            (None, None) => Ok(None),
        }
    }
}
