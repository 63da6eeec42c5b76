//! The XML text of an event, for display only: no decision depends on it.

use std::fmt::{self, Write};

use super::error::BinXmlError;
use super::node::{ElementChild, Node};
use super::tree::TextPiece;
use super::value::Value;

/// Writes `root` as XML on one line, of at most `limit` bytes, with at most `depth` nested
/// elements.
///
/// # Errors
/// [`BinXmlError::Output`], [`BinXmlError::Depth`], and errors in values.
pub(in crate::event_log) fn write(
    root: Node<'_>,
    limit: usize,
    depth: usize,
) -> Result<String, BinXmlError> {
    let mut page = XmlWriter { text: String::new(), limit };
    page.element(root, depth)?;
    Ok(page.text)
}

struct XmlWriter {
    text: String,
    limit: usize,
}

impl XmlWriter {
    fn element(&mut self, node: Node<'_>, depth: usize) -> Result<(), BinXmlError> {
        let depth = depth.checked_sub(1).ok_or(BinXmlError::Depth)?;
        if !node.is_present() {
            return Ok(());
        }
        node.charge_visit()?;
        let value = if node.is_value() { node.text()? } else { Value::Null };
        let Value::Array(array) = value else {
            self.start_tag(node)?;
            for child in node.children() {
                self.child(node, child, depth)?;
            }
            return self.end_tag(node);
        };
        let items = array.items().map(Some);
        let none = array.items().next().is_none().then_some(None);
        for item in items.chain(none) {
            self.start_tag(node)?;
            self.escaped(&item.unwrap_or_default())?;
            self.end_tag(node)?;
        }
        Ok(())
    }

    fn start_tag(&mut self, node: Node<'_>) -> Result<(), BinXmlError> {
        self.raw("<")?;
        self.name(node.name())?;
        for (name, value) in node.attributes() {
            let value = value?;
            if value.is_empty() {
                continue;
            }
            self.raw(" ")?;
            self.name(name)?;
            self.raw("=\"")?;
            self.escaped(&value)?;
            self.raw("\"")?;
        }
        self.raw(">")
    }

    fn end_tag(&mut self, node: Node<'_>) -> Result<(), BinXmlError> {
        self.raw("</")?;
        self.name(node.name())?;
        self.raw(">")
    }

    fn child(
        &mut self,
        node: Node<'_>,
        child: ElementChild<'_>,
        depth: usize,
    ) -> Result<(), BinXmlError> {
        match child {
            ElementChild::Node(inner) => self.element(inner, depth),
            ElementChild::Piece(TextPiece::Cdata(text)) => {
                self.raw("<![CDATA[")?;
                self.raw(&text.replace("]]>", "]]]]><![CDATA[>"))?;
                self.raw("]]>")
            }
            ElementChild::Piece(piece) => self.escaped(&node.piece(piece)?),
            ElementChild::Instruction { target, data } => {
                self.raw("<?")?;
                self.name(target)?;
                self.raw(" ")?;
                self.raw(&data.replace("?>", "? >"))?;
                self.raw("?>")
            }
        }
    }

    /// Replaces characters that are not valid in a name.
    fn name(&mut self, name: &str) -> Result<(), BinXmlError> {
        let fine = |char: char| char.is_alphanumeric() || matches!(char, '_' | '-' | '.' | ':');
        let shown = name.chars().map(|char| if fine(char) { char } else { '_' });
        shown
            .into_iter()
            .try_for_each(|char| self.write_char(char))
            .map_err(|_| BinXmlError::Output)
    }

    fn escaped(&mut self, value: &Value<'_>) -> Result<(), BinXmlError> {
        write!(EscapingWriter(self), "{value}").map_err(|_| BinXmlError::Output)
    }

    fn raw(&mut self, text: &str) -> Result<(), BinXmlError> {
        self.write_str(text).map_err(|_| BinXmlError::Output)
    }
}

impl Write for XmlWriter {
    /// Fails only when the limit is exceeded.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.text.len() + text.len() > self.limit {
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// Escapes text in elements and double-quoted attributes.
struct EscapingWriter<'p>(&'p mut XmlWriter);

impl Write for EscapingWriter<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| self.write_char(char))
    }

    fn write_char(&mut self, char: char) -> fmt::Result {
        match char {
            '&' => self.0.write_str("&amp;"),
            '<' => self.0.write_str("&lt;"),
            '>' => self.0.write_str("&gt;"),
            '"' => self.0.write_str("&quot;"),
            '\t' | '\n' => self.0.write_char(char),
            '\r' => self.0.write_str("&#13;"),
            // XML 1.0 cannot represent these characters.
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => self.0.write_char('\u{fffd}'),
            other => self.0.write_char(other),
        }
    }
}
