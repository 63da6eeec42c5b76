//! The element tree of a fragment or template, parsed once and walked for every event.

use super::error::BinXmlError;
use super::plan::Plan;
use super::text::Utf16;
use super::token;
use crate::event_log::bytes::ByteReader;

/// An element: MS-EVEN6 section 2.2.12, rule `Element`.
#[derive(Debug, PartialEq)]
pub(super) struct Element {
    pub(super) name: Box<str>,
    /// The value that the presence of the element depends on.
    pub(super) dependency: Option<u16>,
    pub(super) attributes: Box<[AttributeNode]>,
    pub(super) content: Box<[Content]>,
    /// The plan of an element below `Event`, if it has one.
    pub(super) plan: Option<Box<Plan>>,
}

impl Element {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The cost of one visit.
    pub(super) fn cost(&self) -> usize {
        1 + self.attributes.len() + self.content.len()
    }
}

/// An attribute: its name and the pieces of its value.
#[derive(Debug, PartialEq)]
pub(super) struct AttributeNode {
    pub(super) name: Box<str>,
    pub(super) value: Box<[TextPiece]>,
}

/// The content of an element.
#[derive(Debug, PartialEq)]
pub(super) enum Content {
    Element(Element),
    Piece(TextPiece),
    Instruction { target: Box<str>, data: Box<str> },
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::event_log) enum TextPiece {
    Text(Box<str>),
    Cdata(Box<str>),
    Character(char),
    Entity(Box<str>),
    /// The value with this number.
    Value(u16),
}

/// Whether elements have a dependency field: only those of templates do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ElementContext {
    Template,
    Inline,
}

/// Parses elements.
pub(super) struct ElementParser<'a, 'b> {
    pub(super) bytes: &'b mut ByteReader<'a>,
    pub(super) place: ElementContext,
}

impl ElementParser<'_, '_> {
    /// One element, with at most `depth` nested elements.
    pub(super) fn element(&mut self, depth: usize) -> Result<Element, BinXmlError> {
        let depth = depth.checked_sub(1).ok_or(BinXmlError::Depth)?;
        let open = self.expect(&[token::OPEN_ELEMENT, token::OPEN_ELEMENT_WITH_ATTRIBUTES])?;
        let dependency = match self.place {
            ElementContext::Template => Some(self.bytes.u16()?).filter(|number| *number != 0xffff),
            ElementContext::Inline => None,
        };
        // The lengths allow to skip an element. They are checked but not used: the tokens determine
        // the structure.
        self.bytes.clone().part(self.bytes.clone().size()?)?;
        self.bytes.size()?;
        let name = self.name()?;
        let attributes = match open {
            token::OPEN_ELEMENT_WITH_ATTRIBUTES => self.attributes()?,
            _ => Box::default(),
        };
        let content = match self.expect(&[token::CLOSE_START_TAG, token::CLOSE_EMPTY_ELEMENT])? {
            token::CLOSE_START_TAG => self.content(depth)?,
            _ => Box::default(),
        };
        Ok(Element { name, dependency, attributes, content, plan: None })
    }

    fn attributes(&mut self) -> Result<Box<[AttributeNode]>, BinXmlError> {
        self.bytes.size()?;
        let mut attributes = Vec::new();
        while self.bytes.peek()? & !token::MORE == token::ATTRIBUTE {
            self.bytes.u8()?;
            let name = self.name()?;
            let mut value = Vec::new();
            while let Some(piece) = self.piece()? {
                value.push(piece);
            }
            attributes.push(AttributeNode { name, value: value.into() });
        }
        Ok(attributes.into())
    }

    /// Parses up to and including the end tag.
    fn content(&mut self, depth: usize) -> Result<Box<[Content]>, BinXmlError> {
        let mut content = Vec::new();
        loop {
            content.push(match self.bytes.peek()? {
                token::END_ELEMENT => break,
                token::OPEN_ELEMENT | token::OPEN_ELEMENT_WITH_ATTRIBUTES => {
                    Content::Element(self.element(depth)?)
                }
                token::INSTRUCTION_TARGET => self.instruction()?,
                token if token & !token::MORE == token::CDATA => {
                    self.bytes.u8()?;
                    Content::Piece(TextPiece::Cdata(self.counted()?))
                }
                token => match self.piece()? {
                    Some(piece) => Content::Piece(piece),
                    None => return Err(BinXmlError::Token { at: self.bytes.at(), token }),
                },
            });
        }
        self.bytes.u8()?;
        Ok(content.into())
    }

    /// A piece that is allowed in attributes and elements; `None` when another token is next.
    fn piece(&mut self) -> Result<Option<TextPiece>, BinXmlError> {
        let next = self.bytes.peek()?;
        let known = match next {
            token::SUBSTITUTION | token::OPTIONAL_SUBSTITUTION => {
                self.place == ElementContext::Template
            }
            _ => matches!(next & !token::MORE, token::TEXT | token::CHARACTER | token::ENTITY),
        };
        if !known {
            return Ok(None);
        }
        self.bytes.u8()?;
        Ok(Some(match next & !token::MORE {
            token::TEXT => {
                self.expect(&[token::STRING])?;
                TextPiece::Text(self.counted()?)
            }
            token::CHARACTER => {
                let char = char::from_u32(self.bytes.u16()?.into());
                TextPiece::Character(char.unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            token::ENTITY => TextPiece::Entity(self.name()?),
            _ => {
                let number = self.bytes.u16()?;
                // The declared type of the value. The value has its own type, which is used.
                self.bytes.u8()?;
                TextPiece::Value(number)
            }
        }))
    }

    /// A processing instruction.
    pub(super) fn instruction(&mut self) -> Result<Content, BinXmlError> {
        self.expect(&[token::INSTRUCTION_TARGET])?;
        let target = self.name()?;
        self.expect(&[token::INSTRUCTION_DATA])?;
        Ok(Content::Instruction { target, data: self.counted()? })
    }

    /// Takes the next token, which must be one of `tokens`.
    fn expect(&mut self, tokens: &[u8]) -> Result<u8, BinXmlError> {
        let at = self.bytes.at();
        let token = self.bytes.u8()?;
        match tokens.contains(&token) {
            true => Ok(token),
            false => Err(BinXmlError::Token { at, token }),
        }
    }

    /// A name: hash (ignored), length, characters, NUL.
    fn name(&mut self) -> Result<Box<str>, BinXmlError> {
        self.bytes.u16()?;
        let name = self.counted()?;
        self.bytes.u16()?;
        Ok(name)
    }

    /// A text after its length in UTF-16 units.
    fn counted(&mut self) -> Result<Box<str>, BinXmlError> {
        let units = usize::from(self.bytes.u16()?);
        Ok(Utf16::new(self.bytes.take(2 * units)?).to_text().into())
    }
}
