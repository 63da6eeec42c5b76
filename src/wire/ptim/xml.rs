//! Pushes in XML, in the model of the SRX Web API: `userfw-entries` of `userfw-entry`.
//!
//! The XML is untrusted: UTF-8 only, no DOCTYPE, no entities except the five of XML and character
//! references, at most 32 levels, 64 attributes per element, and 4 KiB of text per field.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

use super::EVENTS;
use super::error::{PtimError, PtimErrorKind, PtimField};
use super::event_builder::EventBuilder;

/// Reads all entries of the document; each starts with the values of `base`.
pub(super) fn read(text: &str, base: &EventBuilder) -> Result<Vec<EventBuilder>, PtimError> {
    let mut reader = Reader::from_str(text);
    let mut document = Document {
        base,
        path: Vec::new(),
        entry: None,
        text: None,
        builders: Vec::new(),
        ended: false,
    };
    loop {
        let event = reader.read_event().map_err(|_| PtimErrorKind::Syntax)?;
        let at = document.builders.len();
        match event {
            Event::Eof => break,
            event => document.take(event).map_err(|bad| document.place(bad, at))?,
        }
    }
    if !document.ended {
        return Err(PtimErrorKind::Syntax.into());
    }
    Ok(document.builders)
}

/// The state of the parser.
struct Document<'a> {
    base: &'a EventBuilder,
    /// The local names of the open elements, in lower case.
    path: Vec<String>,
    /// The current `userfw-entry`.
    entry: Option<EventBuilder>,
    /// The field of the current element, and its text.
    text: Option<(PtimField, String)>,
    builders: Vec<EventBuilder>,
    /// The root element was closed.
    ended: bool,
}

impl Document<'_> {
    fn place(&self, bad: PtimError, at: usize) -> PtimError {
        if self.entry.is_some() || bad.field.is_some() { bad.at(at) } else { bad }
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), PtimError> {
        match event {
            Event::Start(tag) => self.open(&tag),
            Event::Empty(tag) => {
                self.open(&tag)?;
                self.close()
            }
            Event::End(_) => self.close(),
            Event::Text(text) => self.text(&text),
            Event::CData(text) => self.text(&text),
            Event::GeneralRef(reference) => self.reference(&reference),
            Event::Decl(declaration) => utf8_only(&declaration),
            Event::DocType(_) => Err(PtimErrorKind::Doctype.into()),
            Event::PI(_) | Event::Comment(_) | Event::Eof => Ok(()),
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), PtimError> {
        if self.ended {
            return Err(PtimErrorKind::Syntax.into());
        }
        if self.path.len() == PtimErrorKind::DEPTH {
            return Err(PtimErrorKind::TooDeep.into());
        }
        // The check for duplicate names compares all pairs: the limit bounds it.
        for (count, attribute) in tag.attributes().enumerate() {
            if count == PtimErrorKind::ATTRIBUTES {
                return Err(PtimErrorKind::TooMany.into());
            }
            attribute.map_err(|_| PtimErrorKind::Syntax)?;
        }
        self.path.push(tag.local_name().into_inner().to_ascii_lowercase());
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let field = match path.as_slice() {
            ["userfw-entries"] => return Ok(()),
            ["userfw-entries", "userfw-entry"] | ["userfw-entry"] => {
                self.entry = Some(self.base.clone());
                return Ok(());
            }
            ["userfw-entries", "userfw-entry", field @ ..] | ["userfw-entry", field @ ..] => field,
            _ => return Err(PtimErrorKind::Shape.into()),
        };
        if self.text.is_some() {
            // A field has only text: a nested element is a sign of a sender that does not escape.
            return Err(PtimErrorKind::Shape.into());
        }
        self.text = field_of(field).map(|field| (field, String::new()));
        Ok(())
    }

    fn close(&mut self) -> Result<(), PtimError> {
        self.path.pop();
        if let Some((field, text)) = self.text.take() {
            if let Some(entry) = &mut self.entry {
                entry.set(field, &text)?;
            }
            return Ok(());
        }
        let entry_ended = match self.path.as_slice() {
            [] => true,
            [root] => root == "userfw-entries",
            _ => false,
        };
        if let Some(entry) = self.entry.take_if(|_| entry_ended) {
            if !entry.has_state() {
                return Err(PtimErrorKind::Missing.of(PtimField::State));
            }
            if self.builders.len() == EVENTS {
                return Err(PtimErrorKind::TooMany.into());
            }
            self.builders.push(entry);
        }
        self.ended = self.path.is_empty();
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), PtimError> {
        if self.path.is_empty() && !text.trim().is_empty() {
            return Err(PtimErrorKind::Syntax.into());
        }
        if let Some((field, all)) = &mut self.text {
            all.push_str(text);
            if all.len() > PtimErrorKind::TEXT {
                return Err(PtimErrorKind::TooLong.of(*field));
            }
        }
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), PtimError> {
        if let Some(c) = reference.resolve_char_ref().map_err(|_| PtimErrorKind::Syntax)? {
            return self.text(c.encode_utf8(&mut [0; 4]));
        }
        self.text(resolve_xml_entity(reference).ok_or(PtimErrorKind::Doctype)?)
    }
}

/// The field of an element within `userfw-entry`.
fn field_of(path: &[&str]) -> Option<PtimField> {
    Some(match path {
        ["timestamp"] => PtimField::Time,
        ["operation"] => PtimField::State,
        ["ip"] => PtimField::Address,
        ["domain"] => PtimField::Domain,
        ["user"] => PtimField::User,
        ["role-list", "role"] => PtimField::Role,
        ["posture"] => PtimField::Posture,
        ["end-user-attribute", "device-identity", "value"] => PtimField::Device,
        _ => return None,
    })
}

/// The body was decoded as UTF-8, so that no other encoding may be declared.
fn utf8_only(declaration: &BytesDecl<'_>) -> Result<(), PtimError> {
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name)) if ["utf-8", "us-ascii"].iter().any(|ok| name.eq_ignore_ascii_case(ok)) => {
            Ok(())
        }
        Some(_) => Err(PtimErrorKind::Encoding.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Option<PtimErrorKind> {
        read(text, &EventBuilder::default()).err().map(|bad| bad.problem)
    }

    fn document(user: &str) -> String {
        format!(
            "<userfw-entries><userfw-entry><operation>logon</operation><IP>10.0.0.7</IP>\
             <user>{user}</user></userfw-entry></userfw-entries>"
        )
    }

    #[test]
    fn entities_and_document_types_are_rejected() {
        let laughs: String = (1..10)
            .map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10)))
            .collect();
        let laughs = format!("<!DOCTYPE x [<!ENTITY l0 \"lol\">{laughs}]>{}", document("&l9;"));
        for text in [
            laughs.as_str(),
            "<!DOCTYPE x SYSTEM 'http://example.com/x.dtd'><userfw-entries/>",
            "<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><userfw-entries/>",
            "<!DOCTYPE x [<!ENTITY % p SYSTEM 'x'> %p;]><userfw-entries/>",
            "<?xml version='1.0'?><!doctype x><userfw-entries/>",
            &document("&a;"),
            &document("&nbsp;"),
        ] {
            assert_eq!(problem(text), Some(PtimErrorKind::Doctype), "{text}");
        }
        assert_eq!(problem(&document("&amp;&lt;&gt;&quot;&apos;&#65;&#x42;")), None);
        assert_eq!(problem(&document("&#0;")), Some(PtimErrorKind::Syntax));
        assert_eq!(problem(&document("&#xffffffff;")), Some(PtimErrorKind::Syntax));
    }

    #[test]
    fn sizes_are_bounded() {
        let within = |inside: &str| format!("<userfw-entries><userfw-entry>{inside}");
        let deep = within(&"<a>".repeat(10_000));
        assert_eq!(problem(&deep), Some(PtimErrorKind::TooDeep));
        let attributes: String = (0..100_000).map(|n| format!(" xmlns:a{n}='u'")).collect();
        assert_eq!(problem(&within(&format!("<a{attributes}/>"))), Some(PtimErrorKind::TooMany));
        assert_eq!(
            problem(&format!("<userfw-entries{attributes}/>")),
            Some(PtimErrorKind::TooMany)
        );
        let repeated = "<userfw-entries a='1' a='2'/>";
        assert_eq!(problem(repeated), Some(PtimErrorKind::Syntax));
        let text = "x".repeat(PtimErrorKind::TEXT);
        assert_eq!(problem(&document(&text)), None);
        assert_eq!(problem(&document(&format!("{text}&amp;"))), Some(PtimErrorKind::TooLong));
        let entry = "<userfw-entry><operation>up</operation></userfw-entry>";
        let many = format!("<userfw-entries>{}</userfw-entries>", entry.repeat(EVENTS + 1));
        assert_eq!(problem(&many), Some(PtimErrorKind::TooMany));
    }

    #[test]
    fn other_encodings_are_rejected() {
        for name in ["UTF-16", "utf-7", "ISO-8859-1", ""] {
            let text = format!("<?xml version='1.0' encoding='{name}'?><userfw-entries/>");
            assert_eq!(problem(&text), Some(PtimErrorKind::Encoding), "{name}");
        }
        assert_eq!(problem("<?xml version='1.0' encoding='UTF-8'?><userfw-entries/>"), None);
    }

    #[test]
    fn incomplete_documents_are_rejected() {
        for text in [
            "<userfw-entries>",
            "<userfw-entries></userfw-entry>",
            "<userfw-entries/><userfw-entries/>",
            "<userfw-entries/>x",
            "<userfw-entries",
            "<userfw-entries/></a>",
            "<userfw-entries><userfw-entry><![CDATA[</userfw-entry></userfw-entries>",
        ] {
            assert_eq!(problem(text), Some(PtimErrorKind::Syntax), "{text}");
        }
        assert_eq!(problem("<a:userfw-entries xmlns:a='x'><!-- --></a:userfw-entries>\n"), None);
    }
}
