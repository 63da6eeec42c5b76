//! Pushes in XML, in the model of the SRX Web API: `userfw-entries` of `userfw-entry`.
//!
//! The XML is untrusted: UTF-8 only, no DOCTYPE, no entities except the five of XML and character
//! references, at most 32 levels, 64 attributes per element, and 4 KiB of text per field.

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

use super::EVENTS;
use super::bad_push::{BadPush, Field, Problem};
use super::draft::Draft;

/// Reads all entries of the document; each starts with the values of `base`.
pub(super) fn read(text: &str, base: &Draft) -> Result<Vec<Draft>, BadPush> {
    let mut reader = Reader::from_str(text);
    let mut document = Document {
        base,
        path: Vec::new(),
        entry: None,
        text: None,
        drafts: Vec::new(),
        ended: false,
    };
    loop {
        let event = reader.read_event().map_err(|_| Problem::Syntax)?;
        let at = document.drafts.len();
        match event {
            Event::Eof => break,
            event => document.take(event).map_err(|bad| document.place(bad, at))?,
        }
    }
    if !document.ended {
        return Err(Problem::Syntax.into());
    }
    Ok(document.drafts)
}

/// The state of the parser.
struct Document<'a> {
    base: &'a Draft,
    /// The local names of the open elements, in lower case.
    path: Vec<String>,
    /// The current `userfw-entry`.
    entry: Option<Draft>,
    /// The field of the current element, and its text.
    text: Option<(Field, String)>,
    drafts: Vec<Draft>,
    /// The root element was closed.
    ended: bool,
}

impl Document<'_> {
    fn place(&self, bad: BadPush, at: usize) -> BadPush {
        if self.entry.is_some() || bad.field.is_some() { bad.at(at) } else { bad }
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), BadPush> {
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
            Event::DocType(_) => Err(Problem::Doctype.into()),
            Event::PI(_) | Event::Comment(_) | Event::Eof => Ok(()),
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), BadPush> {
        if self.ended {
            return Err(Problem::Syntax.into());
        }
        if self.path.len() == Problem::DEPTH {
            return Err(Problem::TooDeep.into());
        }
        // The check for duplicate names compares all pairs: the limit bounds it.
        for (count, attribute) in tag.attributes().enumerate() {
            if count == Problem::ATTRIBUTES {
                return Err(Problem::TooMany.into());
            }
            attribute.map_err(|_| Problem::Syntax)?;
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
            _ => return Err(Problem::Shape.into()),
        };
        if self.text.is_some() {
            // A field has only text: a nested element is a sign of a sender that does not escape.
            return Err(Problem::Shape.into());
        }
        self.text = field_of(field).map(|field| (field, String::new()));
        Ok(())
    }

    fn close(&mut self) -> Result<(), BadPush> {
        self.path.pop();
        if let Some((field, text)) = self.text.take() {
            if let Some(entry) = &mut self.entry {
                entry.put(field, &text)?;
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
                return Err(Problem::Missing.of(Field::State));
            }
            if self.drafts.len() == EVENTS {
                return Err(Problem::TooMany.into());
            }
            self.drafts.push(entry);
        }
        self.ended = self.path.is_empty();
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), BadPush> {
        if self.path.is_empty() && !text.trim().is_empty() {
            return Err(Problem::Syntax.into());
        }
        if let Some((field, all)) = &mut self.text {
            all.push_str(text);
            if all.len() > Problem::TEXT {
                return Err(Problem::TooLong.of(*field));
            }
        }
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), BadPush> {
        if let Some(c) = reference.resolve_char_ref().map_err(|_| Problem::Syntax)? {
            return self.text(c.encode_utf8(&mut [0; 4]));
        }
        self.text(resolve_xml_entity(reference).ok_or(Problem::Doctype)?)
    }
}

/// The field of an element within `userfw-entry`.
fn field_of(path: &[&str]) -> Option<Field> {
    Some(match path {
        ["timestamp"] => Field::Time,
        ["operation"] => Field::State,
        ["ip"] => Field::Address,
        ["domain"] => Field::Domain,
        ["user"] => Field::User,
        ["role-list", "role"] => Field::Role,
        ["posture"] => Field::Posture,
        ["end-user-attribute", "device-identity", "value"] => Field::Device,
        _ => return None,
    })
}

/// The body was decoded as UTF-8, so that no other encoding may be declared.
fn utf8_only(declaration: &BytesDecl<'_>) -> Result<(), BadPush> {
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name)) if ["utf-8", "us-ascii"].iter().any(|ok| name.eq_ignore_ascii_case(ok)) => {
            Ok(())
        }
        Some(_) => Err(Problem::Encoding.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Option<Problem> {
        read(text, &Draft::default()).err().map(|bad| bad.problem)
    }

    fn document(user: &str) -> String {
        format!(
            "<userfw-entries><userfw-entry><operation>logon</operation><IP>10.0.0.7</IP>\
             <user>{user}</user></userfw-entry></userfw-entries>"
        )
    }

    #[test]
    fn entities_and_document_types_are_refused() {
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
            assert_eq!(problem(text), Some(Problem::Doctype), "{text}");
        }
        assert_eq!(problem(&document("&amp;&lt;&gt;&quot;&apos;&#65;&#x42;")), None);
        assert_eq!(problem(&document("&#0;")), Some(Problem::Syntax));
        assert_eq!(problem(&document("&#xffffffff;")), Some(Problem::Syntax));
    }

    #[test]
    fn sizes_are_bounded() {
        let within = |inside: &str| format!("<userfw-entries><userfw-entry>{inside}");
        let deep = within(&"<a>".repeat(10_000));
        assert_eq!(problem(&deep), Some(Problem::TooDeep));
        let attributes: String = (0..100_000).map(|n| format!(" xmlns:a{n}='u'")).collect();
        assert_eq!(problem(&within(&format!("<a{attributes}/>"))), Some(Problem::TooMany));
        assert_eq!(problem(&format!("<userfw-entries{attributes}/>")), Some(Problem::TooMany));
        let repeated = "<userfw-entries a='1' a='2'/>";
        assert_eq!(problem(repeated), Some(Problem::Syntax));
        let text = "x".repeat(Problem::TEXT);
        assert_eq!(problem(&document(&text)), None);
        assert_eq!(problem(&document(&format!("{text}&amp;"))), Some(Problem::TooLong));
        let entry = "<userfw-entry><operation>up</operation></userfw-entry>";
        let many = format!("<userfw-entries>{}</userfw-entries>", entry.repeat(EVENTS + 1));
        assert_eq!(problem(&many), Some(Problem::TooMany));
    }

    #[test]
    fn other_encodings_are_refused() {
        for name in ["UTF-16", "utf-7", "ISO-8859-1", ""] {
            let text = format!("<?xml version='1.0' encoding='{name}'?><userfw-entries/>");
            assert_eq!(problem(&text), Some(Problem::Encoding), "{name}");
        }
        assert_eq!(problem("<?xml version='1.0' encoding='UTF-8'?><userfw-entries/>"), None);
    }

    #[test]
    fn what_is_no_whole_document_is_refused() {
        for text in [
            "<userfw-entries>",
            "<userfw-entries></userfw-entry>",
            "<userfw-entries/><userfw-entries/>",
            "<userfw-entries/>x",
            "<userfw-entries",
            "<userfw-entries/></a>",
            "<userfw-entries><userfw-entry><![CDATA[</userfw-entry></userfw-entries>",
        ] {
            assert_eq!(problem(text), Some(Problem::Syntax), "{text}");
        }
        assert_eq!(problem("<a:userfw-entries xmlns:a='x'><!-- --></a:userfw-entries>\n"), None);
    }
}
